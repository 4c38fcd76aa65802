"""Files and directories that survive a crash, and locks that do not survive their process."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from sse_progress.model.errors import InsufficientStorage, Unavailable

__all__ = [
    "create_file",
    "exists",
    "is_locked",
    "open_private",
    "opened_directory",
    "opened_regular",
    "read_private",
    "still_there",
    "storage_errors",
    "sync_directory",
    "sync_regular",
    "write_all",
    "write_synced",
]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class storage_errors:  # noqa: N801  # reads as a statement
    """A block whose OSErrors become the storage's problems.

    A class, since a generator's block costs nine Python calls, and an upload enters ten.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno in _FULL:
            raise InsufficientStorage from error
        raise Unavailable("The storage cannot be used right now.") from error


def open_private(path: str | Path, flags: int) -> int:
    """Open for this user only, and never through a symbolic link."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def exists(path: str) -> bool:
    """Raises OSError where it cannot be known, which os.path's takes for no."""
    try:
        os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        return False
    return True


def sync_directory(directory: str | Path) -> None:
    """Make a directory's entries durable: a synced file without its name is lost all the same."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_file(path: str | Path, access: int = os.O_WRONLY) -> FileIO:
    """A new file, open for `access`, which may have O_APPEND."""
    descriptor = open_private(path, access | os.O_CREAT | os.O_EXCL)
    if access & os.O_ACCMODE == os.O_WRONLY:
        return os.fdopen(descriptor, "wb", buffering=0)
    return os.fdopen(descriptor, "rb+", buffering=0)


def write_all(file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def read_private(path: str | Path) -> bytes:
    with os.fdopen(open_private(path, os.O_RDONLY), "rb", buffering=0) as file:
        return file.readall()


def write_synced(path: str | Path, data: bytes) -> None:
    with create_file(path) as file:
        write_all(file, data)
        os.fsync(file)


@contextmanager
def opened_directory(path: str | Path, *, within: int | None = None) -> Iterator[int]:
    """A descriptor of a directory, below the open directory `within` if given.

    ValueError if it is a symbolic link or no directory: what a stage put in its place.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, dir_fd=within)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENOTDIR):
            raise ValueError(f"not a directory: {path!r}") from None
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_regular(name: str, *, within: int) -> Iterator[int]:
    """A descriptor of what a stage made in the open directory `within`.

    ValueError unless it is a plain file with this one name: another one may be another upload's.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=within)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENXIO):
            raise ValueError(f"not a regular file: {name!r}") from None
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"not a regular file: {name!r}")
        if found.st_nlink != 1:
            raise ValueError(f"not a file of its own, it has {found.st_nlink} names: {name!r}")
        yield descriptor
    finally:
        os.close(descriptor)


def sync_regular(name: str, *, within: int) -> int:
    """Sync what a stage made, as `opened_regular` has it; returns its size in bytes."""
    with opened_regular(name, within=within) as descriptor:
        os.fchmod(descriptor, 0o600)
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size


def still_there(descriptor: int, path: str | Path) -> bool:
    """Whether `path` still names the open file: a lock on what was renamed away locks nothing."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def is_locked(path: Path) -> bool:
    """Whether a living process holds the flock of `path`; asked with a shared lock, let go."""
    try:
        descriptor = open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
