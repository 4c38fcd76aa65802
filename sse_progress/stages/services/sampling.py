"""Takes the samples that a moderation service is shown; runs in a confined process."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from sse_progress.model.stage_api import Report, Upload
from sse_progress.stages.formats.media_types import kind_of
from sse_progress.stages.formats.type_words import type_text
from sse_progress.stages.progress import part
from sse_progress.stages.scans.picture_samples import gallery_of
from sse_progress.stages.scans.text_extraction import extracted_text, unread_text
from sse_progress.stages.services.samples import MOST_PICTURES, TEXT_CHARACTERS, Picture, Samples

__all__ = ["take_samples"]

QUALITY = 85


def take_samples(upload: Upload, report: Report) -> dict[str, Any]:
    """Write small pictures and the text into the scratch directory, and list them there."""
    directory, not_taken = Path(upload.scratch), []
    kind = kind_of(upload.content_type)
    pictures = _pictures(upload, directory, part(report, 0.0, 0.6))
    if not pictures and kind in ("image", "video"):
        not_taken.append(
            f"pictures (none could be taken from this {type_text(upload.content_type)})"
        )
    if kind == "archive":
        not_taken.append("the files in the archive")
    text = extracted_text(upload, TEXT_CHARACTERS, part(report, 0.6, 1.0))
    if kind not in ("image", "video", "audio") and (note := unread_text(upload)):
        not_taken.append(note)
    if text is not None and len(text) >= TEXT_CHARACTERS:
        not_taken.append(f"text beyond the first {TEXT_CHARACTERS} characters")
    Samples(pictures=tuple(pictures), text=text or None, not_taken=tuple(not_taken)).save(directory)
    report(1.0)
    return {}


def _pictures(upload: Upload, directory: Path, report: Report) -> list[Picture]:
    """At most MOST_PICTURES, taken evenly from those that there are."""
    gallery = gallery_of(upload)
    if gallery is None:
        return []
    every = -(-gallery.expected // MOST_PICTURES)
    taken: list[Picture] = []
    for number, (where, picture) in enumerate(gallery.pictures):
        if number % every == 0 and len(taken) < MOST_PICTURES:
            jpeg = io.BytesIO()
            picture.convert("RGB").save(jpeg, "JPEG", quality=QUALITY)
            taken.append(Picture(name=f"sample-{len(taken) + 1}.jpg", where=where))
            (directory / taken[-1].name).write_bytes(jpeg.getvalue())
        report(min((number + 1) / max(gallery.expected, 1), 1.0))
    return taken
