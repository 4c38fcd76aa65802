"""How a step of an attempt ended, as its span tells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sse_progress.journal.writer import WriterLost
from sse_progress.model.errors import Internal, TooLarge
from sse_progress.runtime.traces import Attributes, Span, Traces
from sse_progress.storage.manifest import Manifest
from sse_progress.worker.step import step

MANIFEST = Manifest(
    upload_id="up",
    owner="ann",
    filename="a.txt",
    claimed_type="text/plain",
    fields={},
    size=1,
    sha256="",
    epoch="",
    created_at="",
    traceparent="00-1-2-01",
)


class Noted(Traces, Span):
    """The one span, and what was told to it."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.failed = ""

    @contextmanager
    def span(self, name: str, **given: Any) -> Iterator[Span]:
        self.told |= {"name": name, "parent": given["parent"], **given["attributes"]}
        yield self

    def add(self, attributes: Attributes) -> None:
        self.told |= attributes

    def fail(self, kind: str) -> None:
        self.failed = kind


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (TooLarge("too large"), "refused"),
        (Internal(), "failed"),
        (OSError("a secret path"), "failed"),
        (WriterLost("cancelled"), "stopped"),
        (KeyboardInterrupt(), "stopped"),
    ],
)
def test_a_step_tells_how_it_ended(error: BaseException | None, outcome: str) -> None:
    """Only what is the service's fault is an error, and no text of it is told."""
    noted = Noted()
    try:
        with step(noted, MANIFEST, "stage validating") as taken:
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error  # noqa: PT017  # any kind of it
    assert taken.outcome == outcome
    assert noted.told == {
        "name": "stage validating",
        "parent": "00-1-2-01",
        "sse_progress.upload.id": "up",
        "sse_progress.outcome": outcome,
    }
    assert noted.failed == ("failed" if outcome == "failed" else "")
