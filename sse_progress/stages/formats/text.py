"""Reading plain text: its encoding, lines, words, language, and rows of a table."""

from __future__ import annotations

import codecs
import csv
import functools
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from sse_progress.model.errors import Rejected
from sse_progress.model.media import TextFacts
from sse_progress.model.stage_api import Report
from sse_progress.stages.formats.detection import text_encoding
from sse_progress.stages.progress import megabytes, part

__all__ = ["check_text", "decoded", "encoding_of", "language_of", "text_facts"]

_CHUNK_BYTES = 256 * 1024
_JSON_LIMIT_BYTES = 256 * 1024 * 1024
SAMPLE_CHARACTERS = 20_000
"""So much of a text's beginning decides its language."""
NO_LANGUAGE = "language (py3langid is not installed)"
LineEnding = Literal["lf", "crlf", "cr", "mixed", "none"]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: it begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CODECS = {
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf-32le": "utf-32-le",
    "utf-32be": "utf-32-be",
    "ebcdic": "cp500",
}
"""libmagic's name of an encoding without a byte order mark; every other text is Latin-1."""


def encoding_of(path: Path) -> str:
    """The Python codec that reads the text: by its byte order mark, else UTF-8, else libmagic's.

    libmagic looks at the head alone, so UTF-8 is tried on the whole text first.
    """
    with path.open("rb") as file:
        head = file.read(4)
    for bom, codec in _BOMS:
        if head.startswith(bom):
            return codec
    if _is_utf8(path):
        return "utf-8"
    return _CODECS.get(text_encoding(path), "latin-1")


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def decoded(path: Path, encoding: str, report: Report) -> Iterator[str]:
    """The text in pieces, reporting by bytes read. Raises UnicodeDecodeError."""
    decoder = codecs.getincrementaldecoder(encoding)()
    size = path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield decoder.decode(chunk)
            report(file.tell() / size, f"Reading {megabytes(file.tell(), size)}")
    yield decoder.decode(b"", final=True)


def check_text(path: Path, media_type: str, report: Report) -> tuple[list[str], list[str]]:
    """Decode the whole text; what was checked and what was not.

    Raises Rejected: `rejected_type` if it holds binary data, `corrupt_file` if it breaks off
    within a character, or is JSON (RFC 8259) that does not parse.
    """
    encoding = encoding_of(path)
    try:
        for piece in decoded(path, encoding, report):
            if "\0" in piece:
                raise Rejected("rejected_type", "The text also holds binary data.")
    except UnicodeDecodeError as exc:
        raise Rejected("corrupt_file", f"The text is not valid {encoding}.") from exc
    if media_type != "application/json":
        return [f"every character ({encoding})"], []
    if path.stat().st_size > _JSON_LIMIT_BYTES:
        return [f"every character ({encoding})"], ["JSON syntax, the file is too large"]
    _check_json(path, encoding)
    return ["JSON syntax"], []


def _check_json(path: Path, encoding: str) -> None:
    import msgspec

    raw = path.read_bytes()
    if encoding != "utf-8":
        raw = raw.decode(encoding).encode()
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise Rejected("corrupt_file", "The JSON does not parse or nests too deep.") from exc


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
    """Count over the whole text; the language from its first 20,000 characters."""
    table = media_type == "text/csv"
    encoding = encoding_of(path)
    count, sample = _Count(), ""
    for piece in decoded(path, encoding, part(report, 0.0, 0.5 if table else 0.95)):
        count.add(piece)
        sample += piece[: max(SAMPLE_CHARACTERS - len(sample), 0)]
    rows, columns = _table(path, encoding, part(report, 0.5, 0.95)) if table else (None, None)
    report(0.95, "Recognising the language")
    language, confidence = language_of(sample)
    report(1.0)
    return TextFacts(
        encoding="utf-8" if encoding == "utf-8-sig" else encoding,
        line_ending=count.ending,
        lines=count.lines,
        words=count.words,
        characters=count.characters,
        language=language,
        language_confidence=confidence,
        rows=rows,
        columns=columns,
        not_checked=[] if language_available() else [NO_LANGUAGE],
    )


def _table(path: Path, encoding: str, report: Report) -> tuple[int | None, int | None]:
    """Rows and columns (of the first row) of a table (RFC 4180); None where it is none."""
    size, rows, columns = path.stat().st_size, 0, 0
    with (
        path.open("rb") as raw,
        io.TextIOWrapper(raw, encoding=encoding, newline="") as file,
    ):
        first = file.readline(_CHUNK_BYTES)
        delimiter = max(",;\t|", key=first.count)
        file.seek(0)
        try:
            for row in csv.reader(file, delimiter=delimiter):
                rows += 1
                columns = columns or len(row)
                if rows % 1000 == 0:
                    report(min(raw.tell() / size, 1.0), f"Reading row {rows}")
        except csv.Error:
            return None, None
    report(1.0, f"Read {rows} rows")
    return rows, columns


# ---- language


def language_available() -> bool:
    return importlib.util.find_spec("py3langid") is not None


def language_of(sample: str) -> tuple[str | None, float | None]:
    """ISO 639-1 code and confidence (0-1) of a text; None if too short or not recognisable.

    Below 20 letters a guess is worth nothing (measured: 6 of 10 two-word texts).
    """
    letters = sum(map(str.isalpha, sample[:SAMPLE_CHARACTERS]))
    if letters < 20 or not language_available():
        return None, None
    language, confidence = _identifier().classify(sample[:SAMPLE_CHARACTERS])
    return str(language), round(float(confidence), 3)


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
