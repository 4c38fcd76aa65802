"""Stage `moderating`: may this file stay? Approved, or marked for review, or refused by name.

Each check says what it looked at; one that is not available is listed in `notChecked`. Malware and
refused digests were looked for by `validating`; clamd is asked by a function of its own
(`clamd.py`), since it is a service.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from sse_progress.model.media import Moderation, Reason, Sampled, facts
from sse_progress.model.stage_api import Report, Upload
from sse_progress.stages.formats.documents import pdfs
from sse_progress.stages.formats.documents.archives import walk
from sse_progress.stages.formats.documents.pdf_streams import embedded_archive
from sse_progress.stages.formats.media_types import is_zip_based, kind_of
from sse_progress.stages.formats.type_words import type_text
from sse_progress.stages.preparation import prepare
from sse_progress.stages.progress import part
from sse_progress.stages.scans import nsfw
from sse_progress.stages.scans import word_lists as words
from sse_progress.stages.scans.contents import Contents
from sse_progress.stages.scans.picture_samples import gallery_of
from sse_progress.stages.scans.screening import DIGESTS, ENTRIES, RULES, Screen
from sse_progress.stages.scans.text_extraction import extracted_text, unread_text

__all__ = ["moderate", "prepare"]

_REASONS = 20
_NOTES = 20


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
        self.texts: list[tuple[str, str]] = []

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
        sampled: dict[str, Any] = {"sampled": self.sampled} if self.sampled else {}
        shape = Moderation(
            verdict="review" if self.reasons else "approved",
            reasons=self.reasons[:_REASONS],
            scores=self.scores,
            checks=self.checks,
            not_checked=list(dict.fromkeys(self.not_checked))[:_NOTES],
            **sampled,
        )
        return facts(shape)


Check = Callable[[Findings, Report], None]


def moderate(upload: Upload, report: Report) -> dict[str, Any]:
    """Run every check that applies; the result is a `media.Moderation`.

    Raises Rejected: `malware`, `moderation_refused`.
    """
    findings = Findings(upload)
    checks: list[tuple[float, Check]] = [
        (0.1, _screened),
        (0.3, _contents),
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


def _screened(findings: Findings, report: Report) -> None:
    """The file as it is, again: by now no decoder has run in this process, while the word of
    `validating` is that of one in which a decoder did. Of its entries that word is taken; a
    pipeline that validates otherwise has them looked at here."""
    upload = findings.upload
    seen = upload.results.get("validating", {})
    report(0.0, "Scanning for malware")
    screen = Screen(upload)
    screen.file()
    if RULES in seen.get("checks", ()):
        findings.checks += [c for c in (DIGESTS, RULES, ENTRIES) if c in seen["checks"]]
        reasons = msgspec.convert(seen.get("reasons", []), list[Reason])
        findings.reasons += [*(each for each in screen.reasons if each not in reasons), *reasons]
        report(1.0)
        return
    if is_zip_based(upload.content_type):
        for _ in screen.watch(walk(findings.path, Path(upload.scratch), report)):
            pass
    elif _is_pdf(upload):
        screen.attached(pdfs.attachments(findings.path))
    findings.checks += screen.checks
    findings.reasons += screen.reasons
    findings.not_checked += screen.not_checked
    report(1.0)


def _is_pdf(upload: Upload) -> bool:
    return kind_of(upload.content_type) == "pdf" and pdfs.available()


def _contents(findings: Findings, report: Report) -> None:
    """Pictures and texts among the files of an archive, document or PDF."""
    upload = findings.upload
    kind = kind_of(upload.content_type)
    contents = Contents(upload, with_texts=kind in ("archive", "pdf"))
    if is_zip_based(upload.content_type):
        contents.entries(walk(findings.path, Path(upload.scratch), report))
    elif _is_pdf(upload):
        files = 0
        for name, content in pdfs.attachments(findings.path):
            contents.attachment(name, content or b"", Path(upload.scratch))
            files += 1
        unlisted = embedded_archive(findings.path)
        if unlisted == "stream" or (unlisted and not files):
            contents.entries(walk(findings.path, Path(upload.scratch), report), is_document=True)
    findings.texts += contents.texts
    findings.not_checked += contents.not_checked
    if contents.pictures:
        findings.seen(contents.viewer, "picture", contents.pictures)
    report(1.0)


def _pictures(findings: Findings, report: Report) -> None:
    """The picture model over the picture, or over frames and pages taken evenly."""
    gallery = gallery_of(findings.upload)
    if gallery is None:
        if kind_of(findings.upload.content_type) == "image":
            name = type_text(findings.upload.content_type)
            findings.not_checked.append(f"pictures (nothing here opens this {name})")
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
    for where, said in findings.texts:
        findings.reasons += word_list.check(said, where)
    text = extracted_text(upload, words.TEXT_LIMIT_CHARACTERS, part(report, 0.1, 0.4))
    if text is not None:
        findings.reasons += word_list.check(text, "text", part(report, 0.4, 1.0))
        findings.checks.append("words in the text")
        limits = [words.TEXT_LIMIT_CHARACTERS]
        if words.profanity_available():
            limits.append(words.PROFANITY_LIMIT_CHARACTERS)
        if len(text) >= min(limits):
            findings.not_checked.append(f"words beyond the first {min(limits)} characters")
    if note := unread_text(upload):
        findings.not_checked.append(note)
    if not words.profanity_available():
        findings.not_checked.append(words.NO_PROFANITY_FILTER)
    report(1.0)
