"""What is loaded before the fork is what the file's stages use, and no more."""

from __future__ import annotations

from unittest import mock

import pytest

from sse_progress.stages.analysis import analyze
from sse_progress.stages.formats.text import language
from sse_progress.stages.formats.text.language import LEAST_LETTERS
from sse_progress.stages.moderation import moderate
from sse_progress.stages.preparation import prepare
from tests.helpers.media import jpeg
from tests.media_samples import zipped
from tests.unit.stages.helpers import Desk

TITLE = "A walk along the river in the rain.jpg"


def quiet(fraction: float, message: str | None = None) -> None:
    """A report that nobody reads."""


@pytest.mark.parametrize(
    ("name", "fields", "loaded"),
    [
        ("IMG_2034.jpg", {"album": "Sea"}, False),
        (TITLE, {}, True),
        ("IMG_2034.jpg", {"title": ["Sea", TITLE]}, True),
    ],
)
def test_a_picture_needs_languages_for_its_name(
    desk: Desk, name: str, fields: dict[str, str | list[str]], loaded: bool
) -> None:
    """The model (68 MB, half a second of CPU) is loaded only where moderation will ask it."""
    results = {"validating": {"contentType": "image/jpeg"}}
    upload = desk.upload(jpeg(), name, fields=fields, results=results)
    with mock.patch.object(language, "identifier", wraps=language.identifier) as asked:
        prepare(upload)
        assert bool(asked.call_count) == loaded
        asked.reset_mock()
        moderate(upload, quiet)
        assert bool(asked.call_count) == loaded


def test_a_text_of_fewer_bytes_than_a_language_has_letters_needs_none(desk: Desk) -> None:
    """Nor is one asked about it later; a letter more, and it is loaded before the fork."""
    for content, loaded in ((b"x" * (LEAST_LETTERS - 1), False), (b"x" * LEAST_LETTERS, True)):
        results = {"validating": {"contentType": "text/plain"}}
        upload = desk.upload(content, "a.txt", results=results)
        with mock.patch.object(language, "identifier", wraps=language.identifier) as asked:
            prepare(upload)
            assert bool(asked.call_count) == loaded
            asked.reset_mock()
            analyze(upload, quiet)
            moderate(upload, quiet)
            assert bool(asked.call_count) == loaded


@pytest.mark.parametrize(
    ("content", "name", "media_type", "loaded"),
    [
        (b"sound", "a.wav", "audio/x-wav", False),
        (b"sound", TITLE, "audio/x-wav", True),
        (b"thing", "a.bin", "application/x-thing", False),
        (zipped({"a.txt": TITLE.encode()}), "a.zip", "application/zip", True),
    ],
)
def test_words_are_expected_where_they_are_read(
    desk: Desk, content: bytes, name: str, media_type: str, loaded: bool
) -> None:
    """Sounds and what nothing reads have none but in their names; archives have texts."""
    upload = desk.upload(content, name, results={"validating": {"contentType": media_type}})
    with mock.patch.object(language, "identifier", wraps=language.identifier) as asked:
        prepare(upload)
        assert bool(asked.call_count) == loaded
        asked.reset_mock()
        moderate(upload, quiet)
        assert bool(asked.call_count) == loaded
