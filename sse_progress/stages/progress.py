"""Sharing one stage's percent among the steps that it is made of, and saying sizes aloud."""

from __future__ import annotations

from sse_progress.model.stage_api import Report

__all__ = ["megabytes", "part"]


def part(report: Report, start: float, end: float) -> Report:
    """A report for one step: its 0.0-1.0 is the stage's `start`-`end`."""

    def step(fraction: float, message: str | None = None) -> None:
        report(start + (end - start) * min(max(fraction, 0.0), 1.0), message)

    return step


def megabytes(done: int, total: int) -> str:
    """`2.1 of 5.0 MB`, for messages; MB is 10^6 bytes."""
    return f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
