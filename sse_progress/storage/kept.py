"""How many bytes each user keeps.

    owners/<digest of the owner>/<random>.<size>    one more name of an upload's manifest

The size is the original's in bytes. When the upload is removed, its manifest has only this name
left and counts no more: what removes an upload does not have to say so, and a crash leaves nothing
to repair.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sse_progress.model.errors import QuotaExceeded
from sse_progress.storage.durable import open_private
from sse_progress.storage.manifest import Manifest, digest_of

__all__ = ["Kept"]

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class Kept:
    """Bytes by owner below `root`. `limit_bytes` is what one owner may keep; None: anything."""

    def __init__(self, root: Path, *, limit_bytes: int | None) -> None:
        self.root = root
        self._limit = limit_bytes
        self._root = str(root)

    def bytes_of(self, owner: str) -> int:
        """Sizes of the originals of this owner's uploads together, bytes. Raises OSError."""
        total = 0
        try:
            entries = os.scandir(self._place_of(owner))
        except FileNotFoundError:
            return 0
        with entries:
            for entry in entries:
                try:
                    if entry.stat(follow_symlinks=False).st_nlink > 1:
                        total += int(entry.name.rpartition(".")[2])
                    else:
                        Path(entry.path).unlink()  # its upload is gone
                except FileNotFoundError:
                    continue
        return total

    def ensure(self, owner: str, size_bytes: int) -> None:
        """Raise QuotaExceeded if the owner may not keep `size_bytes` more."""
        if self._limit is None:
            return
        kept = self.bytes_of(owner)
        if kept + size_bytes > self._limit:
            raise QuotaExceeded(
                f"You keep {kept} bytes, with this file {kept + size_bytes}, limit {self._limit}."
            )

    @contextmanager
    def counted(self, manifest: Manifest, path: str) -> Iterator[None]:
        """Count the upload whose manifest is at `path`, for good if the block ends well.

        One at a time for each owner, so that of two that do not fit together one does. Raises
        QuotaExceeded, and OSError where the file system has no hard links and there is a limit.
        """
        directory = self._place_of(manifest.owner)
        name = f"{directory}/{os.urandom(8).hex()}.{manifest.size}"
        lock = _opened(directory)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.ensure(manifest.owner, manifest.size)
            try:
                os.link(path, name)
            except OSError as exc:
                if self._limit is not None or exc.errno not in _NO_LINKS:
                    raise
        finally:
            os.close(lock)
        try:
            yield
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _place_of(self, owner: str) -> str:
        return f"{self._root}/{digest_of(owner)}"

    def forget(self, manifest: Manifest) -> None:
        """Take away the name that a removed upload left."""
        try:
            paths = list(Path(self._place_of(manifest.owner)).iterdir())
        except FileNotFoundError:
            return
        ending = f".{manifest.size}"
        for path in paths:
            try:
                if path.name.endswith(ending) and path.lstat().st_nlink == 1:
                    path.unlink()
            except FileNotFoundError:
                continue


def _opened(directory: str) -> int:
    """A descriptor of the directory, made if it is not there."""
    flags = os.O_RDONLY | os.O_DIRECTORY
    try:
        return open_private(directory, flags)
    except FileNotFoundError:
        Path(directory).mkdir(mode=0o700, exist_ok=True)
        return open_private(directory, flags)
