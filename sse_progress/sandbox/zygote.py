"""The warm process from which each task's process is forked: it imports, and forks, and cleans up.

It never looks into a file, so what a file does to a decoder is gone with the one process that
decoded it. A task that ends without an outcome ends the zygote in the same way, which the worker
understands as it would the task's own end.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import select
import signal
import sys
import time
from collections.abc import Iterable
from typing import NoReturn

import msgspec

from sse_progress.model.stage_api import Upload
from sse_progress.runtime.linux import (
    CAP_DAC_READ_SEARCH,
    descendants,
    die_with_parent,
    drop_capabilities,
    harden_this_process,
    without_capabilities,
)
from sse_progress.sandbox import executor
from sse_progress.sandbox.function_ref import resolve
from sse_progress.sandbox.messages import ANSWER_LIMIT_BYTES, Frames, Task, frame

__all__ = ["work"]

PROGRESS = b'{"type":"progress"'
"""How an encoded Progress begins; anything else is the outcome."""
BROKEN = b""
"""No answer at all: the worker takes that for a break of the protocol, which it is."""
END_WAIT_S = 1.0
"""A task's process that has closed its pipe is to end by itself within this time."""
KILL_S = 3.0
"""A killed process that is not gone by then hangs in the kernel, and the worker kills us all."""


def work(channel: int, lifeline: int, data: bytes) -> None:
    """Take tasks from descriptor `channel`, of which `data` was read already, until it closes."""
    environment = dict(os.environ)
    frames = Frames()
    settled = False
    while data:
        for body in frames.feed(data):
            task = msgspec.json.decode(body, type=Task)
            if not settled:
                give_up_root((*sys.path, task.upload.path, task.upload.scratch))
                settled = True
            _prepare(task)
            _write(channel, frame(_perform(task, channel, lifeline, environment)))
        data = os.read(channel, 65536)


def _prepare(task: Task) -> None:
    """Load here what every task would have to load again.

    That is the module of its function, and what that module's `prepare(upload)` loads, if it has
    one. What fails here fails again, and is reported, where it is needed.
    """
    try:
        resolve(task.function)
        module = sys.modules[task.function.partition(":")[0]]
        getattr(module, "prepare", _nothing)(task.upload)
    except BaseException:  # noqa: S110
        pass


def _nothing(_: Upload) -> None:
    pass


def _perform(task: Task, channel: int, lifeline: int, environment: dict[str, str]) -> bytes:
    """Fork, pass reports on, and return the outcome when the last process of the task is gone."""
    said, saying = os.pipe()
    ours = os.getpid()
    gc.freeze()  # what is here is not looked at again, so its pages stay shared
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            die_with_parent(ours)
            harden_this_process()
            for descriptor in (channel, lifeline, said):
                os.close(descriptor)
            executor.run(task, saying, environment)
            code = 0
        finally:
            os._exit(code)
    os.close(saying)
    outcome = _relay(pid, said, channel)
    os.close(said)
    if outcome is not None:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    _end_orphans()
    if outcome is None:
        _end_like(os.waitstatus_to_exitcode(status))
    return outcome


def _relay(pid: int, said: int, channel: int) -> bytes | None:
    """Pass reports from `said` to `channel` until the outcome, which is returned; None if `pid`
    ends without one."""
    frames = Frames(ANSWER_LIMIT_BYTES)
    end = os.pidfd_open(pid)
    poll = select.poll()
    os.set_blocking(said, False)
    poll.register(said, select.POLLIN)
    poll.register(end, select.POLLIN)
    try:
        while True:
            ready = dict(poll.poll())
            try:
                data = os.read(said, 65536)
            except BlockingIOError:
                if end in ready:
                    return None
                continue
            if not data:
                return None if _ends(end) else BROKEN
            try:
                for body in frames.feed(data):
                    if not body.startswith(PROGRESS):
                        return body
                    _write(channel, frame(body))
            except ValueError:
                return BROKEN
    finally:
        os.close(end)


def _ends(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(END_WAIT_S * 1000))


def _end_orphans() -> None:
    """Kill what the task has left behind: all of it has become ours."""
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


def _end_like(code: int) -> NoReturn:
    if code < 0:
        faulthandler.disable()
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _write(channel: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(channel, left) :]


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
