"""Texts, documents and archives rebuilt from reports about other services, with the right values.

datatracker 4453 (README files), rag_api 291 and PapaParse 600 (tables), docx2txt 16, PHPWord 1485
(Word Online), omamail 236 (attachments), and a zip whose UTF-8 flag stands in its directory only.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.stages.helpers import DATA, Desk, through

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
INSIDE = ["words in 1 texts and documents inside"]
FILES: dict[str, tuple[str, dict[str, Any], str, list[str]]] = {
    "texts/readme-js.md": ("text/markdown", {"lines": 8, "encoding": "utf-8"}, "approved", []),
    "texts/readme-link.md": ("text/markdown", {"lines": 3}, "approved", []),
    "texts/readme-table.md": ("text/markdown", {"lines": 5}, "approved", []),
    "texts/one-letter.txt": ("text/plain", {"characters": 1, "words": 1}, "approved", []),
    "texts/one-newline.txt": ("text/plain", {"characters": 1, "words": 0}, "approved", []),
    "texts/prose-with-commas.txt": ("text/plain", {"words": 29, "rows": None}, "approved", []),
    "texts/subtitles.srt": ("text/plain", {"lines": 7}, "approved", []),
    "texts/semicolons.csv": ("text/csv", {"rows": 3, "columns": 4}, "approved", []),
    "texts/shift-jis.csv": (
        "text/csv",
        {"encoding": "shift_jis", "characters": 280, "rows": 11, "columns": 3},
        "approved",
        [],
    ),
    "texts/windows-1251.txt": (
        "text/plain",
        {"encoding": "cp1251", "characters": 540, "language": "ru"},
        "approved",
        [],
    ),
    "documents/word-online-document2.docx": (WORD, {"words": 12, "pages": 1}, "review", []),
    "documents/attached-xlsx.pdf": (
        "application/pdf",
        {"pages": 1, "words": 9, "attachments": 1},
        "approved",
        INSIDE,
    ),
    "documents/hybrid-libreoffice.pdf": (
        "application/pdf",
        {"pages": 1, "words": 12, "attachments": 1},
        "approved",
        INSIDE,
    ),
    "documents/utf8-flag-in-directory-only.zip": (
        "application/zip",
        {"fileCount": 1, "inflatedBytes": 11},
        "approved",
        [],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_reported_files(desk: Desk, name: str) -> None:
    """Type, facts, verdict and what was not checked are right for each of them."""
    media_type, facts, verdict, not_checked = FILES[name]
    upload, _ = through(desk.upload(DATA / name, name.rpartition("/")[2]), "moderating")
    found = upload.results["analyzing"]
    assert upload.results["validating"]["contentType"] == media_type
    assert {key: found.get(key) for key in facts} == facts
    assert upload.results["moderating"]["verdict"] == verdict
    assert upload.results["moderating"]["notChecked"] == not_checked


def test_every_reported_file_is_in_the_table() -> None:
    """No file lies beside the table unseen."""
    lying = {f"{d}/{path.name}" for d in ("texts", "documents") for path in (DATA / d).iterdir()}
    assert lying == set(FILES)
