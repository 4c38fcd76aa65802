"""Local directories of attempts, on a host whose storage is elsewhere: bounded, and swept.

<root>/<attempt>/lock       its flock is held while the attempt lasts; holds its size in bytes
<root>/<attempt>/original   the file that stages read
<root>/<attempt>/scratch/   where stages write
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sse_progress.model.errors import InsufficientStorage
from sse_progress.storage.durable import is_locked, open_private, storage_errors

__all__ = ["Place", "Workroom"]

_LOCK = "lock"


class Place:
    """One attempt's directory, this process' until it is left."""

    def __init__(self, directory: Path, lock: int) -> None:
        self._directory = directory
        self._lock: int | None = lock
        self.original = directory / "original"
        self.scratch = directory / "scratch"

    def leave(self) -> None:
        """Remove it; harmless twice."""
        lock, self._lock = self._lock, None
        if lock is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            os.close(lock)  # last: until then no sweeper competes


class Workroom:
    """Directories below `root`: originals of `limit_bytes` together, and `reserve_bytes` free."""

    def __init__(self, root: Path, *, limit_bytes: int, reserve_bytes: int) -> None:
        self._root, self._limit, self._reserve = root, limit_bytes, reserve_bytes
        with storage_errors():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def enter(self, name: str, size_bytes: int) -> Place:
        """A new directory with room for an original of this size. Raises InsufficientStorage."""
        with storage_errors(), self._alone():
            self.sweep()
            taken = sum(self._sizes())
            free = os.statvfs(self._root)
            room = free.f_bavail * free.f_frsize - self._reserve
            if taken + size_bytes > self._limit or size_bytes > room:
                raise InsufficientStorage("This worker has no room for the file right now.")
            directory = self._root / name
            directory.mkdir(mode=0o700)
            lock = open_private(directory / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.write(lock, b"%d" % size_bytes)
        place = Place(directory, lock)
        with storage_errors():
            place.scratch.mkdir(mode=0o700)
        return place

    def sweep(self) -> None:
        """Remove what dead workers left."""
        for directory in self._directories():
            if not is_locked(directory / _LOCK):
                shutil.rmtree(directory, ignore_errors=True)

    def sweep_alone(self) -> None:
        with storage_errors(), self._alone():
            self.sweep()

    def _sizes(self) -> Iterator[int]:
        for directory in self._directories():
            try:
                yield int((directory / _LOCK).read_bytes() or b"0")
            except FileNotFoundError:
                continue  # left meanwhile

    def _directories(self) -> list[Path]:
        return [path for path in self._root.iterdir() if path.is_dir()]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process of this host at a time."""
        descriptor = open_private(self._root / "lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
