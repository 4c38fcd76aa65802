"""Server-Sent Events: frames as bytes, and the parser of a stream (WHATWG HTML §9.2).

The only encoder of journals' frames, so that no value can begin a new field or frame.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from sse_progress.model.events import encode_json
from sse_progress.model.text import clean_text

__all__ = ["Decoder", "ServerSentEvent", "connected", "frame", "retry"]

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


def connected(upload_id: str, message: str, *, retry_ms: int, member: str = "uploadId") -> bytes:
    """The first frame of every stream: when to reconnect, and that the stream is open."""
    return _connected(message, member) % (retry_ms, encode_json(upload_id))


@lru_cache(8)
def _connected(message: str, member: str) -> bytes:
    """With places for the milliseconds and the id as JSON."""
    data = encode_json({"type": "connected", member: "", "message": clean_text(message)})
    return b"retry: %%d\ndata: %b\n\n" % data.replace(b"%", b"%%").replace(b'""', b"%b", 1)


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
            # int() refuses thousands of digits, and no client waits for 10^15 ms anyway.
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
