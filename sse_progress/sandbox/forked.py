"""One process of an upload, as the zygote sees it that forked it: told tasks, heard, ended.

It does one task after the other for one upload. What it says is passed on and not believed.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import time
from collections.abc import Callable

import msgspec

from sse_progress.runtime.linux import descendants, die_with_parent, harden_this_process
from sse_progress.sandbox.messages import ANSWER_LIMIT_BYTES, Frames, Task, frame

__all__ = ["BROKEN", "Forked", "write_all"]

PROGRESS = b'{"type":"progress"'
"""How an encoded Progress begins; anything else is the outcome."""
BROKEN = b""
"""No answer at all: the worker takes that for a break of the protocol, which it is."""
END_WAIT_S = 1.0
"""A process that has closed its pipe is to end by itself within this time."""
KILL_S = 3.0
"""A killed process that is not gone by then hangs in the kernel, and the worker kills us all."""


class Forked:
    """Forks, and calls `work(tasks, says)` in the fork: the descriptors to read tasks from and to
    write answers to. `close`: descriptors that are not for it."""

    def __init__(self, work: Callable[[int, int], None], *, close: tuple[int, ...]) -> None:
        self._heard, says = os.pipe()
        tasks, self._told = os.pipe()
        ours = os.getpid()
        gc.freeze()  # what is here is not looked at again, so its pages stay shared
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                die_with_parent(ours)
                harden_this_process()
                for descriptor in (*close, self._heard, self._told):
                    os.close(descriptor)
                work(tasks, says)
                code = 0
            finally:
                os._exit(code)
        os.close(says)
        os.close(tasks)
        self._pidfd = os.pidfd_open(self.pid)
        self._frames = Frames(ANSWER_LIMIT_BYTES)
        os.set_blocking(self._heard, False)
        self._poll = select.poll()
        self._poll.register(self._heard, select.POLLIN)
        self._poll.register(self._pidfd, select.POLLIN)

    def tell(self, task: Task) -> None:
        try:
            write_all(self._told, frame(msgspec.json.encode(task)))
        except BrokenPipeError:
            pass  # it has ended, which `answer` finds

    def answer(self, on_progress: Callable[[bytes], None]) -> bytes | None:
        """Pass reports on until the outcome, which is returned; None if it ends without one."""
        while True:
            ready = dict(self._poll.poll())
            try:
                data = os.read(self._heard, 65536)
            except BlockingIOError:
                if self._pidfd in ready:
                    return None
                continue
            if not data:
                return None if self._ends() else BROKEN
            try:
                for body in self._frames.feed(data):
                    if not body.startswith(PROGRESS):
                        return body
                    on_progress(body)
            except ValueError:
                return BROKEN

    def end(self, *, kill: bool = True) -> int:
        """Wait until it and all that it started are gone; its exit code (negative: the signal)."""
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        _end_orphans()
        for descriptor in (self._heard, self._told, self._pidfd):
            os.close(descriptor)
        return os.waitstatus_to_exitcode(status)

    def _ends(self) -> bool:
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(END_WAIT_S * 1000))


def _end_orphans() -> None:
    """Kill what the process has left behind: all of it has become ours."""
    deadline = time.monotonic() + KILL_S
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return
        if time.monotonic() > deadline:
            os.killpg(0, signal.SIGKILL)
        for stray in descendants(os.getpid()):
            try:
                os.kill(stray, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        time.sleep(0.001)


def write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
