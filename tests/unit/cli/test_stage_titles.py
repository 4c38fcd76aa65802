"""What the commands call a stage: the page's rules, with what `GET /config` tells."""

from __future__ import annotations

from typing import Any, cast

import pytest

from sse_progress.cli.stage_titles import StageTitles
from sse_progress.client import AsyncClient, Event, Unreachable

KINDS: dict[str, Any] = {
    "upload": {
        "stages": [
            {"name": "validating", "title": "Validating"},
            {"name": "file_received", "title": "File received"},
            {"name": "analyzing", "title": "Reading"},
        ]
    },
    "lesson": {
        "stages": [
            {"name": "subtitling", "title": "Subtitles", "titles": {"de": "Untertitel"}},
            {"name": "validating", "title": "Exam", "titles": {"es": "Examen"}},
        ]
    },
}


class Asked:
    """A client that counts how often it is asked."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.times = answer, 0

    async def config(self) -> dict[str, Any]:
        self.times += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"kinds": self.answer}


def event(
    stage: str, message: str = "", *, kind: str | None = None, key: str | None = None
) -> Event:
    return Event(
        type="progress", upload_id="u", stage=stage, message=message, kind=kind, message_key=key
    )


@pytest.mark.anyio
async def test_a_stage_has_the_title_of_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the reader's language where there is one; a usual stage is renamed only on purpose."""
    asked = Asked(KINDS)
    titles = StageTitles(cast("AsyncClient", asked))
    await titles.learn(event("validating"))
    assert asked.times == 0
    for one in (event("subtitling"), event("validating", kind="lesson")):
        await titles.learn(one)
    assert asked.times == 1
    named = [
        ("validating", None), ("file_received", None), ("analyzing", None),
        ("subtitling", "lesson"), ("validating", "lesson"), ("subtitling", None),
        ("subtitling", "of another release"),
    ]  # fmt: skip
    said = [titles.stage(event(stage, kind=kind)) for stage, kind in named]
    assert said == [
        "validating", "file_received", "Reading", "Subtitles", "Exam", "subtitling", "subtitling",
    ]  # fmt: skip
    monkeypatch.setattr("sse_progress.cli.words.language_of", lambda _environment, _encoding: "de")
    said = [titles.stage(event(stage, kind=kind)) for stage, kind in named]
    assert said == [
        "Wird geprüft", "Gespeichert", "Reading", "Untertitel", "Exam", "subtitling", "subtitling",
    ]  # fmt: skip
    own = [("Subtitles", None), ("Subtitles is done", None), ("Line 3", None), ("Subtitles", "x")]
    messages = [
        titles.message(event("subtitling", text, kind="lesson", key=key)) for text, key in own
    ]
    assert messages == ["Untertitel", "Untertitel: fertig", "Line 3", "Subtitles"]


@pytest.mark.anyio
async def test_a_service_that_does_not_tell_leaves_names() -> None:
    """It is asked once, and what it answers may be nothing of this."""
    for answer in (Unreachable("http://x", "away"), {}):
        asked = Asked(answer)
        titles = StageTitles(cast("AsyncClient", asked))
        for _ in range(2):
            await titles.learn(event("subtitling"))
        assert (asked.times, titles.stage(event("subtitling"))) == (1, "subtitling")
