"""One task in a process of its own: a function under limits, its progress and outcome reported.

That process is forked by the zygote and ends with the task.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from time import monotonic

import msgspec

from sse_progress.model.stage_api import Upload
from sse_progress.sandbox.confinement import confine
from sse_progress.sandbox.function_ref import is_asynchronous, resolve
from sse_progress.sandbox.limits import limit
from sse_progress.sandbox.messages import (
    Failed,
    Finished,
    NotJson,
    Outcome,
    Progress,
    Refused,
    Task,
    encode_result,
    frame,
    refusal_in,
)

__all__ = ["Reporter", "run"]

INTERVAL_S = 0.02
"""At most one report passes in this time; of those between, the last one does."""
MESSAGE_LIMIT = 1000
TRACE_LIMIT = 8000


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


def run(task: Task, channel: int, environment: Mapping[str, str]) -> None:
    """Do `task` in this process, which is for nothing else, and tell descriptor `channel` of it."""
    pid = os.getpid()
    worker = Channel(channel)
    reporter = worker.reporter()
    outcome: Outcome
    try:
        outcome = Finished(result=msgspec.Raw(perform(task, reporter, environment)))
    except BaseException as error:  # SystemExit is a failed stage too
        outcome = explain(error)
    if os.getpid() != pid:
        os._exit(0)  # a process forked by the stage has come out of it; it is not the child
    reporter.close()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # the stage has closed or replaced it
    worker.send(outcome)


def perform(task: Task, report: Reporter, environment: Mapping[str, str]) -> bytes:
    """Call the task's function in its scratch directory, limited and confined; its result."""
    _set_environment({**environment, "HOME": task.upload.scratch, "TMPDIR": task.upload.scratch})
    os.chdir(task.upload.scratch)
    tempfile.tempdir = None
    limit(task.limits)
    confine(task.confinement, task.upload)
    return encode_result(call(task.function, task.upload, report))


def call(name: str, upload: Upload, report: Reporter) -> object:
    function = resolve(name)
    if is_asynchronous(function):
        raise TypeError(f"{name} is an async def, which runs in the worker")
    return function(upload, report)


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


def _set_environment(values: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(values)
