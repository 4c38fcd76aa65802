"""Stages that are `async def`: they run on the worker's loop, under a limit of time alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import structlog

from sse_progress.model.stage_api import Upload
from sse_progress.sandbox.messages import NotJson, encode_result, refusal_in
from sse_progress.sandbox.outcomes import StageFailed, StageUnavailable, refusal, too_slow

__all__ = ["Report", "run_on_loop"]

log = structlog.get_logger(__name__)

Report = Callable[[float, str | None], None]


class Reporter:
    """The `report` of an `async def`: clamped, never decreasing, mute after the end."""

    def __init__(self, report: Report) -> None:
        self._report: Report | None = report
        self._fraction = 0.0
        self.error: Exception | None = None
        """What the receiver of the reports raised: not the stage's fault."""

    def __call__(self, fraction: float, message: str | None = None) -> None:
        if self._report is None:
            return
        if fraction > self._fraction:  # never true for a NaN
            self._fraction = min(float(fraction), 1.0)
        try:
            self._report(self._fraction, message)
        except Exception as error:
            self.error = error
            raise

    def close(self) -> None:
        self._report = None


async def run_on_loop(
    function: Callable[..., Any], upload: Upload, report: Report, *, timeout_s: float
) -> dict[str, Any]:
    """Its result. Raises Rejected, StageTimeout, StageFailed, StageUnavailable."""
    about = log.bind(function=getattr(function, "__qualname__", repr(function)))
    about = about.bind(upload_id=upload.id)
    reporter = Reporter(report)
    try:
        with anyio.move_on_after(timeout_s) as deadline:
            encoded = encode_result(await function(upload, reporter))
            plain: dict[str, Any] = msgspec.json.decode(encoded)
            return plain
    except NotJson as error:
        about.error("a stage failed", reason=str(error))
        raise StageFailed from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        about.exception("a stage cancelled itself")
        raise StageFailed from None
    except Exception as error:
        if reporter.error is not None:
            raise reporter.error from None
        rejection = refusal_in(error)
        if rejection is not None:
            raise refusal(rejection.code, rejection.detail, about) from None
        about.exception("a stage failed")
        raise StageUnavailable from error
    finally:
        reporter.close()
    assert deadline.cancelled_caught
    raise too_slow(timeout_s)
