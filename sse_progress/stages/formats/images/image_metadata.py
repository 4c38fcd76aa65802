"""Removing metadata from a picture: EXIF, XMP, IPTC, comments and what is hidden behind the end.

Pixels are copied as they are coded, so no sample changes; color profiles stay, and so does the
orientation, as the only EXIF field left.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from sse_progress.model.errors import Rejected
from sse_progress.stages.formats.images.heif_metadata import blanked
from sse_progress.stages.formats.images.image_copies import orientation_of
from sse_progress.stages.formats.images.images import opened
from sse_progress.stages.formats.images.tiff_metadata import copy_tiff
from sse_progress.stages.formats.type_words import type_text

__all__ = ["strip_metadata"]

_NONE_INSIDE = frozenset(("image/bmp", "image/x-portable-pixmap", "image/x-portable-bitmap"))


def strip_metadata(source: Path, target: Path, media_type: str, *, max_pixels: int) -> bool:
    """Write `source` without metadata to `target`; False if the format holds none.

    Raises Rejected: `metadata_kept` for a format that this cannot rewrite, `corrupt_file`.
    """
    if media_type in _NONE_INSIDE:
        return False
    if media_type == "image/tiff":
        copy_tiff(source, target)
        _check(target, media_type, max_pixels)
        return True
    rewrite = _REWRITERS.get(media_type)
    if rewrite is None:
        raise Rejected(
            "metadata_kept", f"Metadata cannot be removed from this {type_text(media_type)} here."
        )
    with opened(source, media_type, max_pixels=max_pixels) as image:
        orientation = orientation_of(image)
    data = source.read_bytes()
    try:
        with target.open("wb") as file:
            file.writelines(rewrite(data, orientation))
    except (IndexError, ValueError, struct.error) as exc:
        raise Rejected(
            "corrupt_file", f"This {type_text(media_type)} ends too early: it was cut off."
        ) from exc
    if media_type in _BLANKED:
        _check(target, media_type, max_pixels)
    return True


def _check(target: Path, media_type: str, max_pixels: int) -> None:
    """Refuse what is no picture any more without the parts that were taken for metadata."""
    try:
        with opened(target, media_type, max_pixels=max_pixels) as image:
            image.load()
    except Rejected as exc:
        text = f"Metadata cannot be removed from this {type_text(media_type)} here."
        raise Rejected("metadata_kept", text) from exc


def _orientation_exif(orientation: int) -> bytes:
    """EXIF with one field: a big-endian TIFF directory with tag 0x0112 (EXIF 2.32 §4.6.4)."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


# ---- JPEG: ISO/IEC 10918-1 annex B


def _jpeg(data: bytes, orientation: int) -> Iterator[bytes]:
    yield data[:2]
    if orientation > 1:
        exif = b"Exif\0\0" + _orientation_exif(orientation)
        yield b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    at = 2
    while True:
        at = data.index(b"\xff", at)
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker = data[at + 1]
        if marker == 0xD9:
            yield b"\xff\xd9"
            return
        length = struct.unpack(">H", data[at + 2 : at + 4])[0]
        end = at + 2 + length
        if _kept(marker, data[at + 4 : at + 18]):
            yield data[at:end]
        if marker == 0xDA:
            after = _after_scan(data, end)
            yield data[end:after]
            end = after
        at = end


def _kept(marker: int, head: bytes) -> bool:
    """JFIF and Adobe's color transform stay, and ICC profiles; further APPn and comments go."""
    if marker == 0xE2:
        return head.startswith(b"ICC_PROFILE\0")
    return marker in (0xE0, 0xEE) or not (0xE0 <= marker <= 0xEF or marker == 0xFE)


def _after_scan(data: bytes, at: int) -> int:
    """The next marker after entropy-coded data: stuffed zeros and restarts belong to it."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0:
            raise IndexError
        if data[at + 1] == 0 or 0xD0 <= data[at + 1] <= 0xD7:
            at += 2
            continue
        return at


# ---- PNG: W3C PNG 3, §5 and §11

_PNG_KEPT = frozenset(
    (
        *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP"),
        *(b"sBIT", b"bKGD", b"hIST", b"pHYs", b"sPLT", b"acTL", b"fcTL", b"fdAT"),
        *(b"cICP", b"mDCV", b"cLLI"),
    )
)


def _png(data: bytes, orientation: int) -> Iterator[bytes]:
    yield data[:8]
    at = 8
    while True:
        length, name = struct.unpack(">I4s", data[at : at + 8])
        if name == b"IDAT" and orientation > 1:
            exif = b"eXIf" + _orientation_exif(orientation)
            yield struct.pack(">I", len(exif) - 4) + exif + struct.pack(">I", zlib.crc32(exif))
            orientation = 1
        if name in _PNG_KEPT:
            yield data[at : at + 12 + length]
        at += 12 + length
        if name == b"IEND":
            return


# ---- WebP: RFC 9649 §2.7

_HAS_XMP, _HAS_EXIF = 0x04, 0x08


def _webp(data: bytes, orientation: int) -> Iterator[bytes]:
    chunks = []
    at, end = 12, min(8 + struct.unpack("<I", data[4:8])[0], len(data))
    while at < end:
        name, length = struct.unpack("<4sI", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if name == b"VP8X":
            flags = body[0] & ~(_HAS_XMP | _HAS_EXIF) | (_HAS_EXIF if orientation > 1 else 0)
            body = bytes((flags,)) + body[1:]
        if name not in (b"EXIF", b"XMP "):
            chunks.append(_riff_chunk(name, body))
        at += 8 + length + length % 2
    if orientation > 1:
        chunks.append(_riff_chunk(b"EXIF", _orientation_exif(orientation)))
    whole = b"WEBP" + b"".join(chunks)
    yield b"RIFF" + struct.pack("<I", len(whole)) + whole


def _riff_chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


# ---- GIF: GIF89a §17-26

_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def _gif(data: bytes, _: int) -> Iterator[bytes]:
    at = 13 + _color_table(data[10])
    yield data[:at]
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            blocks = at + 10 + _color_table(data[at + 9]) + 1
            keep = True
        else:
            blocks = at + 2
            keep = data[at + 1] in (0xF9, 0x01) or data[at + 3 : at + 14] in _LOOPS
        end = _after_blocks(data, blocks)
        if keep:
            yield data[at:end]
        at = end
    yield b"\x3b"


def _color_table(packed: int) -> int:
    """Bytes of the table that the packed field of a descriptor announces."""
    return 3 * 2 ** ((packed & 7) + 1) if packed & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += data[at] + 1
    return at + 1


_BLANKED = frozenset(("image/avif", "image/heic", "image/heif"))


def _heif(data: bytes, _: int) -> Iterator[bytes]:
    yield bytes(blanked(bytearray(data)))


_REWRITERS: dict[str, Callable[[bytes, int], Iterator[bytes]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/webp": _webp,
    "image/gif": _gif,
    **dict.fromkeys(_BLANKED, _heif),
}
