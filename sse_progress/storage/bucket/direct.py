"""Bodies whose sender puts the chunks into the bucket itself, by signed URLs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from itertools import islice

from sse_progress.storage.announced import Announced
from sse_progress.storage.body_port import DirectPart, SignedPart
from sse_progress.storage.bucket.chain import Chunk
from sse_progress.storage.bucket.chunks import CHUNK_BYTES
from sse_progress.storage.bucket.client import Bucket
from sse_progress.storage.bucket.keys import Keys

__all__ = ["BucketParts", "part_bytes"]

MOST_PARTS = 1000
URL_S = 900
"""How long a signed URL lets a part begin to be put."""


def part_bytes(length: int) -> int:
    """How large the parts of a body of `length` bytes are, but for the last."""
    size = CHUNK_BYTES
    while length > size * MOST_PARTS:
        size *= 2
    return size


class BucketParts:
    """`DirectParts` in a bucket: each part is the chunk of one writer, the body's token."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def parts(self, announced: Announced) -> list[DirectPart]:
        length = announced.length or 0
        size = part_bytes(length)
        return [
            DirectPart(number, offset, min(size, length - offset))
            for number, offset in enumerate(range(0, length, size), 1)
        ]

    def signed(
        self, announced: Announced, parts: Sequence[DirectPart], sha256: Sequence[bytes]
    ) -> list[SignedPart]:
        """Length and checksum are signed, and that nothing is replaced: a server that knows
        conditional writes takes each part once."""
        return [
            self._signed(announced, part, sha256[at] if sha256 else None)
            for at, part in enumerate(parts)
        ]

    def _signed(self, announced: Announced, part: DirectPart, sha256: bytes | None) -> SignedPart:
        headers = {"content-length": str(part.length)}
        if self._bucket.knows_conditions:
            headers["if-none-match"] = "*"
        if sha256 is not None:
            headers["x-amz-checksum-sha256"] = base64.b64encode(sha256).decode()
        url = self._bucket.signed_url(
            "PUT", _path(announced, part), expires_s=URL_S, headers=headers
        )
        return SignedPart(part.number, url, headers)

    def is_there(self, announced: Announced, part: DirectPart) -> bool:
        found = self._bucket.head(_path(announced, part))
        return found is not None and found.size == part.length

    def missing(self, announced: Announced, *, most: int) -> list[int]:
        body = Keys(announced.upload_id).body(announced.token)
        listed = {(found.path, found.size) for found in self._bucket.listing(body)}
        numbers = (
            part.number
            for part in self.parts(announced)
            if (_path(announced, part), part.length) not in listed
            and not self.is_there(announced, part)
        )
        return list(islice(numbers, most))


def _path(announced: Announced, part: DirectPart) -> str:
    chunk = Chunk(part.offset, announced.token, part.length)
    return f"{Keys(announced.upload_id).body(announced.token)}/{chunk.name}"
