"""Stage `moderating`: may this file stay? Approved, or marked for review, or refused by name.

Each check says what it looked at; one that is not available is listed in `notChecked`. clamd is
asked by a function of its own (`clamd.py`), since it is a service.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from sse_progress.model.media import Moderation, Reason, Sampled, facts
from sse_progress.model.stage_api import Report, Upload
from sse_progress.stages.formats.media_types import is_zip_based
from sse_progress.stages.progress import part
from sse_progress.stages.scans import nsfw
from sse_progress.stages.scans import word_lists as words
from sse_progress.stages.scans.malware import load_digests, load_rules, scan_archive
from sse_progress.stages.scans.picture_samples import gallery_of, picture_in, picture_type
from sse_progress.stages.scans.text_extraction import extracted_text

__all__ = ["moderate"]

_REASONS = 20
_NOTES = 20
_ENTRY_PICTURES = 16
"""So many pictures of an archive are looked at."""


class Findings:
    """What the checks of one upload have found so far."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self.path = Path(upload.path)
        self.reasons: list[Reason] = []
        self.scores: dict[str, float] = {}
        self.checks: list[str] = []
        self.not_checked: list[str] = list(
            upload.results.get("validating", {}).get("notChecked", ())
        )
        self.sampled: Sampled | None = None

    def seen(self, viewer: nsfw.Viewer, unit: Literal["picture", "frame", "page"], of: int) -> None:
        """Take over what the picture model saw of the `of` pictures that there are."""
        if not nsfw.available():
            self.not_checked.append(nsfw.MISSING)
        elif not viewer.looked_at:
            self.not_checked.append("pictures (none could be decoded)")
        else:
            self.reasons += viewer.reasons
            self.scores["nsfw"] = viewer.worst
            self.sampled = Sampled(unit=unit, looked_at=viewer.looked_at, of=of)
            self.checks.append("pictures by the open_nsfw model")

    def verdict(self) -> dict[str, Any]:
        shape = Moderation(
            verdict="review" if self.reasons else "approved",
            reasons=self.reasons[:_REASONS],
            scores=self.scores,
            checks=self.checks,
            not_checked=list(dict.fromkeys(self.not_checked))[:_NOTES],
            **({"sampled": self.sampled} if self.sampled else {}),
        )
        return facts(shape)


Check = Callable[[Findings, Report], None]


def moderate(upload: Upload, report: Report) -> dict[str, Any]:
    """Run every check that applies; the result is a `media.Moderation`.

    Raises Rejected: `malware`, `moderation_refused`.
    """
    findings = Findings(upload)
    checks: list[tuple[float, Check]] = [
        (0.05, _digests),
        (0.35, _content),
        (0.35, _pictures),
        (0.25, _words),
    ]
    done = 0.0
    for share, check in checks:
        check(findings, part(report, done, done + share))
        done += share
    result = findings.verdict()
    report(1.0, "Approved" if result["verdict"] == "approved" else "Marked for review")
    return result


def _digests(findings: Findings, report: Report) -> None:
    digests = load_digests(findings.upload.options.bad_sha256)
    if digests:
        report(0.0, "Comparing the checksum with the list of refused files")
        digests.refuse(findings.upload.sha256, "The file")
        findings.checks.append("list of refused files")
    report(1.0)


def _content(findings: Findings, report: Report) -> None:
    """YARA over the file as it is, and over each entry of an archive; pictures in it on the way."""
    upload = findings.upload
    report(0.0, "Scanning for malware")
    rules = load_rules(upload.options.yara_rules)
    findings.reasons += rules.check_file(findings.path)
    findings.checks.append("malware rules")
    if is_zip_based(upload.content_type):
        album = _Album(upload)
        scan = scan_archive(
            findings.path,
            Path(upload.scratch),
            rules,
            load_digests(upload.options.bad_sha256),
            look=album.look,
            report=part(report, 0.2, 1.0),
        )
        findings.reasons += scan.reasons
        findings.not_checked += scan.not_checked
        findings.checks.append("malware rules on every entry")
        album.settle(findings)
    report(1.0)


class _Album:
    """The pictures among an archive's entries: the first ones are looked at, all are counted."""

    def __init__(self, upload: Upload) -> None:
        self._viewer = nsfw.Viewer(upload.options)
        self._max_pixels = upload.options.max_pixels
        self._count = self._broken = 0

    def look(self, content: bytes, where: str) -> None:
        media_type = picture_type(content)
        if media_type is None:
            return
        self._count += 1
        if self._viewer.looked_at >= _ENTRY_PICTURES or not nsfw.available():
            return
        picture = picture_in(content, media_type, max_pixels=self._max_pixels)
        if picture is None:
            self._broken += 1
            return
        self._viewer.look(picture, f"the picture {where}")

    def settle(self, findings: Findings) -> None:
        if not self._count:
            return
        if self._broken:
            findings.not_checked.append(f"{self._broken} pictures inside that cannot be decoded")
        findings.seen(self._viewer, "picture", self._count)


def _pictures(findings: Findings, report: Report) -> None:
    """The picture model over the picture, or over frames and pages taken evenly."""
    gallery = gallery_of(findings.upload)
    if gallery is None:
        report(1.0)
        return
    viewer = nsfw.Viewer(findings.upload.options)
    if nsfw.available():
        for where, picture in gallery.pictures:
            viewer.look(picture, where)
            done, expected = viewer.looked_at, max(gallery.expected, 1)
            message = f"Looked at {gallery.unit} {done} of {expected}"
            report(min(done / expected, 1.0), message)
    findings.seen(viewer, gallery.unit, gallery.of)
    report(1.0)


def _words(findings: Findings, report: Report) -> None:
    upload = findings.upload
    word_list = words.load_words(upload.options.word_list)
    report(0.0, "Reading the name and fields")
    for where, said in words.texts_of(upload.filename, upload.fields):
        findings.reasons += word_list.check(said, where)
    findings.checks.append("words in name and fields")
    text = extracted_text(upload, words.TEXT_LIMIT_CHARACTERS, part(report, 0.1, 0.4))
    if text is not None:
        findings.reasons += word_list.check(text, "text", part(report, 0.4, 1.0))
        findings.checks.append("words in the text")
        limits = [words.TEXT_LIMIT_CHARACTERS]
        if words.profanity_available():
            limits.append(words.PROFANITY_LIMIT_CHARACTERS)
        if len(text) >= min(limits):
            findings.not_checked.append(f"words beyond the first {min(limits)} characters")
    if not words.profanity_available():
        findings.not_checked.append(words.NO_PROFANITY_FILTER)
    report(1.0)
