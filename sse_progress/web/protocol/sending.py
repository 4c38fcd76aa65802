"""How a response of HTTP/1.1 is written: its head with what follows it, a stream's frames alone.

uvicorn writes a head and each piece of a body by themselves, and looks at each header with two
regular expressions each time. A write is a packet and costs the kernel about 8 µs; an opening
stream took three of them, and 60 calls for its head. Here a head waits for the first piece, as ASGI
wants it, and one that was encoded before is taken as it was. Frames of a stream need no coroutine
and no dictionary: one chunk, made once, is written to every reader that keeps up
(docs/decisions/direct-write). Under another server, to HTTP/1.0, and for a reader that has fallen
behind, they take `send`, which waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from sse_progress.journal.frames import chunk_of
from sse_progress.web.http_responses import INTERIM, header_line

__all__ = ["Sending"]

COPIED_BYTES = 64 * 1024
"""A piece that is longer is written after the head instead of being copied behind it."""
KNOWN_HEADS = 128


class Sending:
    """Of one response. How far it has come is kept where uvicorn looks for it, in its cycle."""

    __slots__ = ("__weakref__", "_cycle", "_head")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle, self._head = cycle, b""

    async def send(self, message: Message) -> None:
        """ASGI's."""
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        if message["type"] == "http.response.start" and not cycle.response_started:
            self._begin(message["status"], message.get("headers", ()))
        elif message["type"] == "http.response.body" and cycle.response_started:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
        else:
            misplaced: Any = message
            await cycle.send(misplaced)  # raises what is wrong with it

    def write(self, chunk: bytes) -> bool:
        """Write a whole chunk (RFC 9112 §7.1) of a response that has begun; False where only `send`
        knows what to do."""
        cycle = self._cycle
        if (
            cycle.flow.write_paused
            or not cycle.chunked_encoding
            or cycle.response_complete
            or cycle.disconnected
        ):
            return False
        if self._head:
            chunk, self._head = self._head + chunk, b""
        cycle.transport.write(chunk)
        return True

    def inform(self, status: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> bool:
        """Send an interim response (RFC 9110 §15.2) before the response; False where it is too
        late. Raises ValueError for what is not a header.

        Proxies may take one for the response, or wait for ever: see docs/decisions/http-protocol.
        """
        lines = b"".join([header_line(name, value) for name, value in headers])
        cycle = self._cycle
        if cycle.response_started or cycle.disconnected or cycle.transport.is_closing():
            return False
        cycle.transport.write(b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, INTERIM[status], lines))
        return True

    def _begin(self, status: int, headers: Any) -> None:
        cycle = self._cycle
        head = _head_of(tuple(headers))
        cycle.response_started, cycle.waiting_for_100_continue = True, False
        if head.length is not None:
            cycle.expected_content_length, cycle.chunked_encoding = head.length, False
        elif cycle.scope["method"] != "HEAD" and status not in (204, 304):
            cycle.chunked_encoding = True
        cycle.keep_alive = cycle.keep_alive and not head.closes
        self._head = b"%b%b%b%b%b\r\n" % (
            STATUS_LINE[status],
            _default_lines(cycle.default_headers),
            head.lines,
            b"" if cycle.keep_alive or head.closes else b"connection: close\r\n",
            b"transfer-encoding: chunked\r\n" if cycle.chunked_encoding else b"",
        )

    def _go_on(self, body: bytes, *, more: bool) -> None:
        cycle = self._cycle
        if cycle.response_complete:
            raise RuntimeError("The response has ended already.")
        if cycle.scope["method"] == "HEAD":
            cycle.expected_content_length, body = 0, b""
        elif cycle.chunked_encoding:
            body = chunk_of(body) if body else b""
            body = body if more else body + b"0\r\n\r\n"
        else:
            cycle.expected_content_length -= len(body)
        left = cycle.expected_content_length
        if left < 0 or (left and not more):
            raise RuntimeError(
                f"The body is not as long as Content-Length says: {left} bytes left."
            )
        self._write_behind_head(body)
        if not more:
            cycle.response_complete = True
            cycle.message_event.set()
            if not cycle.keep_alive:
                cycle.transport.close()
            cycle.on_response()

    def _write_behind_head(self, data: bytes) -> None:
        head, self._head = self._head, b""
        transport = self._cycle.transport
        if head and len(data) > COPIED_BYTES:
            transport.write(head)
            transport.write(data)
        else:
            transport.write(head + data if head else data)


class _Defaults:
    """uvicorn's own headers as bytes. It makes a new list of them each second, for the date."""

    def __init__(self) -> None:
        self._of: list[tuple[bytes, bytes]] = []
        self._lines = b""

    def __call__(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        if headers is not self._of:
            self._of = headers
            self._lines = b"".join([b"%b: %b\r\n" % field for field in headers])
        return self._lines


_default_lines = _Defaults()


class _Head(NamedTuple):
    """Headers as bytes, and what they say; `length` None: nothing of the body's length."""

    lines: bytes
    length: int | None
    closes: bool


@lru_cache(KNOWN_HEADS)
def _head_of(headers: tuple[tuple[bytes, bytes], ...]) -> _Head:
    """Raises ValueError for what is not a header."""
    lines, length, closes = [], None, False
    for name, value in headers:
        name = name.lower()  # noqa: PLW2901
        lines.append(header_line(name, value))
        if name == b"content-length":
            length = int(value)
        elif name == b"connection":
            closes = closes or b"close" in [part.strip() for part in value.lower().split(b",")]
    return _Head(b"".join(lines), length, closes)
