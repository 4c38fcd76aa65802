"""Stage `validating`: is this file what is accepted here, whole, and safe to open?

The bytes decide: libmagic names the type, the allow-list admits it, and a decoder has to agree by
really reading it. What the client claimed is noted and never trusted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sse_progress.model.errors import Rejected
from sse_progress.model.media import Clip, Validation, facts
from sse_progress.model.stage_api import Report, Upload
from sse_progress.model.text import clean_text
from sse_progress.stages.formats import archives, clips, images, pdfs, text
from sse_progress.stages.formats.clip_checks import check_clip
from sse_progress.stages.formats.detection import detect
from sse_progress.stages.formats.media_types import (
    Kind,
    allowed,
    canonical,
    extension_matches,
    extension_of,
    kind_of,
    types_of_extension,
)
from sse_progress.stages.formats.office import check_office
from sse_progress.stages.progress import part
from sse_progress.stages.scans.polyglots import refuse_polyglot

__all__ = ["validate"]


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What the decoder for a kind of file saw: the precise type, what it checked and could not."""

    media_type: str
    checks: list[str]
    not_checked: list[str] = field(default_factory=list)
    clip: Clip | msgspec.UnsetType = msgspec.UNSET


def validate(upload: Upload, report: Report) -> dict[str, Any]:
    """Check size, type and structure; the result is a `media.Validation`.

    Raises Rejected: `empty_file`, `rejected_type`, `corrupt_file`, `decompression_bomb`.
    """
    report(0.0, "Looking at the first bytes")
    path, admitted = Path(upload.path), upload.options.allowed_types
    if upload.size == 0:
        raise Rejected("empty_file", "The file is empty.")
    media_type = detect(path, upload.filename)
    if not any(allowed(name, admitted) for name in clips.variants(media_type)):
        raise _not_accepted(media_type)
    kind = kind_of(media_type)
    refuse_polyglot(path, media_type, kind, part(report, 0.05, 0.15))
    look = _look_inside(upload, media_type, kind, part(report, 0.15, 1.0))
    if not allowed(look.media_type, admitted):
        raise _not_accepted(look.media_type)
    report(1.0, f"The file is {look.media_type}")
    return facts(
        Validation(
            content_type=look.media_type,
            claimed_type=clean_text(canonical(upload.claimed_type), 100),
            extension_matches=extension_matches(upload.filename, look.media_type),
            checks=["size", "type by content", *look.checks],
            not_checked=look.not_checked,
            clip=look.clip,
        )
    )


def _not_accepted(media_type: str) -> Rejected:
    return Rejected("rejected_type", f"The file is {media_type}, which is not accepted here.")


# ---- one decoder for each kind; None from it means that it is not installed


def _look_inside(upload: Upload, media_type: str, kind: Kind, report: Report) -> _Look:
    """Let the decoder for this kind read the file; without one libmagic's word is all there is."""
    look = _DECODERS[kind](upload, media_type, report) if kind in _DECODERS else None
    if look is not None:
        return look
    note = f"structure (no decoder for {media_type} is installed)"
    report(1.0, f"No decoder for {media_type} is installed")
    return _Look(media_type=media_type, checks=[], not_checked=[note])


def _image(upload: Upload, media_type: str, report: Report) -> _Look | None:
    if not images.decodable(media_type):
        return None
    checks = images.check_image(
        Path(upload.path), media_type, max_pixels=upload.options.max_pixels, report=report
    )
    return _Look(media_type=media_type, checks=checks)


def _clip(upload: Upload, media_type: str, report: Report) -> _Look | None:
    if not clips.playable(media_type):
        return None
    found = check_clip(
        Path(upload.path), media_type, max_pixels=upload.options.max_pixels, report=report
    )
    return _Look(
        media_type=found.media_type,
        checks=found.checks,
        not_checked=found.not_checked,
        clip=found.clip,
    )


def _pdf(upload: Upload, media_type: str, report: Report) -> _Look | None:
    if not pdfs.available():
        return None
    checks, not_checked = pdfs.check_pdf(Path(upload.path), report)
    return _Look(media_type=media_type, checks=checks, not_checked=not_checked)


def _office(upload: Upload, media_type: str, report: Report) -> _Look:
    checks, not_checked = check_office(Path(upload.path), media_type, Path(upload.scratch), report)
    return _Look(media_type=media_type, checks=checks, not_checked=not_checked)


def _text(upload: Upload, media_type: str, report: Report) -> _Look:
    found = text.check_text(Path(upload.path), media_type, report)
    if media_type == "application/json" and not found.is_json:
        if media_type in types_of_extension(extension_of(upload.filename)):
            raise Rejected("corrupt_file", "The JSON does not parse or nests too deep.")
        media_type = "text/plain"  # libmagic looks at the beginning alone
    return _Look(media_type=media_type, checks=found.checks, not_checked=found.not_checked)


def _archive(upload: Upload, media_type: str, report: Report) -> _Look:
    skipped: Counter[str] = Counter()
    for entry in archives.walk(Path(upload.path), Path(upload.scratch), report):
        if entry.skipped:
            skipped[entry.skipped] += 1
    return _Look(
        media_type=media_type,
        checks=["directory", "every entry inflated", "entries, size, ratio and nesting"],
        not_checked=[f"{count} entries ({why})" for why, count in sorted(skipped.items())],
    )


_DECODERS: dict[Kind, Callable[[Upload, str, Report], _Look | None]] = {
    "image": _image,
    "video": _clip,
    "audio": _clip,
    "pdf": _pdf,
    "office": _office,
    "text": _text,
    "archive": _archive,
}
