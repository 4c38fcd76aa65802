"""`Bodies` as chunk objects. Every function blocks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

import msgspec

from sse_progress.model.errors import Unavailable, UnknownUpload, UploadIdInUse
from sse_progress.storage.announced import Announced, Partial
from sse_progress.storage.bucket.chain import ACCEPTED, Chunk, farthest, has_gap, parse_chunk
from sse_progress.storage.bucket.chunks import ChunkWriter, Putting
from sse_progress.storage.bucket.client import Bucket
from sse_progress.storage.bucket.keys import RESTING, Keys, new_name
from sse_progress.storage.bucket.resting import KnownBytes, RestingBody
from sse_progress.storage.bucket.stored import Kept, decoded, store
from sse_progress.storage.manifest import Manifest

__all__ = ["BucketBodies", "body_path"]

LOOK_AGAIN_S = 0.5
"""A listing may be behind what was put: a gap is looked at a second time."""


class ArrivingBody:
    """`Body`: one that comes in one request."""

    def __init__(self, putting: Putting, kept: Kept, upload_id: str) -> None:
        self.size = 0
        self._bucket, self._kept = putting.bucket, kept
        self._keys, self._body = Keys(upload_id), new_name()
        self._chunks = ChunkWriter(putting, self._keys.body(self._body), writer=new_name())
        self._sha256 = hashlib.sha256()
        self._stored = False

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def settled(self) -> int:
        return self._chunks.durable

    def write(self, data: bytes) -> None:
        self._chunks.write(data)
        self._sha256.update(data)
        self.size += len(data)

    def settle(self) -> None:
        self._chunks.settle()

    def store(self, manifest: Manifest) -> None:
        try:
            if (manifest.size, manifest.sha256) != (self._chunks.settle(), self.sha256):
                raise ValueError(f"manifest says {manifest.size} bytes, received {self.size}")
            store(self._bucket, self._kept, manifest, body=self._body, path=self._chunks.path)
        except BaseException:
            self.discard()
            raise
        self._stored = True
        self._chunks.close()

    def discard(self) -> None:
        if self._stored:
            return
        self._stored = True
        self._chunks.close()
        try:
            body = self._keys.body(self._body)
            self._bucket.delete([found.path for found in self._bucket.listing(body)])
        except Unavailable:
            return  # for `sweep`


class BucketBodies:
    """`Bodies` in a bucket.

    There are no locks: who may write is decided by the journal's fences alone, and a request that
    lost its turn harms nobody (`chain`). So nothing is ever `held`, and a body that comes in one
    request is alive as long as its journal's lease is.
    """

    exclusive = False

    def __init__(self, putting: Putting, kept: Kept) -> None:
        self.putting, self._bucket, self._kept = putting, putting.bucket, kept
        self._known = KnownBytes()

    def incoming(self, upload_id: str) -> ArrivingBody:
        return ArrivingBody(self.putting, self._kept, upload_id)

    def begin(self, announced: Announced) -> RestingBody:
        keys = Keys(announced.upload_id)
        if not self._bucket.create(keys.resting, msgspec.json.encode(announced)):
            raise UploadIdInUse
        return self._resting(announced, [])

    def resumable(self, upload_id: str) -> RestingBody:
        announced = self._announced(upload_id)
        if announced is None:
            raise UnknownUpload
        return self._resting(announced, self._path(announced))

    def _resting(self, announced: Announced, path: list[Chunk]) -> RestingBody:
        return RestingBody(
            self.putting, self._kept, announced=announced, path=path, known=self._known
        )

    def partial(self, upload_id: str) -> Partial | None:
        announced = self._announced(upload_id)
        if announced is None:
            return None
        offset = _end(self._path(announced))
        there = self._there(announced) if announced.direct else None
        return Partial(announced, offset, held=False, there=there)

    def _there(self, announced: Announced) -> int:
        """Bytes of a direct body's parts, in whatever order they came."""
        listed = self._bucket.listing(Keys(announced.upload_id).body(announced.token))
        return sum(found.size for found in listed if parse_chunk(found.name) is not None)

    def read(self, upload_id: str, offset: int, most_bytes: int) -> bytes:
        announced = self._announced(upload_id)
        if announced is None:
            raise UnknownUpload
        prefix = Keys(upload_id).body(announced.token)
        for chunk in self._path(announced):
            if chunk.offset <= offset < chunk.end:
                start = offset - chunk.offset
                data = self._bucket.get_range(
                    f"{prefix}/{chunk.name}", start, min(start + most_bytes, chunk.length)
                )
                if data is None:
                    raise Unavailable("The storage cannot be used right now.")
                return data
        return b""

    def partials(self) -> Iterator[Partial]:
        """All of them, with an offset of 0: how far each is takes a listing of its own."""
        for found in self._bucket.listing(RESTING):
            data = self._bucket.get(found.path)
            if data is not None:
                yield Partial(decoded(data, Announced), 0, held=False)

    def receiving(self, upload_id: str) -> bool:  # noqa: ARG002
        return False

    def _announced(self, upload_id: str) -> Announced | None:
        data = self._bucket.get(Keys(upload_id).resting)
        return None if data is None else decoded(data, Announced)

    def _path(self, announced: Announced) -> list[Chunk]:
        known = self._known.path(announced.token)
        return body_path(self._bucket, announced, known=known)


def body_path(bucket: Bucket, announced: Announced, *, known: list[Chunk] = []) -> list[Chunk]:  # noqa: B006
    """The chunks that spell a resting body, as far as it is there; `known` ones are, in any case.

    One of another size than its name says is none. A hole is looked at twice, but not in a direct
    body, whose parts come in any order.
    """
    prefix = Keys(announced.upload_id).body(announced.token)
    for last in (False, True):
        listed = list(bucket.listing(prefix))
        accepted = frozenset(
            found.name.removeprefix(ACCEPTED) for found in listed if found.name.startswith(ACCEPTED)
        )
        chunks = {
            chunk
            for found in listed
            if (chunk := parse_chunk(found.name)) is not None and chunk.length == found.size
        }
        path = farthest(chunks.union(known), accepted=accepted)
        if last or announced.direct or not has_gap(chunks, path):
            return path
        time.sleep(LOOK_AGAIN_S)
    raise AssertionError


def _end(path: list[Chunk]) -> int:
    return path[-1].end if path else 0
