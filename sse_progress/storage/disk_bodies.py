"""Bodies on their way to disk: where they are written, and what a dead receiver left.

Every function blocks.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

import msgspec

from sse_progress.model.errors import Unavailable, UnknownUpload, UploadIdInUse
from sse_progress.storage.announced import ANNOUNCED, Announced, Partial
from sse_progress.storage.body_port import BodyHeld
from sse_progress.storage.durable import (
    create_file,
    is_locked,
    open_private,
    still_there,
    storage_errors,
    sync_directory,
    write_synced,
)
from sse_progress.storage.incoming import Incoming
from sse_progress.storage.layout import Layout
from sse_progress.storage.manifest import ORIGINAL
from sse_progress.storage.partial import Hashes, PartialBody, verified_bytes

__all__ = ["DiskBodies"]


class DiskBodies:
    """`Bodies` in a directory. `ensure_room(bytes)` raises if so much may not be written."""

    exclusive = True

    def __init__(self, layout: Layout, ensure_room: Callable[[int], None]) -> None:
        self._layout, self._ensure_room = layout, ensure_room
        self._hashes = Hashes()
        self._lengths: dict[str, tuple[tuple[int, int], int]] = {}

    def incoming(self, upload_id: str) -> Incoming:
        """A new place for a body that begins to arrive, locked by this process until it ends."""
        with storage_errors():
            directory, file = self._begin(upload_id, os.O_WRONLY)
            return Incoming(self._layout, self._ensure_room, directory, file)

    def _begin(self, upload_id: str, access: int) -> tuple[str, FileIO]:
        """A new directory in `incoming/` with an empty original, locked.

        One that a sweeper took is not made again under its name: a second sweeper may have looked
        into it meanwhile, and would remove the new one.
        """
        while True:
            directory = self._layout.new_incoming(upload_id)
            os.mkdir(directory, 0o700)  # noqa: PTH102  # no Path is made: `Layout`
            original = f"{directory}/{ORIGINAL}"
            try:
                file = create_file(original, access)
            except FileNotFoundError:
                continue  # a sweeper took the empty directory for a dead one's
            except OSError:
                os.rmdir(directory)  # noqa: PTH106
                raise
            fcntl.flock(file, fcntl.LOCK_EX)
            if still_there(file.fileno(), original):
                return directory, file
            file.close()

    # ---- bodies that may rest

    def begin(self, announced: Announced) -> PartialBody:
        """A new body that may rest, held by this caller until closed. Raises UploadIdInUse."""
        directory = self._layout.partial_of(announced.upload_id)
        with storage_errors():
            file = self._begin_partial(directory, announced)
            return self._partial(directory, file, announced)

    def resumable(self, upload_id: str) -> PartialBody:
        """One that was begun, held by this caller until closed.

        Raises UnknownUpload, and BodyHeld while another has it.
        """
        directory = self._layout.partial_of(upload_id)
        with storage_errors():
            file = self._open_partial(directory / ORIGINAL)
            try:
                return self._partial(directory, file, _announced(directory))
            except BaseException:
                file.close()
                raise

    def _partial(self, directory: Path, file: FileIO, announced: Announced) -> PartialBody:
        return PartialBody(
            self._layout,
            self._ensure_room,
            directory,
            file,
            announced=announced,
            hashes=self._hashes,
        )

    def _open_partial(self, path: Path) -> FileIO:
        """The file, at its end and locked."""
        try:
            descriptor = open_private(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            raise UnknownUpload from None
        file = os.fdopen(descriptor, "rb+", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise BodyHeld from None
        if not still_there(file.fileno(), path):  # stored or removed in this moment
            file.close()
            raise UnknownUpload
        return file

    def _begin_partial(self, directory: Path, announced: Announced) -> FileIO:
        """It appears whole and locked, by a rename. Raises UploadIdInUse."""
        name, file = self._begin(announced.upload_id, os.O_RDWR | os.O_APPEND)
        begun = Path(name)
        try:
            write_synced(begun / ANNOUNCED, msgspec.json.encode(announced))
            os.fsync(file)
            sync_directory(begun)
            begun.rename(directory)
            sync_directory(directory.parent)
        except OSError as exc:
            self._layout.discard(begun)
            file.close()
            if exc.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise UploadIdInUse from None
            raise
        return file

    def partial(self, upload_id: str) -> Partial | None:
        """The body of this upload that may rest, its offset durable; None if there is none."""
        directory = self._layout.partial_of(upload_id)
        with storage_errors():
            try:
                descriptor = open_private(directory / ORIGINAL, os.O_RDONLY)
            except FileNotFoundError:
                return None
            try:
                size = verified_bytes(directory, os.fstat(descriptor).st_size)
                os.fdatasync(descriptor)
                return Partial(_announced(directory), size, is_locked(directory / ORIGINAL))
            except FileNotFoundError:
                return None  # stored or removed in this moment
            finally:
                os.close(descriptor)

    def read(self, upload_id: str, offset: int, most_bytes: int) -> bytes:
        with storage_errors():
            try:
                path = self._layout.partial_of(upload_id) / ORIGINAL
                descriptor = open_private(path, os.O_RDONLY)
            except FileNotFoundError:
                raise UnknownUpload from None
            try:
                return os.pread(descriptor, most_bytes, offset)
            finally:
                os.close(descriptor)

    def partials(self) -> Iterator[Partial]:
        """All bodies that may rest, in no order; their offsets as they are in memory."""
        with storage_errors():
            for directory in self._layout.partial.iterdir():
                try:
                    size = (directory / ORIGINAL).stat().st_size
                    yield Partial(_announced(directory), size, is_locked(directory / ORIGINAL))
                except FileNotFoundError:
                    continue  # stored or removed since it was listed

    def promised_bytes(self) -> int:
        """What is announced of bodies that may rest and has not arrived yet, together.

        Asked for every upload that begins, so an announcement is read once and then known by its
        inode and time.
        """
        total, lengths = 0, {}
        with storage_errors():
            for directory in self._layout.partial.iterdir():
                try:
                    size = (directory / ORIGINAL).stat().st_size
                    found = (directory / ANNOUNCED).stat()
                    version = found.st_ino, found.st_mtime_ns
                    known = self._lengths.get(directory.name)
                    if known is None or known[0] != version:
                        known = version, _announced(directory).length or 0
                except FileNotFoundError:
                    continue  # stored or removed since it was listed
                lengths[directory.name] = known
                total += max(known[1] - size, 0)
        self._lengths = lengths
        return total

    # ---- of both kinds

    def receiving(self, upload_id: str) -> bool:
        """Whether a living process is receiving a body of this upload."""
        with storage_errors():
            places = [*self._layout.incoming_of(upload_id), self._layout.partial_of(upload_id)]
            return any(is_locked(place / ORIGINAL) for place in places)

    def stale_incoming(self) -> Iterator[Path]:
        """Directories of bodies whose receiver is gone, for `discard_incoming`."""
        with storage_errors():
            for path in self._layout.incoming.iterdir():
                if not is_locked(path / ORIGINAL):
                    yield path

    def discard_incoming(self, path: Path) -> bool:
        """Remove what a dead receiver left; False if a receiver holds it after all."""
        if path.parent not in (self._layout.incoming, self._layout.partial):
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
            self.discard_incoming(self._layout.partial_of(upload_id))


def _announced(directory: Path) -> Announced:
    """Raises FileNotFoundError where it is stored or removed in this moment."""
    try:
        return msgspec.json.decode((directory / ANNOUNCED).read_bytes(), type=Announced)
    except msgspec.DecodeError as exc:
        raise Unavailable("The storage cannot be used right now.") from exc
