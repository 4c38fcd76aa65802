"""A zip archive that lies in a PDF as it is: a file embedded without compression, or a stranger."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Literal

__all__ = ["embedded_archive"]

_TAIL_BYTES = 1024 * 1024
_BEFORE_BYTES = 4096
_END = b"PK\5\6"
_END_BYTES = 22  # and a comment, whose length the last two tell: APPNOTE §4.3.16
_STREAM = re.compile(rb"(\d+)\s+(\d+)\s+obj\b((?:(?!endobj).)*)>>\s*stream\r?\n\Z", re.S)
_STREAM_END = re.compile(rb"\s*endstream\b")
_TYPE = re.compile(rb"/EmbeddedFile\b")


def embedded_archive(path: Path) -> Literal["file", "stream"] | None:
    """How the zip archive that an unpacker finds in this PDF is part of it; None if it is not.

    "file": it fills the stream of an object of type EmbeddedFile (ISO 32000-1 §7.11.4).
    "stream": of an object that the trailer lists under AdditionalStreams, as LibreOffice keeps
    the document that a PDF was made from.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            begin = min((info.header_offset for info in archive.infolist()), default=None)
    except Exception:  # not an archive; a failing disk is reported by the next reader
        return None
    if begin is None or begin < 0:
        return None
    with path.open("rb") as file:
        file.seek(max(begin - _BEFORE_BYTES, 0))
        before = file.read(begin - file.tell())
        file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        tail = file.read()
    found = _STREAM.search(before)
    if found is None or not _fills_its_stream(tail):
        return None
    if _TYPE.search(found[3]):
        return "file"
    listed = rb"/AdditionalStreams\s*\[[^\]]*\b%s\s+%s\s+R\b" % (found[1], found[2])
    return "stream" if re.search(listed, tail) else None


def _fills_its_stream(tail: bytes) -> bool:
    """Whether the stream ends where the archive does."""
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_BYTES:
        return False
    comment = int.from_bytes(tail[at + 20 : at + 22], "little")
    return _STREAM_END.match(tail, at + _END_BYTES + comment) is not None
