"""Stored files as they are served from a bucket: by range, or by a signed URL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sse_progress.storage.bucket.client import Bucket

__all__ = ["BucketFile", "Piece"]

URL_S = 60
"""How long a signed URL lets somebody begin to read."""


class Piece(NamedTuple):
    """An object with `size` bytes of a file."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class BucketFile:
    """A file in one object or, before it is published, in several."""

    bucket: Bucket
    pieces: Sequence[Piece]
    etag: str
    modified: datetime

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)

    async def stream(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes `start` to `end` (exclusive), as they come. Raises Unavailable."""
        at = 0
        for piece in self.pieces:
            begin, stop = max(start - at, 0), min(end - at, piece.size)
            if begin < stop:
                async for data in self.bucket.stream(piece.path, start=begin, end=stop):
                    yield data
            at += piece.size

    def url(self, *, disposition: str, media_type: str) -> str:
        """A URL that answers the file with these headers; of one that is published."""
        [piece] = self.pieces
        return self.bucket.signed_url(
            "GET",
            piece.path,
            expires_s=URL_S,
            query={
                "response-content-disposition": disposition,
                "response-content-type": media_type,
                "response-cache-control": "private, no-cache",
            },
        )
