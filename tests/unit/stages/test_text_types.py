"""Name, libmagic and beginning decide on a text together; no word in it refuses it."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from sse_progress.stages.formats.detection import detect
from tests.unit.stages.helpers import Desk, refusal, through

ROOT = Path(__file__).parents[3]
JS = "# Tool\n\n```js\nconst { a } = require('a');\nfunction add(b) {\n  return b;\n}\n```\n"
SRT = "1\n00:00:01,000 --> 00:00:04,000\nHello there.\n\n2\n00:00:05,000 --> 00:00:08,000\nYes.\n"
PROSE = "Roses are red, violets are blue\nSugar is sweet, and so are you\nThe sun is hot, it is\n"
PHP = "# Setup\n\n```php\n<?php\n$a = new Client();\necho $a->get('x');\n?>\n```\n"
MAIL = "From: someone\nSubject: lunch\nDate: today\n\nSee you at noon.\n"


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (JS, "README.md", "text/markdown"),
        (JS, "README", "text/plain"),
        (JS, "notes.txt", "text/plain"),
        (PHP, "README.md", "text/markdown"),
        ("# Tool\n\nSee <a href='https://example.org'>the docs</a>.\n", "a.md", "text/markdown"),
        ("<p align='center'><img src='a.png'></p>\n\n# Tool\n", "README.md", "text/markdown"),
        ("<!-- note -->\n<h1 align='center'>Tool</h1>\n", "README.md", "text/markdown"),
        ("# Tool\n\n<table>\n<tr><td>a</td></tr>\n</table>\n", "a.md", "text/markdown"),
        ("# Tool\n\n<style>p {}</style>\n<script src=x></script>\n", "a.md", "text/markdown"),
        ("How pages begin:\n<!doctype html>\n<html>\n", "howto.txt", "text/plain"),
        (SRT, "film.srt", "text/plain"),
        ("WEBVTT\n\n00:01.000 --> 00:04.000\nHello.\n", "film.vtt", "text/plain"),
        ("[Script Info]\nTitle: x\n\n[Events]\nDialogue: 0,0\n", "film.ass", "text/plain"),
        (SRT, "notes.txt", "text/plain"),
        (PROSE, "poem.txt", "text/plain"),
        (PROSE, "poem", "text/plain"),
        (PROSE, "poem.md", "text/markdown"),
        ("id,name\n1,Ann\n2,Bob\n3,Eve\n", "export", "text/csv"),
        ("id,name\n1,Ann\n2,Bob\n3,Eve\n", "notes.txt", "text/plain"),
        ("id;html\n1;<a href='x'>y</a>\n", "a.csv", "text/csv"),
        ("a", "one.txt", "text/plain"),
        ("\n", "one.txt", "text/plain"),
        ("{", "one.txt", "text/plain"),
        ("ends as old texts do\r\n\x1a", "old.txt", "text/plain"),
        (MAIL, "notes.txt", "text/plain"),
        ("MZ is how programs begin, they say.\n" * 9, "notes.txt", "text/plain"),
        ("GIF89a is how pictures begin.\n" * 9, "notes.txt", "text/plain"),
        ('{"a": 1}\n{"a": 2}\n{"a": 3}\n', "rows.jsonl", "text/plain"),
        ('{"a": 1}\n{"a": 2}\n{"a": 3}\n', "rows.json", "text/plain"),
        ('{"a": 1}\n', "rows.jsonl", "text/plain"),
        ('{"a": 1}\n', "notes.txt", "application/json"),
        ('{"a": [1, 2]}', "data", "application/json"),
        ("const a: number = require('a');\nfunction f() {}\n", "a.ts", "text/plain"),
        ("@import url(x);\nbody { color: red }\n", "notes.txt", "text/plain"),
    ],
)
def test_harmless_text_is_text(desk: Desk, content: str, name: str, media_type: str) -> None:
    """Code, markup, commas and headers inside a text do not change what it is."""
    upload, _ = through(desk.upload(content.encode(), name), "analyzing")
    assert upload.results["validating"]["contentType"] == media_type
    assert upload.results["analyzing"]["kind"] == "text"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        *(
            (begin + "<!DOCTYPE html><html><body>x</body></html>", name)
            for name in ("README.md", "a.txt", "a.csv", "a", "a.srt", "a.jpg", "a.html")
            for begin in ("", "\ufeff", " \r\n\t", "<!-- a README -->\n")
        ),
        ("<html><body>x</body></html>", "README.md"),
        ("<script>alert(1)</script>", "a.md"),
        ("<head><title>x</title></head>", "a.txt"),
        ("<p>Only a part of a page</p>", "part.html"),
        ('<svg xmlns="http://www.w3.org/2000/svg"/>', "a.md"),
        ('<?xml version="1.0"?><a/>', "a.txt"),
        ("<?php system('id'); ?>", "a.md"),
        ("#!/bin/sh\nrm -rf /\n", "README"),
        ("@echo off\r\ndel *.*\r\n", "a.txt"),
        ("const a = require('a');\nfunction f() { return a; }\n", "a.js"),
        ("const a = require('a');\nfunction f() { return a; }\n", "photo.jpg"),
        ("{\\rtf1\\ansi hello}", "a.txt"),
    ],
)
def test_pages_and_scripts_stay_refused(desk: Desk, content: str, name: str) -> None:
    """What begins as a page or script, or is named and looks like one, is a `rejected_type`."""
    assert refusal(desk.upload(content.encode(), name)).code == "rejected_type"


def test_a_page_in_utf16_is_a_page(desk: Desk) -> None:
    """No encoding hides how a text begins, with a byte order mark or without."""
    page = "<!doctype html><html><body>x</body></html>"
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        error = refusal(desk.upload(page.encode(encoding), "a.txt"))
        assert (error.code, "HTML" in error.detail) == ("rejected_type", True)


def texts() -> Iterator[Path]:
    """README files and licences of every package that this project is tested with, and its own."""
    places = (ROOT / "tests/js/node_modules", Path(sysconfig.get_path("purelib")), ROOT / "docs")
    names = ("README", "LICENSE", "LICENCE", "CHANGELOG", "NOTICE", "COPYING")
    for place in places:
        walk = sorted(os.walk(place))  # `rglob` takes longer than the test
        for path in (Path(folder, name) for folder, _, files in walk for name in sorted(files)):
            is_markdown = path.suffix in (".md", ".markdown")
            is_text = path.suffix in ("", ".txt") and path.stem.upper() in names
            if (is_markdown or is_text) and path.is_file():
                yield path
    yield from sorted(ROOT.glob("*.md"))


def test_no_readme_is_refused(desk: Desk) -> None:
    """Every README and licence of the packages at hand is text; those that go through all stages
    have an encoding, and hardly any is marked for its words."""
    found = [path for path in texts() if path.stat().st_size]
    assert len(found) > 100
    marked = []
    for number, path in enumerate(found):
        upload = desk.upload(path.read_bytes()[:200_000], path.name)
        media_type = "text/markdown" if path.suffix in (".md", ".markdown") else "text/plain"
        assert detect(Path(upload.path), path.name) == media_type, path
        if number % (len(found) // 40) == 0:
            upload, _ = through(upload, "moderating")
            assert upload.results["validating"]["contentType"] == media_type, path
            assert upload.results["analyzing"]["encoding"] is not None, path
            if upload.results["moderating"]["verdict"] != "approved":
                marked.append(path)
    assert len(marked) <= 2, marked
