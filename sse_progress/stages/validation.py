"""Stage `validating`: is this file what is accepted here, whole, and safe to open?

The bytes decide: libmagic names the type, the allow-list admits it, and a decoder has to agree by
really reading it. What the client claimed is noted and never trusted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sse_progress.errors import Rejected
from sse_progress.media import Validation, facts
from sse_progress.stage import Report, Upload
from sse_progress.stages import archives, images, text
from sse_progress.stages.detection import detect
from sse_progress.stages.polyglots import refuse_polyglot
from sse_progress.stages.steps import part
from sse_progress.stages.types import Kind, allowed, canonical, extension_matches, kind_of

__all__ = ["validate"]


def validate(upload: Upload, report: Report) -> dict[str, Any]:
    """Check size, type and structure; the result is a `media.Validation`.

    Raises Rejected: `empty_file`, `rejected_type`, `corrupt_file`, `decompression_bomb`.
    """
    report(0.0, "Looking at the first bytes")
    path = Path(upload.path)
    if upload.size == 0:
        raise Rejected("empty_file", "The file is empty.")
    media_type = detect(path, upload.filename)
    if not allowed(media_type, upload.options.allowed_types):
        raise Rejected("rejected_type", f"The file is {media_type}, which is not accepted here.")
    kind = kind_of(media_type)
    refuse_polyglot(path, media_type, kind, part(report, 0.05, 0.15))
    checks, not_checked = _look_inside(upload, media_type, kind, part(report, 0.15, 1.0))
    report(1.0, f"The file is {media_type}")
    return facts(
        Validation(
            content_type=media_type,
            claimed_type=canonical(upload.claimed_type),
            extension_matches=extension_matches(upload.filename, media_type),
            checks=["size", "type by content", *checks],
            not_checked=not_checked,
        )
    )


def _look_inside(
    upload: Upload, media_type: str, kind: Kind, report: Report
) -> tuple[list[str], list[str]]:
    """Let the decoder for this kind read the file: what it checked and what it could not."""
    path, options = Path(upload.path), upload.options
    if kind == "image" and images.decodable(media_type):
        checks = images.check_image(path, media_type, max_pixels=options.max_pixels, report=report)
        return checks, []
    if kind == "text":
        return text.check_text(path, media_type, report)
    if kind == "archive":
        return _check_archive(path, Path(upload.scratch), report)
    report(1.0, f"No decoder for {media_type} is installed")
    return [], [f"structure (no decoder for {media_type} is installed)"]


def _check_archive(path: Path, scratch: Path, report: Report) -> tuple[list[str], list[str]]:
    skipped: dict[str, int] = {}
    for entry in archives.walk(path, scratch, report):
        if entry.skipped:
            skipped[entry.skipped] = skipped.get(entry.skipped, 0) + 1
    checks = ["directory", "every entry inflated", "entries, size, ratio and nesting"]
    return checks, [f"{count} entries ({why})" for why, count in sorted(skipped.items())]
