"""The text inside a file, for the word lists: bounded, whatever the file."""

from __future__ import annotations

from pathlib import Path

from sse_progress.stage import Report
from sse_progress.stages.text import decoded, encoding_of
from sse_progress.stages.types import kind_of

__all__ = ["extracted_text"]


def extracted_text(
    path: Path, media_type: str, limit_characters: int, report: Report
) -> str | None:
    """At most `limit_characters` of the file's text; None for what has none to extract."""
    if kind_of(media_type) != "text":
        return None
    pieces, length = [], 0
    for piece in decoded(path, encoding_of(path), report):
        pieces.append(piece)
        length += len(piece)
        if length >= limit_characters:
            break
    return "".join(pieces)[:limit_characters]
