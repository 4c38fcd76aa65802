"""Stored uploads in a directory: found, worked on, published and removed.

Every function blocks. What a crash leaves of each step stands at the step.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import structlog

from sse_progress.model.errors import Unavailable, UnknownUpload
from sse_progress.model.filenames import clean_filename
from sse_progress.model.ids import Position
from sse_progress.storage.durable import (
    open_private,
    opened_directory,
    still_there,
    storage_errors,
    sync_directory,
    sync_regular,
    write_synced,
)
from sse_progress.storage.layout import Layout
from sse_progress.storage.manifest import (
    FILES,
    MANIFEST,
    ORIGINAL,
    RECORD,
    DiskObject,
    Manifest,
    read_manifest,
)
from sse_progress.storage.port import Superseded
from sse_progress.storage.promises import KeptS, Promise, kept_no_longer

__all__ = ["DiskObjects"]

_SCRATCH = "scratch-"
_POSITION = "position"
_POSITION_BYTES = 96
_LOCK_WAIT_S = 10.0

log = structlog.get_logger(__name__)


class DiskObjects:
    """`Objects` in a directory; `now` is the wall clock, seconds since 1970."""

    def __init__(self, layout: Layout, now: Callable[[], float]) -> None:
        self._layout, self._now = layout, now

    def find(self, upload_id: str) -> DiskObject | None:
        """The upload, wherever it is; None if it is not stored, or removed.

        Looked for in the order in which it moves, so that one which moves meanwhile is found.
        """
        with storage_errors():
            for name, done in self._layout.names(upload_id):
                try:
                    manifest = read_manifest(name)
                    record = Path(name, RECORD).read_bytes() if done else None
                except FileNotFoundError:
                    continue
                return DiskObject(Path(name), manifest, record)
        return None

    def open_uploads(self) -> Iterator[Manifest]:
        """Manifests of all uploads that are stored and not published, in no order."""
        with storage_errors():
            for directory in self._layout.open.iterdir():
                try:
                    yield read_manifest(directory)
                except FileNotFoundError:
                    continue  # published or removed since it was listed
                except Unavailable:
                    log.exception("manifest cannot be read", directory=directory.name)

    def latest_attempt(self, upload_id: str) -> int:
        with storage_errors():
            for directory, _ in self._layout.places(upload_id):
                with contextlib.suppress(FileNotFoundError):
                    return _latest(_scratches(directory))
        return 0

    def scratch(self, upload_id: str, number: int | None = None) -> Path:
        """A new, empty directory for one attempt; those of earlier attempts are removed.

        Raises UnknownUpload if it is not stored, and Superseded if a later attempt has begun.
        """
        with self._exclusive(upload_id) as (directory, _):
            older = _scratches(directory)
            if number is None:
                number = _latest(older) + 1
            elif number <= _latest(older):
                raise Superseded
            path = directory / f"{_SCRATCH}{number}"
            path.mkdir(mode=0o700)
            for old in older:
                self._layout.discard(old)
            return path

    def replace_original(self, upload_id: str, scratch: Path, name: str) -> dict[str, int | str]:
        """Put the file `name` of `scratch` in place of the original, atomically.

        Returns its `size` in bytes and `sha256`; the manifest keeps those of the file as it was
        received. `scratch` and ValueError are as in `keep_derived`. Without effect, and empty, once
        the upload is published. A crash leaves the old file or the new one.
        """
        with self._exclusive(upload_id) as (directory, done):
            if done:
                return {}
            with _opened_scratch(directory, scratch) as source:
                if name != clean_filename(name):
                    raise ValueError(f"not a name of a file: {name!r}")
                sync_regular(name, within=source)
                os.rename(name, directory / ORIGINAL, src_dir_fd=source)
            sync_directory(directory)
            with (directory / ORIGINAL).open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                return {"size": os.fstat(file.fileno()).st_size, "sha256": sha256}

    def keep_derived(
        self, upload_id: str, scratch: Path, names: Mapping[str, str]
    ) -> dict[str, int]:
        """Move files from `scratch` to `files/`, each under the name that clients will know.

        `scratch` is the attempt's directory or one in it, `names` old to new; returns sizes in
        bytes by new name. A file kept before under a new name is replaced. From then on they
        outlive their attempt. Without effect once the upload is published. Raises UnknownUpload if
        it was removed meanwhile; ValueError if a name is not a clean base name, is the original's
        or not that of a regular file with one link, or if `scratch` is not the latest attempt's:
        then nothing has changed. A crash leaves an open upload with none, some or all of them.
        """
        with self._exclusive(upload_id) as (directory, done):
            if done:
                return {}
            # All checks come first: a slower twin must not take away what the later one has kept.
            with _opened_scratch(directory, scratch) as source:
                taken = read_manifest(directory).filename
                if len(set(names.values())) < len(names):
                    raise ValueError("not a name for two files")
                for name in (*names, *names.values()):
                    if name != clean_filename(name):
                        raise ValueError(f"not a name for a derived file: {name!r}")
                if taken in names.values():
                    raise ValueError(f"not a name for a derived file: {taken!r}")
                sizes = {new: sync_regular(old, within=source) for old, new in names.items()}
                files = directory / FILES
                files.mkdir(mode=0o700, exist_ok=True)
                for old, new in names.items():
                    os.rename(old, files / new, src_dir_fd=source)
            sync_directory(files)
            sync_directory(directory)
            return sizes

    def leave(self, scratch: Path) -> None:
        with contextlib.suppress(OSError):  # else the next attempt, or the upload's end, does it
            self._layout.discard(scratch)

    def publish(
        self,
        upload_id: str,
        record: bytes,
        *,
        scratch: Path | None = None,
        report: Callable[[int, int], None] = lambda *_: None,  # noqa: ARG002  # no byte travels
    ) -> bytes:
        """Write the record, remove the scratch directories, and move the upload to `objects/`.

        Returns the record that holds: an upload that is published already stays as it is, and its
        first record is returned. Raises UnknownUpload if it was removed meanwhile. What a crash
        leaves, step by step:

        1. scratch directories removed   an open upload, to be published again
        2. record written and synced     the same
        3. its directory synced          the same, but complete
        4. renamed into `objects/`       a published upload, or the same as before
        5. the parents synced            a published upload; only now may it be announced
        """
        with self._exclusive(upload_id) as (directory, done):
            left = _scratches(directory)
            if not done and scratch is not None and scratch not in left:
                raise Superseded
            for old in left:
                self._layout.discard(old)
            if done:
                # The process that renamed it may have died before this.
                self._layout.sync_published(directory)
                return (directory / RECORD).read_bytes()
            (directory / RECORD).unlink(missing_ok=True)  # of an attempt that crashed
            write_synced(directory / RECORD, record)
            sync_directory(directory)
            self._layout.publish(directory, read_manifest(directory))
            return record

    def remove(self, upload_id: str) -> None:
        """Take it away, whether stored or published. Harmless if there is nothing."""
        with storage_errors():
            for directory, _ in self._layout.places(upload_id):
                self._discard(directory)

    def take_back(self, upload_id: str) -> bool:
        """Take it away if it is not published, which would be announced; False: it is."""
        try:
            with self._exclusive(upload_id) as (directory, done):
                if not done:
                    self._discard(directory)
                return not done
        except UnknownUpload:
            return True

    def _discard(self, directory: Path) -> None:
        try:
            manifest = read_manifest(directory)
        except (FileNotFoundError, Unavailable):
            manifest = None
        if self._layout.discard(directory):
            sync_directory(directory.parent)
            if manifest is not None:
                self._layout.kept.forget(manifest)

    def expired(
        self,
        older_than_s: float,
        kept_s: KeptS = kept_no_longer,
        *,
        younger_than_s: float = math.inf,
    ) -> Iterator[str]:
        now = self._now()
        with storage_errors():
            for directory in self._layout.published():
                try:
                    age_s = now - (directory / RECORD).stat().st_mtime
                    if older_than_s < age_s < younger_than_s:
                        manifest = read_manifest(directory)
                        if (kept := kept_s(manifest)) is not None and age_s > kept:
                            yield manifest.upload_id
                except FileNotFoundError:
                    continue  # removed since it was listed
                except Unavailable:
                    log.exception("manifest cannot be read", directory=directory.name)

    def promises(self) -> list[Promise]:
        with storage_errors():
            return self._layout.promises()

    # ---- the journal's place

    def mark(self, upload_id: str, position: Position, *, first: bool = False) -> None:
        """Note the journal position acknowledged last; nothing happens unless it is stored.

        Not synced: what it is for is a Redis that lost its memory, not this machine losing its.
        """
        line = str(position).encode().ljust(_POSITION_BYTES - 1) + b"\n"
        if len(line) != _POSITION_BYTES:
            raise ValueError("position is too long")
        flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if first else 0)
        with storage_errors():
            for name, _ in self._layout.names(upload_id):
                try:
                    descriptor = open_private(f"{name}/{_POSITION}", flags)
                except FileNotFoundError:
                    continue
                except FileExistsError:
                    return
                try:
                    os.pwrite(descriptor, line, 0)  # one size always: whole or not at all
                finally:
                    os.close(descriptor)
                return

    def marked(self, upload_id: str) -> Position | None:
        with storage_errors():
            for directory, _ in self._layout.places(upload_id):
                try:
                    line = (directory / _POSITION).read_bytes()
                except FileNotFoundError:
                    continue
                position = Position.parse(line.decode("ascii", "replace").strip())
                return position if position.epoch else None
        return None

    # ---- inside

    @contextmanager
    def _exclusive(self, upload_id: str) -> Iterator[tuple[Path, bool]]:
        """Its directory, for one writer at a time; an attempt's slower twin waits up to 10 s."""
        deadline = time.monotonic() + _LOCK_WAIT_S
        with storage_errors():
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
        for directory, done in self._layout.places(upload_id):
            path = directory / MANIFEST
            try:
                descriptor = open_private(path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if still_there(descriptor, path):
                    return descriptor, directory, done
            except BlockingIOError:
                pass
            os.close(descriptor)
            return None
        raise UnknownUpload


def _scratches(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.name.startswith(_SCRATCH)]


def _latest(scratches: list[Path]) -> int:
    return max((int(path.name.removeprefix(_SCRATCH)) for path in scratches), default=0)


@contextmanager
def _opened_scratch(directory: Path, scratch: Path) -> Iterator[int]:
    """A descriptor of `scratch`: the latest attempt's directory, or one in it.

    Stages could write there, so no step on the way may be a link of theirs. ValueError otherwise.
    """
    attempt = scratch if scratch.parent == directory else scratch.parent
    if attempt not in _scratches(directory):
        raise Superseded
    with opened_directory(attempt) as outer:
        if scratch == attempt:
            yield outer
            return
        with opened_directory(scratch.name, within=outer) as inner:
            yield inner
