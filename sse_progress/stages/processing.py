"""Stage `processing`: derived files, written into the upload's scratch directory.

They are published by the worker, which takes exactly the files named in the result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_progress.model.media import Replacement, facts
from sse_progress.model.stage_api import Report, Upload
from sse_progress.stages.formats.clips import clips
from sse_progress.stages.formats.clips.clip_checks import clip_of
from sse_progress.stages.formats.clips.clip_frames import poster
from sse_progress.stages.formats.documents import pdfs
from sse_progress.stages.formats.images import images
from sse_progress.stages.formats.images.image_copies import shrunk
from sse_progress.stages.formats.images.image_metadata import strip_metadata
from sse_progress.stages.formats.media_types import Kind, kind_of
from sse_progress.stages.preparation import prepare
from sse_progress.stages.progress import part

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["prepare", "process"]

THUMBNAIL_SIDE = 640
_QUALITY = 80


def process(upload: Upload, report: Report) -> dict[str, Any]:
    """Make a small picture of what has one.

    The result is `{"files": [{"name", "contentType"}, ...]}`, each a file in `upload.scratch`;
    with `strip_metadata`, `original` (a `media.Replacement`) names the rewritten original there.
    """
    result: dict[str, Any] = {"files": []}
    kind, shown = kind_of(upload.content_type), 0.0
    if upload.options.strip_metadata and kind == "image":
        shown = 0.5
        replacement = _stripped(upload, part(report, 0.0, shown))
        if replacement is not None:
            result["original"] = facts(replacement)
    if kind in _DRAWERS:
        result["files"] += _DRAWERS[kind](upload, part(report, shown, 1.0))
    count = len(result["files"])
    report(1.0, f"Made {count} derived file{'s' * (count != 1)}")
    return result


# ---- one small picture for each kind that has one

Files = list[dict[str, str]]


def _thumbnail(upload: Upload, report: Report) -> Files:
    if not images.decodable(upload.content_type):
        return []
    with images.opened(
        Path(upload.path),
        upload.content_type,
        max_pixels=upload.options.max_pixels,
        report=part(report, 0.0, 0.6),
    ) as image:
        small = shrunk(image, THUMBNAIL_SIDE)
    return _written(small, "thumbnail.webp", upload, report)


def _poster(upload: Upload, report: Report) -> Files:
    if not clips.playable(upload.content_type):
        return []
    clip = clip_of(upload)
    if not clip.frames:  # an AVI with sound only, for instance
        return []
    report(0.0, "Taking a picture from the video")
    picture = poster(
        Path(upload.path),
        upload.content_type,
        clip,
        max_pixels=upload.options.max_pixels,
        side=THUMBNAIL_SIDE,
    )
    return _written(picture, "poster.webp", upload, report)


def _first_page(upload: Upload, report: Report) -> Files:
    if not pdfs.available():
        return []
    report(0.0, "Drawing the first page")
    page = pdfs.page_picture(Path(upload.path), THUMBNAIL_SIDE)
    return [] if page is None else _written(page, "page-1.webp", upload, report)


_DRAWERS: dict[Kind, Callable[[Upload, Report], Files]] = {
    "image": _thumbnail,
    "video": _poster,
    "pdf": _first_page,
}


def _written(picture: Image.Image, name: str, upload: Upload, report: Report) -> Files:
    """Save `picture` (of at most 640 pixels, without metadata) as WebP."""
    report(0.6, f"Writing a picture of {picture.width} x {picture.height} pixels")
    picture.save(Path(upload.scratch) / name, "WEBP", quality=_QUALITY, method=4)
    report(1.0)
    return [{"name": name, "contentType": "image/webp"}]


# ---- the original without metadata


def _stripped(upload: Upload, report: Report) -> Replacement | None:
    """The rewritten original; None where the format holds no metadata.

    Raises Rejected("metadata_kept") for a format whose metadata cannot be removed here: a
    configured promise that cannot be kept must not be broken in silence.
    """
    report(0.0, "Removing metadata from the original")
    target = Path(upload.scratch) / "stripped"
    done = strip_metadata(
        Path(upload.path), target, upload.content_type, max_pixels=upload.options.max_pixels
    )
    report(0.8, "Computing the checksum of the rewritten original")
    if not done:
        report(1.0)
        return None
    with target.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    report(1.0)
    return Replacement(name=target.name, size=target.stat().st_size, sha256=sha256)
