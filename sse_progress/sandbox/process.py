"""The worker's end of one stage child: start it, ask it something, end it.

Everything arrives through descriptors that the event loop watches; there is no thread and no task
per child. Which child does what, and what an end means for an upload, is decided by the pool.

A child is a session of its own, and its process group ends with it in every case, also when this
process is killed. Programs that have left the group for a session of their own are found and killed
by us, so they outlive a crash of the child and a kill -9 of this process.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import anyio
import structlog

from sse_progress.runtime.linux import cpu_s_of, descendants
from sse_progress.sandbox.conversation import (
    READ_BYTES,
    READS,
    BrokenProtocol,
    Conversation,
    Report,
)
from sse_progress.sandbox.messages import Ended, EndProcess, Outcome, Task
from sse_progress.sandbox.printed import Printed

__all__ = ["Exit", "StageProcess"]

log = structlog.get_logger(__name__)

END_WAIT_S = 1.0
"""A child that has closed its channel is to end by itself within this time."""
FINISH_WAIT_S = 5.0
"""A child that has not ended the process of its tasks by then is killed."""
KILL_WAIT_S = 5.0
"""A killed process that is not gone by then hangs in the kernel; it is reaped when it can be."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended: exit code (negative: the signal), most resident memory it ever had (0:
    not more than this process, which is all that is known then), CPU seconds of its whole life."""

    code: int
    peak_rss_bytes: int
    killed: bool
    """By us."""
    cpu_s: float = 0.0


class StageProcess:
    """One child. After `start`, `ready` and any number of `perform` and `finish`, one at a time,
    `end` it.

    The child is killed when the thread that called `start` ends, so that is the loop's.
    """

    def __init__(self) -> None:
        self.uploads = 0
        self.modules: set[str] = set()
        """Modules of the functions that it has run: they are imported there."""
        self.exit: Exit | None = None
        self._printed = Printed()
        self._has_ended = anyio.Event()
        self._killed = False
        self._own_cpu_s = 0.0
        self._strays: list[int] = []
        """Descriptors (pidfd) of killed descendants that may not be gone yet."""
        self._ending = anyio.Lock()
        self._log = log
        self._on_end: Callable[[StageProcess], None] = lambda _: None

    def start(self, environment: Mapping[str, str], on_end: Callable[[StageProcess], None]) -> None:
        """Run exec; `on_end` is called on the loop when the process is gone. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self._on_end = on_end
        with ExitStack() as ours, ExitStack() as theirs:
            self._channel, channel = socket.socketpair()
            ours.callback(self._channel.close)
            theirs.callback(channel.close)
            lifeline, self._lifeline = os.pipe()
            theirs.callback(os.close, lifeline)
            ours.callback(os.close, self._lifeline)
            self._output_end, output = os.pipe()
            ours.callback(os.close, self._output_end)
            theirs.callback(os.close, output)
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [
                    *(sys.executable, "-P", "-s", "-X", "faulthandler"),
                    *("-m", "sse_progress.sandbox.child"),
                    *map(str, (channel.fileno(), lifeline, os.getpid())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd="/",
                pass_fds=(channel.fileno(), lifeline),
                start_new_session=True,
            )
            # The kernel counts what we held into the most that a child ever held: it began as us.
            self._ours_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            self.pid = self._process.pid
            try:
                self._pidfd = os.pidfd_open(self.pid)
            except OSError:
                self._process.kill()
                self._process.wait()
                raise
            self._channel.setblocking(False)
            os.set_blocking(self._output_end, False)
            ours.pop_all()
        self._conversation = Conversation(self._channel)
        self._loop.add_reader(self._channel.fileno(), self._hear)
        self._loop.add_reader(self._output_end, self._read_output)
        self._loop.add_reader(self._pidfd, self._reap)

    async def ready(self) -> bool:
        """Wait until it takes tasks; False if it ended instead."""
        await self._conversation.ready.wait()
        return self.exit is None

    @property
    def last_line(self) -> str:
        """What it printed last, for the error message if it cannot start."""
        return self._printed.last_line

    def tasks_cpu_s(self) -> float:
        """CPU seconds that the processes of its tasks have used, those that have ended."""
        if self.exit is not None:
            return max(self.exit.cpu_s - self._own_cpu_s, 0.0)
        self._own_cpu_s, of_tasks = cpu_s_of(self.pid)
        return of_tasks

    async def perform(self, task: Task, report: Report) -> Outcome | None:
        """Have it do `task`; None if it ended, or was ended, before it reported the outcome.

        An exception raised by `report` is raised here, and the task goes on: end the process, as
        after cancelling this.
        """
        if self.exit is not None:
            return None
        self._log = log.bind(function=task.function, upload_id=task.upload.id)
        self._printed.begin(self._log)
        try:
            outcome = await self._conversation.ask(task, report)
        finally:
            if self.exit is None:
                self._read_output()
        if isinstance(outcome, Ended):
            self._breaks_protocol("an answer to something else")
            return None
        return outcome

    async def finish(self) -> bool:
        """Have it end the process of its tasks; True if it did and may have others."""
        if self.exit is None:
            with anyio.move_on_after(FINISH_WAIT_S):
                return isinstance(await self._conversation.ask(EndProcess()), Ended)
        return False

    async def end(self) -> None:
        """Kill it with everything that it started, and wait until it is gone."""
        self.kill()
        with anyio.CancelScope(shield=True), anyio.move_on_after(KILL_WAIT_S):
            await self._has_ended.wait()
            async with self._ending:
                while self._strays:
                    await anyio.wait_readable(self._strays[-1])
                    os.close(self._strays.pop())
            return
        log.error("a killed stage child does not end", pid=self.pid)  # pragma: no cover

    def kill(self) -> None:
        """Send SIGKILL to its group, and to descendants that have left the group."""
        if self.exit is not None or self._killed:
            return
        self._killed = True
        # It keeps its orphans, so all are below it as long as it lives.
        for stray in descendants(self.pid):
            try:
                self._strays.append(os.pidfd_open(stray))
                os.kill(stray, signal.SIGKILL)
            except OSError:
                pass  # it has ended
        _kill_group(self.pid)

    # ---- what the loop tells

    def _hear(self) -> None:
        try:
            if self._conversation.hear():
                return
        except BrokenProtocol as error:
            self._breaks_protocol(str(error))
            return
        # It is dying, with a signal to be learned, or hides from us.
        self._loop.remove_reader(self._channel.fileno())
        self._loop.call_later(END_WAIT_S, self.kill)

    def _breaks_protocol(self, why: str) -> None:
        self._log.error("a stage child breaks the protocol", pid=self.pid, why=why)
        self.kill()

    def _read_output(self) -> None:
        for _ in range(READS):
            try:
                data = os.read(self._output_end, READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self._loop.remove_reader(self._output_end)
                return
            self._printed.take(data)

    def _reap(self) -> None:
        """The process is gone: hear its last words, take its group with it, tell the pool."""
        self._hear()
        _kill_group(self.pid)  # the group's id is ours as long as its leader is not reaped
        try:
            _, status, usage = os.wait4(self.pid, 0)
            code = os.waitstatus_to_exitcode(status)
            peak = usage.ru_maxrss * 1024 if usage.ru_maxrss > self._ours_kb else 0
            cpu_s = usage.ru_utime + usage.ru_stime
        except ChildProcessError:  # reaped elsewhere
            code, peak, cpu_s = -signal.SIGKILL, 0, 0.0
        self._process.returncode = code
        self._read_output()
        self._printed.close()
        for descriptor in (self._channel.fileno(), self._output_end, self._pidfd):
            self._loop.remove_reader(descriptor)
        self.exit = Exit(code=code, peak_rss_bytes=peak, killed=self._killed, cpu_s=cpu_s)
        self._conversation.close()
        self._channel.close()
        for descriptor in (self._output_end, self._pidfd, self._lifeline):
            os.close(descriptor)
        self._has_ended.set()
        self._on_end(self)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
