"""Request bodies that are JSON: read within a limit, and converted to what is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec
from starlette.requests import Request

from sse_progress.model.errors import BadRequest, TooLarge

__all__ = ["json_body", "lines_of", "raw_body"]

LIMIT_BYTES = 64 * 1024

T = TypeVar("T")


async def raw_body(request: Request, *, limit_bytes: int = LIMIT_BYTES) -> bytes:
    """Raises TooLarge."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            raise TooLarge(f"The body is over {limit_bytes} bytes.")
    return bytes(body)


async def json_body(request: Request, kind: type[T], *, limit_bytes: int = LIMIT_BYTES) -> T:
    """The body as `kind`; an empty one is `{}`. Raises BadRequest or TooLarge."""
    body = await raw_body(request, limit_bytes=limit_bytes)
    try:
        return msgspec.json.decode(body.strip() or b"{}", type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not valid: {error}.") from None


async def lines_of(request: Request) -> AsyncIterator[list[bytes]]:
    """Lines of the body that are not empty, all that have arrived at a time. Raises TooLarge."""
    rest = b""
    async for chunk in request.stream():
        *lines, rest = (rest + chunk).split(b"\n")
        if max(map(len, (*lines, rest))) > LIMIT_BYTES:
            raise TooLarge(f"A line of the body is over {LIMIT_BYTES} bytes.")
        if found := [line for line in lines if line.strip()]:
            yield found
    if rest.strip():
        yield [rest]
