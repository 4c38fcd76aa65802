"""Tables: the right delimiter, rows and columns, or the note that they cannot be told."""

from __future__ import annotations

import pytest

from tests.unit.stages.helpers import Desk, through

LONG = "x" * 140_000
RAGGED = "columns (the rows differ in length)"


@pytest.mark.parametrize(
    ("content", "rows", "columns", "note"),
    [
        ("a,b\n1,2\n", 2, 2, None),
        ("SKU (empty, mandatory);Name (100, max);Price (net, EUR)\n1;Tie;90.0\n", 2, 3, None),
        ("a\tb\n1,5\t2,5\n", 2, 2, None),
        ("1,5;2,5\n3,5;4,5\n", 2, 2, None),
        ("a|b|c\n1|2|3\n", 2, 3, None),
        ('a;b\n"x;y";"2\n3"\n', 2, 2, None),
        ('"a","b"\n"1","say ""hi"", please"\n', 2, 2, None),
        ('name\n"Doe, Jane"\n"Roe, Rick"\n', 3, 1, None),
        ("one\ntwo\nthree\n", 3, 1, None),
        ("a,b\r\n\r\n1,2\r\n\r\n", 2, 2, None),
        ("a,b\r1,2\r", 2, 2, None),
        ("sep=;\na;b\n1;2\n", 2, 2, None),
        (f"a,b\n1,{LONG}\n2,y\n", 3, 2, None),
        ("a,b,c\n" * 40 + "a,b\n", 41, None, RAGGED),
        ("Hello, world\nthis is; no | table\nat all\n", None, None, "table (no delimiter fits"),
        ('a,b\n"1,2\n3,4\n', None, None, "table ("),
        ("a,b\n1,2\n" * 200 + '"1,2\n3,4\n', None, None, "table ("),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables(
    desk: Desk, content: str, rows: int | None, columns: int | None, note: str | None, encoding: str
) -> None:
    """What is said of a table is right, in any encoding; what is not certain is noted instead."""
    upload, _ = through(desk.upload(content.encode(encoding), "a.csv"), "analyzing")
    facts = upload.results["analyzing"]
    assert upload.results["validating"]["contentType"] == "text/csv"
    assert (facts.get("rows"), facts.get("columns")) == (rows, columns)
    notes = facts.get("notChecked", [])
    assert len(notes) == (note is not None)
    assert all(one.startswith(note) for one in notes)
