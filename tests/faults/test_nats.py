"""A whole service whose jobs NATS gives out over TLS: what users see of deaths of workers and of
NATS, whose clients come back over TLS too."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.scene import CONT, KILL, STOP, Scene
from tests.helpers.certificates import make_certificate
from tests.helpers.nats_server import NatsServer
from tests.helpers.waiting import eventually

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def nats() -> Iterator[NatsServer]:
    directory = Path(tempfile.mkdtemp(prefix="sp-"))
    make_certificate(directory)
    server = NatsServer(directory, tls=directory)
    server.url += f"?ssl_ca_certs={directory / 'certificate'}"
    server.start()
    yield server
    server.close()
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def scene(nats: NatsServer) -> Iterator[Scene]:
    """Two workers of one upload at a time."""
    directory = Path(tempfile.mkdtemp(prefix="sp-"))
    scene = Scene(
        directory,
        {
            "SSE_PROGRESS_QUEUE": nats.url,
            "SSE_PROGRESS_WEB_PROCESSES": "1",
            "SSE_PROGRESS_WORKER_PROCESSES": "2",
            "SSE_PROGRESS_WORKER_CONCURRENCY": "1",
        },
    )
    try:
        scene.start()
        yield scene
    finally:
        scene.close()
        shutil.rmtree(directory)


def at_work(scene: Scene) -> int:
    """The worker whose child runs a stage."""
    (pid,) = scene.at_work()
    workers = scene.service.pids()["worker"]
    while pid not in workers:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid


def ops(scene: Scene, *words: str) -> Any:
    found = subprocess.run(
        [sys.executable, "-m", "sse_progress", "ops", *words, "--json"],
        env={**os.environ, **scene.service.env},
        capture_output=True,
        check=True,
        timeout=60,
    )
    return json.loads(found.stdout)


async def queue_part(scene: Scene) -> str:
    async with httpx.AsyncClient(base_url=scene.url, timeout=60) as client:
        return str((await client.get("/readyz")).json()["checks"]["queue"])


async def test_a_killed_worker(scene: Scene) -> None:
    """The other one goes on with its upload; operators see who has it and what waits."""
    sending = await scene.held("dies", "analyzing")
    scene.signal(at_work(scene), KILL)
    await eventually(lambda: scene.tally("dies").count("analyzing begun") == 2, "it goes on")
    assert (await asyncio.to_thread(ops, scene, "queue"))["running"][0]["id"] == "dies"
    shown = await asyncio.to_thread(ops, scene, "show", "dies")
    assert (shown["job"], shown["attempts"]) == ("running", 1)
    scene.go("dies")
    assert (await sending.answer())[0] == 200
    assert (await scene.journal("dies"))[-1].stage == "complete"
    await scene.all_up(webs=1, workers=2)


async def test_a_nats_that_is_killed_in_an_upload(scene: Scene, nats: NatsServer) -> None:
    """Its stages go on; what comes meanwhile is received, waits, and completes when it is back."""
    sending = await scene.held("goes-on", "analyzing")
    nats.kill()
    other = await scene.sending("comes", respond_async=True).send_all()
    assert (await other.answer())[0] == 202
    assert await queue_part(scene) == "nats_unreachable"
    scene.go("goes-on")
    assert (await sending.answer())[0] == 200
    assert (await scene.state("comes"))["stage"] == "file_received"
    nats.start()
    frames = await scene.journal("comes")
    assert frames[-1].stage == "complete"
    assert (await scene.journal("goes-on"))[-1].stage == "complete"
    assert scene.tally("goes-on").count("analyzing begun") == 1
    assert await queue_part(scene) == "ok"


async def test_a_double_start_is_harmless(scene: Scene) -> None:
    """A worker is frozen for longer than its lease, the other one begins, and the first wakes up:
    the journal's fence lets one of them tell, and the stream shows one upload."""
    sending = await scene.held("twice", "analyzing")
    frozen = at_work(scene)
    scene.signal(frozen, STOP)
    await eventually(lambda: scene.tally("twice").count("analyzing begun") == 2, "it begins again")
    scene.signal(frozen, CONT)
    scene.go("twice")
    assert (await sending.answer())[0] == 200
    frames = await scene.journal("twice")
    assert [f.stage for f in frames].count("complete") == 1
    assert [f.json["stageProgress"] for f in frames if f.stage == "analyzing"].count(100) == 1
    await scene.all_up(webs=1, workers=2)
