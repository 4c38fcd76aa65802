"""What the service answers with, as frozen records. Members that are not known are ignored."""

from __future__ import annotations

from typing import Any

import msgspec

from sse_progress.model.events import Error, Event
from sse_progress.model.stage_table import TERMINAL

__all__ = [
    "BatchEvent",
    "BatchItem",
    "BatchMade",
    "BatchState",
    "History",
    "JobOpened",
    "Media",
    "Page",
    "QueuePlace",
    "State",
    "StoredFile",
    "media_of",
    "places_of",
]


class _Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class StoredFile(_Shape, frozen=True, kw_only=True):
    """A file derived from an upload; `size` bytes, `url` a path of the service."""

    name: str
    content_type: str = "application/octet-stream"
    size: int = 0
    url: str = ""


class Media(_Shape, frozen=True, kw_only=True):
    """A complete upload.

    `content_type` was detected, not claimed; `size` bytes; `sha256` hex; `url` a path of the
    service; `created_at` RFC 3339, UTC. `analysis` and `moderation` hold what the stages found.
    """

    id: str
    filename: str = ""
    content_type: str = "application/octet-stream"
    size: int = 0
    sha256: str = ""
    fields: dict[str, str | list[str]] = {}
    url: str = ""
    files: tuple[StoredFile, ...] = ()
    analysis: dict[str, Any] | None = None
    moderation: dict[str, Any] | None = None
    created_at: str = ""


def media_of(event: Event) -> Media:
    """The result that a `complete` event carries; raises ValueError if it is none."""
    return msgspec.convert(event.media, Media)


class State(_Shape, frozen=True, kw_only=True):
    """How far an upload is: its `status`, and the fields of its latest event.

    `status` is `pending`, `receiving`, `processing`, `complete`, `error` or `cancelled`. `size`
    (bytes), `content_type` and `fields` are there once the file is stored. `live` is false, and
    `as_of` says of when it is, where it comes from the archive.
    """

    status: str
    upload_id: str
    progress: int | None = None
    stage: str | None = None
    message: str = ""
    message_key: str | None = None
    message_args: dict[str, str] | None = None
    timestamp: str | None = None
    stage_progress: int | None = None
    kind: str | None = None
    context: dict[str, str] | None = None
    batch_id: str | None = None
    filename: str | None = None
    queue_position: int | None = None
    size: int | None = None
    content_type: str | None = None
    fields: dict[str, str | list[str]] | None = None
    bytes: int | None = None
    total: int | None = None
    eta_seconds: int | None = None
    paused: bool | None = None
    waiting: str | None = None
    items: dict[str, int] | None = None
    title: str | None = None
    result: dict[str, Any] | None = None
    media: dict[str, Any] | None = None
    error: Error | None = None
    live: bool = True
    as_of: str | None = None

    @property
    def ended(self) -> bool:
        return self.stage in TERMINAL

    def event(self) -> Event | None:
        """The latest event itself; None while there is none."""
        if self.stage is None:
            return None
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name not in _OWN}
        return Event(type="progress", **fields)


_OWN = frozenset(
    {"status", "queue_position", "size", "content_type", "fields", "title", "live", "as_of"}
)
"""Of a state, and of no event."""


class History(_Shape, frozen=True, kw_only=True):
    """Events of one upload in the order that was asked for.

    `live`: from the journal itself, else from the archive `as_of` a time. `reset`: the position
    that was asked for is not in this journal, so the events begin with it. `next` goes on: as
    `since`, or descending as `before`.
    """

    upload_id: str
    live: bool = True
    as_of: str | None = None
    epoch: str = ""
    events: tuple[dict[str, Any], ...] = ()
    next: str | None = None
    reset: bool = False


class QueuePlace(_Shape, frozen=True, kw_only=True):
    """Where an upload that waits for a worker stands in the queue, from 1, about.

    `starts_in_seconds`: when its turn comes; None while there is no basis for an estimate.
    """

    upload_id: str
    queue_position: int
    starts_in_seconds: int | None = None


class _Heartbeat(_Shape, frozen=True, kw_only=True):
    waiting: tuple[QueuePlace, ...] = ()


def places_of(data: str | bytes) -> tuple[QueuePlace, ...]:
    """What a heartbeat tells; raises ValueError if it is none."""
    return msgspec.json.decode(data, type=_Heartbeat).waiting


class JobOpened(_Shape, frozen=True, kw_only=True):
    """A job that was announced; `writer` is presented with each report."""

    upload_id: str
    writer: str


class Page(_Shape, frozen=True, kw_only=True):
    """Some of the caller's uploads, newest first; `next` is the cursor for `after`, if any."""

    uploads: tuple[State, ...] = ()
    next: str | None = None


class BatchItem(_Shape, frozen=True, kw_only=True):
    """The upload or job of a batch that an event is about."""

    upload_id: str
    status: str


class BatchEvent(Event, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One message of a batch's stream: `batch_id` names it.

    `items` has the counts `total`, `complete`, `error`, `cancelled` and `running`.
    """

    upload_id: str = ""
    item: BatchItem | None = None


class BatchState(_Shape, frozen=True, kw_only=True):
    """How far a batch is: `status` is `processing`, `complete` or `cancelled`.

    `items` has the counts `total`, `complete`, `error`, `cancelled` and `running`.
    """

    status: str
    batch_id: str
    progress: int = 0
    stage: str | None = None
    message: str = ""
    timestamp: str | None = None
    stage_progress: int | None = None
    title: str | None = None
    kind: str | None = None
    context: dict[str, str] | None = None
    items: dict[str, int] = {}
    item: BatchItem | None = None

    @property
    def ended(self) -> bool:
        return self.stage in TERMINAL


class BatchMade(_Shape, frozen=True, kw_only=True):
    """A batch that was begun."""

    batch_id: str
