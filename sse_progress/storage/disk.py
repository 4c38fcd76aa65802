"""Where files lie: received, stored, published, removed, and what a crash leaves of each step.

Owns the directories below the data directory and their names; nobody else joins paths. Every
function blocks; the event loop reaches them through `blocking`. Knows no HTTP, Redis or stages.

    incoming/<digest>.<random>/   a body is arriving: `original`, its flock held by the receiver
    open/<digest>/                stored, work not finished: `original`, `manifest.json`
    objects/<dd>/<digest>/        published: the same, `record.json` and `files/<name>`
    trash/                        renamed away, being deleted

An upload moves only downwards, each time by one rename of its directory, so it is in one place
whole. `digest` is 32 hex digits of the SHA-256 of the upload's id, `<dd>` its first two: no path
holds anything that a client chose, except the derived files' names, which are checked.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import msgspec
import structlog

from sse_progress.model.errors import InsufficientStorage, Unavailable, UnknownUpload, UploadIdInUse
from sse_progress.model.filenames import clean_filename
from sse_progress.model.ids import Position

__all__ = ["Incoming", "Manifest", "Object", "Storage"]

_ORIGINAL = "original"
_MANIFEST = "manifest.json"
_RECORD = "record.json"
_FILES = "files"
_SCRATCH = "scratch-"
_POSITION = "position"
_POSITION_BYTES = 96
_LOCK_WAIT_S = 10.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

log = structlog.get_logger(__name__)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was received, as it is kept beside the file.

    `size` in bytes, `sha256` hex, both of the file as it came; `created_at` RFC 3339 with
    milliseconds, UTC; `epoch` is the journal's at that time.
    """

    upload_id: str
    owner: str
    filename: str
    claimed_type: str
    fields: dict[str, str | list[str]]
    size: int
    sha256: str
    epoch: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Object:
    """A stored upload as it was when found: `record` is set once it is published (`done`)."""

    directory: Path
    manifest: Manifest
    record: bytes | None

    @property
    def done(self) -> bool:
        return self.record is not None

    @property
    def path(self) -> Path:
        """The original; it moves once, when the upload is published."""
        return self.directory / _ORIGINAL

    def file(self, name: str) -> Path | None:
        """A published file by the name that clients know: the original, or a derived one.

        `name` may be anything: it is compared with what is there and becomes part of no path.
        """
        if not self.done:
            return None
        if name == self.manifest.filename:
            return self.path
        try:
            with os.scandir(self.directory / _FILES) as entries:
                for entry in entries:
                    if entry.name == name and entry.is_file(follow_symlinks=False):
                        return Path(entry.path)
        except FileNotFoundError:
            pass
        return None


class Storage:
    """One data directory. Any number of processes may use it at the same time.

    Every method raises InsufficientStorage if there is no room, and Unavailable if the directory
    cannot be read or written; the OSError is its cause.
    """

    def __init__(
        self, root: Path, id: str, *, reserve_bytes: int, now: Callable[[], float]
    ) -> None:
        self.root = root
        self.id = id
        self._reserve_bytes = reserve_bytes
        self._now = now
        self._incoming = root / "incoming"
        self._open = root / "open"
        self._objects = root / "objects"
        self._trash_can = root / "trash"

    @classmethod
    def open(
        cls, root: Path, *, reserve_bytes: int = 0, now: Callable[[], float] = time.time
    ) -> Storage:
        """Use `root`, made if necessary; all below it must be one file system.

        `reserve_bytes` of it always stay free; `now` is the wall clock, seconds since 1970.
        """
        with _named_problems():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            storage = cls(root, _identity(root), reserve_bytes=reserve_bytes, now=now)
            for directory in (
                storage._incoming,
                storage._open,
                storage._objects,
                storage._trash_can,
            ):
                directory.mkdir(mode=0o700, exist_ok=True)
            _sync(root)
        return storage

    # ---- room

    def free_bytes(self) -> int:
        """What may still be written, bytes: free space without the reserve, never negative."""
        with _named_problems():
            free = os.statvfs(self.root)
        return max(free.f_bavail * free.f_frsize - self._reserve_bytes, 0)

    def ensure_room(self, size_bytes: int) -> None:
        """Raise InsufficientStorage if a file of `size_bytes` would not fit now."""
        if size_bytes > self.free_bytes():
            raise InsufficientStorage

    # ---- receiving

    def incoming(self, upload_id: str) -> Incoming:
        """A new place for a body that begins to arrive, locked by this process until it ends."""
        directory = self._incoming / f"{_digest(upload_id)}.{secrets.token_hex(8)}"
        with _named_problems():
            while True:
                directory.mkdir(mode=0o700)
                try:
                    file = _create(directory / _ORIGINAL)
                except FileNotFoundError:
                    continue  # a sweeper took the empty directory for a dead one's
                except OSError:
                    directory.rmdir()
                    raise
                fcntl.flock(file, fcntl.LOCK_EX)
                if _still_there(file.fileno(), directory / _ORIGINAL):
                    return Incoming(self, directory, file)
                file.close()

    def receiving(self, upload_id: str) -> bool:
        """Whether a living process is receiving a body of this upload."""
        prefix = f"{_digest(upload_id)}."
        with _named_problems():
            return any(
                path.name.startswith(prefix) and _locked(path / _ORIGINAL)
                for path in self._incoming.iterdir()
            )

    def stale_incoming(self) -> Iterator[Path]:
        """Directories of bodies whose receiver is gone, for `discard_incoming`."""
        with _named_problems():
            for path in self._incoming.iterdir():
                if not _locked(path / _ORIGINAL):
                    yield path

    def discard_incoming(self, path: Path) -> bool:
        """Remove what a dead receiver left; False if somebody holds it after all."""
        if path.parent != self._incoming:
            raise ValueError("not a directory of an incoming body")
        with _named_problems():
            while True:
                try:
                    descriptor = _private(path / _ORIGINAL, os.O_RDONLY)
                except FileNotFoundError:
                    if self._remove_empty(path):
                        return True
                    continue  # a receiver has begun here in this moment
                try:
                    # Held while renaming, so a receiver that has only begun notices: `incoming`.
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._trash(path)
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
            if (path / _ORIGINAL).exists():
                return False
            self._trash(path)  # half deleted: a receiver makes the original before all else
        return True

    # ---- stored

    def find(self, upload_id: str) -> Object | None:
        """The upload, wherever it is; None if it is not stored, or removed.

        Looked for in the order in which it moves, so that one which moves meanwhile is found.
        """
        with _named_problems():
            for directory, done in self._places(upload_id):
                try:
                    manifest = _manifest(directory)
                    record = (directory / _RECORD).read_bytes() if done else None
                except FileNotFoundError:
                    continue
                return Object(directory, manifest, record)
        return None

    def open_uploads(self) -> Iterator[Manifest]:
        """Manifests of all uploads that are stored and not published, in no order."""
        with _named_problems():
            for directory in self._open.iterdir():
                try:
                    yield _manifest(directory)
                except FileNotFoundError:
                    continue  # published or removed since it was listed
                except Unavailable:
                    log.exception("manifest cannot be read", directory=directory.name)

    def scratch(self, upload_id: str) -> Path:
        """A new, empty directory for one attempt; those of earlier attempts are removed.

        Raises UnknownUpload if it is not stored.
        """
        with self._exclusive(upload_id) as (directory, _):
            older = _scratches(directory)
            number = max((int(path.name.removeprefix(_SCRATCH)) for path in older), default=0) + 1
            path = directory / f"{_SCRATCH}{number}"
            path.mkdir(mode=0o700)
            for old in older:
                self._trash(old)
            return path

    def replace_original(self, upload_id: str, path: Path) -> None:
        """Put the file `path`, from the scratch directory, in place of the original, atomically.

        The manifest keeps size and sha256 of the file as it was received. Without effect once the
        upload is published. A crash leaves the old file or the new one.
        """
        with self._exclusive(upload_id) as (directory, done):
            if done:
                return
            _sync_regular(path)
            path.rename(directory / _ORIGINAL)
            _sync(directory)

    def keep_derived(self, upload_id: str, scratch: Path, names: Sequence[str]) -> None:
        """Move `names` from `scratch` to `files/`, beside what other stages keep there.

        One of the same name, of an attempt that crashed, is replaced. From then on they outlive
        their attempt. Without effect once the upload is published. Raises UnknownUpload if it was
        removed meanwhile; ValueError if a name is not a clean base name, is the original's or no
        regular file, or if `scratch` is not the latest attempt's: then nothing has changed. A
        crash leaves an open upload with none, some or all of them.
        """
        with self._exclusive(upload_id) as (directory, done):
            if done:
                return
            # All checks come first: a slower twin must not take away what the later one has kept.
            if scratch not in _scratches(directory):
                raise ValueError("the scratch directory is not of the latest attempt")
            taken = _manifest(directory).filename
            for name in names:
                if name == taken or name != clean_filename(name):
                    raise ValueError(f"not a name for a derived file: {name!r}")
                _sync_regular(scratch / name)
            files = directory / _FILES
            files.mkdir(mode=0o700, exist_ok=True)
            for name in names:
                (scratch / name).rename(files / name)
            _sync(files)
            _sync(directory)

    def publish(self, upload_id: str, record: bytes) -> bytes:
        """Write the record, remove the scratch directories, and move the upload to `objects/`.

        Returns the record that holds: an upload that is published already stays as it is, and its
        first record is returned. Raises UnknownUpload if it was removed meanwhile. What a crash
        leaves, step by step:

        1. scratch directories removed   an open upload, to be published again
        2. record written and synced     the same
        3. its directory synced          the same, but complete
        4. renamed into `objects/`       a published upload, or the same as before
        5. the parents synced            a published upload; only now may anybody be told
        """
        with self._exclusive(upload_id) as (directory, done):
            for scratch in _scratches(directory):
                self._trash(scratch)
            if done:
                self._sync_shelf(directory)  # whoever renamed it may have died before that
                return (directory / _RECORD).read_bytes()
            (directory / _RECORD).unlink(missing_ok=True)  # of an attempt that crashed
            _write_synced(directory / _RECORD, record)
            _sync(directory)
            shelf = self._shelf(upload_id)
            shelf.parent.mkdir(mode=0o700, exist_ok=True)
            directory.rename(shelf)
            self._sync_shelf(shelf)
            return record

    def remove(self, upload_id: str) -> None:
        """Take everything of this upload away, except a body that is still arriving.

        Harmless if there is nothing, and at any time beside readers and other writers: what is
        open stays readable, what is being written or published finds its place gone.
        """
        prefix = f"{_digest(upload_id)}."
        with _named_problems():
            for path in self._incoming.iterdir():
                if path.name.startswith(prefix):
                    self.discard_incoming(path)
            for directory, _ in self._places(upload_id):
                if self._trash(directory):
                    _sync(directory.parent)

    def expired(self, older_than_s: float) -> Iterator[str]:
        """Ids of uploads that were published more than `older_than_s` seconds ago."""
        limit = self._now() - older_than_s
        with _named_problems():
            for directory in self._objects.glob("*/*"):
                try:
                    if (directory / _RECORD).stat().st_mtime < limit:
                        yield _manifest(directory).upload_id
                except FileNotFoundError:
                    continue  # removed since it was listed
                except Unavailable:
                    log.exception("manifest cannot be read", directory=directory.name)

    def empty_trash(self) -> None:
        """Delete what a crash, or a file that could not be deleted, left in the trash."""
        with _named_problems():
            for path in self._trash_can.iterdir():
                shutil.rmtree(path, ignore_errors=True)

    # ---- the journal's place

    def mark(self, upload_id: str, position: Position) -> None:
        """Note the journal position acknowledged last; nothing happens unless it is stored.

        Not synced: what it is for is a Redis that lost its memory, not this machine losing its.
        """
        line = str(position).encode().ljust(_POSITION_BYTES - 1) + b"\n"
        if len(line) != _POSITION_BYTES:
            raise ValueError("position is too long")
        with _named_problems():
            for directory, _ in self._places(upload_id):
                try:
                    descriptor = _private(directory / _POSITION, os.O_WRONLY | os.O_CREAT)
                except FileNotFoundError:
                    continue
                try:
                    os.pwrite(descriptor, line, 0)  # one size always: whole or not at all
                finally:
                    os.close(descriptor)
                return

    def marked(self, upload_id: str) -> Position | None:
        with _named_problems():
            for directory, _ in self._places(upload_id):
                try:
                    line = (directory / _POSITION).read_bytes()
                except FileNotFoundError:
                    continue
                position = Position.parse(line.decode("ascii", "replace").strip())
                return position if position.epoch else None
        return None

    # ---- inside

    def _sync_shelf(self, published: Path) -> None:
        for directory in (published.parent, self._objects, self._open):
            _sync(directory)

    def _shelf(self, upload_id: str) -> Path:
        digest = _digest(upload_id)
        return self._objects / digest[:2] / digest

    def _places(self, upload_id: str) -> tuple[tuple[Path, bool], ...]:
        """Where it may be, in the order in which it moves, and whether it is published there."""
        return (self._open / _digest(upload_id), False), (self._shelf(upload_id), True)

    @contextmanager
    def _exclusive(self, upload_id: str) -> Iterator[tuple[Path, bool]]:
        """Its directory, for one writer at a time; an attempt's slower twin waits up to 10 s."""
        deadline = time.monotonic() + _LOCK_WAIT_S
        with _named_problems():
            while True:
                held = self._try_exclusive(upload_id)
                if held is not None:
                    break
                if time.monotonic() > deadline:
                    raise Unavailable
                time.sleep(0.01)
            descriptor, directory, done = held
            try:
                yield directory, done
            except FileNotFoundError as exc:
                if directory.exists():
                    raise ValueError(f"no such file: {exc.filename}") from None
                raise UnknownUpload from None  # removed under our hands
            finally:
                os.close(descriptor)

    def _try_exclusive(self, upload_id: str) -> tuple[int, Path, bool] | None:
        for directory, done in self._places(upload_id):
            path = directory / _MANIFEST
            try:
                descriptor = _private(path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _still_there(descriptor, path):
                    return descriptor, directory, done
            except BlockingIOError:
                pass
            os.close(descriptor)
            return None
        raise UnknownUpload

    def _trash(self, path: Path) -> bool:
        """Rename `path` away at once, then delete it; False if it is not there."""
        away = self._trash_can / f"{path.name}.{secrets.token_hex(8)}"
        try:
            path.rename(away)
        except FileNotFoundError:
            return False
        shutil.rmtree(away, ignore_errors=True)  # what resists is left for `empty_trash`
        return True


class Incoming:
    """A body on its way to disk: `write` in order, then either `store` or `discard`.

    Used by one thread at a time. Holds the flock of its file until it is stored or discarded; if
    the process dies, the lock is free and what is left is swept.
    """

    def __init__(self, storage: Storage, directory: Path, file: FileIO) -> None:
        self.size = 0
        self._storage = storage
        self._directory = directory
        self._file = file
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Hex digest of what was written so far."""
        return self._sha256.hexdigest()

    def write(self, data: bytes) -> None:
        """Append `data`. Best in pieces of about 1 MiB: writing and hashing release the GIL.

        After a failure the only thing left to do is `discard`.
        """
        with _named_problems():
            self._storage.ensure_room(len(data))
            _write_all(self._file, data)
        self._sha256.update(data)
        self.size += len(data)

    def store(self, manifest: Manifest) -> None:
        """Make the upload *stored*: once this returns, it survives any crash.

        Raises UploadIdInUse if another upload is stored under this id; after any failure nothing
        of this one is left. What a crash leaves, step by step:

        1. file synced            a stale incoming directory, to be swept
        2. manifest synced        the same
        3. its directory synced   the same, but complete: now it may get its name
        4. renamed into `open/`   the upload, whole, or the same as before
        5. `open/` synced         the upload; only now is anybody told
        """
        storage = self._storage
        place = storage._open / _digest(manifest.upload_id)
        try:
            if (manifest.size, manifest.sha256) != (self.size, self.sha256):
                raise ValueError(f"manifest says {manifest.size} bytes, received {self.size}")
            with _named_problems():
                os.fsync(self._file)
                _write_synced(self._directory / _MANIFEST, msgspec.json.encode(manifest))
                _sync(self._directory)
                self._rename(place, published=storage._shelf(manifest.upload_id))
                try:
                    _sync(storage._open)
                    _sync(storage._incoming)
                except OSError:
                    storage._trash(place)  # nobody was told, so it must not come back
                    raise
        except BaseException:
            self.discard()
            raise
        self._file.close()

    def _rename(self, place: Path, *, published: Path) -> None:
        try:
            self._directory.rename(place)
        except OSError as exc:
            if exc.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise UploadIdInUse from None
            raise
        # After the rename, not before: an open upload of this id may be published in between.
        if published.exists():
            place.rename(self._directory)
            raise UploadIdInUse

    def discard(self) -> None:
        """Remove it all; harmless when it is done already, and without effect once stored."""
        if self._file.closed:
            return
        shutil.rmtree(self._directory, ignore_errors=True)
        self._file.close()  # last: until then no sweeper competes


# ---- files and directories


@contextmanager
def _named_problems() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise InsufficientStorage from exc
        raise Unavailable("The storage cannot be used right now.") from exc


def _digest(upload_id: str) -> str:
    return hashlib.sha256(upload_id.encode()).hexdigest()[:32]


def _private(path: str | Path, flags: int) -> int:
    """Open for this user alone, and never through a symbolic link."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _sync(directory: Path) -> None:
    """Make a directory's entries durable: a synced file without its name is lost all the same."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(path: Path) -> FileIO:
    descriptor = _private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    return os.fdopen(descriptor, "wb", buffering=0)


def _write_all(file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _write_synced(path: Path, data: bytes) -> None:
    with _create(path) as file:
        _write_all(file, data)
        os.fsync(file)


def _sync_regular(path: Path) -> None:
    """Sync what a stage made; ValueError unless it is a plain file of its own."""
    try:
        descriptor = _private(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENXIO):
            raise ValueError(f"not a regular file: {path.name!r}") from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"not a regular file: {path.name!r}")
        os.fchmod(descriptor, 0o600)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _manifest(directory: Path) -> Manifest:
    try:
        return msgspec.json.decode((directory / _MANIFEST).read_bytes(), type=Manifest)
    except msgspec.DecodeError as exc:
        raise Unavailable("The storage cannot be used right now.") from exc


def _scratches(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.name.startswith(_SCRATCH)]


def _still_there(descriptor: int, path: Path) -> bool:
    """Whether `path` still names the open file: a lock on what was renamed away locks nothing."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _locked(path: Path) -> bool:
    """Whether a living process holds the flock of `path`; asked with a shared lock, let go."""
    try:
        descriptor = _private(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _identity(root: Path) -> str:
    """The random id of this storage, made once whoever comes first."""
    path = root / "storage-id"
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        draft = root / f".storage-id.{secrets.token_hex(8)}"
        _write_synced(draft, secrets.token_hex(8).encode())
    try:
        os.link(draft, path)  # unlike a rename, it does not replace another one's
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text("ascii")
