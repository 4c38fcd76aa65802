"""An event as arguments of append.lua: its row of the stage table, and its JSON in three pieces."""

from __future__ import annotations

from typing import Any

from sse_progress.model.events import Draft
from sse_progress.model.stage_table import StageTable

__all__ = ["event_arguments"]

_NO_EVENT: dict[str, Any] = {
    **dict.fromkeys(("stage", "head", "middle", "tail", "stage_tail"), b""),
    **dict.fromkeys(("rank", "lo", "hi", "sp", "terminal", "first"), 0),
}


def event_arguments(
    upload_id: str, draft: Draft | None, *, first: bool, table: StageTable, tags: bytes
) -> dict[str, Any]:
    """Of an operation without an event (`draft` None) they are empty."""
    if draft is None:
        return _NO_EVENT
    row = table[draft.stage]
    known = {"tags_bytes": len(tags)} if tags else {}
    return {
        "stage": row.name,
        "rank": row.rank,
        "lo": row.lo,
        "hi": row.hi,
        "sp": draft.stage_progress,
        "terminal": int(row.terminal),
        "first": int(first),
        **draft.fragments(upload_id, **known)._asdict(),
    }
