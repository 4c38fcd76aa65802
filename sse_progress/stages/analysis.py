"""Stage `analyzing`: facts about the content, by the kind that validation found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sse_progress.model.media import facts
from sse_progress.model.media_analysis import Analysis, OtherFacts
from sse_progress.model.stage_api import Report, Upload
from sse_progress.stages.formats.clips import clip_facts, clips
from sse_progress.stages.formats.clips.clip_checks import clip_of
from sse_progress.stages.formats.documents import archive_facts, pdfs
from sse_progress.stages.formats.documents.office import office_facts
from sse_progress.stages.formats.images import image_facts, images
from sse_progress.stages.formats.media_types import Kind, kind_of
from sse_progress.stages.formats.text import text
from sse_progress.stages.formats.type_words import type_text
from sse_progress.stages.preparation import prepare

__all__ = ["analyze", "prepare"]


def analyze(upload: Upload, report: Report) -> dict[str, Any]:
    """Look into the file; the result is one of the shapes of `media.Analysis`.

    Raises Rejected("corrupt_file") for damage that only a full decode shows.
    """
    media_type = upload.content_type
    kind = kind_of(media_type)
    found = _READERS[kind](upload, media_type, report) if kind in _READERS else None
    if found is None:
        report(1.0, "This kind of file is not analyzed here")
        found = OtherFacts(
            not_checked=[f"content (nothing here looks into this {type_text(media_type)})"]
        )
    return facts(found)


# ---- one reader for each kind; None from it means that it is not installed


def _image(upload: Upload, media_type: str, report: Report) -> Analysis | None:
    if not images.decodable(media_type):
        return None
    return image_facts.image_facts(
        Path(upload.path),
        media_type,
        max_pixels=upload.options.max_pixels,
        keep_location=upload.options.keep_location,
        report=report,
    )


def _clip(upload: Upload, media_type: str, report: Report) -> Analysis | None:
    if not clips.playable(media_type):
        return None
    clip = clip_of(upload)
    look = clip_facts.video_facts if clip.frames else clip_facts.audio_facts
    return look(
        Path(upload.path),
        media_type,
        clip,
        max_pixels=upload.options.max_pixels,
        report=report,
    )


def _pdf(upload: Upload, _: str, report: Report) -> Analysis | None:
    return pdfs.pdf_facts(Path(upload.path), report) if pdfs.available() else None


def _office(upload: Upload, media_type: str, report: Report) -> Analysis:
    return office_facts(Path(upload.path), media_type, Path(upload.scratch), report)


def _text(upload: Upload, media_type: str, report: Report) -> Analysis:
    return text.text_facts(Path(upload.path), media_type, report)


def _archive(upload: Upload, _: str, report: Report) -> Analysis:
    return archive_facts.archive_facts(Path(upload.path), Path(upload.scratch), report)


_READERS: dict[Kind, Callable[[Upload, str, Report], Analysis | None]] = {
    "image": _image,
    "video": _clip,
    "audio": _clip,
    "pdf": _pdf,
    "office": _office,
    "text": _text,
    "archive": _archive,
}
