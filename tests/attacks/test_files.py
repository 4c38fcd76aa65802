"""Hostile files: refused by name before anybody opens them, or stored so that nothing runs.

The rows of OWASP's file upload cheat sheet and their relatives, each against the whole service.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest

from tests.attacks import content
from tests.attacks.content import EICAR, HTML, LAUGHS, OUTSIDE, SVG, archive, document, pdf
from tests.attacks.words import Caller, check_problem, check_refused, new_id
from tests.helpers.media import gif, jpeg, noise, png
from tests.helpers.multipart import file_part

Make = Callable[[], bytes]

REFUSED: dict[str, tuple[Make, str, str]] = {
    # what would run or render where it is opened
    "SVG": (lambda: SVG, "a.svg", "rejected_type"),
    "SVG named a JPEG": (lambda: SVG, "a.jpg", "rejected_type"),
    "SVG behind white space": (lambda: b" \r\n" * 40 + SVG, "a.txt", "rejected_type"),
    "HTML": (lambda: HTML, "a.html", "rejected_type"),
    "HTML named a PNG": (lambda: HTML, "a.png", "rejected_type"),
    "HTML behind a byte order mark": (lambda: b"\xef\xbb\xbf" + HTML, "a.txt", "rejected_type"),
    "HTML in UTF-16": (lambda: HTML.decode().encode("utf-16"), "a.txt", "rejected_type"),
    "XHTML": (
        lambda: b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>',
        "a.xhtml",
        "rejected_type",
    ),
    "PHP": (lambda: b'<?php system("id"); ?>', "a.txt", "rejected_type"),
    "shell script named a text": (lambda: b"#!/bin/sh\nrm -rf /\n", "a.txt", "rejected_type"),
    "batch file": (lambda: b"@echo off\r\ndel *.*\r\n", "a.txt", "rejected_type"),
    "ELF program": (content.program, "a", "rejected_type"),
    "Windows program named a JPEG": (content.windows_program, "a.jpg", "rejected_type"),
    "Java archive named a zip": (
        lambda: archive({"META-INF/MANIFEST.MF": b"Main-Class: x", "x.class": bytes(200)}),
        "a.zip",
        "rejected_type",
    ),
    # what is something else than it says
    "noise named a JPEG": (lambda: noise(5000), "a.jpg", "rejected_type"),
    "NULs named a PNG": (lambda: bytes(5000), "a.png", "rejected_type"),
    "signature of a PNG, then noise": (
        lambda: b"\x89PNG\r\n\x1a\n" + noise(5000),
        "a.png",
        "rejected_type",
    ),
    "half a JPEG": (lambda: jpeg()[:9000], "a.jpg", "corrupt_file"),
    "empty": (lambda: b"", "a.jpg", "empty_file"),
    "gzip": (lambda: gzip.compress(b"abc" * 1000), "a.gz", "rejected_type"),
    # two things at once
    "JPEG and zip": (content.jpeg_archive, "a.jpg", "rejected_type"),
    "PNG and zip": (lambda: png(40, 40) + archive({"a": b"b"}), "a.png", "rejected_type"),
    "GIF and script": (content.gif_script, "a.gif", "rejected_type"),
    "GIF and page": (lambda: gif(20, 20) + HTML, "a.gif", "rejected_type"),
    "JPEG and PHP": (
        lambda: content.jpeg_comment(b"<?php system($_GET[0]); ?>"),
        "a.jpg.php",
        "rejected_type",
    ),
    "JPEG and PDF": (lambda: content.jpeg_comment(b"%PDF-1.4\n"), "a.jpg", "rejected_type"),
    "PDF and zip": (lambda: pdf(archive({"a": b"b"})), "a.pdf", "rejected_type"),
    "page, then PDF": (lambda: HTML + pdf(), "a.pdf", "rejected_type"),
    # known to be harmful
    "EICAR": (lambda: EICAR, "a.txt", "malware"),
    "EICAR named a JPEG": (lambda: EICAR, "a.jpg", "malware"),
    "EICAR in a zip": (lambda: archive({"a.com": EICAR}), "a.zip", "malware"),
    "EICAR in a zip in a zip": (
        lambda: archive({"b.zip": archive({"a.com": EICAR})}),
        "a.zip",
        "malware",
    ),
    # bombs
    "zip bomb": (content.bomb, "a.zip", "decompression_bomb"),
    "zip bomb of shared bytes": (content.overlapping, "a.zip", "decompression_bomb"),
    "zip in zip in zip": (content.quine_like, "a.zip", "decompression_bomb"),
    "zip of 20,000 entries": (
        lambda: archive({str(number): b"" for number in range(20_000)}),
        "a.zip",
        "decompression_bomb",
    ),
    "pixel bomb": (content.pixels, "a.png", "decompression_bomb"),
    "text bomb in a PNG": (content.text_bomb, "a.png", "corrupt_file"),
    "XML bomb": (lambda: LAUGHS, "a.txt", "rejected_type"),
    "XML bomb in a document": (lambda: document(LAUGHS), "a.docx", "decompression_bomb"),
    "outer entity in a document": (lambda: document(OUTSIDE), "a.docx", "decompression_bomb"),
    "zip bomb in a document": (
        lambda: document(content.paragraph(b" " * 60 * 1024**2)),
        "a.docx",
        "decompression_bomb",
    ),
    "JSON nested 200,000 deep": (lambda: b"[" * 200_000, "a.json", "corrupt_file"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refused(anybody: Caller, case: str) -> None:
    """422 with the code of the row, in the journal too; no file is left and none can be fetched."""
    make, filename, code = REFUSED[case]
    upload_id = new_id()
    answer = anybody.post([file_part(make(), filename)], upload_id=upload_id)
    await check_refused(anybody, answer, upload_id, 422, code)
    answer = anybody.ask("GET", f"/upload/{upload_id}/files/{filename}")
    check_problem(answer, 404, "not_found")


STORED: dict[str, tuple[Make, str, str]] = {
    "JPEG named PHP": (lambda: jpeg(40, 40), "a.jpg.php", "image/jpeg"),
    "JPEG named a page": (lambda: jpeg(40, 40), "a.jpg.html", "image/jpeg"),
    "JPEG named SVG": (lambda: jpeg(40, 40), "a.svg", "image/jpeg"),
    "page behind 4 KiB of text": (lambda: b"text " * 1000 + HTML, "a.html", "text/plain"),
    "script as text": (lambda: b"window.location = 'http://evil.example';\n" * 9, "a.js", ""),
    "formulas in a table": (lambda: b"=cmd|'/c calc'!A1,2\n" * 9, "a.csv", "text/csv"),
    "server settings": (lambda: b"AddType text/html .jpg\n", ".htaccess", "text/plain"),
    "PDF and page": (lambda: pdf(HTML), "a.html", "application/pdf"),
    "zip whose names climb": (
        lambda: archive({"../../../etc/cron.d/x": b"x", "/etc/passwd": b"x", "..\\x": b"x"}),
        "a.zip",
        "application/zip",
    ),
    "a million digits": (lambda: b"1" * 1_000_000, "a.txt", "text/plain"),
    "spaced digits": (lambda: b"1 " * 500_000, "a.txt", "text/plain"),
}


@pytest.mark.parametrize("case", STORED)
async def test_stored_so_that_nothing_runs(anybody: Caller, case: str) -> None:
    """What is harmless where it lies is served as a download of the detected type, inert."""
    make, filename, kind = STORED[case]
    upload_id, data = new_id(), make()
    answer = anybody.post([file_part(data, filename, "text/html")], upload_id=upload_id)
    assert answer.status == 200, answer.body
    media = answer.json["data"]["media"]
    assert media["contentType"] in ([kind] if kind else ["text/plain", "application/javascript"])
    served = anybody.ask("GET", media["url"])
    assert served.body == data
    assert served.headers["content-disposition"].startswith("attachment")
    assert served.headers["content-type"].startswith(media["contentType"])
    assert "html" not in served.headers["content-type"]
    assert served.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in served.headers["content-security-policy"]
    assert all(path.startswith("objects/") for path in anybody.files_of(upload_id))


async def test_stored_files_cannot_be_run(anybody: Caller) -> None:
    """No file of an upload may be executed, or read by other users of the machine."""
    upload_id = new_id()
    assert anybody.post([file_part(jpeg(40, 40))], upload_id=upload_id).status == 200
    paths = [anybody.service.data_dir / name for name in anybody.files_of(upload_id)]
    assert len(paths) >= 3
    for path in paths:
        assert path.stat().st_mode & 0o137 == 0, f"{path} {path.stat().st_mode:o}"


async def test_nothing_is_written_outside(anybody: Caller) -> None:
    """Names inside archives and documents make no file anywhere: they are never unpacked to."""
    before = sorted(path for path in anybody.service.data_dir.parent.rglob("*") if path.is_file())
    upload_id = new_id()
    climbing = {"../" * depth + "planted": b"x" for depth in range(12)}
    assert anybody.post([file_part(archive(climbing), "a.zip")], upload_id=upload_id).status == 200
    after = sorted(path for path in anybody.service.data_dir.parent.rglob("*") if path.is_file())
    assert [path for path in after if path not in before and "planted" in path.name] == []
