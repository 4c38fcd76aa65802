"""The one put that makes an upload *stored*, and what each user keeps."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from sse_progress.model.errors import QuotaExceeded, Unavailable, UploadIdInUse
from sse_progress.storage.bucket.chain import Chunk, parse_chunk
from sse_progress.storage.bucket.client import Bucket
from sse_progress.storage.bucket.keys import OWNERS, Keys, kept_key
from sse_progress.storage.manifest import Manifest, digest_of

__all__ = ["Kept", "OpenUpload", "PublishedFile", "PublishedUpload", "decoded", "store"]


S = TypeVar("S")


class OpenUpload(msgspec.Struct, frozen=True, kw_only=True):
    """What `open/` says: the manifest, and of which chunks of which body the original is made."""

    manifest: Manifest
    body: str
    chunks: list[str]

    @property
    def path(self) -> list[Chunk]:
        return [chunk for name in self.chunks if (chunk := parse_chunk(name)) is not None]


class PublishedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file by the name that clients know; `path` is its object."""

    name: str
    path: str
    size: int


class PublishedUpload(msgspec.Struct, frozen=True, kw_only=True):
    """What `records/` says: the manifest, its files (the original is the first), and the record."""

    manifest: Manifest
    body: str
    files: list[PublishedFile]
    record: msgspec.Raw


class Kept:
    """Bytes by owner; `limit_bytes` is what one owner may keep (None: anything, and no count)."""

    def __init__(self, bucket: Bucket, *, limit_bytes: int | None) -> None:
        self._bucket, self._limit = bucket, limit_bytes

    def bytes_of(self, owner: str) -> int:
        """Sizes of the originals of this owner's uploads together, bytes."""
        return sum(
            int(found.name.rpartition("-")[2])
            for found in self._bucket.listing(f"{OWNERS}/{digest_of(owner)}")
        )

    def ensure(self, owner: str, size_bytes: int) -> None:
        """Raise QuotaExceeded if the owner may not keep `size_bytes` more."""
        if self._limit is None:
            return
        kept = self.bytes_of(owner)
        if kept + size_bytes > self._limit:
            raise QuotaExceeded(
                f"You keep {kept} bytes, with this file {kept + size_bytes}, limit {self._limit}."
            )

    def count(self, manifest: Manifest, body: str) -> None:
        """Count an upload that is about to be stored. Raises QuotaExceeded.

        It is put before the sum is looked at, so that of two that do not fit together at most one
        is stored.
        """
        if self._limit is None:
            return
        key = kept_key(manifest.owner, body, manifest.size)
        self._bucket.put(key, b"")
        try:
            self.ensure(manifest.owner, 0)
        except BaseException:
            self._bucket.delete([key])
            raise

    def forget(self, manifest: Manifest, body: str) -> None:
        if self._limit is not None:
            self._bucket.delete([kept_key(manifest.owner, body, manifest.size)])


def decoded(data: bytes, kind: type[S]) -> S:
    """Raises Unavailable for what this release cannot read."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as exc:
        raise Unavailable("The storage cannot be used right now.") from exc


def store(bucket: Bucket, kept: Kept, manifest: Manifest, *, body: str, path: list[Chunk]) -> None:
    """Make the chunks of `path` an upload that is *stored*.

    Raises UploadIdInUse if another one is stored under this id, and QuotaExceeded. A crash before
    the put leaves chunks that nothing names; after it, the upload.
    """
    keys = Keys(manifest.upload_id)
    upload = OpenUpload(manifest=manifest, body=body, chunks=[chunk.name for chunk in path])
    kept.count(manifest, body)
    try:
        if not bucket.create(keys.open, msgspec.json.encode(upload)):
            if _body_at(bucket, keys.open) == body:
                return  # by an older request of this body, in the moment in which it lost its turn
            raise UploadIdInUse
        # After the put, not before: an open upload of this id may be published in between.
        if (published := _body_at(bucket, keys.record)) is not None:
            bucket.delete([keys.open])
            if published != body:
                raise UploadIdInUse
    except BaseException:
        kept.forget(manifest, body)
        raise


def _body_at(bucket: Bucket, key: str) -> str | None:
    data = bucket.get(key)
    return None if data is None else decoded(data, _Named).body


class _Named(msgspec.Struct):
    """What both objects say that name a body."""

    body: str
