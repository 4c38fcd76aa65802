"""What wire tests say to a service, and how they look at what it says."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import httpx

from sse_progress.storage.manifest import digest_of
from tests.helpers.media import jpeg
from tests.helpers.service import Service
from tests.helpers.sse import Frame, journal, read_events

STAGES = (
    "receiving",
    "file_received",
    "validating",
    "analyzing",
    "moderating",
    "processing",
    "finalizing",
    "complete",
)
RANGES = {
    "receiving": (0, 9),
    "file_received": (10, 10),
    "validating": (20, 29),
    "analyzing": (30, 69),
    "moderating": (70, 84),
    "processing": (85, 94),
    "finalizing": (95, 99),
    "complete": (100, 100),
    "error": (0, 0),
    "cancelled": (0, 0),
}


def new_id() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


def post(
    client: httpx.Client,
    upload_id: str | None = None,
    content: bytes | None = None,
    *,
    name: str = "photo.jpg",
    headers: dict[str, str] | None = None,
    data: dict[str, Any] | None = None,
) -> httpx.Response:
    given = {"X-Upload-ID": upload_id} if upload_id else {}
    return client.post(
        "/upload",
        files={"file": (name, jpeg() if content is None else content, "image/jpeg")},
        data=data,
        headers={**given, **(headers or {})},
    )


def files_of(service: Service, upload_id: str) -> list[str]:
    """What the storage holds of an upload, whole or not, in the data directory."""
    return [file for file in service.files() if digest_of(upload_id) in file]


async def journal_of(service: Service, upload_id: str) -> list[Frame]:
    """The whole journal of an upload, read from its beginning to its end."""
    return journal(await read_events(f"{service.url}/upload/{upload_id}/progress"))


def check_journal(frames: list[Frame]) -> None:
    """What holds for every journal that was read from its beginning (contract §2, §3)."""
    epochs = {str(frame.id).rpartition("-")[0] for frame in frames}
    assert len(epochs) == 1
    assert [int(str(frame.id).rpartition("-")[2]) for frame in frames] == list(
        range(1, len(frames) + 1)
    )
    events = [frame.json for frame in frames]
    assert [frame.terminal for frame in frames] == [False] * (len(frames) - 1) + [True]
    for before, after in itertools.pairwise(events):
        assert after["timestamp"] >= before["timestamp"]
        if after["stage"] not in ("error", "cancelled"):
            assert after["progress"] >= before["progress"]
        if after["stage"] == before["stage"]:
            assert after["stageProgress"] >= before["stageProgress"]
    for frame, event in zip(frames, events, strict=True):
        low, high = RANGES[event["stage"]]
        expected = min(high, low + event["stageProgress"] * (high - low + 1) // 100)
        assert event["progress"] == expected, event
        assert event["type"] == "progress"
        assert isinstance(event["stageProgress"], int)
        assert 0 < len(event["message"]) <= 200
        assert len(frame.raw) <= (64 * 1024 if "media" in event else 1024)
    for stage, group in itertools.groupby(events, key=lambda event: event["stage"]):
        of_stage = list(group)
        if stage == "file_received":
            assert [event["stageProgress"] for event in of_stage] == [100]
        elif stage in STAGES[:-1]:
            assert of_stage[0]["stageProgress"] == 0
            if of_stage[-1] is not events[-2] or events[-1]["stage"] == "complete":
                assert of_stage[-1]["stageProgress"] == 100
