"""Stage `validating`: is this file what is accepted here, whole, and safe to open?

The bytes decide: libmagic names the type, the allow-list admits it, and a decoder has to agree by
really reading it. What the client claimed is noted and never trusted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sse_progress.model.errors import Rejected
from sse_progress.model.media import Clip, Validation, facts
from sse_progress.model.stage_api import Report, Upload
from sse_progress.model.text import clean_text
from sse_progress.stages.formats.clips import clips
from sse_progress.stages.formats.clips.clip_checks import check_clip
from sse_progress.stages.formats.detection import detect
from sse_progress.stages.formats.documents import archives, pdfs
from sse_progress.stages.formats.documents.office import check_office
from sse_progress.stages.formats.documents.pdf_streams import embedded_archive
from sse_progress.stages.formats.images import images
from sse_progress.stages.formats.media_types import (
    Kind,
    allowed,
    canonical,
    extension_matches,
    extension_of,
    kind_of,
    types_of_extension,
)
from sse_progress.stages.formats.text import text
from sse_progress.stages.formats.type_words import type_text, types_text
from sse_progress.stages.preparation import prepare
from sse_progress.stages.progress import part
from sse_progress.stages.scans.embedded import embedded_in
from sse_progress.stages.scans.polyglots import refuse_polyglot
from sse_progress.stages.scans.screening import ENTRY_LIMIT_BYTES, Screen

__all__ = ["prepare", "validate"]


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What the decoder for a kind of file saw: the precise type, what it checked and could not."""

    media_type: str
    checks: list[str]
    not_checked: list[str] = field(default_factory=list)
    clip: Clip | msgspec.UnsetType = msgspec.UNSET


def validate(upload: Upload, report: Report) -> dict[str, Any]:
    """Check size, type, known-bad content and structure; the result is a `media.Validation`.

    Raises Rejected: `empty_file`, `rejected_type`, `malware`, `moderation_refused` for a listed
    digest, `corrupt_file`, `decompression_bomb`.
    """
    report(0.0, "Looking at the first bytes")
    path, admitted = Path(upload.path), upload.options.allowed_types
    if upload.size == 0:
        raise Rejected("empty_file", "The file is empty.")
    media_type = detect(path, upload.filename)
    if not any(allowed(name, admitted) for name in clips.variants(media_type)):
        raise _not_accepted(media_type, admitted)
    kind = kind_of(media_type)
    refuse_polyglot(path, media_type, kind, part(report, 0.05, 0.15))
    report(0.15, "Scanning for malware")
    screen = Screen(upload)
    screen.file()
    look = _look_inside(_Job(upload, media_type, screen, part(report, 0.2, 1.0)), kind)
    if not allowed(look.media_type, admitted):
        raise _not_accepted(look.media_type, admitted)
    report(1.0, "The file is valid")
    return facts(
        Validation(
            content_type=look.media_type,
            claimed_type=clean_text(canonical(upload.claimed_type), 100),
            extension_matches=extension_matches(upload.filename, look.media_type),
            checks=["size", "type by content", *screen.checks, *look.checks],
            not_checked=[*look.not_checked, *screen.not_checked],
            reasons=screen.reasons,
            clip=look.clip,
        )
    )


def _not_accepted(media_type: str, accepted: Sequence[str]) -> Rejected:
    text = f"This {type_text(media_type)} is of a kind that is not accepted."
    return Rejected("rejected_type", f"{text} Accepted: {types_text(accepted)}.")


# ---- one decoder for each kind; None from it means that it is not installed


@dataclass(frozen=True)
class _Job:
    """What a decoder is given."""

    upload: Upload
    media_type: str
    screen: Screen
    report: Report

    @property
    def path(self) -> Path:
        return Path(self.upload.path)

    def entries(self) -> Iterator[archives.Entry]:
        """The entries of the archive or document, looked at for malware as they are inflated."""
        return self.screen.watch(archives.walk(self.path, Path(self.upload.scratch), self.report))


def _look_inside(job: _Job, kind: Kind) -> _Look:
    """Let the decoder for this kind read the file; without one libmagic's word is all there is."""
    look = _DECODERS[kind](job) if kind in _DECODERS else None
    if look is not None:
        return look
    with job.path.open("rb") as file:  # documents of old office programs hold files as well
        job.screen.attached(embedded_in(file.read(ENTRY_LIMIT_BYTES)))
    note = f"structure (nothing here opens this {type_text(job.media_type)})"
    job.report(1.0, "This kind of file cannot be opened here")
    return _Look(media_type=job.media_type, checks=[], not_checked=[note])


def _image(job: _Job) -> _Look | None:
    if not images.decodable(job.media_type):
        return None
    checks = images.check_image(
        job.path, job.media_type, max_pixels=job.upload.options.max_pixels, report=job.report
    )
    return _Look(media_type=job.media_type, checks=checks)


def _clip(job: _Job) -> _Look | None:
    if not clips.playable(job.media_type):
        return None
    found = check_clip(
        job.path, job.media_type, max_pixels=job.upload.options.max_pixels, report=job.report
    )
    return _Look(
        media_type=found.media_type,
        checks=found.checks,
        not_checked=found.not_checked,
        clip=found.clip,
    )


def _pdf(job: _Job) -> _Look | None:
    if not pdfs.available():
        return None
    checks, not_checked = pdfs.check_pdf(job.path, part(job.report, 0.0, 0.9))
    job.screen.attached(pdfs.attachments(job.path))
    if embedded_archive(job.path):  # one that PDFium does not list, too
        for _ in job.screen.watch(archives.walk(job.path, Path(job.upload.scratch), _quiet)):
            pass
    job.report(1.0)
    return _Look(media_type=job.media_type, checks=checks, not_checked=not_checked)


def _quiet(fraction: float, message: str | None = None) -> None:
    """What is attached to a PDF is a part of it."""


def _office(job: _Job) -> _Look:
    checks, not_checked = check_office(job.path, job.media_type, job.entries())
    return _Look(media_type=job.media_type, checks=checks, not_checked=not_checked)


def _text(job: _Job) -> _Look:
    found = text.check_text(job.path, job.media_type, job.report)
    media_type = job.media_type
    if media_type == "application/json" and not found.is_json:
        if media_type in types_of_extension(extension_of(job.upload.filename)):
            raise Rejected("corrupt_file", "The JSON does not parse or nests too deep.")
        media_type = "text/plain"  # libmagic looks at the beginning only
    return _Look(media_type=media_type, checks=found.checks, not_checked=found.not_checked)


def _archive(job: _Job) -> _Look:
    skipped: Counter[str] = Counter()
    for entry in job.entries():
        if entry.skipped:
            skipped[entry.skipped] += 1
    return _Look(
        media_type=job.media_type,
        checks=["directory", "every entry inflated", "entries, size, ratio and nesting"],
        not_checked=[f"{count} entries ({why})" for why, count in sorted(skipped.items())],
    )


_DECODERS: dict[Kind, Callable[[_Job], _Look | None]] = {
    "image": _image,
    "video": _clip,
    "audio": _clip,
    "pdf": _pdf,
    "office": _office,
    "text": _text,
    "archive": _archive,
}
