"""A body on its way to disk, and what a crash leaves of it."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from io import FileIO
from pathlib import Path

import msgspec

from sse_progress.model.errors import UploadIdInUse
from sse_progress.storage.durable import (
    exists,
    storage_errors,
    sync_directory,
    write_all,
    write_synced,
)
from sse_progress.storage.layout import Layout
from sse_progress.storage.manifest import MANIFEST, Manifest

__all__ = ["Incoming", "store_directory"]


class Incoming:
    """A body on its way to disk: `write` in order, then either `store` or `discard`.

    Used by one thread at a time. Holds the flock of its file until it is stored or discarded; if
    the process dies, the lock is free and what is left is swept.
    """

    def __init__(
        self,
        layout: Layout,
        ensure_room: Callable[[int], None],
        directory: str,
        file: FileIO,
    ) -> None:
        self.size = 0
        self._layout, self._ensure_room = layout, ensure_room
        self._directory = directory
        self._file = file
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Hex digest of what was written so far."""
        return self._sha256.hexdigest()

    @property
    def settled(self) -> int:
        return self.size

    def settle(self) -> None:
        """Nothing is on its way."""

    def write(self, data: bytes) -> None:
        """Append `data`. Best in pieces of about 1 MiB: writing and hashing release the GIL.

        After a failure only `discard` may be called.
        """
        with storage_errors():
            self._ensure_room(len(data))
            write_all(self._file, data)
        self._sha256.update(data)
        self.size += len(data)

    def store(self, manifest: Manifest) -> None:
        """Make the upload *stored*: once this returns, it survives any crash.

        Raises UploadIdInUse if another upload is stored under this id; after any failure nothing
        of this one is left. `store_directory` says what a crash leaves: up to its step 4 a stale
        incoming directory, to be swept.
        """
        try:
            if (manifest.size, manifest.sha256) != (self.size, self.sha256):
                raise ValueError(f"manifest says {manifest.size} bytes, received {self.size}")
            store_directory(self._layout, self._directory, self._file, manifest)
        except BaseException:
            self.discard()
            raise
        self._file.close()

    def discard(self) -> None:
        """Remove it all; harmless when it is done already, and without effect once stored."""
        if self._file.closed:
            return
        shutil.rmtree(self._directory, ignore_errors=True)
        self._file.close()  # last: until then no sweeper competes


def store_directory(layout: Layout, directory: str, file: FileIO, manifest: Manifest) -> None:
    """Make the body in `directory` an upload in `open/`. `file` is its open original.

    Raises UploadIdInUse if another upload is stored under this id, and QuotaExceeded if its owner
    keeps too much. What a crash leaves:

    1. file synced            the directory
    2. manifest synced        the same
    3. its directory synced   the same, but complete: now it may get its name
    4. renamed into `open/`   the upload, whole, or the same as before
    5. `open/` synced         the upload; only now may it be announced
    """
    with storage_errors():
        os.fsync(file)
        path = f"{directory}/{MANIFEST}"
        write_synced(path, msgspec.json.encode(manifest))
        sync_directory(directory)
        with layout.kept.counted(manifest, path):
            _rename(layout, directory, manifest.upload_id)
        try:
            sync_directory(layout.open)
            sync_directory(directory.rpartition("/")[0])
        except OSError:
            # Not announced, so it must not come back.
            layout.discard(Path(layout.stored(manifest.upload_id)))
            raise


def _rename(layout: Layout, directory: str, upload_id: str) -> None:
    place = layout.stored(upload_id)
    try:
        os.rename(directory, place)  # noqa: PTH104  # no Path is made: `Layout`
    except OSError as exc:
        if exc.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise UploadIdInUse from None
        raise
    # After the rename, not before: an open upload of this id may be published in between.
    for published in layout.published_names(upload_id):
        if exists(published):
            os.rename(place, directory)  # noqa: PTH104
            raise UploadIdInUse
