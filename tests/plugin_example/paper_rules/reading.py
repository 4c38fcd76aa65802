"""A `def` stage: runs in a child process, with limits, and may be killed at any moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sse_progress import Rejected, Report, Upload

WORDS_PER_MINUTE = 240
LONGEST_MINUTES = 600


def reading_time(upload: Upload, report: Report) -> dict[str, Any] | None:
    """Minutes that a text takes to read; None for other files."""
    if not (upload.content_type.startswith("text/") or upload.filename.endswith(".txt")):
        return None
    words = done = 0
    with Path(upload.path).open("rb") as file:
        for line in file:
            words += len(line.split())
            done += len(line)
            report(done / upload.size, f"{words} words so far")
    minutes = words / WORDS_PER_MINUTE
    if minutes > LONGEST_MINUTES:
        raise Rejected(
            "too_long_to_read",
            f"The text takes {minutes:.0f} minutes to read, limit {LONGEST_MINUTES}.",
        )
    return {"words": words, "readingMinutes": round(minutes, 1)}
