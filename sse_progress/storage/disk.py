"""Storage in a data directory. Knows no HTTP, Redis or stages."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from sse_progress.model.errors import InsufficientStorage
from sse_progress.storage.body_port import DirectParts
from sse_progress.storage.disk_bodies import DiskBodies
from sse_progress.storage.disk_objects import DiskObjects
from sse_progress.storage.durable import storage_errors
from sse_progress.storage.layout import Layout, identity_of
from sse_progress.storage.port import StorageState

__all__ = ["INODES_PER_UPLOAD", "DiskStorage"]

INODES_PER_UPLOAD = 16
"""Files and directories of one upload at its most: seven of a published picture, and scratch."""


class DiskStorage:
    """`Storage` in one directory. Any number of processes may use it at the same time.

    Every method raises InsufficientStorage if there is no room, and Unavailable if the directory
    cannot be read or written; the OSError is its cause.
    """

    direct: DirectParts | None = None

    def __init__(
        self,
        root: Path,
        id: str,
        *,
        reserve_bytes: int,
        reserve_inodes: int,
        quota_bytes: int | None,
        now: Callable[[], float],
    ) -> None:
        self.root = root
        self.id = id
        self._reserve_bytes, self._reserve_inodes = reserve_bytes, reserve_inodes
        self._layout = Layout(root, quota_bytes=quota_bytes)
        self.bodies = DiskBodies(self._layout, self._ensure_bytes)
        self.objects = DiskObjects(self._layout, now)

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        reserve_bytes: int = 0,
        reserve_inodes: int = 0,
        quota_bytes: int | None = None,
        now: Callable[[], float] = time.time,
    ) -> DiskStorage:
        """Use `root`, made if necessary; all below it must be one file system.

        Bodies leave `reserve_bytes` and `reserve_inodes` of it free; one owner keeps at most
        `quota_bytes` (None: no limit); `now` is the wall clock, seconds since 1970.
        """
        with storage_errors():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            storage = cls(
                root,
                identity_of(root),
                reserve_bytes=reserve_bytes,
                reserve_inodes=reserve_inodes,
                quota_bytes=quota_bytes,
                now=now,
            )
            storage._layout.make()
        return storage

    def free_bytes(self) -> int:
        """What may still be written, bytes: free space without the reserve, never negative."""
        return self._free()[0]

    def free_inodes(self) -> int | None:
        """Files and directories that may still be made, without the reserve, never negative.

        None where the file system makes inodes as it needs them: btrfs and some others say 0 of 0.
        """
        return self._free()[1]

    def _free(self) -> tuple[int, int | None]:
        with storage_errors():
            found = os.statvfs(self.root)
        count = max(found.f_bavail * found.f_frsize - self._reserve_bytes, 0)
        return count, max(found.f_favail - self._reserve_inodes, 0) if found.f_files else None

    def ensure_room(self, size_bytes: int) -> None:
        """Raise InsufficientStorage if one more upload of `size_bytes` would not fit now.

        What is announced and has not arrived yet counts as if it were there.
        """
        promised = self.bodies.promised_bytes()
        count, inodes = self._free()
        if size_bytes + promised > count:
            raise InsufficientStorage
        if inodes is not None and inodes < INODES_PER_UPLOAD:
            raise InsufficientStorage("The storage has no room for more files.")

    def kept_bytes(self, owner: str) -> int:
        """Sizes of the originals that this owner has stored, together, bytes."""
        with storage_errors():
            return self._layout.kept.bytes_of(owner)

    def ensure_quota(self, owner: str, size_bytes: int) -> None:
        """Raise QuotaExceeded if the owner may not keep `size_bytes` more."""
        with storage_errors():
            self._layout.kept.ensure(owner, size_bytes)

    def state(self) -> StorageState:
        """Whether a new upload has room, however small it is. Raises Unavailable."""
        count, inodes = self._free()
        if count <= 0:
            return "full"
        return "out_of_inodes" if inodes is not None and inodes < INODES_PER_UPLOAD else "ok"

    def _ensure_bytes(self, size_bytes: int) -> None:
        if size_bytes > self.free_bytes():
            raise InsufficientStorage

    def remove(self, upload_id: str) -> None:
        """Take everything of this upload away, except a body that is still arriving.

        Harmless if there is nothing, and at any time while others read and write: what is
        open stays readable, what is being written or published finds its place gone.
        """
        self.bodies.discard(upload_id)
        self.objects.remove(upload_id)

    def take_back(self, upload_id: str) -> bool:
        self.bodies.discard(upload_id)
        return self.objects.take_back(upload_id)

    def sweep(self) -> None:
        """Remove what dead receivers left, and what could not be deleted earlier."""
        self.bodies.discard_stale()
        with storage_errors():
            self._layout.empty_trash()
