"""What is loaded before the fork is what the file's stages use, and no more."""

from __future__ import annotations

from unittest import mock

import pytest

from sse_progress.stages.formats.text import language
from sse_progress.stages.moderation import moderate
from sse_progress.stages.preparation import prepare
from tests.helpers.media import jpeg
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


def test_a_text_needs_languages(desk: Desk) -> None:
    """Whatever its name, its words are in one."""
    upload = desk.upload(b"x", "a.txt", results={"validating": {"contentType": "text/plain"}})
    with mock.patch.object(language, "identifier", wraps=language.identifier) as asked:
        prepare(upload)
    assert asked.call_count == 1
