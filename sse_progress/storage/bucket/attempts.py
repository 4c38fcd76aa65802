"""Attempts at an upload's work: what each has kept in the bucket, and which is the latest."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sse_progress.model.errors import Internal
from sse_progress.model.filenames import clean_filename
from sse_progress.storage.bucket.chunks import CHUNK_BYTES
from sse_progress.storage.bucket.client import Bucket, Found
from sse_progress.storage.bucket.keys import Keys, new_name
from sse_progress.storage.bucket.stored import OpenUpload
from sse_progress.storage.bucket.workroom import Place
from sse_progress.storage.durable import opened_directory, opened_regular

__all__ = ["Made", "WorkAttempt", "begin", "copy_in", "is_first"]

_BEGUN = "begun"
_ORIGINAL = "original-"
_PIECE_BYTES = 1024**2

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Made:
    """An object that an attempt has kept; the latest attempt's of a name holds."""

    path: str
    size: int
    sha256: str = ""


@dataclass(kw_only=True)
class WorkAttempt:
    """One attempt. `files`: what is kept by name, of earlier attempts too; `original`: what
    replaced it, if anything did."""

    bucket: Bucket
    keys: Keys
    upload: OpenUpload
    name: str
    place: Place
    files: dict[str, Made] = field(default_factory=dict)
    original: Made | None = None

    @property
    def first(self) -> bool:
        """There was none before it."""
        return is_first(self.name)

    @property
    def prefix(self) -> str:
        return f"{self.keys.work}/{self.name}"

    # ---- the original, here

    def fetch(self) -> Path:
        """The original as a local file. Raises Internal where it is gone, or is another one."""
        size, sha256 = self.upload.manifest.size, self.upload.manifest.sha256
        if self.original is not None:
            pieces, (size, sha256) = (
                [self.original.path],
                (self.original.size, self.original.sha256),
            )
        else:
            body = self.keys.body(self.upload.body)
            pieces = [f"{body}/{chunk.name}" for chunk in self.upload.path]
        digest, count = hashlib.sha256(), 0
        with self.place.original.open("wb") as file:
            for data in self._pieces(pieces):
                file.write(data)
                digest.update(data)
                count += len(data)
        if (count, digest.hexdigest()) != (size, sha256):
            raise Internal("The stored file is damaged.")
        return self.place.original

    def _pieces(self, paths: list[str]) -> Iterator[bytes]:
        for path in paths:
            found = self.bucket.pieces(path, piece_bytes=_PIECE_BYTES)
            if found is None:
                raise Internal("The stored file could not be found.")
            yield from found

    # ---- what stages make

    def ensure_latest(self) -> None:
        """Raise ValueError if a later attempt has begun."""
        if self.name != max(_names(self.bucket.listing(self.keys.work)), default=self.name):
            raise ValueError("the scratch directory is not of the latest attempt")

    def replace_original(self, scratch: Path, name: str) -> dict[str, int | str]:
        if name != clean_filename(name):
            raise ValueError(f"not a name of a file: {name!r}")
        self.ensure_latest()
        with self._opened(scratch) as within:
            with opened_regular(name, within=within) as file:
                sha256 = hashlib.file_digest(_reader(file), "sha256").hexdigest()
                size = os.fstat(file).st_size
                path = f"{self.prefix}/{_ORIGINAL}{sha256}"
                copy_in(self.bucket, path, file)
            os.rename(name, self.place.original, src_dir_fd=within)
        self.original = Made(path, size, sha256)
        return {"size": size, "sha256": sha256}

    def keep(self, scratch: Path, names: Mapping[str, str]) -> dict[str, int]:
        self._check(names)
        self.ensure_latest()
        sizes = {}
        with self._opened(scratch) as within:
            for old in names:  # all checks come first
                with opened_regular(old, within=within):
                    pass
            for old, new in names.items():
                path = f"{self.prefix}/files/{_encoded(new)}"
                with opened_regular(old, within=within) as file:
                    sizes[new] = copy_in(self.bucket, path, file)
                self.files[new] = Made(path, sizes[new])
                os.unlink(old, dir_fd=within)
        return sizes

    def _check(self, names: Mapping[str, str]) -> None:
        if len(set(names.values())) < len(names):
            raise ValueError("not a name for two files")
        for name in (*names, *names.values()):
            if name != clean_filename(name):
                raise ValueError(f"not a name for a derived file: {name!r}")
        if (taken := self.upload.manifest.filename) in names.values():
            raise ValueError(f"not a name for a derived file: {taken!r}")

    @contextmanager
    def _opened(self, scratch: Path) -> Iterator[int]:
        """A descriptor of the attempt's directory, or of one in it; no link of a stage's."""
        try:
            with opened_directory(self.place.scratch) as outer:
                if scratch == self.place.scratch:
                    yield outer
                    return
                if scratch.parent != self.place.scratch:
                    raise ValueError("the scratch directory is not of the latest attempt")
                with opened_directory(scratch.name, within=outer) as inner:
                    yield inner
        except FileNotFoundError as exc:
            raise ValueError(f"no such file: {exc.filename}") from None


def begin(
    bucket: Bucket, keys: Keys, upload: OpenUpload, enter: Callable[[str], Place]
) -> WorkAttempt:
    """A new attempt, the latest one; it knows what earlier ones have kept. `enter` gives it a
    local directory."""
    listed = list(bucket.listing(keys.work))
    number = int(max(_names(listed), default="0").partition("-")[0]) + 1
    name = f"{number:08}-{new_name()}"
    bucket.put(f"{keys.work}/{name}/{_BEGUN}", b"")
    attempt = WorkAttempt(
        bucket=bucket, keys=keys, upload=upload, name=name, place=enter(f"{keys.digest}.{name}")
    )
    for found in sorted(listed):
        where, _, what = found.path.removeprefix(f"{keys.work}/").partition("/")[2].rpartition("/")
        if where == "files":
            attempt.files[_decoded(what)] = Made(found.path, found.size)
        elif what.startswith(_ORIGINAL):
            attempt.original = Made(found.path, found.size, what.removeprefix(_ORIGINAL))
    return attempt


def is_first(name: str) -> bool:
    """Whether the attempt of this name was its upload's first."""
    return name.startswith("00000001-")


def copy_in(
    bucket: Bucket, path: str, file: int, report: Callable[[int], None] | None = None
) -> int:
    """Put an open local file; returns its size. `report` gets the bytes that are on their way or
    there, as they grow."""
    size, count = os.fstat(file).st_size, 0
    if size <= CHUNK_BYTES:
        bucket.put(path, os.pread(file, size, 0))
        return size
    with bucket.writer(path, part_bytes=max(CHUNK_BYTES, size // 9000)) as write:
        while data := os.pread(file, _PIECE_BYTES, count):
            write(data)
            count += len(data)
            if report is not None:
                report(count)
    return count


def _names(found: Iterator[Found] | list[Found]) -> Iterator[str]:
    """Names of attempts in a listing of an upload's work."""
    for one in found:
        if one.name == _BEGUN:
            yield one.path.rsplit("/", 2)[1]


def _reader(file: int) -> _Reader:
    return _Reader(file)


class _Reader:
    """A descriptor as `hashlib.file_digest` wants it, without a position of its own."""

    def __init__(self, file: int) -> None:
        self._file, self._at = file, 0

    def readinto(self, buffer: bytearray) -> int:
        count = os.preadv(self._file, [buffer], self._at)
        self._at += count
        return count

    def readable(self) -> bool:
        return True


def _encoded(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _decoded(text: str) -> str:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
