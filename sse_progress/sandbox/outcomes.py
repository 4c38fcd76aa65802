"""What the end of a task means for its upload: a result, a refusal, or who is at fault."""

from __future__ import annotations

import re
import signal
from typing import Any

import structlog

from sse_progress.model.errors import InsufficientStorage, Internal, Problem, Rejected, StageTimeout
from sse_progress.model.text import clean_text
from sse_progress.sandbox.messages import (
    Failed,
    Finished,
    Limits,
    Outcome,
    Progress,
    Refused,
    Task,
)
from sse_progress.sandbox.process import Exit

__all__ = [
    "CannotStart",
    "ChildLost",
    "StageFailed",
    "StageUnavailable",
    "check_cost",
    "meaning_of",
    "refusal",
    "result_of",
    "too_demanding",
    "too_slow",
]

log = structlog.get_logger(__name__)

CRASHES = frozenset(
    (
        signal.SIGSEGV,
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGTRAP,
        signal.SIGSYS,
    )
)
"""Signals that a process brings upon itself: a decoder met a file that it cannot cope with."""
COST_FROM_S = 10.0
"""CPU time after which the pace of a function is judged, or a quarter of what it may take."""
COST_FACTOR = 2
"""The end of a file may be easier than its beginning."""
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class StageUnavailable(Exception):
    """An `async def` stage raised: what it calls may be away, so another attempt may succeed."""


class StageFailed(Internal):
    """A stage broke for a reason of its own; the log has it, clients do not."""


class ChildLost(Exception):
    """Something outside ended the child in the middle of its work: trying again may help."""


class CannotStart(Exception):
    """Children do not start here; the text says why."""


def result_of(outcome: Outcome, task: Task) -> dict[str, Any]:
    """A finished task's result, or what its outcome means, raised."""
    if isinstance(outcome, Finished):
        assert isinstance(outcome.result, dict)
        return outcome.result
    about = log.bind(function=task.function, upload_id=task.upload.id)
    if isinstance(outcome, Refused):
        raise refusal(outcome.code, outcome.detail, about)
    assert isinstance(outcome, Failed)
    about.error("a stage failed", reason=outcome.reason, exception=outcome.trace)
    if outcome.reason in ("memory", "file_size"):
        raise _too_large()
    if outcome.reason == "storage_full":
        raise InsufficientStorage
    raise StageFailed


def meaning_of(
    end: Exit,
    task: Task,
    *,
    took_s: float = 0.0,
    all_cpu_s: float | None = None,
    closed: bool = False,
) -> Exception:
    """What it says of the upload that the child ended without an outcome.

    `took_s`: CPU time of its process. `all_cpu_s`: of the upload's functions together; None: its
    task's. `closed`: the pool is, so its children were killed for that.
    """
    about = log.bind(function=task.function, upload_id=task.upload.id)
    if end.code >= 0:
        about.error("a stage ended its process", exit_code=end.code)
        return StageFailed()
    number = -end.code
    about.warning("a stage child was ended", signal=signal.strsignal(number))
    ignored = number == signal.SIGKILL and not end.killed and took_s >= task.limits.all_cpu_s
    if number == signal.SIGXCPU or ignored:
        return _out_of_cpu_time(task.limits, all_cpu_s or task.limits.all_cpu_s)
    # A library in C that gets no memory mostly crashes; only the size it had tells.
    large = end.peak_rss_bytes >= task.limits.memory_bytes / 2
    if number == signal.SIGXFSZ or (number in CRASHES and large):
        return _too_large()
    if number in CRASHES:
        return Rejected("corrupt_file", "The file could not be decoded.")
    if end.killed and not closed:
        return StageFailed()
    return ChildLost(f"ended by signal {number}")


def check_cost(progress: Progress, limits: Limits) -> None:
    """Raises Rejected where the work, at the pace so far, would take far more CPU time than it may:
    pages, paragraphs or frames that each cost too much."""
    allowed_s = min(limits.cpu_s, limits.all_cpu_s)
    if not 0 < progress.fraction < 1 or progress.cpu_s < min(COST_FROM_S, allowed_s / 4):
        return
    expected_s = progress.cpu_s / progress.fraction
    if expected_s > COST_FACTOR * allowed_s:
        raise Rejected(
            "too_demanding",
            f"Working on this file would take about {expected_s:.0f} s of CPU time, "
            f"{allowed_s} s are allowed.",
        )


def refusal(code: str, detail: str, about: Any) -> Rejected | StageFailed:
    """A stage's own refusal, which is not one if its code is not snake_case."""
    if _CODE.fullmatch(code):
        return Rejected(code, clean_text(detail))
    about.error("a refusal's code is not snake_case", code=clean_text(code))
    return StageFailed()


def too_slow(limit_s: float, what: str = "time") -> StageTimeout:
    """A function took more than one function may."""
    return StageTimeout(_longer_than(limit_s, what))


def too_demanding(limit_s: float, what: str = "time") -> Rejected:
    """The functions of one upload took more than all of them together may."""
    return Rejected("too_demanding", _longer_than(limit_s, what))


def _longer_than(limit_s: float, what: str) -> str:
    return f"Working on this file takes more {what} than the {limit_s:g} s allowed."


def _out_of_cpu_time(limits: Limits, all_cpu_s: float) -> Problem:
    if limits.all_cpu_s < limits.cpu_s:
        return too_demanding(all_cpu_s, "CPU time")
    return too_slow(limits.cpu_s, "CPU time")


def _too_large() -> Rejected:
    return Rejected("too_demanding", "Working on this file takes more memory or room than allowed.")
