"""One task in a stage child: a function called under limits, its progress and its outcome reported.

The limits are set again for each task, since CPU time and memory add up in a warm child.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import resource
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import NamedTuple

import msgspec

from sse_progress.model.stage_api import Upload
from sse_progress.runtime.linux import CAP_DAC_READ_SEARCH, drop_capabilities, without_capabilities
from sse_progress.sandbox.function_ref import is_asynchronous, resolve
from sse_progress.sandbox.messages import (
    Failed,
    Finished,
    Frames,
    Limits,
    NotJson,
    Outcome,
    Progress,
    Refused,
    Task,
    encode_result,
    frame,
    refusal_in,
)

__all__ = ["Reporter", "work"]

INTERVAL_S = 0.02
"""At most one report passes in this time; of those between, the last one does."""
MESSAGE_LIMIT = 1000
TRACE_LIMIT = 8000
SPARE_PROCESSES = 512
"""Processes and threads that may come on top of all that run when a task begins."""


def work(channel: int, data: bytes) -> None:
    """Take tasks from descriptor `channel`, of which `data` was read already, until it closes."""
    worker = Channel(channel)
    environment = dict(os.environ)
    frames = Frames()
    settled = False
    while data:
        for body in frames.feed(data):
            task = msgspec.json.decode(body, type=Task)
            if not settled:
                give_up_root((*sys.path, task.upload.path, task.upload.scratch))
                settled = True
            worker.send(perform(task, worker, environment))
        data = os.read(channel, 65536)


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


# ---- reports


class Channel:
    """Whole messages to the worker, from any thread. A forked copy of it is mute."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._reporter: Reporter | None = None
        os.register_at_fork(after_in_child=self._forget)

    def reporter(self) -> Reporter:
        """The `report` of the next task."""
        self._reporter = Reporter(self.send)
        return self._reporter

    def send(self, message: Progress | Outcome) -> None:
        data = memoryview(frame(msgspec.json.encode(message)))
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]

    def _forget(self) -> None:
        os.close(self._descriptor)
        if self._reporter is not None:
            self._reporter.forget()


class Reporter:
    """The `report` of one task: remembers the furthest fraction and lets few reports through.

    The last report of a burst goes out within 20 ms, even if the stage then says nothing for long.
    It may be called from any thread; in a process forked by the stage it does nothing.
    """

    def __init__(self, send: Callable[[Progress], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._fraction = 0.0
        self._message: str | None = None
        self._next = 0.0
        self._waiting = False
        self._open = True
        self._work = threading.Event()
        self._closed = threading.Event()
        self._flusher: threading.Thread | None = None

    def __call__(self, fraction: float, message: str | None = None) -> None:
        with self._lock:
            if fraction > self._fraction:  # never true for a NaN
                self._fraction = min(fraction, 1.0)
            if message is not None:
                self._message = message
            if self._waiting or not self._open:
                return
            if monotonic() >= self._next:
                self._pass_on()
                return
            self._waiting = True
            self._work.set()
            if self._flusher is None:
                self._flusher = threading.Thread(target=self._flush, daemon=True)
                self._flusher.start()

    def close(self) -> None:
        """Let the last report out; later ones are ignored."""
        with self._lock:
            if self._waiting:
                self._pass_on()
            self._open = False
        self._closed.set()
        self._work.set()
        if self._flusher is not None:
            self._flusher.join()

    def forget(self) -> None:
        """Fall silent, whatever a thread that is not here any more may hold locked."""
        self._lock = threading.Lock()
        self._open = False
        self._flusher = None
        self._waiting = False

    def _flush(self) -> None:
        while not self._closed.is_set():
            self._work.wait()
            self._closed.wait(INTERVAL_S)
            with self._lock:
                self._work.clear()
                if self._waiting and self._open:
                    self._pass_on()

    def _pass_on(self) -> None:
        message, self._message = self._message, None
        self._waiting = False
        text = None if message is None else _plain(str(message))[:MESSAGE_LIMIT]
        self._send(Progress(float(self._fraction), text))
        self._next = monotonic() + INTERVAL_S


# ---- one task


def perform(task: Task, worker: Channel, environment: Mapping[str, str]) -> Outcome:
    """Call the task's function in its scratch directory, under its limits; tell what came of it."""
    pid = os.getpid()
    reporter = worker.reporter()
    outcome: Outcome
    try:
        _set_environment(
            {**environment, "HOME": task.upload.scratch, "TMPDIR": task.upload.scratch}
        )
        os.chdir(task.upload.scratch)
        with limited(task.limits):
            result = encode_result(call(task.function, task.upload, reporter))
        outcome = Finished(result=msgspec.Raw(result))
    except BaseException as error:  # SystemExit is a failed stage too
        outcome = explain(error)
    if os.getpid() != pid:
        os._exit(0)  # a process forked by the stage has come out of it; it is not the child
    reporter.close()
    tidy()
    memory = _memory()
    return msgspec.structs.replace(
        outcome, resting_bytes=memory.resident + memory.free, leftovers=leftovers()
    )


def call(name: str, upload: Upload, report: Reporter) -> object:
    function = resolve(name)
    if is_asynchronous(function):
        raise TypeError(f"{name} is an async def, which runs in the worker")
    return function(upload, report)


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """Bounds for one task: CPU time and memory count from now, and are lifted at the end."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = math.ceil(used.ru_utime + used.ru_stime) + limits.cpu_s
    with open("/proc/loadavg", encoding="ascii") as file:  # noqa: PTH123
        running = int(file.read().split()[3].partition("/")[2])
    for_good = {resource.RLIMIT_FSIZE: limits.file_bytes, resource.RLIMIT_NOFILE: limits.open_files}
    for_now = {
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_AS: _memory().taken + limits.memory_bytes,
        resource.RLIMIT_NPROC: running + SPARE_PROCESSES,
    }
    for which, value in for_good.items():
        bound = _least(value, resource.getrlimit(which)[1])
        resource.setrlimit(which, (bound, bound))
    hard = {which: resource.getrlimit(which)[1] for which in for_now}
    try:
        for which, value in for_now.items():
            resource.setrlimit(which, (_least(value, hard[which]), hard[which]))
        yield
    finally:
        for which, bound in hard.items():
            resource.setrlimit(which, (bound, bound))


def _least(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def explain(error: BaseException) -> Outcome:
    """What an exception out of a stage means for the upload."""
    rejection = refusal_in(error)
    if rejection is not None:
        return Refused(code=_plain(str(rejection.code)), detail=_plain(str(rejection.detail)))
    if isinstance(error, NotJson):
        return Failed(reason="result", trace=_plain(str(error))[:TRACE_LIMIT])
    number = error.errno if isinstance(error, OSError) else None
    trace = _trace(error)
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return Failed(reason="memory", trace=trace)
    if number == errno.EFBIG:
        return Failed(reason="file_size", trace=trace)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return Failed(reason="storage_full", trace=trace)
    return Failed(reason="exception", trace=trace)


def _trace(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # its own __str__ may raise anything
        text = f"{type(error).__name__}, which cannot be printed"
    return _plain(text)[-TRACE_LIMIT:]


def _plain(text: str) -> str:
    """`text` without lone surrogates, which JSON cannot carry."""
    return text.encode("utf-8", "replace").decode()


# ---- between tasks


def tidy() -> None:
    """Forget the task: what it printed, its directory, temporary names, memory that is free."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # the stage has closed or replaced it
    os.chdir("/")
    os.umask(0o077)
    tempfile.tempdir = None
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # only glibc has it
        trim(0)


def leftovers() -> bool:
    """Whether the stage left processes running; those that have ended are collected here."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def _set_environment(values: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(values)


class _Memory(NamedTuple):
    """Bytes of address space, of those that are resident, and of those that malloc holds free."""

    space: int
    resident: int
    free: int

    @property
    def taken(self) -> int:
        """Address space in use: what is free is had again without growing."""
        return self.space - self.free


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _memory() -> _Memory:
    """From proc(5), statm, and mallinfo2(3), which glibc has from 2.33 on."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        space, resident = file.read().split()[:2]
    page, free = resource.getpagesize(), 0
    if mallinfo2 := getattr(ctypes.CDLL(None), "mallinfo2", None):
        mallinfo2.restype = _Mallinfo2
        free = mallinfo2().fordblks
    return _Memory(int(space) * page, int(resident) * page, free)
