"""Lists and histories in gzip, for clients that accept it.

Nothing is compressed that holds a secret beside what a stranger may have written.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterable, AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sse_progress.runtime.concurrency import blocking
from sse_progress.web.content_coding import accepts_gzip
from sse_progress.web.request_headers import context_of

__all__ = ["compressed"]

LEAST_BYTES = 1024
LEVEL = 3
INLINE_BYTES = 32 * 1024
"""Compressed on the event loop, in less than a millisecond; more in a thread."""


async def compressed(request: Request, response: Response) -> Response:
    """The same response, in gzip where that is asked for, accepted and worth it."""
    if context_of(request).settings.compress == "off" or response.status_code != 200:
        return response
    streams = isinstance(response, StreamingResponse)
    if not streams and len(response.body) < LEAST_BYTES:
        return response
    headers = response.headers
    headers["Vary"] = ", ".join(filter(None, [headers.get("vary"), "Accept-Encoding"]))
    if not accepts_gzip(request.scope):
        return response
    headers["Content-Encoding"] = "gzip"
    if (etag := headers.get("etag")) and not etag.startswith("W/"):
        headers["ETag"] = f"W/{etag}"  # the same content in other bytes (RFC 9110 §8.8.1)
    if isinstance(response, StreamingResponse):
        response.body_iterator = _pieces(response.body_iterator)
        return response
    body = bytes(response.body)
    response.body = await _off_the_loop(body)
    headers["Content-Length"] = str(len(response.body))
    return response


async def _off_the_loop(body: bytes) -> bytes:
    if len(body) <= INLINE_BYTES:
        return gzip.compress(body, LEVEL, mtime=0)
    return await blocking(gzip.compress, body, LEVEL, mtime=0)


async def _pieces(body: AsyncIterable[str | bytes | memoryview]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    async for piece in body:
        raw = piece.encode() if isinstance(piece, str) else bytes(piece)
        if len(raw) <= INLINE_BYTES:
            packed = packer.compress(raw)
        else:
            packed = await blocking(packer.compress, raw)
        if packed:
            yield packed
    yield packer.flush()
