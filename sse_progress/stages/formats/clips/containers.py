"""How long a media file says it is, in bytes: the sure sign of a truncated one.

Reads box and chunk headers only; PyAV decodes.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO

__all__ = ["declared_bytes"]

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_BOXES = 10_000
_OGG_PAGE_BYTES = 65_307
_7 = (21, 14, 7, 0)


def declared_bytes(path: Path) -> int | None:
    """Bytes that the outermost structure of a media file declares.

    Known are RIFF, ISO-BMFF, Matroska, Ogg (to the end of its last page), MP3 with a Xing header.
    None where it declares none: live recordings leave their sizes open, streams have none.
    """
    with path.open("rb") as file:
        head = file.read(16)
        if head[:4] == b"RIFF":
            return _riff(head)
        if head[:4] == _EBML:
            file.seek(0)
            return _matroska(file)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return _boxes(file, path.stat().st_size)
        if head[:4] == b"OggS":
            return _ogg(file, path.stat().st_size)
        if head[:3] == b"ID3" or (head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
            return _mp3(file, head)
    return None


_SIGNS = (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""What programs that write into a pipe put in place of a size (espeak, sox, arecord, ffmpeg)."""
_AROUND = 0x1000
"""They round to a page, and add or leave out a header."""


def _riff(head: bytes) -> int | None:
    size: int = struct.unpack("<I", head[4:8])[0]
    if size == 0 or any(abs(size - sign) <= _AROUND for sign in _SIGNS):
        return None
    return size + 8


def _boxes(file: IO[bytes], size: int) -> int | None:
    """ISO/IEC 14496-12 §4.2: boxes one after the other; 0 means to the end of the file."""
    at = 0
    for _ in range(_BOXES):
        if at >= size:
            return at
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return at + 8
        length: int = struct.unpack(">I", head[:4])[0]
        if length == 0:
            return None
        if length == 1:
            if len(head) < 16:
                return at + 16
            length = struct.unpack(">Q", head[8:16])[0]
        if length < 8:
            return None
        at += length
    return None


def _matroska(file: IO[bytes]) -> int | None:
    """RFC 8794: the EBML header, then one Segment, whose size may be unknown (all ones)."""
    if file.read(4) != _EBML:
        return None
    header = _variable_size(file)
    if header is None:
        return None
    file.seek(header, 1)
    if file.read(4) != _SEGMENT:
        return None
    size = _variable_size(file)
    return None if size is None else file.tell() + size


def _ogg(file: IO[bytes], size: int) -> int | None:
    """RFC 3533 §6: the last page's segment table says where it ends."""
    begin = max(size - _OGG_PAGE_BYTES, 0)
    file.seek(begin)
    tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0 or at + 27 > len(tail):
        return None
    count = tail[at + 26]
    table = tail[at + 27 : at + 27 + count]
    return begin + at + 27 + count + sum(table)


def _mp3(file: IO[bytes], head: bytes) -> int | None:
    """The Xing header in the first frame counts the bytes from that frame on (Xing, 1998)."""
    first = 0
    if head[:3] == b"ID3":  # ID3v2.4 §3.1: seven bits a byte, without the ten of the header
        first = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], _7, strict=True))
    file.seek(first)
    frame = file.read(256)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or at + 16 > len(frame):
        return None
    flags, _, size = struct.unpack(">III", frame[at + 4 : at + 16])
    return first + size if flags & 3 == 3 and size else None


def _variable_size(file: IO[bytes]) -> int | None:
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    value = first[0] & (0xFF >> length)
    for byte in file.read(length - 1):
        value = value << 8 | byte
    return None if value == (1 << 7 * length) - 1 else value
