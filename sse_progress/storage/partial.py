"""A body that may come in several requests, and what a crash leaves of it."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec

from sse_progress.model.errors import QuotaExceeded, UploadIdInUse
from sse_progress.storage.announced import ANNOUNCED, UNVERIFIED, Announced
from sse_progress.storage.body_port import WrongOffset
from sse_progress.storage.durable import (
    storage_errors,
    sync_directory,
    write_all,
    write_synced,
)
from sse_progress.storage.incoming import store_directory
from sse_progress.storage.layout import Layout
from sse_progress.storage.manifest import MANIFEST, Manifest

__all__ = ["Hashes", "PartialBody", "verified_bytes"]

_READ_BYTES = 1024 * 1024
_KEPT_HASHES = 1000


class Hashes:
    """Digests of bodies that rest, as far as this process saw them; the latest ones.

    hashlib cannot save its state, so another process has to read those bytes again.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def keep(self, token: str, digest: Any, count: int) -> None:
        self._kept[token] = (digest, count)
        while len(self._kept) > _KEPT_HASHES:
            self._kept.popitem(last=False)

    def take(self, token: str, size: int) -> tuple[Any, int]:
        """A digest, and of how many bytes it is: not more than `size`."""
        digest, count = self._kept.pop(token, (None, 0))
        if digest is None or count > size:
            return hashlib.sha256(), 0
        return digest, count


def verified_bytes(directory: Path, size: int) -> int:
    """How many of a body's `size` bytes hold: up to those whose checksum was not compared."""
    try:
        return min(int((directory / UNVERIFIED).read_bytes() or b"0"), size)
    except FileNotFoundError:
        return size


class PartialBody:
    """`ResumableBody` in a directory. Holds the flock of its file until it is closed.

    The file is the truth: its size is the offset, also after a crash. What was not synced may then
    be missing from its end, and never from before an offset that `sync` returned.
    """

    def __init__(
        self,
        layout: Layout,
        ensure_room: Callable[[int], None],
        directory: Path,
        file: FileIO,
        *,
        announced: Announced,
        hashes: Hashes,
    ) -> None:
        self._layout, self._ensure_room = layout, ensure_room
        self._directory, self._file = directory, file
        self._hashes = hashes
        self.announced = announced
        self.offset = os.fstat(file.fileno()).st_size
        self._held_hash: tuple[Any, int] | None = None
        self._held_at: int | None = None
        if (directory / UNVERIFIED).exists():
            self._held_at = verified_bytes(directory, self.offset)
            self.drop()
        self._sha256, self._hashed = hashes.take(announced.token, self.offset)

    @property
    def settled(self) -> int:
        return self.offset

    def append(self, data: bytes, *, offset: int) -> None:
        if offset != self.offset:
            raise WrongOffset(offset, self.offset)
        with storage_errors():
            self._ensure_room(len(data))
            try:
                write_all(self._file, data)
            except OSError:
                os.ftruncate(self._file.fileno(), self.offset)  # a piece is whole or not there
                raise
        if self._hashed == self.offset:
            self._sha256.update(data)
            self._hashed += len(data)
        self.offset += len(data)

    def sync(self) -> int:
        with storage_errors():
            os.fdatasync(self._file.fileno())
        return self.offset

    def announce(self, length: int) -> None:
        self.announced = msgspec.structs.replace(self.announced, length=length)
        draft = self._directory / f".{ANNOUNCED}.{secrets.token_hex(4)}"
        with storage_errors():
            write_synced(draft, msgspec.json.encode(self.announced))
            draft.rename(self._directory / ANNOUNCED)
            sync_directory(self._directory)

    # ---- bytes that may be taken back

    def hold(self) -> None:
        with storage_errors():
            write_synced(self._directory / UNVERIFIED, b"%d" % self.offset)
            sync_directory(self._directory)
        self._held_at = self.offset
        self._held_hash = (self._sha256.copy(), self._hashed)

    def accept(self) -> None:
        if self._held_at is None:
            return
        self.sync()
        with storage_errors():
            (self._directory / UNVERIFIED).unlink()
            sync_directory(self._directory)
        self._held_at = None

    def drop(self) -> None:
        if self._held_at is None:
            return
        with storage_errors():
            os.ftruncate(self._file.fileno(), self._held_at)
            os.fdatasync(self._file.fileno())
            (self._directory / UNVERIFIED).unlink()
            sync_directory(self._directory)
        self.offset, self._held_at = self._held_at, None
        if self._held_hash is not None:
            self._sha256, self._hashed = self._held_hash

    # ---- the whole

    def read_again(self, most_bytes: int) -> int:
        end = min(self._hashed + most_bytes, self.offset)
        with storage_errors():
            while self._hashed < end:
                wanted = min(_READ_BYTES, end - self._hashed)
                piece = os.pread(self._file.fileno(), wanted, self._hashed)
                if not piece:
                    raise OSError(errno.EIO, "a body became shorter")
                self._sha256.update(piece)
                self._hashed += len(piece)
        return self._hashed

    @property
    def sha256(self) -> str:
        self.read_again(self.offset)
        return str(self._sha256.hexdigest())

    def digest(self, algorithm: str) -> bytes:
        if algorithm == "sha-256":
            return bytes.fromhex(self.sha256)
        with storage_errors():
            os.lseek(self._file.fileno(), 0, os.SEEK_SET)  # it is written to at its end anyway
            return hashlib.file_digest(self._file, algorithm.replace("-", "")).digest()

    def store(self, manifest: Manifest) -> None:
        if (manifest.size, manifest.sha256) != (self.offset, self.sha256):
            raise ValueError(f"manifest says {manifest.size} bytes, received {self.offset}")
        try:
            with storage_errors():
                (self._directory / MANIFEST).unlink(missing_ok=True)  # of an attempt that crashed
            store_directory(self._layout, str(self._directory), self._file, manifest)
        except (UploadIdInUse, QuotaExceeded):
            self.discard()
            raise
        with storage_errors():
            Path(self._layout.stored(manifest.upload_id), ANNOUNCED).unlink(missing_ok=True)
        self._file.close()

    def discard(self) -> None:
        if self._file.closed:
            return
        with storage_errors():
            self._layout.discard(self._directory)
        self._file.close()

    def close(self) -> None:
        if self._file.closed:
            return
        try:
            self.drop()
        finally:
            self._hashes.keep(self.announced.token, self._sha256, self._hashed)
            self._file.close()
