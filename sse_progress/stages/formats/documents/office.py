"""Office documents and e-books: zip archives of XML, read part by part, never unpacked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from sse_progress.model.errors import Rejected
from sse_progress.model.media_analysis import DocumentFacts
from sse_progress.model.stage_api import Report
from sse_progress.model.text import clean_text
from sse_progress.stages.formats.documents.archives import DAMAGED, Entry, walk
from sse_progress.stages.formats.documents.packages import EPUB, Package, package_of, part_name
from sse_progress.stages.formats.documents.xml_parts import (
    BodyText,
    OfficeText,
    Properties,
    check_part,
    read_part,
)
from sse_progress.stages.formats.media_types import extension_of, is_ooxml
from sse_progress.stages.formats.text.language import (
    NO_LANGUAGE,
    language_available,
    language_of,
)
from sse_progress.stages.progress import part

__all__ = ["NO_MAIN_PART", "SEALED", "check_office", "office_facts", "office_text"]

SEALED = "contents (the document is encrypted)"
NO_MAIN_PART = "text (the main part of the document is not found)"
_XML = frozenset(("xml", "rels", "opf", "ncx"))
_PAGES = frozenset(("xhtml", "html", "htm"))
_FACTS_CHARACTERS = 10_000_000
_FORMATS = {
    "wordprocessingml.document": "DOCX",
    "spreadsheetml.sheet": "XLSX",
    "presentationml.presentation": "PPTX",
    "opendocument.text": "ODT",
    "opendocument.spreadsheet": "ODS",
    "opendocument.presentation": "ODP",
    "epub+zip": "EPUB",
}


# ---- validating


def check_office(
    path: Path, media_type: str, entries: Iterable[Entry]
) -> tuple[list[str], list[str]]:
    """Parse all XML among `entries` (of a walk over `path`); what was checked and what was not.

    Raises Rejected: `corrupt_file`, `decompression_bomb` (sizes as in any archive, XML entities),
    `rejected_type` for macros in a type that has none.
    """
    package = package_of(path, media_type)
    for entry in entries:
        if entry.skipped == "encrypted":
            raise Rejected("corrupt_file", "The document has encrypted parts.")
        if entry.depth or entry.skipped == DAMAGED:
            continue
        if entry.name.lower().endswith("vbaproject.bin") and "macro" not in media_type:
            raise Rejected("rejected_type", "The document carries macros.")
        if package.sealed and not entry.name.startswith("META-INF/"):
            continue
        if _is_chapter(entry, media_type, package):
            check_part(entry, lenient=True)
        elif extension_of(entry.name) in _XML and not _is_left_empty(entry, media_type):
            check_part(entry)
    checks = ["every part inflated", "XML without entities", "size, ratio and nesting"]
    return checks, _notes(package)


def _is_left_empty(entry: Entry, media_type: str) -> bool:
    """LibreOffice adds empty parts for settings of its own windows (Configurations2/…)."""
    return not entry.size and not is_ooxml(media_type) and "/" in entry.name


def _notes(package: Package) -> list[str]:
    if package.sealed:
        return [SEALED]
    return [] if package.has_main else [NO_MAIN_PART]


def _is_chapter(entry: Entry, media_type: str, package: Package) -> bool:
    if media_type != EPUB:
        return False
    return extension_of(entry.name) in _PAGES or part_name(entry.name) in package.chapters


# ---- reading


def office_facts(path: Path, media_type: str, scratch: Path, report: Report) -> DocumentFacts:
    """Pages, the amount of text, its language and the title; progress counts packed bytes."""
    found = _Found(media_type, package_of(path, media_type), _FACTS_CHARACTERS)
    found.gather(walk(path, scratch, part(report, 0.0, 0.9)))
    report(0.9, "Recognizing the language")
    text = found.text
    language, confidence = language_of(text)
    not_checked = [] if language_available() else [NO_LANGUAGE]
    report(1.0)
    return DocumentFacts(
        format=_format(media_type),
        pages=found.pages,
        characters=len(text) - text.count("\n"),
        words=len(text.split()),
        language=language,
        language_confidence=confidence,
        title=clean_text(found.properties.title, 200) or None,
        encrypted=found.package.sealed,
        not_checked=[*not_checked, *_notes(found.package)],
    )


def office_text(
    path: Path, media_type: str, scratch: Path, limit_characters: int, report: Report
) -> str | None:
    """At most `limit_characters` of the text; None for an encrypted document.

    Parts that nothing leads to are read as well: a reader does not see them, another program may.
    """
    package = package_of(path, media_type)
    everything = dataclasses.replace(package, reachable=None)
    found = _Found(media_type, everything, limit_characters)
    found.gather(walk(path, scratch, report))
    return None if package.sealed else found.text[:limit_characters]


class _Found:
    """What a walk over a document gathers: its text and what it says about itself."""

    def __init__(self, media_type: str, package: Package, limit_characters: int) -> None:
        self.package = package
        self.properties = Properties()
        self._media_type = media_type
        self._office = OfficeText(limit_characters)
        self._body = BodyText(limit_characters)

    @property
    def text(self) -> str:
        return "".join(self._office.pieces or self._body.pieces)

    @property
    def pages(self) -> int | None:
        said = self.properties.pages.strip()
        if self._office.pages:
            return self._office.pages
        return int(said) if said.isascii() and said.isdigit() and len(said) < 7 else None

    def gather(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if not (entry.depth or entry.skipped or self.package.sealed):
                self._take(entry)

    def _take(self, entry: Entry) -> None:
        name = part_name(entry.name)
        is_xml = extension_of(name) in _XML
        if name in self.package.properties or name.endswith(".opf"):
            read_part(entry, self.properties)
        elif self._media_type == EPUB:
            chapters = self.package.chapters
            if name in chapters or (not chapters and extension_of(name) in _PAGES):
                read_part(entry, self._body, lenient=True)
        elif not is_ooxml(self._media_type):
            if name.rpartition("/")[2] in ("content.xml", "styles.xml"):  # objects have their own
                read_part(entry, self._body)
        elif is_xml and self._is_reachable(name):
            self._office.begin()
            read_part(entry, self._office)

    def _is_reachable(self, name: str) -> bool:
        return self.package.reachable is None or name in self.package.reachable


def _format(media_type: str) -> str:
    return next((short for tail, short in _FORMATS.items() if media_type.endswith(tail)), "office")
