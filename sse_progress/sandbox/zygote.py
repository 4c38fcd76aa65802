"""The warm process from which each upload's processes are forked: it imports, forks, cleans up.

It never looks into a file, so what a file does to a decoder is gone with the process that decoded
it. A process that ends without an outcome ends the zygote in the same way, which the worker
understands as it would that process' own end.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Iterable
from typing import NoReturn

import msgspec

from sse_progress.model.stage_api import Upload
from sse_progress.runtime.linux import (
    CAP_DAC_READ_SEARCH,
    drop_capabilities,
    without_capabilities,
)
from sse_progress.sandbox import executor
from sse_progress.sandbox.confinement import libraries
from sse_progress.sandbox.forked import BROKEN, Forked, write_all
from sse_progress.sandbox.function_ref import resolve
from sse_progress.sandbox.messages import Ended, EndProcess, Frames, Question, Task, frame

__all__ = ["work"]


def work(channel: int, lifeline: int, data: bytes) -> None:
    """Take tasks from descriptor `channel`, of which `data` was read already, until it closes."""
    zygote = Zygote(channel, lifeline)
    frames = Frames()
    while data:
        for body in frames.feed(data):
            write_all(channel, frame(zygote.answer(msgspec.json.decode(body, type=Question))))
        data = os.read(channel, 65536)


class Zygote:
    def __init__(self, channel: int, lifeline: int) -> None:
        self._channel, self._lifeline = channel, lifeline
        self._environment = dict(os.environ)
        self._settled = False
        self._forked: Forked | None = None

    def answer(self, question: Task | EndProcess) -> bytes:
        if isinstance(question, EndProcess):
            self._end()
            return msgspec.json.encode(Ended())
        return self._perform(question)

    def _perform(self, task: Task) -> bytes:
        """Pass the task and its reports on; its outcome."""
        if task.fresh or self._forked is None:
            self._end()
            self._forked = self._fork(task)
        else:
            self._forked.tell(task)
        outcome = self._forked.answer(lambda body: write_all(self._channel, frame(body)))
        if outcome is None:
            _end_like(self._forked.end(kill=False))
        if outcome == BROKEN:
            self._end()
        return outcome

    def _fork(self, task: Task) -> Forked:
        if not self._settled:
            give_up_root((*sys.path, task.upload.path, task.upload.scratch))
            self._settled = True
        _prepare(task)
        reachable = libraries(task.confinement, task.upload)
        return Forked(
            lambda tasks, says: executor.run(task, tasks, says, self._environment, reachable),
            close=(self._channel, self._lifeline),
        )

    def _end(self) -> None:
        if self._forked is not None:
            self._forked.end()
            self._forked = None


def _prepare(task: Task) -> None:
    """Load here what every process would have to load again.

    Those are the modules of its functions, and what each module's `prepare(upload)` loads, if it
    has one. What fails here fails again, and is reported, where it is needed.
    """
    called = set()
    for function in (task.function, *task.followed_by):
        try:
            resolve(function)
            module = sys.modules[function.partition(":")[0]]
            prepare = getattr(module, "prepare", _nothing)
            if prepare not in called:
                called.add(prepare)
                prepare(task.upload)
        except BaseException:  # noqa: S112
            continue


def _nothing(_: Upload) -> None:
    pass


def _end_like(code: int) -> NoReturn:
    if code < 0:
        faulthandler.disable()
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def give_up_root(paths: Iterable[str]) -> None:
    """Drop all capabilities, but the right to read if any of `paths` is closed without it.

    That is so where root runs a service that is installed in another user's closed directory.
    """
    readable = [path for path in paths if path and _opens(path)]
    with without_capabilities():
        closed = [path for path in readable if not _opens(path)]
    drop_capabilities(keep=[CAP_DAC_READ_SEARCH] if closed else [])
    if closed:
        print("stages keep root's right to read every file, for the sake of", closed[0])


def _opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
