"""Plain text, tables and JSON: decoded whole, counted, their language told."""

from __future__ import annotations

import pytest

from sse_progress.stages.formats.text import text
from tests.unit.stages.helpers import Desk, refusal, through

GERMAN = "Der schnelle braune Fuchs springt über den faulen Hund, und niemand wundert sich.\n"
ENGLISH = "The quick brown fox jumps over the lazy dog, and nobody is surprised by it.\n"


def facts_of(desk: Desk, data: bytes, name: str) -> tuple[str, dict[str, object]]:
    upload, _ = through(desk.upload(data, name), "analyzing")
    return upload.results["validating"]["contentType"], upload.results["analyzing"]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (GERMAN.encode(), "utf-8"),
        (GERMAN.encode("utf-8-sig"), "utf-8"),
        (GERMAN.encode("latin-1"), "latin-1"),
        (GERMAN.encode("utf-16"), "utf-16"),
        (b"\xff\xfe\0\0" + GERMAN.encode("utf-32-le"), "utf-32"),
    ],
)
def test_encodings(desk: Desk, data: bytes, encoding: str) -> None:
    """A text is counted in characters, whatever its bytes are."""
    media_type, facts = facts_of(desk, data, "notes.txt")
    assert media_type == "text/plain"
    assert facts["encoding"] == encoding
    assert facts["characters"] == len(GERMAN)
    assert facts["words"] == 13
    assert facts["lines"] == 1


@pytest.mark.parametrize(
    ("content", "ending", "lines"),
    [
        ("one", "none", 1),
        ("one\ntwo", "lf", 2),
        ("one\r\ntwo\r\n", "crlf", 2),
        ("one\rtwo\r", "cr", 2),
        ("one\r\ntwo\nthree", "mixed", 3),
    ],
)
def test_lines(desk: Desk, content: str, ending: str, lines: int) -> None:
    """Every kind of line ending is counted and named; a last line needs none."""
    _, facts = facts_of(desk, content.encode(), "notes.txt")
    assert (facts["lineEnding"], facts["lines"]) == (ending, lines)


def test_pieces_do_not_change_the_count(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words, line ends and characters cut in two by reading are counted once."""
    content = "größer\r\nals\rzwei Wörter\n" * 50
    _, whole = facts_of(desk, content.encode(), "notes.txt")
    monkeypatch.setattr(text, "_CHUNK_BYTES", 1)
    _, pieces = facts_of(desk, content.encode(), "notes.txt")
    assert pieces == whole
    assert whole["words"] == 200


@pytest.mark.parametrize(("content", "code"), [(GERMAN, "de"), (ENGLISH, "en")])
def test_language(desk: Desk, content: str, code: str) -> None:
    """The language is told with its confidence, and not for a text of a few letters."""
    _, facts = facts_of(desk, (content * 3).encode(), "notes.txt")
    assert facts["language"] == code
    assert float(str(facts["languageConfidence"])) > 0.8
    _, facts = facts_of(desk, b"hm, hm\n", "notes.txt")
    assert "language" not in facts


def test_a_name_chooses_among_kinds_of_text_only(desk: Desk) -> None:
    """Markdown and tables cannot be told from text by bytes; the name may say so, and no more."""
    assert facts_of(desk, b"# Title\n\nText.\n", "README.md")[0] == "text/markdown"
    assert facts_of(desk, b"one\ntwo\n", "column.csv")[0] == "text/csv"
    assert facts_of(desk, b"one\ntwo\n", "photo.jpg")[0] == "text/plain"
    assert refusal(desk.upload(b"<html><body>x</body></html>", "README.md")).code == "rejected_type"


def test_table(desk: Desk) -> None:
    """Rows and columns of a CSV, quoted line breaks included."""
    rows = b'id;name\n1;"two\nlines"\n2;plain\n'
    media_type, facts = facts_of(desk, rows, "table.csv")
    assert media_type == "text/csv"
    assert (facts["rows"], facts["columns"]) == (3, 2)


def test_rows_are_reported(desk: Desk) -> None:
    """A long table tells the row it is at."""
    rows = b"a,b,c\n" * 50_000
    _, reports = through(desk.upload(rows, "table.csv"), "analyzing")
    assert "Reading row 25000" in reports["analyzing"].messages


def test_json_must_parse(desk: Desk) -> None:
    """What is named or looks like JSON has to be JSON to its end, however long or deep."""
    good = b'{"list": [' + b"1, " * 500_000 + b'2], "text": "\\u00e4"}'
    assert facts_of(desk, good, "data.json")[0] == "application/json"
    assert facts_of(desk, good[:100] + b"2]}", "data.txt")[0] == "application/json"
    for broken in (good[:-1], good + b"]", b"[" * 100_000 + b"]" * 100_000):
        assert refusal(desk.upload(broken, "data.json")).code == "corrupt_file"


def test_binary_data_behind_text_is_refused(desk: Desk) -> None:
    """A text that turns into binary data far behind its beginning is no text."""
    data = (ENGLISH * 40_000).encode() + b"\0\1\2\3"
    assert refusal(desk.upload(data, "notes.txt")).code == "rejected_type"


def test_broken_utf16_is_corrupt(desk: Desk) -> None:
    """A UTF-16 text that ends within a character is a `corrupt_file`."""
    assert refusal(desk.upload(GERMAN.encode("utf-16")[:-1], "a.txt")).code == "corrupt_file"


def test_progress_follows_bytes(desk: Desk) -> None:
    """Twice the text makes twice the reports."""
    size = 4 * text._CHUNK_BYTES

    def told(count: int) -> int:
        data = (ENGLISH * (size * count // len(ENGLISH))).encode()
        _, reports = through(desk.upload(data, "notes.txt"), "validating")
        return sum(message.startswith("Reading") for message in reports["validating"].messages)

    assert told(2) == 2 * told(1)
