"""What an upload's journal says: events, stages, positions, and their SSE and JSON forms.

Sans-I/O: nothing here reads, writes, waits or knows the time. The only encoder of frames in the
project lives here, so no value, however hostile, can begin a new field or frame.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec

__all__ = [
    "GONE",
    "STAGES",
    "Decoder",
    "Draft",
    "Error",
    "Event",
    "Position",
    "ServerSentEvent",
    "Stage",
    "clean_text",
    "percent",
    "valid_upload_id",
]

MESSAGE_LIMIT = 200
CODE_LIMIT = 64
EVENT_LIMIT_BYTES = 1024
COMPLETE_LIMIT_BYTES = 64 * 1024

_UPLOAD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,127}")


def valid_upload_id(text: str) -> bool:
    return _UPLOAD_ID.fullmatch(text) is not None


# ---- stages


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
    """Percent of the whole upload, 0-100, for `stage_progress` (0-100) within `stage`."""
    row = STAGES[stage]
    return min(row.hi, row.lo + stage_progress * (row.hi - row.lo + 1) // 100)


# ---- positions


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a journal, `<epoch>-<seq>` on the wire; clients treat it as opaque."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read what a client presents. Anything unreadable is a position in no journal at all."""
        epoch, _, seq = text.rpartition("-")
        if epoch and seq.isascii() and seq.isdigit() and len(seq) <= 15 and len(epoch) <= 64:
            return cls(epoch, int(seq))
        return cls("", 0)


GONE = Position("gone", 0)


# ---- texts

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def clean_text(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """One line for a person: no control characters, no line separators, no lone surrogates.

    At most `limit` characters; a longer text ends in an ellipsis.
    """
    if not (text.isascii() and text.isprintable()):
        text = text.encode("utf-8", "replace").decode("utf-8", "replace")
        text = "".join(
            " " if c in _BIDI or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c
            for c in text
        )
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _cut_to_bytes(text: str, limit_bytes: int) -> str:
    raw = text.encode()
    if len(raw) <= limit_bytes:
        return text
    return raw[: max(limit_bytes - 3, 0)].decode("utf-8", "ignore").rstrip() + "…"


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    return value


# ---- events


class Error(msgspec.Struct, frozen=True):
    """Why an upload ended with `error`: a stable code, one sentence, and where it happened."""

    code: str
    detail: str = ""
    stage: str = ""


class Event(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One message of a progress stream, as a client reads it.

    `progress` and `stage_progress` are whole percents; `timestamp` is UTC, RFC 3339 with
    milliseconds; `bytes` and `total` count body bytes; `eta_seconds` is seconds.
    """

    type: Literal["connected", "progress", "reset"]
    upload_id: str
    progress: int | None = None
    stage: str | None = None
    message: str = ""
    timestamp: str | None = None
    stage_progress: int | None = None
    bytes: int | None = None
    total: int | None = None
    eta_seconds: int | None = None
    media: dict[str, Any] | None = None
    error: Error | None = None

    @property
    def terminal(self) -> bool:
        # A client may be older than the service and meet a stage that it does not know.
        return self.stage in STAGES and STAGES[self.stage].terminal


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


decode_json = msgspec.json.decode


class Fragments(NamedTuple):
    """An event's JSON in three pieces, open where the journal itself decides.

    whole = head + progress + middle + timestamp + '","stageProgress":' + stage_progress + tail
    """

    head: bytes
    middle: bytes
    tail: bytes


_FIXED_BYTES = 3 + 24 + len('","stageProgress":') + 3 + len("id: -\ndata: \n\n") + 34
"""Room for what the journal adds: both percents, the time, and the frame with its id."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event before the journal took it: everything but its place, time and whole percent."""

    stage: str
    stage_progress: int
    message: str
    bytes: int | None = None
    total: int | None = None
    eta_seconds: int | None = None
    media: dict[str, Any] | None = None
    error: Error | None = None

    @property
    def terminal(self) -> bool:
        return STAGES[self.stage].terminal

    def fragments(self, upload_id: str) -> Fragments:
        """JSON pieces with texts cut so that the whole frame keeps within the event's limit.

        Raises ValueError if `media` alone is over the limit (64 KiB): that cannot be cut.
        """
        message = clean_text(self.message)
        error = self.error
        if error is not None:
            error = msgspec.structs.replace(
                error, code=clean_text(error.code, CODE_LIMIT), detail=clean_text(error.detail)
            )
        limit = COMPLETE_LIMIT_BYTES if self.media is not None else EVENT_LIMIT_BYTES
        parts = self._encode(upload_id, message, error)
        over = sum(map(len, parts)) + _FIXED_BYTES - limit
        if over > 0 and error is not None:
            error = msgspec.structs.replace(
                error,
                detail=_cut_to_bytes(error.detail, max(len(error.detail.encode()) - over, 60)),
            )
            parts = self._encode(upload_id, message, error)
            over = sum(map(len, parts)) + _FIXED_BYTES - limit
        if over > 0:
            message = _cut_to_bytes(message, max(len(message.encode()) - over, 3))
            parts = self._encode(upload_id, message, error)
            over = sum(map(len, parts)) + _FIXED_BYTES - limit
        if over > 0:
            raise ValueError(f"event is {limit + over} bytes, limit {limit}")
        return parts

    def _encode(self, upload_id: str, message: str, error: Error | None) -> Fragments:
        rest: dict[str, Any] = {
            "bytes": self.bytes,
            "total": self.total,
            "etaSeconds": self.eta_seconds,
            "media": self.media,
            "error": error,
        }
        given = {key: value for key, value in rest.items() if value is not None}
        try:
            last = encode_json(given)
        except UnicodeEncodeError:
            # Texts read from files may hold lone surrogates, which UTF-8 cannot carry.
            last = encode_json(_without_surrogates(msgspec.to_builtins(given)))
        return Fragments(
            b'{"type":"progress","uploadId":%b,"progress":' % encode_json(upload_id),
            b',"stage":%b,"message":%b,"timestamp":"'
            % (encode_json(self.stage), encode_json(message)),
            b",%b" % last[1:] if given else b"}",
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


# ---- Server-Sent Events (WHATWG HTML §9.2)

COMMENT = b":\n\n"


def frame(data: bytes, *, id: str | None = None, event: str | None = None) -> bytes:
    """One SSE frame around single-line `data` (compact JSON never holds a raw line break)."""
    if b"\n" in data or b"\r" in data:
        raise ValueError("frame data must be one line")
    head = ""
    for name, value in (("id", id), ("event", event)):
        if value is not None:
            if not value.isprintable():
                raise ValueError(f"frame {name} must be one line of printable characters")
            head += f"{name}: {value}\n"
    return b"%bdata: %b\n\n" % (head.encode(), data)


def retry(milliseconds: int) -> bytes:
    return b"retry: %d\n\n" % milliseconds


def connected(upload_id: str, message: str, *, retry_ms: int) -> bytes:
    """The first frame of every stream: how soon to come back, and that somebody listens."""
    data = encode_json({"type": "connected", "uploadId": upload_id, "message": clean_text(message)})
    return b"retry: %d\ndata: %b\n\n" % (retry_ms, data)


_LINE_END = re.compile(rb"\r\n|\r|\n")


class ServerSentEvent(NamedTuple):
    """One dispatched event: its type, data and the last event id at that moment."""

    event: str
    data: str
    id: str


class Decoder:
    """A WHATWG event-stream parser: feed bytes, take events (HTML §9.2.6).

    Accepts LF, CR and CRLF, a leading BOM, and chunks cut anywhere, also inside a character. Work
    and memory grow with what is fed, never with its square. A line, or the data of one event,
    longer than `limit_bytes` raises ValueError, after the events before it; then the decoder is
    of no further use.
    """

    def __init__(self, *, limit_bytes: int = 1024 * 1024) -> None:
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self._limit = limit_bytes
        self._lines: deque[bytes] = deque()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._skip_lf = False
        self._first = True
        self._data: list[str] = []
        self._data_bytes = 0
        self._event = ""
        self._id = ""

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Take `chunk` in at once; what is not iterated now comes with a later call."""
        if chunk:
            self._split(chunk)
        return self._drain()

    def _split(self, chunk: bytes) -> None:
        if self._skip_lf:
            chunk = chunk.removeprefix(b"\n")
        self._skip_lf = chunk.endswith(b"\r")
        first, *rest = _LINE_END.split(chunk) if b"\r" in chunk else chunk.split(b"\n")
        self._held.append(first)
        self._held_bytes += len(first)
        if rest:
            self._lines.append(b"".join(self._held))
            self._lines.extend(rest[:-1])
            self._held = [rest[-1]]
            self._held_bytes = len(rest[-1])

    def _drain(self) -> Iterator[ServerSentEvent]:
        while self._lines:
            event = self._take(self._lines.popleft())
            if event is not None:
                yield event
        self._check("line", self._held_bytes)

    def _check(self, what: str, size: int) -> None:
        if size > self._limit:
            raise ValueError(f"{what} is {size} bytes, limit {self._limit}")

    def _take(self, raw: bytes) -> ServerSentEvent | None:
        self._check("line", len(raw))
        if self._first:
            self._first = False
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        if not raw:
            return self._dispatch()
        name, _, value = raw.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._data_bytes += len(raw)
            self._check("data", self._data_bytes)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            # int() refuses thousands of digits, and nobody waits for 10^15 ms anyway.
            digits = value.lstrip("0") or "0"
            self.retry_ms = int(digits) if len(digits) <= 15 else 10**15
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        self.last_event_id = self._id
        data, event = self._data, self._event
        self._data, self._data_bytes, self._event = [], 0, ""
        if not data:
            return None
        return ServerSentEvent(event or "message", "\n".join(data), self._id)
