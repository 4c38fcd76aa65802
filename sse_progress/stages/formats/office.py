"""Office documents and e-books: zip archives of XML, read part by part, never unpacked.

XML that declares entities is refused: none of these formats needs them, and bombs do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.parsers import expat

from sse_progress.model.errors import Rejected
from sse_progress.model.media import DocumentFacts
from sse_progress.model.stage_api import Report
from sse_progress.model.text import clean_text
from sse_progress.stages.formats.archives import Entry, walk
from sse_progress.stages.formats.language import (
    NO_LANGUAGE,
    language_available,
    language_of,
)
from sse_progress.stages.formats.media_types import extension_of, is_ooxml
from sse_progress.stages.progress import part

__all__ = ["check_office", "office_facts", "office_text"]

_XML = frozenset(("xml", "rels", "opf", "ncx"))
_PAGES = frozenset(("xhtml", "html", "htm"))
_EPUB = "application/epub+zip"
_FORMATS = {
    "wordprocessingml.document": "DOCX",
    "spreadsheetml.sheet": "XLSX",
    "presentationml.presentation": "PPTX",
    "opendocument.text": "ODT",
    "opendocument.spreadsheet": "ODS",
    "opendocument.presentation": "ODP",
    "epub+zip": "EPUB",
}
_CONTENT = re.compile(
    r"word/(document|footnotes|endnotes|comments|header\d*|footer\d*)\.xml"
    r"|ppt/(slides|notesSlides)/[^/]+\.xml"
    r"|xl/(sharedStrings|comments\d*|worksheets/[^/]+)\.xml"
    r"|content\.xml"
)
"""Parts that hold what a reader sees, in OOXML (ECMA-376) and ODF."""
_COUNTED = re.compile(r"ppt/slides/[^/]+\.xml|xl/worksheets/[^/]+\.xml")
_BREAKS = re.compile(r"p|h[1-6]?|li|t[dhr]|si|br|tab|row|c|cell|div")
"""Elements after which a new word begins."""


# ---- validating


def check_office(
    path: Path, media_type: str, scratch: Path, report: Report
) -> tuple[list[str], list[str]]:
    """Inflate every part and parse all XML; what was checked and what was not.

    Raises Rejected: `corrupt_file`, `decompression_bomb` (sizes as in any archive, XML entities),
    `rejected_type` for macros in a type that has none.
    """
    sealed = False
    for entry in walk(path, scratch, report):
        if entry.skipped == "encrypted":
            raise Rejected("corrupt_file", "The document has encrypted parts.")
        if entry.depth:
            continue
        if entry.name.lower().endswith("vbaproject.bin") and "macro" not in media_type:
            raise Rejected("rejected_type", "The document carries macros.")
        if entry.name == "META-INF/manifest.xml":
            sealed = _read(entry, _Scan()).sealed
        elif extension_of(entry.name) in _XML and not sealed:
            _read(entry, _Scan())
        elif media_type == _EPUB and extension_of(entry.name) in _PAGES:
            _read(entry, _Scan(), lenient=True)
    checks = ["every part inflated", "XML without entities", "size, ratio and nesting"]
    return checks, [_SEALED] if sealed else []


_SEALED = "contents (the document is encrypted)"


class _Scan:
    """Looks at the structure alone; `sealed` if an ODF manifest (part 2 §4.8) names encryption."""

    def __init__(self) -> None:
        self.sealed = False

    def start(self, name: str, _: dict[str, str]) -> None:
        self.sealed = self.sealed or name == "encryption-data"

    def end(self, name: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass


def _read(entry: Entry, reader: Any, *, lenient: bool = False) -> Any:
    """Parse one part for `reader`, by local names; `lenient` forgives what e-books get wrong."""
    parser = expat.ParserCreate()
    parser.EntityDeclHandler = _refuse_entity
    parser.StartElementHandler = _by_local_name(reader.start)
    parser.EndElementHandler = lambda name: reader.end(name.rpartition(":")[2])
    parser.CharacterDataHandler = reader.data
    try:
        for chunk in entry.content:
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except expat.ExpatError as exc:
        if not lenient:
            raise Rejected(
                "corrupt_file", f"The part {clean_text(entry.name, 60)} is no well-formed XML."
            ) from exc
    return reader


def _by_local_name(
    start: Callable[[str, dict[str, str]], None],
) -> Callable[[str, dict[str, str]], None]:
    return lambda name, attributes: start(name.rpartition(":")[2], attributes)


def _refuse_entity(*_: Any) -> None:
    raise Rejected("decompression_bomb", "The document declares XML entities.")


# ---- reading


class _Text:
    """Collects what a reader sees: inside `<t>` in OOXML, inside `<body>` elsewhere."""

    def __init__(self, inside: str, limit_characters: int) -> None:
        self._inside = inside
        self._limit = limit_characters
        self._depth = self._hidden = 0
        self.pieces: list[str] = []
        self.length = 0

    def start(self, name: str, _: dict[str, str]) -> None:
        self._depth += name == self._inside
        self._hidden += name in ("script", "style")

    def end(self, name: str) -> None:
        self._depth -= name == self._inside
        self._hidden -= name in ("script", "style")
        if _BREAKS.fullmatch(name):
            self.pieces.append("\n")

    def data(self, text: str) -> None:
        if self._depth > 0 and not self._hidden and self.length < self._limit:
            self.pieces.append(text)
            self.length += len(text)


class _Properties:
    """Title and page count from the parts that describe the document."""

    def __init__(self) -> None:
        self._at = ""
        self.title = self.pages = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._at = name
        for key, value in attributes.items():
            if key.endswith("page-count"):
                self.pages = value

    def end(self, _: str) -> None:
        self._at = ""

    def data(self, text: str) -> None:
        if self._at == "title":
            self.title += text[:500]
        elif self._at == "Pages":
            self.pages += text[:20]


def office_facts(path: Path, media_type: str, scratch: Path, report: Report) -> DocumentFacts:
    """Pages, the amount of text, its language and the title; progress counts packed bytes."""
    found = _gather(path, media_type, scratch, 10_000_000, part(report, 0.0, 0.9))
    report(0.9, "Recognising the language")
    text = "".join(found.text.pieces)
    language, confidence = language_of(text)
    not_checked = [] if language_available() else [NO_LANGUAGE]
    report(1.0)
    return DocumentFacts(
        format=_format(media_type),
        pages=found.pages,
        characters=len("".join(text.split("\n"))),
        words=len(text.split()),
        language=language,
        language_confidence=confidence,
        title=clean_text(found.properties.title, 200) or None,
        encrypted=found.sealed,
        not_checked=[*not_checked, _SEALED] if found.sealed else not_checked,
    )


def office_text(
    path: Path, media_type: str, scratch: Path, limit_characters: int, report: Report
) -> str | None:
    """At most `limit_characters` of the text; None for an encrypted document."""
    found = _gather(path, media_type, scratch, limit_characters, report)
    return None if found.sealed else "".join(found.text.pieces)[:limit_characters]


class _Found:
    def __init__(self, media_type: str, limit_characters: int) -> None:
        self.text = _Text("t" if is_ooxml(media_type) else "body", limit_characters)
        self.properties = _Properties()
        self.counted = 0
        self.sealed = False

    @property
    def pages(self) -> int | None:
        said = self.properties.pages.strip()
        if self.counted:
            return self.counted
        return int(said) if said.isascii() and said.isdigit() and len(said) < 7 else None


def _gather(
    path: Path, media_type: str, scratch: Path, limit_characters: int, report: Report
) -> _Found:
    found = _Found(media_type, limit_characters)
    for entry in walk(path, scratch, report):
        if entry.depth or found.sealed:
            continue
        name = entry.name
        found.counted += _COUNTED.fullmatch(name) is not None
        if name == "META-INF/manifest.xml":
            found.sealed = _read(entry, _Scan()).sealed
        elif name in ("docProps/core.xml", "docProps/app.xml", "meta.xml") or name.endswith(".opf"):
            _read(entry, found.properties)
        elif media_type == _EPUB:
            if extension_of(name) in _PAGES:
                _read(entry, found.text, lenient=True)
        elif _CONTENT.fullmatch(name):
            _read(entry, found.text)
    return found


def _format(media_type: str) -> str:
    return next((short for tail, short in _FORMATS.items() if media_type.endswith(tail)), "office")
