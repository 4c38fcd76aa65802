"""Bytes of bodies that rest, one after the other: what tus' final upload is made of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from sse_progress.model.errors import BadRequest, Forbidden, UnknownUpload
from sse_progress.runtime.concurrency import blocking
from sse_progress.storage.announced import Partial
from sse_progress.storage.body_port import Bodies

__all__ = ["bytes_of", "whole_parts"]

READ_BYTES = 1024 * 1024


async def whole_parts(bodies: Bodies, upload_ids: Sequence[str], *, owner: str) -> list[Partial]:
    """The partial uploads with these ids.

    Raises UnknownUpload, Forbidden, or BadRequest for one that is no partial upload or not whole.
    """
    found = []
    for upload_id in upload_ids:
        partial = await blocking(bodies.partial, upload_id)
        if partial is None:
            raise UnknownUpload(f"There is no partial upload {upload_id}.")
        announced = partial.announced
        if announced.owner != owner:
            raise Forbidden(f"The upload {upload_id} belongs to another user.")
        if not announced.partial:
            raise BadRequest(f"The upload {upload_id} is not a partial one.")
        if partial.offset != announced.length:
            raise BadRequest(f"The partial upload {upload_id} is not whole.")
        found.append(partial)
    return found


async def bytes_of(bodies: Bodies, parts: Sequence[Partial]) -> AsyncIterator[bytes]:
    """All their bytes in order, about 1 MiB at a time. Raises UnknownUpload if one is removed."""
    for part in parts:
        offset = 0
        while offset < part.offset:
            most = min(READ_BYTES, part.offset - offset)
            piece = await blocking(bodies.read, part.announced.upload_id, offset, most)
            if not piece:
                raise UnknownUpload
            yield piece
            offset += len(piece)
