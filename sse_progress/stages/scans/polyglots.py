"""Files that are two things at once: a picture for one reader, an archive or a page for another.

Such a file passes the check of one reader and is run by the next, so it is refused by name.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import BinaryIO

from sse_progress.model.errors import Rejected
from sse_progress.model.stage_api import Report
from sse_progress.stages.formats.documents.pdf_streams import embedded_archive
from sse_progress.stages.formats.media_types import Kind
from sse_progress.stages.formats.type_words import type_text
from sse_progress.stages.progress import megabytes

__all__ = ["refuse_polyglot"]

_CHUNK_BYTES = 1024 * 1024
_PDF_HEAD_BYTES = 1024  # readers look for %PDF- so far into a file (ISO 32000-1 annex H.3.4.1)

_PAGE = "also holds a web page or script"
_FOREIGN: dict[bytes, str] = {
    b"<script": _PAGE,
    b"<html": _PAGE,
    b"<!doctype html": _PAGE,
    b"<?php": _PAGE,
    b"rar!\x1a\x07": "is also an archive",
    b"7z\xbc\xaf\x27\x1c": "is also an archive",
    b"\x7felf\x01\x01\x01": "also holds a program",
    b"\x7felf\x02\x01\x01": "also holds a program",
    b"this program cannot be run in dos mode": "also holds a program",
}
"""In lower case, long enough that noise does not match by chance."""

_LONGEST = max(map(len, _FOREIGN))

_MARKUP = (b"<script", b"<html", b"<!doctype html")
"""Harmless in a text about the picture, such as the prompt that it was made from: files are sent
as what they are, and browsers told to believe it."""
_PNG = b"\x89PNG\r\n\x1a\n"
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_CHUNKS_LIMIT = 10_000


def refuse_polyglot(path: Path, media_type: str, kind: Kind, report: Report) -> None:
    """Raise Rejected("rejected_type") if the file is a second format as well.

    A zip archive hides at the end of any file, a PDF near the head. Pictures are read through for
    markup, archives and programs too; sound and video are too long a noise for that.
    """
    if kind in ("image", "video", "audio", "pdf"):
        if _is_archive(path) and not (kind == "pdf" and embedded_archive(path)):
            raise Rejected("rejected_type", f"This {type_text(media_type)} is also a zip archive.")
        if kind != "pdf" and b"%PDF-" in _head(path):
            raise Rejected("rejected_type", f"This {type_text(media_type)} is also a PDF.")
    if kind == "image":
        _refuse_foreign(path, media_type, report)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_PDF_HEAD_BYTES)


def _is_archive(path: Path) -> bool:
    """Whether an unpacker would list entries, and not merely find the four bytes of an end."""
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(archive.infolist())
    except Exception:  # whatever is wrong with it: no unpacker reads it either
        return False


def _refuse_foreign(path: Path, media_type: str, report: Report) -> None:
    size, tail = path.stat().st_size, b""
    with path.open("rb") as file:
        texts = _texts_of_png(file)
        file.seek(0)
        while chunk := file.read(_CHUNK_BYTES):
            seen = tail + chunk.lower()
            begin = file.tell() - len(seen)
            for sign, what in _FOREIGN.items():
                if _stands_outside(sign, seen, begin, texts if sign in _MARKUP else []):
                    raise Rejected("rejected_type", f"This {type_text(media_type)} {what}.")
            tail = seen[1 - _LONGEST :]
            report(file.tell() / size, f"Reading {megabytes(file.tell(), size)}")


def _stands_outside(sign: bytes, data: bytes, begin: int, texts: list[range]) -> bool:
    """Whether `sign` is in `data`, which begins at `begin` of the file, outside of `texts`."""
    at = data.find(sign)
    while at >= 0:
        if not any(begin + at in text for text in texts):
            return True
        at = data.find(sign, at + 1)
    return False


def _texts_of_png(file: BinaryIO) -> list[range]:
    """Where the texts of a PNG are (its chunks `tEXt`, `zTXt`, `iTXt`); none in other formats."""
    texts = []
    if file.read(len(_PNG)) != _PNG:
        return []
    for _ in range(_CHUNKS_LIMIT):
        head = file.read(8)
        if len(head) < 8:
            break
        length, kind = int.from_bytes(head[:4]), head[4:]
        if kind in _TEXT_CHUNKS:
            texts.append(range(file.tell(), file.tell() + length))
        file.seek(length + 4, 1)
    return texts
