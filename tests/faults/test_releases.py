"""Two releases on one Redis and one data directory, as in a rolling upgrade and on the way back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import httpx
import pytest

from tests.faults.scene import TEXT, Scene, reading
from tests.helpers.service import ROOT, Service
from tests.helpers.sse import journal, read_events
from tests.helpers.waiting import eventually
from tests.wire.test_tus import append, create

pytestmark = [pytest.mark.faults, pytest.mark.long]

OLDER = "c189f3ae92282f47646c51bc9e70306164286025"
"""The release, or the commit, that the present one has to work beside."""

HALF = len(TEXT) // 2


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the older release's package."""
    command = ["git", "-C", str(ROOT), "archive", OLDER, "sse_progress"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"the history does not have {OLDER}")
    place = tmp_path_factory.mktemp("older")
    subprocess.run(["tar", "-xf", "-", "-C", place], input=done.stdout, check=True)
    return place


@pytest.fixture
def both(short_dir: Path, older: Path) -> Iterator[tuple[Scene, Service, Service]]:
    """The older release, running, and the present one beside it, not started yet."""
    places = {"old": f"{older}{os.pathsep}{ROOT}", "new": str(ROOT)}
    scene = Scene(short_dir, {"SSE_PROGRESS_WEB_PROCESSES": "1", "PYTHONPATH": places["old"]})
    old = scene.service
    new = Service(
        short_dir / "newer",
        {**old.env, "SSE_PROGRESS_DATA_DIR": str(old.data_dir), "PYTHONPATH": places["new"]},
    )
    try:
        scene.start()
        yield scene, old, new
    finally:
        scene.hang_up()
        try:
            new.close()
        finally:
            scene.close()


async def test_uploads_pass_from_release_to_release_and_back(
    both: tuple[Scene, Service, Service],
) -> None:
    """Bodies, jobs, resumable uploads and streams that one release began are ended by the other,
    without a gap, a reset or a second try; both tell the same of each."""
    scene, old, new = both
    await _roll(scene, old, new, "up")
    await _roll(scene, new, old, "back")


async def _roll(scene: Scene, before: Service, after: Service, name: str) -> None:
    scene.service = before
    held = await scene.held(f"{name}-held", "analyzing")
    with httpx.Client(base_url=before.url, timeout=60) as client:
        create(client, f"{name}-tus", len(TEXT), TEXT[:HALF], place=str(scene.place))
    async with AsyncExitStack() as stack:
        (reader,) = await stack.enter_async_context(reading(before.url, f"{name}-held"))
        await anyio.to_thread.run_sync(after.start)
        (beside,) = await stack.enter_async_context(reading(after.url, f"{name}-held"))
        for number, service in enumerate((before, after, before, after)):
            scene.service = service
            sending = await scene.sending(f"{name}-{number}").send_all()
            assert (await sending.answer())[0] == 200
            assert await _told(before, f"{name}-{number}") == await _told(after, f"{name}-{number}")
        scene.service = before
        body = await scene.sending(f"{name}-body").send_half()
        await eventually(scene.receivers, "the body arrives")
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, before.stop)
            await eventually(lambda: not reader.seen.live, "the stream was ended")
            reader.move(after.url)
            await body.send_all()
            assert (await body.answer())[0] in (200, 202)
        scene.service = after
        scene.go(f"{name}-held")
    held.close()
    assert reader.seen.ended == beside.seen.ended == "complete"
    assert reader.raw == beside.raw == await _told(after, f"{name}-held")
    assert reader.resets == reader.seen.cut == 0
    with httpx.Client(base_url=after.url, timeout=60) as client:
        assert append(client, f"{name}-tus", HALF, TEXT[HALF:]).status_code in (200, 204)
    for upload in ("held", "body", "tus"):
        await _told(after, f"{name}-{upload}")
        assert (await scene.state(f"{name}-{upload}"))["status"] == "complete"
        expected = 2 if upload == "held" else 1  # handed over in the middle of it
        assert scene.tally(f"{name}-{upload}").count("analyzing begun") == expected


async def _told(service: Service, upload_id: str) -> list[bytes]:
    """A whole journal as the service tells it."""
    frames = journal(await read_events(f"{service.url}/upload/{upload_id}/progress"))
    return [frame.raw for frame in frames]
