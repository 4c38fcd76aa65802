"""Uploads whose work fails through no fault of theirs: tried again, parked, resumed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.scene import Scene, reading
from tests.helpers.waiting import eventually

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def running() -> Iterator[Scene]:
    """A service whose moderation asks another service, and parks after four attempts."""
    directory = Path(tempfile.mkdtemp(prefix="sp-"))
    env = {
        "SSE_PROGRESS_PIPELINE": "tests.faults.stages:with_service",
        "SSE_PROGRESS_JOB_ATTEMPTS": "4",
        "SSE_PROGRESS_LOG_FORMAT": "json",
        "SSE_PROGRESS_WEB_PROCESSES": "1",
        "SSE_PROGRESS_LEASE_S": "60",  # no worker loses its job on a busy machine
    }
    scene = Scene(directory, env)
    try:
        scene.start()
        yield scene
    finally:
        scene.close()
        shutil.rmtree(directory)


@pytest.fixture
def scene(running: Scene) -> Iterator[Scene]:
    """The same for one test; afterwards the other service answers again."""
    yield running
    running.hang_up()
    (running.place / "away").unlink(missing_ok=True)


async def test_an_upload_waits_for_a_service_that_is_away(scene: Scene) -> None:
    """It is asked again after a delay, and the upload completes when it answers."""
    away = scene.place / "away"
    away.touch()
    sending = await scene.sending("away").send_all()
    async with reading(scene.url, "away") as (reader,):
        await eventually(
            lambda: scene.tally("away").count("moderating asked") >= 2, "it is asked again"
        )
        assert len(scene.files("open/")) > 0
        away.unlink()
        assert (await sending.answer())[0] == 200
    messages = [frame.json["message"] for frame, _ in reader.seen.frames]
    assert any("trying again in" in message for message in messages)
    assert (await scene.journal("away"))[-1].stage == "complete"
    assert scene.tally("away").count("analyzing begun") == 1


async def test_a_parked_upload_is_resumed_by_an_operator(scene: Scene) -> None:
    """After the last attempt its stream says that it waits, its file stays over a restart of all
    workers, and `ops requeue` brings it to its end."""
    away = scene.place / "away"
    away.touch()
    await (await scene.sending("parked", respond_async=True).send_all()).answer()

    async def parked() -> bool:
        return "until an operator resumes it" in (await scene.state("parked"))["message"]

    await eventually(parked, "it is parked")
    assert scene.tally("parked").count("moderating asked") == 4
    scene.service.restart()
    listed = ops(scene, "queue")
    assert [job["id"] for job in listed["parked"]] == ["parked"]
    shown = ops(scene, "show", "parked")
    assert (shown["job"], shown["stored"], shown["stage"]) == ("parked", True, "moderating")
    away.unlink()
    assert ops(scene, "requeue", "parked") == {"id": "parked", "was": "parked"}
    frames = await scene.journal("parked")
    assert frames[-1].stage == "complete"
    assert ops(scene, "queue")["parked"] == []


async def test_an_operator_drains_the_workers(scene: Scene) -> None:
    """A drained queue finishes what runs and begins nothing, until it is resumed."""
    first = await scene.held("first", "analyzing")
    (worker,) = (one for one in ops(scene, "workers") if one["alive"])
    assert worker["jobs"] == ["first"]
    assert int(worker["worker"].split(":")[1]) in scene.service.pids()["worker"]
    assert ops(scene, "drain") == {"drained": True, "running": 1}
    second = await scene.sending("second").send_all()
    scene.go("first")
    assert (await first.answer())[0] == 200
    assert ops(scene, "drain", "--wait") == {"drained": True, "running": 0}
    assert [row["id"] for row in ops(scene, "uploads")] == ["second"]
    assert scene.tally("second") == []
    assert ops(scene, "drain", "--resume")["drained"] is False
    assert (await second.answer())[0] == 200


def test_an_unknown_upload_is_an_error(scene: Scene) -> None:
    """`show` and `requeue` exit with 1 and name it."""
    for word in ("show", "requeue"):
        done = run_ops(scene, word, "nowhere")
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"nowhere: " in done.stderr


def ops(scene: Scene, *words: str) -> Any:
    """What `sse-progress ops … --json` prints."""
    done = run_ops(scene, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_ops(scene: Scene, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "sse_progress", "ops", *words],
        capture_output=True,
        env={**os.environ, **scene.service.env},
        timeout=120,
        check=False,
    )
