"""Stage `analyzing`: facts about the content, by the kind that validation found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sse_progress.media import OtherFacts, facts
from sse_progress.stage import Report, Upload
from sse_progress.stages import archive_facts, image_facts, images, text
from sse_progress.stages.types import kind_of

__all__ = ["analyze"]


def analyze(upload: Upload, report: Report) -> dict[str, Any]:
    """Look into the file; the result is one of the shapes of `media.Analysis`."""
    path, options, media_type = Path(upload.path), upload.options, upload.content_type
    kind = kind_of(media_type)
    if kind == "image" and images.decodable(media_type):
        return facts(
            image_facts.image_facts(
                path,
                media_type,
                max_pixels=options.max_pixels,
                keep_location=options.keep_location,
                report=report,
            )
        )
    if kind == "text":
        return facts(text.text_facts(path, media_type, report))
    if kind == "archive":
        return facts(archive_facts.archive_facts(path, Path(upload.scratch), report))
    report(1.0, f"Nothing here looks into {media_type}")
    return facts(OtherFacts(not_checked=[f"content (nothing here looks into {media_type})"]))
