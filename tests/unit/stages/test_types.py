"""Media types and the allow-list."""

from __future__ import annotations

import pytest

from sse_progress.model.stage_api import Options
from sse_progress.settings import DEFAULT_TYPES
from sse_progress.stages.formats.media_types import (
    allowed,
    canonical,
    extension_matches,
    kind_of,
)
from sse_progress.stages.formats.type_words import type_text, types_text
from tests.helpers.media import jpeg
from tests.unit.stages.helpers import Desk, refusal

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
DEFAULT = tuple(DEFAULT_TYPES.split(","))


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("audio/x-wav", "audio/wav"),
        ("video/avi", "video/x-msvideo"),
        ("application/csv", "text/csv"),
        ("Text/Plain; charset=UTF-8", "text/plain"),
        ("text/x-python", "text/plain"),
        ("text/troff", "text/plain"),
        ("text/html", "text/html"),
        ("text/x-shellscript", "text/x-shellscript"),
        ("image/svg+xml", "image/svg+xml"),
    ],
)
def test_aliases_become_one_spelling(said: str, means: str) -> None:
    """One type has one name, and harmless source code is plain text."""
    assert canonical(said) == means


@pytest.mark.parametrize(
    "active", ["text/html", "image/svg+xml", "text/x-shellscript", "text/xml", "text/x-php"]
)
def test_active_content_is_never_admitted_by_a_family(active: str) -> None:
    """`image/*` and `text/*` do not let scripts in; only the full name or `*/*` does."""
    assert not allowed(active, DEFAULT)
    assert not allowed(active, ("image/*", "text/*", "text/plain"))
    assert allowed(active, ("*/*",))
    assert allowed(active, (active,))


def test_wildcards_admit_a_family() -> None:
    """`image/*` admits pictures and nothing else; entries may use any alias."""
    assert allowed("image/webp", ("image/*",))
    assert not allowed("video/mp4", ("image/*",))
    assert allowed("audio/wav", ("audio/x-wav",))
    assert not allowed("image/png", ())


def test_every_default_type_has_a_decoder() -> None:
    """Nothing on the default allow-list is taken on libmagic's word alone."""
    assert {kind_of(canonical(entry)) for entry in DEFAULT}.isdisjoint({"other"})


def test_extension_is_compared_with_the_type() -> None:
    """An extension fits, does not fit, or says nothing."""
    assert extension_matches("photo.JPG", "image/jpeg") is True
    assert extension_matches("photo.png", "image/jpeg") is False
    assert extension_matches("photo", "image/jpeg") is None
    assert extension_matches(".htaccess", "text/plain") is None


# ---- said to a person


@pytest.mark.parametrize(
    ("accepted", "said"),
    [
        (("image/jpeg", "image/png", "application/pdf"), "jpg, png, pdf"),
        (("image/jpg", "image/jpeg"), "jpg"),
        (("image/*", "application/pdf"), "pictures, PDF"),
        (("application/x-thing",), "application/x-thing"),
        (
            DEFAULT_TYPES.split(","),
            "pictures, videos, sound, PDF, text, office documents, archives",
        ),
    ],
)
def test_what_is_accepted_is_said_shortly(accepted: tuple[str, ...], said: str) -> None:
    assert types_text(accepted) == said


@pytest.mark.parametrize(
    ("media_type", "said"),
    [
        ("image/jpeg", "JPEG picture"),
        ("image/jxl", "picture (image/jxl)"),
        ("video/mp4", "MP4 video"),
        ("audio/mpeg", "MP3 sound file"),
        ("application/pdf", "PDF file"),
        (DOCX, "DOCX document"),
        ("application/zip", "ZIP archive"),
        ("text/plain", "text"),
        ("application/x-elf", "file (application/x-elf)"),
    ],
)
def test_a_file_is_called_what_people_call_it(media_type: str, said: str) -> None:
    assert type_text(media_type) == said


def test_a_refusal_says_what_is_accepted(desk: Desk) -> None:
    """Within the length that a detail may have."""
    options = Options(allowed_types=("image/png", "application/pdf"))
    error = refusal(desk.upload(jpeg(), "a.jpg", options=options))
    assert (
        error.detail == "This JPEG picture is of a kind that is not accepted. Accepted: png, pdf."
    )
