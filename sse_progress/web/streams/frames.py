"""Frames that belong to one connection, not to a journal.

sse-starlette encodes them. A journal's own frames are encoded once, and sent as they are to every
connection.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from sse_starlette import ServerSentEvent

from sse_progress.model.events import as_reset, encode_json
from sse_progress.model.ids import GONE
from sse_progress.model.sse import COMMENT
from sse_progress.uploads.places import Place

__all__ = [
    "gone_event",
    "gone_frame",
    "heartbeat",
    "places_told",
    "reset_frame",
    "retry_frame",
    "retry_ms",
]

RETRY_MS = 2000
TOLD_PLACES = 20
"""Places in one frame, the foremost."""


def _frame(data: bytes, *, id: str | None = None, event: str | None = None) -> bytes:
    return ServerSentEvent(data.decode(), id=id, event=event, sep="\n").encode()


def places_told(waiting: Sequence[Place]) -> dict[str, Any]:
    return {"waiting": [place.told for place in waiting[:TOLD_PLACES]]}


def heartbeat(*, named: bool, waiting: Sequence[Place] = ()) -> bytes:
    """A comment, or an event that scripts can see; with the places of uploads that wait."""
    if not waiting:
        return _frame(b"{}", event="heartbeat") if named else COMMENT
    data = encode_json(places_told(waiting))
    return _frame(data, event="heartbeat") if named else b": %b\n\n" % data


def retry_ms() -> int:
    """Milliseconds until a client reconnects: about 2 s, spread over many clients."""
    return int(RETRY_MS * (0.75 + random.random() / 2))  # noqa: S311  # jitter


def retry_frame() -> bytes:
    return ServerSentEvent(retry=retry_ms(), sep="\n").encode()


def reset_frame(data: bytes, *, id: str | None = None) -> bytes:
    """An event's JSON, announced as the whole state."""
    return _frame(as_reset(data), id=id)


def gone_event(upload_id: str, timestamp: str, *, member: str = "uploadId") -> dict[str, Any]:
    """The only event for a position in an upload that is not known any more."""
    text = "Upload not found or expired."
    return {
        "type": "reset",
        member: upload_id,
        "progress": 0,
        "stage": "error",
        "message": text,
        "timestamp": timestamp,
        "stageProgress": 0,
        "error": {"code": "unknown_upload", "detail": text, "stage": "error"},
    }


def gone_frame(upload_id: str, timestamp: str, *, member: str = "uploadId") -> bytes:
    data = encode_json(gone_event(upload_id, timestamp, member=member))
    return _frame(data, id=str(GONE))
