"""Blanking the metadata of an HEIF or AVIF picture: its items stay where they are, as zeros.

Coded pictures are not touched, so no sample changes (ISO/IEC 14496-12 §8.11, 23008-12). How the
picture is turned stands in a property of its own (`irot`, `imir`), which stays.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["blanked"]

_METADATA_ITEMS = frozenset((b"Exif", b"mime", b"uri "))
_KEPT = frozenset((b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip"))
_KEPT_IN_META = frozenset(
    (b"hdlr", b"pitm", b"iinf", b"iloc", b"iprp", b"iref", b"idat", b"dinf", b"grpl", b"free")
)
_NESTED = frozenset((b"moov", b"trak", b"mdia"))
_DATED = frozenset((b"mvhd", b"tkhd", b"mdhd"))
_DEPTH = 4


class _Box(NamedTuple):
    name: bytes
    begin: int
    body: int
    end: int


def blanked(data: bytearray) -> bytearray:
    """`data` without EXIF, XMP, dates and boxes of others, in place.

    Raises ValueError, IndexError or struct.error where the structure is not understood.
    """
    for box in _boxes(data, 0, len(data)):
        if box.name == b"meta":
            _blank_items(data, box)
        elif box.name == b"moov":
            _blank_track_notes(data, box, _DEPTH)
        elif box.name not in _KEPT or box.name in (b"free", b"skip"):
            _blank(data, box)
    return data


def _boxes(data: bytearray, at: int, end: int) -> Iterator[_Box]:
    while at < end:
        size, name = struct.unpack(">I4s", data[at : at + 8])
        body = at + 8
        if size == 1:
            size = struct.unpack(">Q", data[body : body + 8])[0]
            body += 8
        elif size == 0:
            size = end - at
        if size < body - at or at + size > end:
            raise ValueError(name)
        yield _Box(name, at, body, at + size)
        at += size


def _blank(data: bytearray, box: _Box) -> None:
    data[box.begin + 4 : box.begin + 8] = b"free"
    _zero(data, box.body, box.end - box.body)


def _zero(data: bytearray, at: int, length: int) -> None:
    if at < 0 or length < 0 or at + length > len(data):
        raise ValueError(at)
    data[at : at + length] = bytes(length)


# ---- items of a picture


def _blank_items(data: bytearray, meta: _Box) -> None:
    children = {box.name: box for box in _boxes(data, meta.body + 4, meta.end)}
    for name, box in children.items():
        if name not in _KEPT_IN_META:
            _blank(data, box)
    names = _metadata_items(data, children[b"iinf"]) if b"iinf" in children else {}
    places = _extents(data, children) if names else {}
    for item, name_at in names.items():
        for at, length in places.get(item, ()):
            _zero(data, at, length)
        data[name_at : name_at + 4] = b"skip"


def _metadata_items(data: bytearray, box: _Box) -> dict[int, int]:
    """Item ids of metadata, with where their type is written (§8.11.6)."""
    begin = box.body + (6 if data[box.body] == 0 else 8)
    found = {}
    for entry in _boxes(data, begin, box.end):
        version = data[entry.body]
        if version < 2:
            raise ValueError(version)
        at = entry.body + 4
        wide = version > 2
        item = int.from_bytes(data[at : at + (4 if wide else 2)], "big")
        at += (4 if wide else 2) + 2
        if bytes(data[at : at + 4]) in _METADATA_ITEMS:
            found[item] = at
            _zero(data, at + 4, entry.end - at - 4)
    return found


def _extents(data: bytearray, children: dict[bytes, _Box]) -> dict[int, list[tuple[int, int]]]:
    """Where each item's bytes are: positions in the file and lengths (§8.11.3)."""
    box = children[b"iloc"]
    version = data[box.body]
    sizes = data[box.body + 4], data[box.body + 5]
    offset_size, length_size, base_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    index_size = sizes[1] & 15 if version else 0
    at = box.body + 6

    def number(size: int) -> int:
        nonlocal at
        value = int.from_bytes(data[at : at + size], "big")
        at += size
        if at > box.end:
            raise ValueError(at)
        return value

    places: dict[int, list[tuple[int, int]]] = {}
    for _ in range(number(2 if version < 2 else 4)):
        item = number(2 if version < 2 else 4)
        construction = number(2) & 15 if version else 0
        number(2)
        base = number(base_size)
        start = children[b"idat"].body if construction == 1 else 0
        for _ in range(number(2)):
            number(index_size)
            offset, length = number(offset_size), number(length_size)
            if construction > 1 or not length_size:
                raise ValueError(construction)
            places.setdefault(item, []).append((start + base + offset, length))
    return places


# ---- tracks of an animation


def _blank_track_notes(data: bytearray, outer: _Box, depth: int) -> None:
    for box in _boxes(data, outer.body, outer.end):
        if box.name in (b"udta", b"meta", b"uuid"):
            _blank(data, box)
        elif box.name in _DATED:
            _zero(data, box.body + 4, 16 if data[box.body] else 8)
        elif box.name in _NESTED and depth:
            _blank_track_notes(data, box, depth - 1)
