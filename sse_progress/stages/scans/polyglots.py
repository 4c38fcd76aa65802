"""Files that are two things at once: a picture for one reader, an archive or a page for another.

Such a file passes the check of one reader and is run by the next, so it is refused by name.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from sse_progress.model.errors import Rejected
from sse_progress.model.stage_api import Report
from sse_progress.stages.formats.media_types import Kind
from sse_progress.stages.formats.pdf_streams import embedded_archive
from sse_progress.stages.progress import megabytes

__all__ = ["refuse_polyglot"]

_CHUNK_BYTES = 1024 * 1024
_PDF_HEAD_BYTES = 1024  # readers look for %PDF- so far into a file (ISO 32000-1 annex H.3.4.1)

_FOREIGN: dict[bytes, str] = {
    b"<script": "also holds a web page or script",
    b"<html": "also holds a web page or script",
    b"<!doctype html": "also holds a web page or script",
    b"<?php": "also holds a web page or script",
    b"rar!\x1a\x07": "is also an archive",
    b"7z\xbc\xaf\x27\x1c": "is also an archive",
    b"\x7felf\x01\x01\x01": "also holds a program",
    b"\x7felf\x02\x01\x01": "also holds a program",
    b"this program cannot be run in dos mode": "also holds a program",
}
"""In lower case, long enough that noise does not match by chance."""

_LONGEST = max(map(len, _FOREIGN))


def refuse_polyglot(path: Path, media_type: str, kind: Kind, report: Report) -> None:
    """Raise Rejected("rejected_type") if the file is a second format as well.

    A zip archive hides at the end of any file, a PDF near the head. Pictures are read through for
    markup, archives and programs too; sound and video are too long a noise for that.
    """
    if kind in ("image", "video", "audio", "pdf"):
        if _is_archive(path) and not (kind == "pdf" and embedded_archive(path)):
            raise Rejected("rejected_type", f"The file is {media_type} and also a zip archive.")
        if kind != "pdf" and b"%PDF-" in _head(path):
            raise Rejected("rejected_type", f"The file is {media_type} and also a PDF.")
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
        while chunk := file.read(_CHUNK_BYTES):
            seen = tail + chunk.lower()
            for sign, what in _FOREIGN.items():
                if sign in seen:
                    raise Rejected("rejected_type", f"The file is {media_type} and {what}.")
            tail = seen[1 - _LONGEST :]
            report(file.tell() / size, f"Reading {megabytes(file.tell(), size)}")
