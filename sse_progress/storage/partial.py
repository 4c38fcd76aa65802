"""A body that may come in several requests, and what a crash leaves of it."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from sse_progress.model.errors import QuotaExceeded, UploadIdInUse
from sse_progress.storage.durable import storage_errors, write_all
from sse_progress.storage.incoming import store_directory
from sse_progress.storage.layout import Layout
from sse_progress.storage.manifest import ID, MANIFEST, Manifest
from sse_progress.storage.port import WrongOffset

__all__ = ["PartialBody"]

_READ_BYTES = 1024 * 1024


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
    ) -> None:
        self._layout, self._ensure_room = layout, ensure_room
        self._directory, self._file = directory, file
        self._sha256 = hashlib.sha256()
        self._hashed = 0
        self.offset = os.fstat(file.fileno()).st_size

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

    @property
    def sha256(self) -> str:
        with storage_errors():
            while self._hashed < self.offset:  # it came in part to another process
                piece = os.pread(self._file.fileno(), _READ_BYTES, self._hashed)
                if not piece:
                    raise OSError(errno.EIO, "a body became shorter")
                self._sha256.update(piece)
                self._hashed += len(piece)
        return self._sha256.hexdigest()

    def store(self, manifest: Manifest) -> None:
        if (manifest.size, manifest.sha256) != (self.offset, self.sha256):
            raise ValueError(f"manifest says {manifest.size} bytes, received {self.offset}")
        try:
            with storage_errors():
                (self._directory / MANIFEST).unlink(missing_ok=True)  # of an attempt that crashed
            store_directory(self._layout, self._directory, self._file, manifest)
        except (UploadIdInUse, QuotaExceeded):
            self.discard()
            raise
        with storage_errors():
            (self._layout.stored(manifest.upload_id) / ID).unlink(missing_ok=True)
        self._file.close()

    def discard(self) -> None:
        if self._file.closed:
            return
        with storage_errors():
            self._layout.discard(self._directory)
        self._file.close()

    def close(self) -> None:
        self._file.close()
