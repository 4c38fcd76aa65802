"""Copying a TIFF without its metadata: strips and tiles byte by byte, and the tags that show them.

Nothing is decoded, so samples of any depth stay what they are (TIFF 6.0; BigTIFF likewise).
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sse_progress.model.errors import Rejected

__all__ = ["copy_tiff", "is_structured_tiff"]

_KEPT = frozenset(
    (
        *(254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283),
        *(284, 290, 291, 292, 293, 296, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 332),
        *(334, 336, 338, 339, 340, 341, 342, 347, 529, 530, 531, 532, 34675),
    )
)
"""Size, samples, compression, layout, resolution, colors, the ICC profile; no names, no texts."""
_DATA = {273: 279, 324: 325}
"""Offsets of strips and tiles, with the tag that has their lengths."""
_OLD_JPEG = 6
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BIG_SIZES = {16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_PAGES = 10_000
_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Layout:
    """How numbers of one file are written."""

    order: str
    big: bool

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def count(self) -> str:
        return self.order + ("Q" if self.big else "H")

    @property
    def entry(self) -> str:
        return self.order + ("HHQ8s" if self.big else "HHI4s")

    @property
    def room(self) -> int:
        return 8 if self.big else 4


@dataclass
class _Entry:
    tag: int
    kind: int
    count: int
    value: bytes

    def integers(self, order: str) -> list[int]:
        letter = _INTEGERS.get(self.kind)
        if letter is None:
            raise ValueError(self.tag)
        return list(struct.unpack(f"{order}{self.count}{letter}", self.value))


def copy_tiff(source: Path, target: Path) -> None:
    """Write `source` without metadata to `target`, page by page.

    Raises Rejected("metadata_kept") for what cannot be copied without decoding it.
    """
    size = source.stat().st_size
    with source.open("rb") as read, target.open("wb") as write:
        try:
            layout, first = _header(read)
            write.write(_first_bytes(layout))
            link = write.tell() - struct.calcsize(layout.offset)
            for entries in _pages(read, layout, first, size):
                page = _copied(read, write, layout, entries, size)
                at = write.tell()
                write.seek(link)
                write.write(struct.pack(layout.offset, page))
                write.seek(at)
                link = at - struct.calcsize(layout.offset)
        except (struct.error, ValueError, KeyError, OverflowError) as exc:
            text = "Metadata cannot be removed from this kind of image/tiff here."
            raise Rejected("metadata_kept", text) from exc


def is_structured_tiff(source: Path | io.BytesIO) -> bool:
    """Whether the first page has a size, and all of its strips or tiles within the file."""
    try:
        with contextlib.ExitStack() as stack:
            file: IO[bytes] = source.open("rb") if isinstance(source, Path) else source
            if isinstance(source, Path):
                stack.callback(file.close)
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            layout, first = _header(file)
            page = next(_pages(file, layout, first, size))
            spans = [_spans(page, layout, tag) for tag in _DATA if tag in page]
    except (struct.error, ValueError, KeyError, OverflowError, StopIteration):
        return False
    ends = [offset + count for one in spans for offset, count in one]
    return {256, 257} <= set(page) and bool(ends) and max(ends) <= size


def _spans(entries: dict[int, _Entry], layout: _Layout, tag: int) -> list[tuple[int, int]]:
    """Offset and length of each strip or tile."""
    offsets = entries[tag].integers(layout.order)
    return list(zip(offsets, entries[_DATA[tag]].integers(layout.order), strict=True))


def _header(file: IO[bytes]) -> tuple[_Layout, int]:
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    big = struct.unpack(f"{order}H", head[2:4])[0] == 43
    layout = _Layout(order, big)
    at = 8 if big else 4
    return layout, struct.unpack(layout.offset, head[at : at + layout.room])[0]


def _first_bytes(layout: _Layout) -> bytes:
    mark = b"II" if layout.order == "<" else b"MM"
    if layout.big:
        return mark + struct.pack(f"{layout.order}HHHQ", 43, 8, 0, 0)
    return mark + struct.pack(f"{layout.order}HI", 42, 0)


def _pages(file: IO[bytes], layout: _Layout, at: int, size: int) -> Iterator[dict[int, _Entry]]:
    seen: set[int] = set()
    while at and at not in seen and len(seen) < _PAGES:
        seen.add(at)
        file.seek(at)
        count = struct.unpack(layout.count, file.read(struct.calcsize(layout.count)))[0]
        length = struct.calcsize(layout.entry)
        table = file.read(min(count * length + layout.room, size))
        entries = {}
        for begin in range(0, count * length, length):
            entry = _entry(file, layout, table[begin : begin + length], size)
            if entry is not None:
                entries[entry.tag] = entry
        yield entries
        at = struct.unpack(layout.offset, table[count * length : count * length + layout.room])[0]


def _entry(file: IO[bytes], layout: _Layout, raw: bytes, size: int) -> _Entry | None:
    """One kept tag with its value; None for the others."""
    tag, kind, count, value = struct.unpack(layout.entry, raw)
    if tag not in _KEPT:
        return None
    length = (_SIZES | _BIG_SIZES)[kind] * count
    if length > size:
        raise ValueError(tag)
    if length > layout.room:
        file.seek(struct.unpack(layout.offset, value)[0])
        value = file.read(length)
    return _Entry(tag, kind, count, value[:length])


def _copied(
    read: IO[bytes], write: IO[bytes], layout: _Layout, entries: dict[int, _Entry], size: int
) -> int:
    """Copy one page; where its directory is in the new file."""
    if 259 in entries and entries[259].integers(layout.order)[:1] == [_OLD_JPEG]:
        raise ValueError(_OLD_JPEG)  # its parts lie wherever other tags point
    if not any(tag in entries for tag in _DATA):
        raise ValueError(*_DATA)
    for tag in _DATA:
        if tag in entries:
            spans = _spans(entries, layout, tag)
            moved = [_moved(read, write, offset, count, size) for offset, count in spans]
            kind = 16 if layout.big else 4
            value = struct.pack(f"{layout.order}{len(moved)}{_INTEGERS[kind]}", *moved)
            entries[tag] = _Entry(tag, kind, len(moved), value)
    rows = [_row(write, layout, entries[tag]) for tag in sorted(entries)]
    _align(write)
    at = write.tell()
    write.write(struct.pack(layout.count, len(rows)))
    write.writelines(rows)
    write.write(struct.pack(layout.offset, 0))
    return at


def _moved(read: IO[bytes], write: IO[bytes], offset: int, count: int, size: int) -> int:
    _align(write)
    at = write.tell()
    if at + count > 2 * size + _CHUNK:  # strips that share bytes would grow without end
        raise ValueError(count)
    read.seek(offset)
    while count > 0 and (data := read.read(min(count, _CHUNK))):
        write.write(data)
        count -= len(data)
    return at


def _row(write: IO[bytes], layout: _Layout, entry: _Entry) -> bytes:
    value = entry.value
    if len(value) > layout.room:
        _align(write)
        value = struct.pack(layout.offset, write.tell())
        write.write(entry.value)
    return struct.pack(layout.entry, entry.tag, entry.kind, entry.count, value)


def _align(write: IO[bytes]) -> None:
    """TIFF 6.0 §2: offsets are even; here they are multiples of eight, for BigTIFF's sake."""
    write.write(bytes(-write.tell() % 8))
