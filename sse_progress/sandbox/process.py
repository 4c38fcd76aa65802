"""The worker's end of one stage child: start it, give it a task, hear from it, end it.

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
from pathlib import Path

import anyio
import msgspec
import structlog

from sse_progress.model.text import clean_text
from sse_progress.runtime.linux import descendants
from sse_progress.sandbox.messages import (
    ANSWER_LIMIT_BYTES,
    READY,
    Answer,
    Frames,
    Outcome,
    Progress,
    Task,
    frame,
)

__all__ = ["Exit", "StageProcess", "child_environment"]

log = structlog.get_logger(__name__)

END_WAIT_S = 1.0
"""A child that has closed its channel is to end by itself within this time."""
KILL_WAIT_S = 5.0
"""A killed process that is not gone by then hangs in the kernel; it is reaped when it can be."""
OUTPUT_LINES = 100
"""Lines that the log takes of what one task prints."""
OUTPUT_LINE_LIMIT = 500
MESSAGES_AT_ONCE, MESSAGES_PER_S = 100, 100
"""Messages that a child may send at once; after that, twice the rate of its reports."""
READ_BYTES = 65536
READS = 64
"""Most reads from one descriptor in a row, so that a child that floods us cannot hold the loop."""

_PASSED_ON = ("PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH")

Report = Callable[[float, str | None], None]


def child_environment(given: Mapping[str, str], directory: Path) -> dict[str, str]:
    """What a child may know of the environment `given`: how to find programs, texts and modules.

    Relative entries of PYTHONPATH are taken from `directory`, as an empty one is. Our own package
    is added where it runs from a source tree.
    """
    passed = {
        name: value for name, value in given.items() if name in _PASSED_ON or name.startswith("LC_")
    }
    passed["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime looks up its maker's host otherwise
    found = given.get("PYTHONPATH", "")
    paths = [str(directory / entry) for entry in found.split(os.pathsep)] if found else []
    home = Path(__file__).absolute().parents[2]
    if home.name not in ("site-packages", "dist-packages"):
        paths.append(str(home))
    if paths:
        passed["PYTHONPATH"] = os.pathsep.join(paths)
    return passed


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended: exit code (negative: the signal), most resident memory it ever had (0:
    not more than this process, which is all that is known then)."""

    code: int
    peak_rss_bytes: int
    killed: bool
    """By us."""


class StageProcess:
    """One child. After `start`, `ready` and any number of `perform`, one at a time, `end` it.

    The child is killed when the thread that called `start` ends, so that is the loop's.
    """

    def __init__(self) -> None:
        self.tasks = 0
        self.modules: set[str] = set()
        """Modules of the functions that it has run: they are imported there."""
        self.exit: Exit | None = None
        self.last_line = ""
        """What it printed last, for the error message if it cannot start."""
        self._is_ready = anyio.Event()
        self._has_ended = anyio.Event()
        self._answer: asyncio.Future[Outcome | None] | None = None
        self._report: Report | None = None
        self._frames = Frames(ANSWER_LIMIT_BYTES)
        self._unsent = memoryview(b"")
        self._output = b""
        self._lines = 0
        self._fraction = 0.0
        self._messages, self._began = 0, 0.0
        self._killed = False
        self._strays: list[int] = []
        """Descriptors (pidfd) of killed descendants that may not be gone yet."""
        self._ending = anyio.Lock()
        self._log = log
        self._on_end: Callable[[StageProcess], None] = lambda _: None

    def start(self, environment: Mapping[str, str], on_end: Callable[[StageProcess], None]) -> None:
        """Run exec; `on_end` is called on the loop when the process is gone. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._on_end = on_end
        # The kernel counts what we held into the most that a child ever held: it begins as us.
        self._ours_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
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
        self._loop.add_reader(self._channel.fileno(), self._hear)
        self._loop.add_reader(self._output_end, self._read_output)
        self._loop.add_reader(self._pidfd, self._reap)

    async def ready(self) -> bool:
        """Wait until it takes tasks; False if it ended instead."""
        await self._is_ready.wait()
        return self.exit is None

    async def perform(self, task: Task, report: Report) -> Outcome | None:
        """Have it do `task`; None if it ended, or was ended, before it reported the outcome.

        An exception raised by `report` is raised here, and the task goes on: end the process, as
        after cancelling this.
        """
        unsent = memoryview(frame(msgspec.json.encode(task)))
        answer: asyncio.Future[Outcome | None] = self._loop.create_future()
        if self.exit is not None:
            return None
        self._answer, self._report = answer, report
        self.tasks += 1
        self._lines, self._fraction = 0, 0.0
        self._messages, self._began = 0, self._loop.time()
        self._log = log.bind(function=task.function, upload_id=task.upload.id)
        self._unsent = unsent
        self._loop.add_writer(self._channel.fileno(), self._tell)
        try:
            return await answer
        finally:
            self._answer = self._report = None
            if self.exit is None:
                self._read_output()

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

    def _tell(self) -> None:
        """Send what fits of the task."""
        try:
            self._unsent = self._unsent[self._channel.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self._unsent = memoryview(b"")  # it is ending, and what it has still said counts
        if not self._unsent:
            self._loop.remove_writer(self._channel.fileno())

    def _hear(self) -> None:
        """Take what the child has said. Of many reports at once only the last is passed on."""
        progress: Progress | None = None
        for _ in range(READS):
            try:
                data = self._channel.recv(READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self._loop.remove_reader(self._channel.fileno())
                self._expect_end()
                break
            try:
                for body in self._frames.feed(data):
                    self._count_message()
                    if body == READY:
                        self._is_ready.set()
                        continue
                    message: Answer = msgspec.json.decode(body, type=Answer)
                    if isinstance(message, Progress):
                        progress = message
                        continue
                    self._pass_on(progress)
                    progress = None
                    self._settle(message)
            except (ValueError, RecursionError) as error:  # msgspec's own are ValueErrors
                self._log.error("a stage child breaks the protocol", pid=self.pid, why=str(error))
                self.kill()
                break
        self._pass_on(progress)

    def _count_message(self) -> None:
        """ValueError for more messages than a stage has a reason to send: decoding takes time."""
        self._messages += 1
        limit = MESSAGES_AT_ONCE + MESSAGES_PER_S * (self._loop.time() - self._began)
        if self._messages > limit:
            raise ValueError(f"{self._messages} messages, limit {limit:.0f} by now")

    def _pass_on(self, progress: Progress | None) -> None:
        if progress is None or self._report is None:
            return
        self._fraction = min(max(progress.fraction, self._fraction), 1.0)
        try:
            self._report(self._fraction, progress.message)
        except Exception as error:
            self._report = None
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(error)

    def _settle(self, outcome: Outcome | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(outcome)

    def _expect_end(self) -> None:
        """It has closed its channel: it is dying, with a signal to be learned, or hides from us."""
        self._loop.call_later(END_WAIT_S, self.kill)

    def _read_output(self) -> None:
        for _ in range(READS):
            try:
                data = os.read(self._output_end, READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self._loop.remove_reader(self._output_end)
                return
            if self._lines <= OUTPUT_LINES:
                *lines, self._output = (self._output + data).split(b"\n")
                if len(self._output) > READ_BYTES:
                    lines, self._output = [*lines, self._output], b""
                self._log_lines(lines)

    def _log_lines(self, lines: list[bytes]) -> None:
        for line in lines[: OUTPUT_LINES - self._lines]:
            raw = line[: 4 * OUTPUT_LINE_LIMIT].decode("utf-8", "replace")
            if text := clean_text(raw, OUTPUT_LINE_LIMIT):
                self.last_line = text
                self._log.info("stage output", text=text)
        self._lines += len(lines)
        if self._lines > OUTPUT_LINES:
            self._lines = OUTPUT_LINES + 1
            self._output = b""
            self._log.warning("a stage prints too much; the rest is left out", limit=OUTPUT_LINES)

    def _reap(self) -> None:
        """The process is gone: hear its last words, take its group with it, tell the pool."""
        self._hear()
        _kill_group(self.pid)  # the group's id is ours as long as its leader is not reaped
        try:
            _, status, usage = os.wait4(self.pid, 0)
            code = os.waitstatus_to_exitcode(status)
            peak = usage.ru_maxrss * 1024 if usage.ru_maxrss > self._ours_kb else 0
        except ChildProcessError:  # reaped elsewhere
            code, peak = -signal.SIGKILL, 0
        self._process.returncode = code
        self._read_output()
        if self._output:
            self._log_lines([self._output])
        for descriptor in (self._channel.fileno(), self._output_end, self._pidfd):
            self._loop.remove_reader(descriptor)
        self._loop.remove_writer(self._channel.fileno())
        self._channel.close()
        for descriptor in (self._output_end, self._pidfd, self._lifeline):
            os.close(descriptor)
        self.exit = Exit(code=code, peak_rss_bytes=peak, killed=self._killed)
        self._settle(None)
        self._is_ready.set()
        self._has_ended.set()
        self._on_end(self)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
