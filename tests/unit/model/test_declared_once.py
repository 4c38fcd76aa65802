"""What several places have to spell, held to the one that declares it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

import sse_progress
from sse_progress.client import shapes
from sse_progress.model.events import Error, Event
from sse_progress.model.ids import UPLOAD_ID_PATTERN
from sse_progress.model.media import DerivedFile, Media
from sse_progress.model.stage_api import Upload
from sse_progress.worker.result import media_of

PACKAGE = Path(sse_progress.__file__).parent
TYPES = (PACKAGE / "browser/client/index.d.ts").read_text()


def declared(interface: str) -> set[str]:
    """Members of an interface in the npm package's types."""
    whole = re.compile(rf"^export interface {interface}\b[^{{]*\{{\n(.*?)^\}}", re.M | re.S)
    (body,) = whole.findall(TYPES)
    return set(re.findall(r"^  (?:readonly )?(\w+)\??:", body, re.M))


def wire(shape: type[msgspec.Struct]) -> set[str]:
    return set(shape.__struct_encode_fields__)


def test_the_clients_event_is_the_journals() -> None:
    """The types of the npm package name each field of an event."""
    assert declared("ProgressEvent") == wire(Event)


def test_a_state_is_an_events_fields_and_a_status() -> None:
    """The Python client's state has no field more or less."""
    assert wire(shapes.State) == wire(Event) - {"type"} | {"status"}


@pytest.mark.parametrize(
    ("interface", "theirs", "ours"),
    [("Media", shapes.Media, Media), ("MediaFile", shapes.StoredFile, DerivedFile)],
)
def test_the_clients_media_is_the_services(
    interface: str, theirs: type[msgspec.Struct], ours: type[msgspec.Struct]
) -> None:
    """`media` and its files have the same members in both clients as in the described schema."""
    assert wire(theirs) == wire(ours) == declared(interface)


def test_what_is_published_is_the_described_media() -> None:
    """The object that a worker makes has the schema's members, all of them."""
    upload = Upload(
        id="up", path="", scratch="", filename="a.png", claimed_type="image/png", size=1,
        sha256="", created_at="2026-01-01T00:00:00.000Z", fields={},
    )  # fmt: skip
    media = media_of(upload, prefix="")
    assert set(media) == wire(Media)


def test_an_error_has_the_same_members_everywhere() -> None:
    """Code, detail and stage."""
    assert declared("UploadFailure") == wire(Error)


def test_the_upload_id_pattern_is_spelled_in_one_python_module() -> None:
    """Texts and the description take it from there; the npm package's comment agrees."""
    spelled = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if "A-Za-z0-9_.~-" in path.read_text()
    }
    assert spelled == {"model/ids.py"}
    assert UPLOAD_ID_PATTERN in TYPES
