"""Lines of a response's head, and a form of response that uvicorn does not write: to HTTP/1.0."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from functools import lru_cache
from typing import Any

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["INTERIM", "Unchunked", "header_line"]

INTERIM = {
    102: b"Processing",
    103: b"Early Hints",
    104: b"Upload Resumption Supported",
}
"""RFC 2518 §10.1, RFC 8297, draft-ietf-httpbis-resumable-upload (100 and 101 are uvicorn's)."""

KNOWN_LINES = 256
"""A head with an upload's id is a new one each time, seven of its ten lines are not."""

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


@lru_cache(KNOWN_LINES)
def header_line(name: bytes, value: bytes) -> bytes:
    """Raises ValueError for what is not a header."""
    if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
        raise ValueError(f"{name!r} is not a header, or its value is not one line")
    return b"%b: %b\r\n" % (name, value)


class Unchunked:
    """`send` of a response to HTTP/1.0: it knows no chunks, so the connection's end is the body's.

    uvicorn would chunk any response without a length, whatever the request's version.
    """

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._bare = False

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", ())}
            self._bare = b"content-length" not in names
            if self._bare:
                self._cycle.chunked_encoding = False
        elif self._bare:
            # uvicorn compares a body without chunks with the length that was announced.
            more = bool(message.get("more_body"))
            self._cycle.expected_content_length = len(message.get("body", b"")) + more
        sent: Any = message
        return self._cycle.send(sent)
