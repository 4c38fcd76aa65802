"""The whole service on a Cluster: what else it does there, and what a moved or dead queue costs."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis.crc import key_slot
from websockets.sync.client import connect

from sse_progress.runtime.redis.keys import QueueKeys
from tests.cluster.conftest import cluster_of
from tests.faults.scene import Scene, reading
from tests.helpers.redis_cluster import RedisCluster
from tests.helpers.sse import journal, read_events
from tests.helpers.waiting import eventually, wait_until
from tests.helpers.webhook_receiver import Receiver, receiver

pytestmark = pytest.mark.faults

SIGNS = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    yield from cluster_of(replicas=3)


@pytest.fixture(scope="module")
def told() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


@pytest.fixture(scope="module")
def scene(cluster: RedisCluster, told: Receiver) -> Iterator[Scene]:
    directory = Path(tempfile.mkdtemp(prefix="sp-"))
    one = Scene(
        directory,
        {
            "SSE_PROGRESS_REDIS_URL": cluster.url,
            "SSE_PROGRESS_WEBHOOK_URL": told.url,
            "SSE_PROGRESS_WEBHOOK_SECRET": SIGNS,
        },
    )
    try:
        one.start()
        yield one
    finally:
        one.hang_up()
        one.close()
        shutil.rmtree(directory)


def queue_slot(scene: Scene) -> int:
    storage = (scene.service.data_dir / "storage-id").read_text().strip()
    return key_slot(QueueKeys.channel(storage).encode())


async def test_batches_jobs_sockets_and_webhooks(scene: Scene, told: Receiver) -> None:
    """A batch of uploads, a job of another service, a WebSocket on both, and their deliveries."""
    with httpx.Client(base_url=scene.url, timeout=60) as http:
        assert http.post("/batches", json={"id": "all", "total": 3}).status_code == 201
        job = http.post("/jobs", json={"id": "job", "batchId": "all"})
        writer = {"X-Writer": job.json()["writer"]}
        address = scene.url.replace("http", "ws", 1) + "/ws"
        with connect(address) as client:
            for name in ("up-1", "job"):
                client.send(json.dumps({"type": "subscribe", "uploadId": name}))
            for name in ("up-1", "up-2"):
                sent = http.post(
                    "/upload",
                    params={"batch": "all"},
                    files={"file": ("words.txt", b"wind water stone", "text/plain")},
                    headers={"X-Upload-ID": name},
                )
                assert sent.status_code == 200
            report = {"stage": "processing", "stageProgress": 50}
            assert http.post("/upload/job/progress", json=report, headers=writer).is_success
            end = {"stage": "complete", "result": {"n": 1}}
            assert http.post("/upload/job/progress", json=end, headers=writer).is_success
            ends = set()
            while len(ends) < 2:
                message = json.loads(client.recv(timeout=60))
                if message.get("stage") == "complete":
                    ends.add(message["uploadId"])
        frames = journal(await read_events(f"{scene.url}/batches/all/progress"))
        assert frames[-1].json["items"]["complete"] == 3
        listed = http.get("/uploads").json()["uploads"]
        assert {"up-1", "up-2", "job"} <= {one["uploadId"] for one in listed}
        for name in ("up-1", "up-2", "job"):
            wait_until(
                lambda name=name: any(  # type: ignore[misc]
                    one.message["type"].endswith(".complete")
                    and one.message["data"].get("uploadId") == name  # a batch's has none
                    for one in tuple(told.receipts)
                ),
                f"the end of {name} is delivered",
            )
        assert len(http.get("/webhooks/deliveries").json()["deliveries"]) >= 3


async def test_the_queue_moves_in_mid_stage(scene: Scene, cluster: RedisCluster) -> None:
    """Its slot goes to another master while a stage runs: that job ends, and new ones are taken."""
    slot = queue_slot(scene)
    source = cluster.owner_of(slot)
    target = next(node for node in cluster.masters if node is not source)
    at_work = await scene.held("moved", "analyzing")
    async with reading(scene.url, "moved") as (reader,):
        await asyncio.to_thread(cluster.move, [slot], source, target)
        scene.go("moved")
        after = await scene.sending("after-move").send_all()
        assert (await at_work.answer())[0] == (await after.answer())[0] == 200
    assert reader.raw == [frame.raw for frame in await scene.journal("moved")]
    assert scene.tally("moved").count("analyzing begun") == 1


async def test_the_master_of_the_queue_dies(scene: Scene, cluster: RedisCluster) -> None:
    """In the middle of a body and of a stage. Both uploads complete, nothing is done twice, and
    readers see every event once."""
    at_work = await scene.held("at-work", "analyzing")
    arriving = await scene.sending("arriving").send_half()
    async with reading(scene.url, "at-work", "arriving") as readers:
        await eventually(lambda: all(one.raw for one in readers), "both have been told of")
        dying = cluster.owner_of(queue_slot(scene))
        dying.replicate()
        dying.kill()
        scene.go("at-work")
        await arriving.send_all()
        await asyncio.to_thread(cluster.fail_over, dying)
        assert (await at_work.answer())[0] == 200
        assert (await arriving.answer())[0] == 200
    for name, reader in zip(("at-work", "arriving"), readers, strict=True):
        assert reader.raw == [frame.raw for frame in await scene.journal(name)]
        assert reader.resets == 0
        assert scene.tally(name).count("analyzing begun") == 1
    await scene.ready()
