"""No decoder asks for a socket, not even where it would be denied: real files, all stages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sse_progress.stages.scans import nsfw
from tests.attacks.conftest import running
from tests.attacks.words import Caller, new_id
from tests.helpers.media import encoded, gif, jpeg, picture, png
from tests.helpers.multipart import file_part
from tests.helpers.service import ROOT, Service
from tests.media_samples import docx, epub, odt, pdf, xlsx, zipped

WITHOUT = Path(__file__).parent / "no_sockets"
FILES = {
    "a.jpg": jpeg,
    "a.png": png,
    "a.gif": gif,
    "a.webp": lambda: encoded(picture(64, 48), "WEBP"),
    "a.avif": lambda: encoded(picture(64, 48), "AVIF"),
    "a.pdf": lambda: pdf(["A page"]),
    "a.docx": lambda: docx("A paragraph"),
    "a.xlsx": lambda: xlsx("a cell"),
    "a.odt": lambda: odt("A paragraph"),
    "a.epub": lambda: epub("<p>A chapter</p>"),
    "a.zip": lambda: zipped({"a.txt": "text"}),
    "a.txt": lambda: b"Just a text of some words.\n" * 20,
}
DATA = (
    *("clips/iphone-like-mebx.mov", "clips/paff-fields.mp4", "clips/fonts-70.mkv"),
    *("clips/static-tail.webm", "clips/chapters.m4a", "clips/cover-webp.mp3"),
    *("documents/hybrid-libreoffice.pdf", "documents/word-online-document2.docx"),
    *("scores-0.88-on-open-nsfw.png", "texts/shift-jis.csv", "texts/readme-table.md"),
)


@pytest.fixture(scope="module")
def deaf() -> Iterator[Service]:
    """Whose stage children are killed by the kernel for asking."""
    path = os.pathsep.join((str(WITHOUT), str(ROOT)))
    with running({"PYTHONPATH": path, "SSE_PROGRESS_WORKER_CONCURRENCY": "1"}) as service:
        yield service


def test_no_stage_asks_for_a_socket(deaf: Service) -> None:
    """A child that did would be ended by SIGSYS, which the log tells; that holds from its first
    import on, and for the models of moderation where they are installed."""
    caller = Caller(deaf)
    files = {name: make() for name, make in FILES.items()}
    files |= {name: (ROOT / "tests" / "data" / name).read_bytes() for name in DATA}
    ends = {}
    for name, data in files.items():
        part = file_part(data, name.rpartition("/")[2])
        answer = caller.post([part], upload_id=new_id())
        ends[name] = (answer.status, answer.json.get("code"))
    assert "Bad system call" not in deaf.log
    assert "a stage child was ended" not in deaf.log
    seen = ends.pop("scores-0.88-on-open-nsfw.png")
    assert seen == (422, "moderation_refused") if nsfw.available() else seen == (200, None)
    assert set(ends.values()) == {(200, None)}
    for pid in deaf.pids()["stage"]:
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Seccomp:\t2" in status, "the warm process, which is not confined, has the filter"
