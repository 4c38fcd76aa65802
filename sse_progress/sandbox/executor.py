"""The tasks of one upload in a process that is for nothing else: limited, confined, one by one.

The process is forked by the zygote, does the first task, and then those that it is told.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping

import msgspec

from sse_progress.model.stage_api import Report
from sse_progress.sandbox.confinement import Rule, confine
from sse_progress.sandbox.function_ref import is_asynchronous, resolve
from sse_progress.sandbox.limits import allow_cpu, limit
from sse_progress.sandbox.messages import (
    Failed,
    Finished,
    Frames,
    NotJson,
    Outcome,
    Refused,
    Task,
    encode_result,
    refusal_in,
)
from sse_progress.sandbox.reporting import Channel, plain

__all__ = ["run"]

UMASK = 0o077
TRACE_LIMIT = 8000


def run(
    first: Task, tasks: int, says: int, environment: Mapping[str, str], reachable: list[Rule]
) -> None:
    """Do `first` and what comes from descriptor `tasks`, and tell descriptor `says` of it.

    `reachable`: what can be read besides the upload.
    """
    pid = os.getpid()
    worker = Channel(says)
    os.register_at_fork(after_in_child=lambda: os.close(tasks))
    for task in _all(first, tasks):
        reporter = worker.reporter()
        outcome: Outcome
        try:
            _set_out(task, environment)
            if task is first:
                limit(task.limits)
                confine(task.confinement, reachable, original=task.upload.path, write=task.writable)
            else:
                allow_cpu(task.limits)
            outcome = Finished(result=msgspec.Raw(encode_result(call(task, reporter))))
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


def _all(first: Task, tasks: int) -> Iterator[Task]:
    yield first
    frames = Frames()
    while data := os.read(tasks, 65536):
        for body in frames.feed(data):
            yield msgspec.json.decode(body, type=Task)


def _set_out(task: Task, environment: Mapping[str, str]) -> None:
    """Environment, directory and mask, whatever an earlier task made of them."""
    scratch = task.upload.scratch
    os.environ.clear()
    os.environ.update({**environment, "HOME": scratch, "TMPDIR": scratch})
    os.chdir(scratch)
    os.umask(UMASK)
    tempfile.tempdir = None


def call(task: Task, report: Report) -> object:
    function = resolve(task.function)
    if is_asynchronous(function):
        raise TypeError(f"{task.function} is an async def, which runs in the worker")
    return function(task.upload, report)


def explain(error: BaseException) -> Outcome:
    """What an exception out of a stage means for the upload."""
    rejection = refusal_in(error)
    if rejection is not None:
        return Refused(code=plain(str(rejection.code)), detail=plain(str(rejection.detail)))
    if isinstance(error, NotJson):
        return Failed(reason="result", trace=plain(str(error))[:TRACE_LIMIT])
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
    return plain(text)[-TRACE_LIMIT:]
