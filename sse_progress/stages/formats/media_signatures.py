"""Clips and pictures that libmagic 5.44 has no name for, by their first bytes.

A file says here what it wants to be; the decoder that the type names has to agree.
"""

from __future__ import annotations

import struct

__all__ = ["HEAD_BYTES", "media_type_of"]

HEAD_BYTES = 5 * 192
_BRANDS = 64

_PICTURES = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic",
    b"hevx": "image/heic",
    b"mif1": "image/heif",
    b"mif2": "image/heif",
    b"msf1": "image/heif",
    b"miaf": "image/heif",
    b"crx ": "image/x-canon-cr3",
}
"""Brands of still pictures (ISO/IEC 23008-12 §10.2), and of raw ones that look like a clip."""

_CLIPS = (
    (b"qt  ", "video/quicktime"),
    (b"3g2", "video/3gpp2"),
    (b"kddi", "video/3gpp2"),
    (b"3gp", "video/3gpp"),
    *((brand, "video/mp4") for brand in (b"mp4", b"iso", b"avc1", b"cmf", b"dash", b"M4V", b"M4A")),
    *((brand, "video/mp4") for brand in (b"hvc1", b"av01", b"f4v", b"mp71", b"MSNV")),
)
_QUICKTIME_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def media_type_of(head: bytes, found: str) -> str:
    """The type by `head`, the first `HEAD_BYTES` of a file; `found` where they say nothing else.

    `found` is libmagic's word: it is replaced where it is none, and for the pictures in an
    ISO-BMFF file, whose compatible brands tell HEVC from AV1.
    """
    if head[4:8] == b"ftyp" and found in ("application/octet-stream", *_PICTURES.values()):
        return _by_brands(head, found)
    if found != "application/octet-stream":
        return _SEQUENCES.get(found, found)
    if _is_transport_stream(head):
        return "video/mp2t"
    if head[:4] in (b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "audio/wav"
    if head[4:8] in _QUICKTIME_ATOMS and _fits_an_atom(head):
        return "video/quicktime"
    return found


_SEQUENCES = {"image/heic-sequence": "image/heic", "image/heif-sequence": "image/heif"}


def _by_brands(head: bytes, found: str) -> str:
    """ISO/IEC 14496-12 §4.3: the major brand, a version, then every brand that a reader may use."""
    size = min(struct.unpack(">I", head[:4])[0], 16 + 4 * _BRANDS, len(head))
    major = head[8:12]
    brands = [major, *(head[at : at + 4] for at in range(16, size - 3, 4))]
    pictures = [_PICTURES[one] for one in brands if one in _PICTURES]
    if major in _PICTURES and pictures:
        return next((one for one in pictures if one != "image/heif"), pictures[0])
    for brand in brands:
        for start, media_type in _CLIPS:
            if brand.startswith(start):
                return media_type
    return found


def _fits_an_atom(head: bytes) -> bool:
    """Whether the length before the name can be one, and is not four letters of a text."""
    size: int = struct.unpack(">I", head[:4])[0]
    return size in (0, 1) or 8 <= size < 1 << 29 or head[4:8] == b"mdat"


def _is_transport_stream(head: bytes) -> bool:
    """MPEG-TS: a sync byte at the head of each packet (ISO/IEC 13818-1 §2.4.3.2).

    Packets have 188 bytes; camcorders and Blu-ray put a time of four bytes before each.
    """
    for length, first in ((188, 0), (192, 4)):
        places = range(first, 5 * length, length)
        if len(head) >= 5 * length and all(head[at] == 0x47 for at in places):
            return True
    return False
