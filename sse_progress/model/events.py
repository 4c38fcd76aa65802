"""The events of a journal, and their JSON.

Sans-I/O: nothing here reads, writes, waits or knows the time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from sse_progress.model.labels import NO_LABELS, Labels
from sse_progress.model.message_keys import key_of
from sse_progress.model.stage_table import TERMINAL, status_of_stage
from sse_progress.model.text import clean_text, cut_to_bytes, without_surrogates

__all__ = [
    "Draft",
    "Error",
    "Event",
    "Fragments",
    "as_reset",
    "encode_json",
    "tags_of",
    "with_status",
]

CODE_LIMIT = 64

EVENT_LIMIT_BYTES = 1536

COMPLETE_LIMIT_BYTES = 64 * 1024


# ---- events


class Error(msgspec.Struct, frozen=True):
    """Why an upload ended with `error` or `cancelled`: a stable code, one sentence, the stage.

    An empty `stage` in a draft: the journal fills in the stage that it is in.
    """

    code: str
    detail: str = ""
    stage: str = ""


class Event(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One message of a progress stream, as a client reads it.

    `progress` and `stage_progress` are whole percents; `timestamp` is UTC, RFC 3339 with
    milliseconds; `bytes` and `total` count body bytes; `eta_seconds` is seconds; `paused` is true
    while a body that can be resumed rests; `waiting` is `review` while a person decides; `items`
    are counts of what the work is made of; `message_key` and `message_args` are the message for
    translators, where it is a built-in one; `result` is what another service's work came to.
    `kind`, `context` and `batch_id` are there if the upload has them.
    """

    type: Literal["connected", "progress", "reset"]
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
    bytes: int | None = None
    total: int | None = None
    eta_seconds: int | None = None
    paused: bool | None = None
    waiting: str | None = None
    items: dict[str, int] | None = None
    media: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: Error | None = None

    @property
    def terminal(self) -> bool:
        return self.stage in TERMINAL


_LINE_ENDS = tuple((c.encode(), b"\\u%04x" % ord(c)) for c in "\x85\u2028\u2029")
"""What JSON may hold raw, EventSource takes for text, and many a line reader for a line's end."""


def encode_json(value: Any) -> bytes:
    """JSON (RFC 8259) in which no reader of lines finds more than one line."""
    data = msgspec.json.encode(value)
    if data.isascii():
        return data
    for raw, escaped in _LINE_ENDS:
        data = data.replace(raw, escaped)
    return data


@lru_cache(256)
def _encoded(text: str) -> bytes:
    """An id, a stage or a built-in message: an upload has them in each of its events."""
    return encode_json(text)


decode_json = msgspec.json.decode


class Fragments(NamedTuple):
    """An event's JSON in three pieces, open where the journal itself decides.

    whole = head + progress + middle + timestamp + '","stageProgress":' + stage_progress + tags
            + tail

    Where `stage_tail` is given, `tail` is open as well: `error.stage` is the stage that the journal
    is in, and comes between them.
    """

    head: bytes
    middle: bytes
    tail: bytes
    stage_tail: bytes = b""


TAGS_LIMIT_BYTES = 720
"""Room for tags that a writer does not know: labels, and a cleaned file name of 150 bytes."""
_FIXED_BYTES = 3 + 24 + len('","stageProgress":,') + 3 + len("id: -\ndata: \n\n") + 34 + 32
"""Room for what the journal adds: percents, time, the stage of an error, the frame's id."""


_STAGE_END = b'"}}'
"""The end of an event whose error has no stage: `error` is last, and `stage` last in it."""


def tags_of(*, filename: str, labels: Labels = NO_LABELS, partial: bool = False) -> bytes:
    """What every event of an upload has, as JSON members without braces; empty: nothing yet.

    `partial`: its bytes will be a part of another upload's.
    """
    members: dict[str, Any] = labels.members()
    if partial:
        members["partial"] = True
    if filename:
        members["filename"] = filename
    return encode_json(members)[1:-1]


class _Given(msgspec.Struct, rename="camel", omit_defaults=True):
    """The members of an event that only some have, as they follow each other in it."""

    message_key: str | None = None
    message_args: dict[str, str] | None = None
    bytes: int | None = None
    total: int | None = None
    eta_seconds: int | None = None
    paused: bool = False
    waiting: str | None = None
    items: dict[str, int] | None = None
    media: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: Error | None = None


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event before the journal took it: everything but its place, time and whole percent."""

    stage: str
    stage_progress: int
    message: str
    bytes: int | None = None
    total: int | None = None
    eta_seconds: int | None = None
    paused: bool = False
    waiting: str | None = None
    items: dict[str, int] | None = None
    media: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: Error | None = None

    @property
    def terminal(self) -> bool:
        return self.stage in TERMINAL

    def fragments(self, upload_id: str, *, tags_bytes: int = TAGS_LIMIT_BYTES) -> Fragments:
        """JSON pieces with texts cut so that the whole frame keeps within the event's limit.

        `tags_bytes`: how long the tags are. Raises ValueError if `media` or `result` by itself is
        over the limit (64 KiB): it cannot be cut.
        """
        message = clean_text(self.message)
        error = self.error
        if error is not None:
            error = msgspec.structs.replace(
                error, code=clean_text(error.code, CODE_LIMIT), detail=clean_text(error.detail)
            )
        large = self.media is not None or self.result is not None
        limit = COMPLETE_LIMIT_BYTES if large else EVENT_LIMIT_BYTES
        fixed = _FIXED_BYTES + tags_bytes
        parts = self._encode(upload_id, message, error)
        over = sum(map(len, parts)) + fixed - limit
        if over > 0 and error is not None:
            error = msgspec.structs.replace(
                error,
                detail=cut_to_bytes(error.detail, max(len(error.detail.encode()) - over, 60)),
            )
            parts = self._encode(upload_id, message, error)
            over = sum(map(len, parts)) + fixed - limit
        if over > 0:
            message = cut_to_bytes(message, max(len(message.encode()) - over, 3))
            parts = self._encode(upload_id, message, error)
            over = sum(map(len, parts)) + fixed - limit
        if over > 0:
            raise ValueError(f"event is {limit + over} bytes, limit {limit}")
        return parts

    def _encode(self, upload_id: str, message: str, error: Error | None) -> Fragments:
        key, args = key_of(self.message) or (None, {})
        given = _Given(
            key,
            args or None,
            self.bytes,
            self.total,
            self.eta_seconds,
            self.paused,
            self.waiting,
            self.items,
            self.media,
            self.result,
            error,
        )
        try:
            last = encode_json(given)
        except UnicodeEncodeError:
            # Texts read from files may hold lone surrogates, which UTF-8 cannot carry.
            last = encode_json(without_surrogates(msgspec.to_builtins(given)))
        tail, stage_tail = b",%b" % last[1:] if last != b"{}" else b"}", b""
        if error is not None and not error.stage:
            tail, stage_tail = tail.removesuffix(_STAGE_END), _STAGE_END
        return Fragments(
            b'{"type":"progress","uploadId":%b,"progress":' % _encoded(upload_id),
            b',"stage":%b,"message":%b,"timestamp":"' % (_encoded(self.stage), _encoded(message)),
            tail,
            stage_tail,
        )


_PROGRESS = b'{"type":"progress"'


def as_reset(event_json: bytes) -> bytes:
    """The same event, announced as a `reset`: the whole current state."""
    if not event_json.startswith(_PROGRESS):
        raise ValueError("not a journal event")
    return b'{"type":"reset"' + event_json[len(_PROGRESS) :]


def with_status(event_json: bytes) -> dict[str, Any]:
    """An event's fields as the state of its upload: `status` in place of `type`."""
    fields: dict[str, Any] = decode_json(event_json)
    fields.pop("type", None)
    return {"status": status_of_stage(fields.get("stage")), **fields}
