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

_FOLLOWING = ("stage", "rank", "lo", "hi", "sp", "head", "middle", "tail")
_NONE_FOLLOWS: dict[str, Any] = dict.fromkeys([f"then_{name}" for name in _FOLLOWING], b"")


def event_arguments(
    upload_id: str,
    draft: Draft | None,
    *,
    first: bool,
    table: StageTable,
    tags: bytes,
    then: Draft | None = None,
) -> dict[str, Any]:
    """Of an operation without an event (`draft` None) they are empty. `then` follows `draft` in the
    same step, and ends nothing."""
    if draft is None:
        return {**_NO_EVENT, **_NONE_FOLLOWS}
    event = _of(upload_id, draft, first=first, table=table, tags=tags)
    if then is None:
        return {**event, **_NONE_FOLLOWS}
    following = _of(upload_id, then, first=False, table=table, tags=tags)
    return {**event, **{f"then_{name}": following[name] for name in _FOLLOWING}}


def _of(
    upload_id: str, draft: Draft, *, first: bool, table: StageTable, tags: bytes
) -> dict[str, Any]:
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
