"""Bodies on their way to disk: where they are written, and what a dead receiver left.

Every function blocks.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from sse_progress.storage.durable import (
    create_file,
    is_locked,
    open_private,
    still_there,
    storage_errors,
)
from sse_progress.storage.incoming import Incoming
from sse_progress.storage.layout import Layout
from sse_progress.storage.manifest import ORIGINAL

__all__ = ["DiskBodies"]


class DiskBodies:
    """`Bodies` in a directory. `ensure_room(bytes)` raises if so much may not be written."""

    def __init__(self, layout: Layout, ensure_room: Callable[[int], None]) -> None:
        self._layout, self._ensure_room = layout, ensure_room

    def incoming(self, upload_id: str) -> Incoming:
        """A new place for a body that begins to arrive, locked by this process until it ends."""
        directory = self._layout.new_incoming(upload_id)
        with storage_errors():
            while True:
                directory.mkdir(mode=0o700)
                try:
                    file = create_file(directory / ORIGINAL)
                except FileNotFoundError:
                    continue  # a sweeper took the empty directory for a dead one's
                except OSError:
                    directory.rmdir()
                    raise
                fcntl.flock(file, fcntl.LOCK_EX)
                if still_there(file.fileno(), directory / ORIGINAL):
                    return Incoming(self._layout, self._ensure_room, directory, file)
                file.close()

    def receiving(self, upload_id: str) -> bool:
        """Whether a living process is receiving a body of this upload."""
        with storage_errors():
            return any(is_locked(path / ORIGINAL) for path in self._layout.incoming_of(upload_id))

    def stale_incoming(self) -> Iterator[Path]:
        """Directories of bodies whose receiver is gone, for `discard_incoming`."""
        with storage_errors():
            for path in self._layout.incoming.iterdir():
                if not is_locked(path / ORIGINAL):
                    yield path

    def discard_incoming(self, path: Path) -> bool:
        """Remove what a dead receiver left; False if a receiver holds it after all."""
        if path.parent != self._layout.incoming:
            raise ValueError("not a directory of an incoming body")
        with storage_errors():
            while True:
                try:
                    descriptor = open_private(path / ORIGINAL, os.O_RDONLY)
                except FileNotFoundError:
                    if self._remove_empty(path):
                        return True
                    continue  # a receiver has begun here in this moment
                try:
                    # Held while renaming, so a receiver that has only begun notices: `incoming`.
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._layout.discard(path)
                except BlockingIOError:
                    return False
                finally:
                    os.close(descriptor)
                return True

    def _remove_empty(self, path: Path) -> bool:
        """Remove a directory in which there is no original; False if now there is one."""
        try:
            path.rmdir()
        except FileNotFoundError:
            return True
        except OSError as exc:
            if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if (path / ORIGINAL).exists():
                return False
            # Half deleted: a receiver makes the original before all else.
            self._layout.discard(path)
        return True

    def discard_stale(self) -> None:
        """Remove what dead receivers left."""
        for path in self.stale_incoming():
            self.discard_incoming(path)

    def discard(self, upload_id: str) -> None:
        """Remove what dead receivers left of this upload."""
        with storage_errors():
            for path in self._layout.incoming_of(upload_id):
                self.discard_incoming(path)
