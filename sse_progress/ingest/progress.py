"""Received bytes as progress events."""

from __future__ import annotations

import time
from collections.abc import Callable

from sse_progress.ingest.labelling import Labelling
from sse_progress.journal.writer import JournalWriter
from sse_progress.model.events import Draft, tags_of
from sse_progress.model.messages import BEGIN

__all__ = ["receiving_progress"]

ETA_BASIS_S = 1.0
"""No estimate is given before this many seconds of a body."""


def receiving_progress(
    writer: JournalWriter, total: int | None, labelling: Labelling, *, whole: Callable[[], bool]
) -> Callable[[int, str], None]:
    """A callback that turns bytes received into merged progress, with the time still needed; until
    the body is `whole`, since the last event of its stage follows then."""
    started = time.monotonic()

    def progress(count: int, filename: str) -> None:
        if whole():
            return
        writer.tags = tags_of(filename=filename, labels=labelling.labels)
        writer.table = labelling.kind.table
        elapsed = time.monotonic() - started
        eta = None
        if total and elapsed >= ETA_BASIS_S and count:
            eta = max(0, round((total - count) * elapsed / count))
        writer.progress(
            Draft(
                stage="receiving",
                stage_progress=min(99, count * 100 // total) if total else 0,
                message=BEGIN["receiving"],
                bytes=min(count, total) if total else count,
                total=total,
                eta_seconds=eta,
            )
        )

    return progress
