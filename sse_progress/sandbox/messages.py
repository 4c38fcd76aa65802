"""What a worker and its stage children say to each other: frames of JSON, 4 bytes of length first.

Worker to child: `Task`, or `EndProcess`. Child to worker: `READY` once, then for each task any
number of `Progress` and one `Outcome`, and for each `EndProcess` one `Ended`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import msgspec

from sse_progress.model.errors import Rejected
from sse_progress.model.stage_api import Upload
from sse_progress.sandbox.confinement import Confinement

__all__ = [
    "ANSWER_LIMIT_BYTES",
    "FRAME_LIMIT_BYTES",
    "READY",
    "RESULT_LIMIT_BYTES",
    "Answer",
    "EndProcess",
    "Ended",
    "Failed",
    "Finished",
    "Frames",
    "Limits",
    "NotJson",
    "Outcome",
    "Progress",
    "Question",
    "Refused",
    "Task",
    "encode_result",
    "frame",
    "refusal_in",
]

FRAME_LIMIT_BYTES = 16 * 1024 * 1024
RESULT_LIMIT_BYTES = 1024 * 1024
ANSWER_LIMIT_BYTES = RESULT_LIMIT_BYTES + 64 * 1024
"""Longest frame that a worker takes from a child: a result, and what is around it."""
READY = b"ready"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a process may use, for all its tasks together: memory on top of what the child holds,
    the size of each file it writes, and open descriptors. `cpu_s`: CPU time of each task,
    `all_cpu_s`: of all of them."""

    memory_bytes: int
    cpu_s: int
    all_cpu_s: int
    file_bytes: int
    open_files: int


class Task(msgspec.Struct, frozen=True, kw_only=True, tag="task"):
    """One call of a stage function, `package.module:name`.

    `fresh`: in a new process, which may write in the directories `writable` from then on, and may
    be asked for the functions `followed_by` later. Else in the one that did the task before, whose
    limits and confinement stay.
    """

    function: str
    upload: Upload
    limits: Limits
    confinement: Confinement = Confinement()
    fresh: bool = True
    writable: tuple[str, ...] = ()
    followed_by: tuple[str, ...] = ()


class EndProcess(msgspec.Struct, frozen=True, tag="end"):
    """End the process of the tasks so far with all that it started, and say so."""


Question: TypeAlias = Task | EndProcess


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """`fraction` 0.0-1.0 of the function's work; `message` only if a new one was given; `cpu_s`:
    CPU time that the task has taken."""

    fraction: float
    message: str | None = None
    cpu_s: float = 0.0


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The answer to EndProcess."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a task ended."""


class Finished(Outcome, frozen=True, kw_only=True, tag="finished"):
    result: dict[str, Any] | msgspec.Raw
    """Raw, ready-made JSON where it is sent; an object where it is read."""


class Refused(Outcome, frozen=True, kw_only=True, tag="refused"):
    """The stage raised `Rejected(code, detail)`."""

    code: str
    detail: str


class Failed(Outcome, frozen=True, kw_only=True, tag="failed"):
    """Anything else; `trace` is only for the log."""

    reason: Literal["exception", "memory", "file_size", "storage_full", "result"]
    trace: str


Answer: TypeAlias = Progress | Finished | Refused | Failed | Ended


def frame(body: bytes) -> bytes:
    """`body` with its length before it; ValueError past the limit of 16 MiB."""
    if len(body) > FRAME_LIMIT_BYTES:
        raise ValueError(f"frame is {len(body)} bytes, limit {FRAME_LIMIT_BYTES}")
    return len(body).to_bytes(4, "big") + body


class Frames:
    """Bodies of at most `limit_bytes` out of bytes that arrive cut anywhere."""

    def __init__(self, limit_bytes: int = FRAME_LIMIT_BYTES) -> None:
        self._buffer = bytearray()
        self._limit = limit_bytes

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Whole bodies so far; ValueError for a length past the limit."""
        self._buffer += data
        while len(self._buffer) >= 4:
            end = 4 + int.from_bytes(self._buffer[:4], "big")
            if end - 4 > self._limit:
                raise ValueError(f"frame is {end - 4} bytes, limit {self._limit}")
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[4:end])
            del self._buffer[:end]
            yield body


class NotJson(Exception):
    """What a stage returned cannot be kept; the text says why."""


def encode_result(result: object) -> bytes:
    """A stage's result as JSON, `{}` for None. Raises NotJson; 1 MiB at most."""
    if result is None:
        return b"{}"
    if not isinstance(result, dict):
        raise NotJson(f"a stage returns a dict or None, not {type(result).__name__}")
    try:
        encoded = msgspec.json.encode(result)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise NotJson(f"the result is not JSON: {error}") from error
    if len(encoded) > RESULT_LIMIT_BYTES:
        raise NotJson(f"the result is {len(encoded)} bytes, limit {RESULT_LIMIT_BYTES}")
    return encoded


def refusal_in(error: BaseException) -> Rejected | None:
    """`error` if it is a refusal, also as the only one in a task group's exception group."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, Rejected) else None
