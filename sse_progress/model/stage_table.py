"""The stages of an upload: their order, and their share of the whole percent."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["STAGES", "Stage", "percent", "status_of_stage"]


class Stage(NamedTuple):
    """A row of the stage table: its place in the order and its share of the whole percent."""

    name: str
    rank: int
    lo: int
    hi: int
    terminal: bool = False


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("receiving", 1, 0, 9),
        Stage("file_received", 2, 10, 10),
        Stage("validating", 3, 20, 29),
        Stage("analyzing", 4, 30, 69),
        Stage("moderating", 5, 70, 84),
        Stage("processing", 6, 85, 94),
        Stage("finalizing", 7, 95, 99),
        Stage("complete", 8, 100, 100, terminal=True),
        Stage("error", 9, 0, 0, terminal=True),
        Stage("cancelled", 9, 0, 0, terminal=True),
    )
}

Status = Literal["pending", "receiving", "processing", "complete", "error", "cancelled"]


def status_of_stage(stage: str | None) -> Status:
    """The coarse status of an upload whose latest event is of `stage` (None: no event yet)."""
    if stage is None:
        return "pending"
    if stage in ("receiving", "complete", "error", "cancelled"):
        return stage  # type: ignore[return-value]
    return "processing"


def percent(stage: str, stage_progress: int) -> int:
    """Percent of the whole upload, 0-100, for `stage_progress` (0-100) within `stage`.

    The journal's script does the same for each event; tests hold the two against each other.
    """
    row = STAGES[stage]
    return min(row.hi, row.lo + stage_progress * (row.hi - row.lo + 1) // 100)
