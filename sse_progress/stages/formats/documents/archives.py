"""Reading zip archives within bounds: entries, sizes, ratio and nesting, never on trust.

The directory is checked first, since it is cheap; every entry is then really inflated under a
byte cap, since directories lie. Nested archives share their parent's bounds.
"""

from __future__ import annotations

import itertools
import re
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from sse_progress.model.errors import Rejected
from sse_progress.model.stage_api import Report
from sse_progress.stages.formats.disk_errors import is_disk_error
from sse_progress.stages.progress import megabytes, part

__all__ = ["DAMAGED", "Budget", "Entry", "refuse_bomb", "walk", "walk_file"]

CHUNK_BYTES = 256 * 1024
DAMAGED = "a damaged archive"
"""Why an entry is skipped that is no entry, but the note that a nested archive is broken."""
_SPOOL_BYTES = 8 * 1024 * 1024
_LOCAL_HEADER = b"PK\x03\x04"
_LOCAL_HEADER_BYTES = 30  # at least, before the name: APPNOTE §4.3.7
_OTHER_ARCHIVES = (b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd")


@dataclass
class Budget:
    """What one upload may cost, nested archives included.

    `ratio` is inflated to packed size and counts once `free_bytes` are inflated: a small, very
    regular document is no bomb. Deflate reaches 1030.
    """

    entries: int = 10_000
    inflated_bytes: int = 1024**3
    ratio: int = 100
    free_bytes: int = 16 * 1024**2
    depth: int = 3
    seen_entries: int = 0
    seen_bytes: int = 0
    packed_bytes: int = 0

    def take_entries(self, count: int) -> None:
        self.seen_entries += count
        if self.seen_entries > self.entries:
            raise _bomb(f"holds {self.seen_entries} entries or more, the limit is {self.entries}")

    def take_bytes(self, count: int) -> None:
        self.seen_bytes += count
        if self.seen_bytes > self.inflated_bytes:
            raise _bomb(f"inflates to more than the limit of {self.inflated_bytes} bytes")
        if self.seen_bytes > max(self.free_bytes, self.packed_bytes * self.ratio):
            raise _bomb(f"inflates to more than {self.ratio} times its size")


def _bomb(what: str) -> Rejected:
    return Rejected("decompression_bomb", f"The archive {what}.")


def _corrupt(what: str) -> Rejected:
    return Rejected("corrupt_file", f"The archive {what}.")


@dataclass
class Entry:
    """One file in the archive; `content` inflates it as it is read.

    `path` joins the names of the archives it is nested in with `!`; `skipped` says why its
    bytes cannot be read, if so. `nested` is set once its bytes turned out to be an archive.
    """

    path: str
    name: str
    size: int
    depth: int
    skipped: str | None = None
    nested: bool = False
    content: Iterator[bytes] = field(default_factory=lambda: iter(()))


def walk(
    path: Path, scratch: Path, report: Report, budget: Budget | None = None
) -> Iterator[Entry]:
    """Every file of the archive at `path`, nested ones after the archive that holds them.

    The consumer may read `entry.content`; what it leaves is inflated all the same, so the bounds
    and checksums hold for all. Progress counts packed bytes, a nested archive's twice: inflating
    it and going through it. Nested archives are spooled to `scratch`. Raises Rejected:
    `decompression_bomb` or `corrupt_file`.
    """
    budget = budget or Budget()
    budget.packed_bytes += path.stat().st_size
    with path.open("rb") as file:
        yield from _Walk(scratch, budget).archive(file, "", 0, report)
    report(1.0)


def walk_file(
    file: IO[bytes], scratch: Path, budget: Budget, *, prefix: str, depth: int
) -> Iterator[Entry]:
    """Every file of an archive that is inside another file, as `walk` has them; no progress."""
    yield from _Walk(scratch, budget).archive(file, prefix, depth, _no_report)


def _no_report(fraction: float, message: str | None = None) -> None:
    """What holds the archive reports."""


def refuse_bomb(infos: list[zipfile.ZipInfo], budget: Budget) -> None:
    """Judge a directory before a byte is inflated: sizes it admits to, entries that overlap."""
    declared = sum(info.file_size for info in infos)
    if budget.seen_bytes + declared > budget.inflated_bytes:
        raise _bomb(f"declares {declared} bytes, the limit is {budget.inflated_bytes}")
    if declared > max(budget.free_bytes, budget.packed_bytes * budget.ratio):
        raise _bomb(f"declares to inflate to more than {budget.ratio} times its size")
    spans = sorted((info.header_offset, info.compress_size) for info in infos)
    for (offset, length), (following, _) in itertools.pairwise(spans):
        if offset + _LOCAL_HEADER_BYTES + length > following:
            raise _bomb("has entries that overlap")


class _Walk:
    """One walk over an archive and those nested in it."""

    def __init__(self, scratch: Path, budget: Budget) -> None:
        self.scratch = scratch
        self.budget = budget

    def archive(self, file: IO[bytes], prefix: str, depth: int, report: Report) -> Iterator[Entry]:
        if depth > self.budget.depth:
            raise _bomb(f"nests archives more than {self.budget.depth} deep")
        try:
            archive = zipfile.ZipFile(file)
        except Exception as exc:  # BadZipFile, and whatever a broken directory leads to
            raise _blamed(exc, "has no readable directory") from exc
        with archive:
            infos = archive.infolist()
            self.budget.take_entries(len(infos))
            refuse_bomb(infos, self.budget)
            packed = sum(info.compress_size for info in infos) or 1
            done = 0
            for number, info in enumerate(infos):
                message = f"Inflating entry {number + 1} of {len(infos)}"
                until = done + info.compress_size
                if not info.filename.endswith("/"):  # is_dir() fails on an empty name
                    share = part(report, done / packed, until / packed)
                    yield from self._entry(
                        archive, info, prefix, depth, _Meter(info, message, share)
                    )
                done = until
                report(done / packed, message)

    def _entry(
        self,
        archive: zipfile.ZipFile,
        info: zipfile.ZipInfo,
        prefix: str,
        depth: int,
        meter: _Meter,
    ) -> Iterator[Entry]:
        entry = Entry(
            path=prefix + info.filename, name=info.filename, size=info.file_size, depth=depth
        )
        if info.flag_bits & 0x1:
            entry.skipped = "encrypted"
            yield entry
            return
        try:
            _take_other_spelling(archive, info)
            stream = archive.open(info)
        except NotImplementedError:
            entry.skipped = "packed by a method that cannot be read"
            yield entry
            return
        except Exception as exc:
            raise _blamed(exc, "has an entry that cannot be read") from exc
        with stream, tempfile.SpooledTemporaryFile(_SPOOL_BYTES, dir=str(self.scratch)) as spool:
            inflated = _inflate(stream, self.budget, meter)
            first = next(inflated, b"")
            entry.nested = meter.nested = first.startswith(_LOCAL_HEADER)
            if first.startswith(_OTHER_ARCHIVES):
                entry.skipped = "an archive of another kind"
            entry.content = _tee(first, inflated, spool if entry.nested else None)
            yield entry
            for _ in entry.content:
                pass
            if entry.nested:
                spool.seek(0)
                yield from self._nested(spool, entry, meter)

    def _nested(self, file: IO[bytes], entry: Entry, meter: _Meter) -> Iterator[Entry]:
        try:
            yield from self.archive(file, f"{entry.path}!", entry.depth + 1, meter.inside)
        except Rejected as exc:
            if exc.code != "corrupt_file":
                raise
            # Damage within an entry is its owner's affair, as long as it is noted.
            yield Entry(path=entry.path, name="", size=0, depth=entry.depth, skipped=DAMAGED)


class _Meter:
    """Progress within one entry, by bytes that came out; small entries count when they are over."""

    def __init__(self, info: zipfile.ZipInfo, message: str, report: Report) -> None:
        self._size = info.file_size
        self._message = message
        self._report = report
        self.nested = False

    def inflated(self, count: int) -> None:
        if self._size > 4 * CHUNK_BYTES:
            share = min(count / self._size, 1.0)
            size = megabytes(min(count, self._size), self._size)
            self._report(share / 2 if self.nested else share, f"{self._message}, {size}")

    def inside(self, fraction: float, message: str | None = None) -> None:
        del message  # it would name an entry of the archive inside
        self._report(0.5 + fraction / 2)


def _blamed(exc: Exception, what: str) -> Exception:
    """Whose fault `exc` is: ours is raised as it is, anything else is the archive's."""
    if isinstance(exc, Rejected) or is_disk_error(exc):
        return exc
    if isinstance(exc, MemoryError):
        return _bomb("needs more memory than allowed")
    return _corrupt(what)


def _inflate(stream: IO[bytes], budget: Budget, meter: _Meter) -> Iterator[bytes]:
    count = 0
    try:
        while chunk := stream.read(CHUNK_BYTES):
            budget.take_bytes(len(chunk))
            count += len(chunk)
            yield chunk
            meter.inflated(count)
    except Exception as exc:  # each method has errors of its own: zlib, lzma, bz2, struct
        raise _blamed(exc, "is damaged") from exc


def _tee(first: bytes, rest: Iterator[bytes], spool: IO[bytes] | None) -> Iterator[bytes]:
    chunk: bytes | None = first
    while chunk:
        if spool is not None:
            spool.write(chunk)
        yield chunk
        chunk = next(rest, None)


# ---- names

_UTF8_FLAG = 0x800
_NOT_ASCII = re.compile(rb"[^\x20-\x7e]+|\?")


def _take_other_spelling(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Accept an entry whose two names differ by their encoding only.

    Some writers set the UTF-8 flag (APPNOTE appendix D) in the directory only; zipfile refuses
    the entry then. Names that differ in their ASCII characters stay refused.
    """
    file = archive.fp
    if file is None or info.orig_filename.isascii():
        return
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER_BYTES)
    if len(header) < _LOCAL_HEADER_BYTES or not header.startswith(_LOCAL_HEADER):
        return
    flags, length = struct.unpack("<6xH18xH2x", header)
    raw = file.read(length)
    listed = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8_FLAG else "cp437")
    if raw == listed or _NOT_ASCII.sub(b"", raw) == _NOT_ASCII.sub(b"", listed):
        codec = "utf-8" if flags & _UTF8_FLAG else "cp437"
        info.orig_filename = raw.decode(codec)
