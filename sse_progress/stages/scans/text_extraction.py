"""The text inside a file, for the word lists: bounded, whatever the file."""

from __future__ import annotations

from pathlib import Path

from sse_progress.model.stage_api import Report, Upload
from sse_progress.stages.formats.documents import pdfs
from sse_progress.stages.formats.documents.office import office_text
from sse_progress.stages.formats.media_types import kind_of
from sse_progress.stages.formats.text.encodings import BYTE_FOR_BYTE, encoding_of
from sse_progress.stages.formats.text.text import decoded
from sse_progress.stages.formats.type_words import type_text

__all__ = ["extracted_text", "unread_text"]


def extracted_text(upload: Upload, limit_characters: int, report: Report) -> str | None:
    """At most `limit_characters` of the file's text; None where there is none to be had."""
    path, media_type = Path(upload.path), upload.content_type
    kind = kind_of(media_type)
    if kind == "text":
        return _plain(path, limit_characters, report)
    if kind == "pdf" and pdfs.available():
        return pdfs.pdf_text(path, limit_characters, report)
    if kind == "office":
        return office_text(path, media_type, Path(upload.scratch), limit_characters, report)
    return None


def unread_text(upload: Upload) -> str | None:
    """The note that some of the text, or all of it, is not read; None if all of it is."""
    kind = kind_of(upload.content_type)
    if kind == "other" or (kind == "pdf" and not pdfs.available()):
        return f"words (nothing here reads this {type_text(upload.content_type)})"
    if kind == "pdf" and pdfs.page_count(Path(upload.path)) > pdfs.TEXT_PAGES:
        return f"words beyond page {pdfs.TEXT_PAGES}"
    return None


def _plain(path: Path, limit_characters: int, report: Report) -> str:
    pieces, length = [], 0
    for piece in decoded(path, encoding_of(path) or BYTE_FOR_BYTE, report):
        pieces.append(piece)
        length += len(piece)
        if length >= limit_characters:
            break
    return "".join(pieces)[:limit_characters]
