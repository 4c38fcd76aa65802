"""One job that two workers do, because Redis went back to before the first of them took it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.scene import CONT, STOP, TEXT, Scene, reading
from tests.helpers.waiting import eventually

pytestmark = pytest.mark.faults


@pytest.fixture
def scene(short_dir: Path) -> Iterator[Scene]:
    """Two workers, each with one job at a time. The lease is so long that neither asks the queue
    within the test whether its job is still its own."""
    env = {
        "SSE_PROGRESS_WORKER_PROCESSES": "2",
        "SSE_PROGRESS_WORKER_CONCURRENCY": "1",
        "SSE_PROGRESS_LEASE_S": "60",
    }
    scene = Scene(short_dir, env)
    try:
        scene.start()
        yield scene
    finally:
        scene.hang_up()
        scene.close()


async def test_the_earlier_of_two_attempts_changes_nothing(scene: Scene) -> None:
    """Its scratch directory is gone when it goes on to its next stage: that must not be taken for
    the file's fault, for the file is the later attempt's now."""
    first, second = scene.service.pids()["worker"]
    go, older = scene.place / "twice.go", scene.redis.data_dir.with_name("older")
    for pid in (first, second):
        os.kill(pid, STOP)
    try:
        sending = await scene.sending("twice", hold="analyzing", respond_async=True).send_all()
        assert (await sending.answer())[0] == 202
        scene.redis.kill()
        shutil.copytree(scene.redis.data_dir, older)
        scene.redis.start()
        async with reading(scene.url, "twice") as (reader,):
            os.kill(first, CONT)
            await eventually(lambda: "analyzing begun" in scene.tally("twice"), "it is worked on")
            os.kill(first, STOP)
            go.touch()
            await eventually(lambda: "analyzing done" in scene.tally("twice"), "a stage is done")
            go.unlink()
            scene.redis.kill()
            shutil.rmtree(scene.redis.data_dir)
            older.rename(scene.redis.data_dir)
            scene.redis.start()
            os.kill(second, CONT)
            await eventually(lambda: scene.tally("twice").count("analyzing begun") == 2, "again")
            os.kill(first, CONT)
            await eventually(lambda: "job finished" in scene.service.log, "the first gives up")
            go.touch()
    finally:
        for pid in (first, second):
            os.kill(pid, CONT)
    assert reader.seen.ended == "complete"
    assert (await scene.journal("twice"))[-1].stage == "complete"
    async with httpx.AsyncClient(base_url=scene.url) as client:
        media = (await scene.state("twice"))["media"]
        assert (await client.get(media["url"])).content == TEXT
