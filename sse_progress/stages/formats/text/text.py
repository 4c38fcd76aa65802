"""Reading plain text: its encoding, lines, words, language, and rows of a table."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sse_progress.model.errors import Rejected
from sse_progress.model.media_analysis import TextFacts
from sse_progress.model.stage_api import Report
from sse_progress.stages.formats.text.encodings import BYTE_FOR_BYTE, encoding_of
from sse_progress.stages.formats.text.language import (
    NO_LANGUAGE,
    SAMPLE_CHARACTERS,
    language_available,
    language_of,
)
from sse_progress.stages.formats.text.tables import Table, table_of
from sse_progress.stages.progress import megabytes, part

__all__ = ["NO_ENCODING", "check_text", "decoded", "text_facts"]

_CHUNK_BYTES = 256 * 1024
_JSON_LIMIT_BYTES = 256 * 1024 * 1024
NO_ENCODING = "characters beyond ASCII (the encoding is not known)"
LineEnding = Literal["lf", "crlf", "cr", "mixed", "none"]


def decoded(path: Path, encoding: str, report: Report) -> Iterator[str]:
    """The text in pieces, reporting by bytes read. Raises UnicodeDecodeError."""
    decoder = codecs.getincrementaldecoder(encoding)()
    size = path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield decoder.decode(chunk)
            report(file.tell() / size, f"Reading {megabytes(file.tell(), size)}")
    yield decoder.decode(b"", final=True)


@dataclass(frozen=True)
class TextCheck:
    """What was checked and what was not; `is_json` if the text is named JSON and parses."""

    checks: list[str]
    not_checked: list[str]
    is_json: bool = False


def check_text(path: Path, media_type: str, report: Report) -> TextCheck:
    """Decode the whole text, and parse it if it is JSON (RFC 8259).

    Raises Rejected: `rejected_type` if it holds binary data, `corrupt_file` if it breaks off
    within a character.
    """
    encoding = encoding_of(path)
    try:
        for piece in decoded(path, encoding or BYTE_FOR_BYTE, report):
            if "\0" in piece:
                raise Rejected("rejected_type", "The text also holds binary data.")
    except UnicodeError as exc:
        raise Rejected("corrupt_file", f"The text is not valid {encoding}.") from exc
    if encoding is None:
        return TextCheck(["no binary data"], [NO_ENCODING])
    every = f"every character ({encoding})"
    if media_type != "application/json":
        return TextCheck([every], [])
    if path.stat().st_size > _JSON_LIMIT_BYTES:
        return TextCheck([every], ["JSON syntax, the file is too large"], is_json=True)
    if not _parses(path, encoding):
        return TextCheck([every], [])
    return TextCheck(["JSON syntax"], [], is_json=True)


def _parses(path: Path, encoding: str) -> bool:
    import msgspec

    raw = path.read_bytes()
    if encoding != "utf-8":
        raw = raw.decode(encoding).encode()
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


# ---- facts


class _Count:
    """Lines, words and characters of a text that comes in pieces."""

    def __init__(self) -> None:
        self.characters = self.words = self.crlf = self.cr = self.lf = 0
        self.last = ""

    def add(self, piece: str) -> None:
        if not piece:
            return
        split = self.last == "\r" and piece[0] == "\n"
        crlf = piece.count("\r\n") + split
        self.crlf += crlf
        self.cr += piece.count("\r") - crlf
        self.lf += piece.count("\n") - crlf
        self.words += len(piece.split())
        if self.last and not self.last.isspace() and not piece[0].isspace():
            self.words -= 1  # one word, cut in two between pieces
        self.characters += len(piece)
        self.last = piece[-1]

    @property
    def lines(self) -> int:
        return self.crlf + self.cr + self.lf + (self.last not in ("", "\n", "\r"))

    @property
    def ending(self) -> LineEnding:
        used: list[LineEnding] = []
        if self.lf:
            used.append("lf")
        if self.crlf:
            used.append("crlf")
        if self.cr:
            used.append("cr")
        if len(used) > 1:
            return "mixed"
        return used[0] if used else "none"


def text_facts(path: Path, media_type: str, report: Report) -> TextFacts:
    """Count over the whole text; the language from its first 20,000 characters.

    Where the encoding is not known, lines and words are counted and characters are not.
    """
    is_table = media_type == "text/csv"
    encoding = encoding_of(path)
    codec = encoding or BYTE_FOR_BYTE
    count, sample = _Count(), ""
    for piece in decoded(path, codec, part(report, 0.0, 0.5 if is_table else 0.95)):
        count.add(piece)
        sample += piece[: max(SAMPLE_CHARACTERS - len(sample), 0)]
    table = table_of(path, codec, part(report, 0.5, 0.95)) if is_table else Table()
    report(0.95, "Recognizing the language")
    language, confidence = language_of(sample) if encoding else (None, None)
    report(1.0)
    notes = [table.note, None if encoding else NO_ENCODING]
    if not language_available():
        notes.append(NO_LANGUAGE)
    return TextFacts(
        encoding="utf-8" if encoding == "utf-8-sig" else encoding,
        line_ending=count.ending,
        lines=count.lines,
        words=count.words,
        characters=count.characters if encoding else None,
        language=language,
        language_confidence=confidence,
        rows=table.rows,
        columns=table.columns,
        not_checked=[note for note in notes if note],
    )
