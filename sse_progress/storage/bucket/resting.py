"""`ResumableBody` as chunk objects: a body that may come in several requests."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

import msgspec

from sse_progress.model.errors import QuotaExceeded, Unavailable, UploadIdInUse
from sse_progress.storage.announced import Announced
from sse_progress.storage.body_port import WrongOffset
from sse_progress.storage.bucket.chain import ACCEPTED, Chunk
from sse_progress.storage.bucket.chunks import ChunkWriter, Putting
from sse_progress.storage.bucket.keys import Keys, new_name
from sse_progress.storage.bucket.stored import Kept, store
from sse_progress.storage.manifest import Manifest

__all__ = ["KnownBytes", "RestingBody"]

_KEPT = 1000


class KnownBytes:
    """What this process put of bodies that rest: their chunks, and the digest over those.

    The latest ones. hashlib cannot save its state, so another process has to read them again.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[list[Chunk], Any, int]] = OrderedDict()

    def keep(self, token: str, path: list[Chunk], digest: Any, count: int) -> None:
        self._known[token] = path, digest, count
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)

    def forget(self, token: str) -> None:
        self._known.pop(token, None)

    def path(self, token: str) -> list[Chunk]:
        return self._known[token][0] if token in self._known else []

    def take(self, token: str, path: list[Chunk]) -> tuple[Any, int]:
        """A digest, and of how many bytes of `path` it is."""
        known, digest, count = self._known.pop(token, ([], None, 0))
        whole = [chunk for chunk in known if chunk.end <= count]
        if digest is None or path[: len(whole)] != whole or (whole[-1].end if whole else 0) < count:
            return hashlib.sha256(), 0
        return digest, count


class RestingBody:
    """`ResumableBody` in a bucket. Who lost its turn may still hold one; that is harmless.

    The chunks are the truth: they reach to the offset, also after a crash.
    """

    def __init__(
        self,
        putting: Putting,
        kept: Kept,
        *,
        announced: Announced,
        path: list[Chunk],
        known: KnownBytes,
    ) -> None:
        self._putting, self._bucket, self._kept = putting, putting.bucket, kept
        self._keys = Keys(announced.upload_id)
        self._prefix = self._keys.body(announced.token)
        self._known = known
        self.announced = announced
        self._path = path
        self.offset = path[-1].end if path else 0
        self._sha256, self._hashed = known.take(announced.token, path)
        self._before_hold: tuple[list[Chunk], Any, int] | None = None
        self._chunks = self._writer(new_name())
        self._open = True

    def _writer(self, name: str) -> ChunkWriter:
        return ChunkWriter(
            self._putting,
            self._prefix,
            writer=name,
            durable=self.offset,
            number=len(self._path),
        )

    @property
    def settled(self) -> int:
        return self._chunks.durable

    def append(self, data: bytes, *, offset: int) -> None:
        if offset != self.offset:
            raise WrongOffset(offset, self.offset)
        try:
            self._chunks.write(data)
        except BaseException:
            self._back_to_durable()
            raise
        if self._hashed == self.offset:
            self._sha256.update(data)
            self._hashed += len(data)
        self.offset += len(data)

    def sync(self) -> int:
        try:
            self.offset = self._chunks.settle()
        except BaseException:
            self._back_to_durable()
            raise
        self._take_up()
        return self.offset

    def _take_up(self) -> None:
        self._path = [*self._path, *self._chunks.path]
        self._chunks.path = []

    def _back_to_durable(self) -> None:
        """A put failed: what came after it is not there."""
        self._chunks.close()
        self._take_up()
        self.offset = self._chunks.durable
        if self._hashed > self.offset:
            self._sha256, self._hashed = hashlib.sha256(), 0
        self._chunks = self._writer(new_name())

    def announce(self, length: int) -> None:
        self.announced = msgspec.structs.replace(self.announced, length=length)
        self._bucket.put(self._keys.resting, msgspec.json.encode(self.announced))

    # ---- bytes that may be taken back

    def hold(self) -> None:
        self.sync()
        self._before_hold = (self._path, self._sha256.copy(), self._hashed)
        self._change_writer("h" + new_name())

    def accept(self) -> None:
        if self._before_hold is None:
            return
        self.sync()
        self._bucket.put(f"{self._prefix}/{ACCEPTED}{self._chunks.writer}", b"")
        self._before_hold = None
        self._change_writer(new_name())

    def drop(self) -> None:
        if self._before_hold is None:
            return
        self._path, self._sha256, self._hashed = self._before_hold
        self._before_hold = None
        self._chunks.path = []
        self.offset = self._path[-1].end if self._path else 0
        self._change_writer(new_name())

    def _change_writer(self, name: str) -> None:
        self._chunks.close()
        self._chunks = self._writer(name)

    # ---- the whole

    def read_again(self, most_bytes: int) -> int:
        """Go on with the digest over the chunks; what is on its way is put first."""
        end = min(self._hashed + most_bytes, self.sync())
        for chunk in self._path:
            if self._hashed >= end:
                break
            if chunk.offset == self._hashed:
                self._sha256.update(self._chunk(chunk))
                self._hashed = chunk.end
            elif chunk.offset < self._hashed < chunk.end:
                self._sha256.update(self._chunk(chunk)[self._hashed - chunk.offset :])
                self._hashed = chunk.end
        return self._hashed

    def _chunk(self, chunk: Chunk) -> bytes:
        data = self._bucket.get(f"{self._prefix}/{chunk.name}")
        if data is None or len(data) != chunk.length:
            raise Unavailable("The storage cannot be used right now.")
        return data

    @property
    def sha256(self) -> str:
        while self.read_again(self.offset) < self.offset:
            pass
        return str(self._sha256.hexdigest())

    def digest(self, algorithm: str) -> bytes:
        if algorithm == "sha-256":
            return bytes.fromhex(self.sha256)
        whole = hashlib.new(algorithm.replace("-", ""))
        self.sync()
        for chunk in self._path:
            whole.update(self._chunk(chunk))
        return whole.digest()

    def store(self, manifest: Manifest) -> None:
        if (manifest.size, manifest.sha256) != (self.sync(), self.sha256):
            raise ValueError(f"manifest says {manifest.size} bytes, received {self.offset}")
        try:
            store(self._bucket, self._kept, manifest, body=self.announced.token, path=self._path)
        except (UploadIdInUse, QuotaExceeded):
            self.discard()
            raise
        self._let_go()
        self._bucket.delete([self._keys.resting])

    def discard(self) -> None:
        if not self._open:
            return
        self._let_go()
        self._bucket.delete([self._keys.resting])
        self._bucket.delete([found.path for found in self._bucket.listing(self._prefix)])

    def _let_go(self) -> None:
        self._open = False
        self._chunks.close()
        self._known.forget(self.announced.token)

    def close(self) -> None:
        """What was not synced is lost, so that is done first where it can be."""
        if not self._open:
            return
        self.drop()
        try:
            self.sync()
        except Unavailable:
            pass
        self._open = False
        self._chunks.close()
        if self._hashed:
            self._known.keep(self.announced.token, self._path, self._sha256, self._hashed)
