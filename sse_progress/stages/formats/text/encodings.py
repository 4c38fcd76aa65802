"""Which encoding a text is in: a fact, or None; never a guess taken for one.

A byte order mark or valid UTF-8 is proof. For the encodings of one country the text is read under
each of them, and one is named only if a single reading is a plausible text: characters that are
common in East Asian writing, letter frequencies of other scripts, the alphabets of languages in
Latin letters. Readings that give the same characters count as one.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from sse_progress.stages.formats.text.single_byte import latin_encoding, script_encoding

__all__ = ["BYTE_FOR_BYTE", "bomless_utf16", "encoding_of"]

BYTE_FOR_BYTE = "latin-1"
"""Reads any bytes, each as one character: for counting lines where the encoding is not known."""

_CHUNK_BYTES = 256 * 1024
_SAMPLE_BYTES = 64 * 1024
_SEARCHED_BYTES = 16 * 1024 * 1024
"""A sample of lines with characters beyond ASCII is looked for so far into a text."""
_ASCII = bytes(range(128))

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: it begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_JIS_ESCAPE = re.compile(rb"\x1b\$[@B].*?\x1b\([BJ]", re.S)


def encoding_of(path: Path) -> str | None:
    """The Python codec that reads the text at `path`, or None if that cannot be said."""
    with path.open("rb") as file:
        head = file.read(_SAMPLE_BYTES)
    for bom, codec in _BOMS:
        if head.startswith(bom):
            return codec
    if _reads(path, "utf-8"):
        seven_bits = _JIS_ESCAPE.search(head) is not None and _reads(path, "iso2022_jp")
        return "iso2022_jp" if seven_bits else "utf-8"
    wide = bomless_utf16(head)
    if wide is not None:
        return wide if _reads(path, wide) else None
    sample = _sample(path)
    found = _east_asian(sample) or script_encoding(sample) or latin_encoding(sample)
    return found if found is not None and _reads(path, found) else None


def _reads(path: Path, codec: str) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeError:
            return False
    return True


def bomless_utf16(head: bytes) -> str | None:
    """UTF-16 without a byte order mark: every other byte of a Western text is zero."""
    head = head[: len(head) // 2 * 2]
    for codec, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        others = head.count(0) - zeros.count(0)
        if len(zeros) >= 4 and not others and zeros.count(0) > len(zeros) * 0.7:
            return codec
    return None


def _sample(path: Path) -> bytes:
    """Whole lines with characters beyond ASCII, up to 64 KiB of them."""
    lines: list[bytes] = []
    length = seen = 0
    with path.open("rb") as file:
        while seen < _SEARCHED_BYTES and length < _SAMPLE_BYTES:
            line = file.readline(_SAMPLE_BYTES)
            if not line:
                break
            seen += len(line)
            if line.translate(None, _ASCII):
                lines.append(line)
                length += len(line)
    return b"".join(lines)


# ---- East Asian encodings, two bytes a character

_PUNCTUATION = set(range(0xA1, 0xA4))
_COMMON: dict[str, tuple[set[int], int]] = {
    "shift_jis": ({*range(0x81, 0x84), *range(0x88, 0x99)}, 0x40),  # kana, JIS X 0208 level 1
    "cp932": ({*range(0x81, 0x84), *range(0x88, 0x99)}, 0x40),
    "big5": ({*_PUNCTUATION, *range(0xA4, 0xC7)}, 0x40),  # level 1
    "gbk": ({*_PUNCTUATION, *range(0xB0, 0xD8)}, 0xA1),  # GB 2312 level 1
    "gb18030": ({*_PUNCTUATION, *range(0xB0, 0xD8)}, 0xA1),
    "euc_kr": ({*_PUNCTUATION, *range(0xB0, 0xC9)}, 0xA1),  # KS X 1001 Hangul
    "cp949": ({*_PUNCTUATION, *range(0xB0, 0xC9)}, 0xA1),
    "euc_jp": ({*range(0xA1, 0xA6), *range(0xB0, 0xD0)}, 0xA1),
}
"""Lead bytes of what is common in running text, and the lowest second byte there."""
_COMMON_SHARE = 0.9
_FEWEST = 4
_KANA_LEADS = (0xA4, 0xA5)
_FAMILIES = (("shift_jis", "cp932"), ("euc_kr", "cp949"), ("gbk", "gb18030"), ("big5",))


def _east_asian(sample: bytes) -> str | None:
    fits = {codec for codec in _COMMON if _is_common(sample, codec)}
    if "euc_jp" in fits and _share(sample, "euc_jp", _KANA_LEADS) > 0.2:
        return "euc_jp"
    if not fits & {"euc_kr", "cp949"} and _share(sample, "gbk", range(0xD0, 0xD8)) == 0:
        fits -= {"gbk", "gb18030"}  # Chinese or Japanese without kana: it may be either
    return next((first for family in _FAMILIES for first in family if first in fits), None)


def _pairs(sample: bytes, codec: str) -> list[bytes] | None:
    """The characters beyond ASCII as bytes; None if the sample is not valid in `codec`."""
    try:
        text = sample.decode(codec)
        return [c.encode(codec) for c in text if not c.isascii()]
    except UnicodeError:
        return None


def _is_common(sample: bytes, codec: str) -> bool:
    pairs = _pairs(sample, codec)
    if pairs is None or len(pairs) < _FEWEST:
        return False
    leads, lowest = _COMMON[codec]
    common = sum(len(p) == 2 and p[0] in leads and p[1] >= lowest for p in pairs)
    return common >= _COMMON_SHARE * len(pairs)


def _share(sample: bytes, codec: str, leads: range | tuple[int, ...]) -> float:
    pairs = _pairs(sample, codec) or []
    return sum(len(p) == 2 and p[0] in leads for p in pairs) / max(len(pairs), 1)
