"""Reading one XML part of a document as it is inflated: its text, its properties, its mistakes.

XML that declares entities is refused: none of these formats needs them, and bombs do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol
from xml.parsers import expat

from sse_progress.model.errors import Rejected
from sse_progress.model.text import clean_text
from sse_progress.stages.formats.documents.archives import Entry

__all__ = ["BodyText", "OfficeText", "Properties", "check_part", "read_part"]


class Reader(Protocol):
    """Is given the elements of a part by their local names, without prefix."""

    def start(self, name: str, attributes: dict[str, str], /) -> None: ...

    def end(self, name: str) -> None: ...

    def data(self, text: str) -> None: ...

    def wants(self, piece: bytes) -> bool:
        """Whether there can be anything for it in `piece`, which begins a little earlier."""


def check_part(entry: Entry, *, lenient: bool = False) -> None:
    """Parse one part for its mistakes only; `lenient` forgives what e-books get wrong.

    Raises Rejected: `corrupt_file` if it is not well-formed, `decompression_bomb` for entities.
    """
    _parse(entry, expat.ParserCreate(), lambda _: None, lenient=lenient)


def read_part(entry: Entry, reader: Reader, *, lenient: bool = False) -> None:
    """Parse one part for `reader`. Raises Rejected as `check_part` does."""
    parser = expat.ParserCreate()
    locals_: dict[str, str] = {}

    def local(name: str) -> str:
        found = locals_.get(name)
        if found is None:
            found = locals_[name] = name.rpartition(":")[2]
        return found

    def start(name: str, attributes: dict[str, str]) -> None:
        reader.start(local(name), attributes)

    def end(name: str) -> None:
        reader.end(local(name))

    def prepare(piece: bytes) -> None:
        """Without handlers expat runs ten times as fast: most of a large sheet is numbers."""
        wanted = reader.wants(piece)
        parser.StartElementHandler = start if wanted else None
        parser.EndElementHandler = end if wanted else None
        parser.CharacterDataHandler = reader.data if wanted else None

    parser.buffer_text = True
    _parse(entry, parser, prepare, lenient=lenient)


_TAIL_BYTES = 1024


def _parse(
    entry: Entry, parser: expat.XMLParserType, prepare: Callable[[bytes], None], *, lenient: bool
) -> None:
    parser.EntityDeclHandler = _refuse_entity
    tail = b""
    try:
        for chunk in entry.content:
            prepare(tail + chunk)
            parser.Parse(chunk, False)
            tail = chunk[-_TAIL_BYTES:]
        parser.Parse(b"", True)
    except (expat.ExpatError, UnicodeError, LookupError, ValueError) as exc:  # and odd encodings
        if not lenient:
            raise Rejected(
                "corrupt_file", f"The part {clean_text(entry.name, 60)} is no well-formed XML."
            ) from exc


def _refuse_entity(*_: object) -> None:
    raise Rejected("decompression_bomb", "The document declares XML entities.")


# ---- readers

_BREAKS = re.compile(r"p|h[1-6]?|li|t[dhr]|si|br|tab|row|c|cell|div|text")
"""Elements after which a new word begins."""
_HIDDEN = frozenset(("script", "style", "Fallback", "tracked-changes"))
"""Not seen by a reader: Word writes text boxes twice, the second time as a fallback."""


class _Text:
    """Text inside certain elements, up to a limit."""

    def __init__(self, inside: frozenset[str], limit_characters: int) -> None:
        self._inside = inside
        self._limit = limit_characters
        self._depth = self._hidden = 0
        self.pieces: list[str] = []
        self.length = 0

    def start(self, name: str, _: dict[str, str]) -> None:
        if name in self._inside:
            self._depth += 1
        elif name in _HIDDEN:
            self._hidden += 1

    def end(self, name: str) -> None:
        if name in self._inside:
            self._depth -= 1
        elif name in _HIDDEN:
            self._hidden -= 1
        if _BREAKS.fullmatch(name) and self.pieces and self.pieces[-1] != "\n":
            self.pieces.append("\n")

    def data(self, text: str) -> None:
        if self._depth > 0 and not self._hidden and self.length < self._limit:
            self.pieces.append(text)
            self.length += len(text)

    def wants(self, _: bytes) -> bool:
        return True


class BodyText(_Text):
    """What a reader sees of a page or an OpenDocument part: its body, headers and footers."""

    def __init__(self, limit_characters: int) -> None:
        super().__init__(_BODIES, limit_characters)


_BODIES = frozenset(
    f"{name}{which}" for name in ("header", "footer") for which in ("", "-left", "-first")
) | {"body"}

_CONTENT_ROOTS = {
    **dict.fromkeys(("document", "glossaryDocument", "hdr", "ftr", "footnotes", "endnotes"), "t"),
    **dict.fromkeys(("comments", "sld", "notes", "sst", "worksheet"), "t"),
    **dict.fromkeys(("wsDr", "chartSpace", "dataModel", "userShapes"), "t"),
    "cmLst": "text",
    "ThreadedComments": "text",
}
"""Root elements of the OOXML parts that a reader sees, and the element that holds text there."""
_PAGES = ("sld", "worksheet")
_SHEET_TEXT = re.compile(rb"<(\w+:)?t[\s/>]|=\s*[\"']str[\"']|\0")
"""A string, or a result of a formula that is one; zeros are UTF-16, which is not searched."""


class OfficeText(_Text):
    """What a reader sees of an OOXML part; the part's root element says what the part is."""

    def __init__(self, limit_characters: int) -> None:
        super().__init__(frozenset(("t", "text")), limit_characters)
        self._cell_is_text = self._is_content = self._is_sheet = False
        self._at_root = True
        self.pages = 0

    def wants(self, piece: bytes) -> bool:
        """In sheets only strings that stand in their cells matter, elsewhere nothing or all."""
        if self._at_root or self._depth or self._hidden:
            return True
        if not self._is_content:
            return False
        return not self._is_sheet or self._cell_is_text or _SHEET_TEXT.search(piece) is not None

    def begin(self) -> None:
        """The next element is the root of another part."""
        self._at_root = True
        self._cell_is_text = False
        self._depth = self._hidden = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._at_root:
            self._at_root = False
            self._is_content = name in _CONTENT_ROOTS
            self._is_sheet = name == "worksheet"
            self.pages += name in _PAGES
        elif self._is_content:
            if name == "c":
                self._cell_is_text = attributes.get("t") == "str"  # the result of a formula
            elif name == "v" and self._cell_is_text:
                self._depth += 1
            super().start(name, attributes)

    def end(self, name: str) -> None:
        if self._is_content:
            if name == "v" and self._cell_is_text:
                self._depth -= 1
            super().end(name)


class Properties:
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

    def wants(self, _: bytes) -> bool:
        return True

    def data(self, text: str) -> None:
        if self._at == "title":
            self.title += text[:500]
        elif self._at == "Pages":
            self.pages += text[:20]
