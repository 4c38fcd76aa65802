"""An event as arguments of append.lua: its row of the stage table, and its JSON in three pieces."""

from __future__ import annotations

from typing import Any

from sse_progress.model.events import Draft
from sse_progress.model.stage_table import StageTable

__all__ = ["event_arguments"]

_FOLLOWING = ("stage", "rank", "lo", "hi", "sp", "head", "middle", "tail")


def event_arguments(
    upload_id: str,
    draft: Draft,
    *,
    first: bool,
    table: StageTable,
    tags: bytes,
    then: Draft | None = None,
) -> dict[str, Any]:
    """Those that say something. `then` follows `draft` in the same step, and ends nothing."""
    event = _of(upload_id, draft, table=table, tags=tags)
    if first:
        event["first"] = 1
    if then is not None:
        following = _of(upload_id, then, table=table, tags=tags)
        event |= {f"then_{name}": following[name] for name in _FOLLOWING}
    return event


def _of(upload_id: str, draft: Draft, *, table: StageTable, tags: bytes) -> dict[str, Any]:
    row = table[draft.stage]
    known = {"tags_bytes": len(tags)} if tags else {}
    parts = draft.fragments(upload_id, **known)
    event = {
        "stage": row.name,
        "rank": row.rank,
        "lo": row.lo,
        "hi": row.hi,
        "sp": draft.stage_progress,
        "head": parts.head,
        "middle": parts.middle,
        "tail": parts.tail,
    }
    if row.terminal:
        event["terminal"] = 1
    if parts.stage_tail:
        event["stage_tail"] = parts.stage_tail
    return event
