"""What happens to the connections between the service and Redis: resets, and a demoted master."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sse_progress.model.messages import stored_text
from tests.faults.scene import Scene, reading
from tests.helpers.ports import free_port
from tests.helpers.processes import bound
from tests.helpers.redis_proxy import RedisProxy
from tests.helpers.redis_server import RedisServer
from tests.helpers.service import ROOT, Service
from tests.helpers.waiting import eventually, wait_until

pytestmark = pytest.mark.faults


@pytest.fixture
def proxied(short_dir: Path) -> Iterator[tuple[Scene, RedisProxy]]:
    """A service that reaches its Redis through a proxy."""
    with RedisProxy(short_dir / "redis.sock") as proxy:
        scene = Scene(short_dir, {"SSE_PROGRESS_REDIS_URL": proxy.url})
        try:
            scene.start()
            yield scene, proxy
        finally:
            scene.hang_up()
            scene.close()


async def test_tcp_resets_cost_nothing(proxied: tuple[Scene, RedisProxy]) -> None:
    """Uploads complete while all connections to Redis are reset, and no process ends."""
    scene, proxy = proxied
    before = scene.service.pids()
    for number in range(12):
        upload_id = f"reset-{number}"
        sending = await scene.sending(upload_id).send_half()
        async with reading(scene.url, upload_id) as (reader,):
            for _ in range(4):
                await eventually(proxy.reset_all, "connections are reset")
                await sending.send(1000)
                await scene.ready()
            await sending.send_all()
            assert (await sending.answer())[0] == 200
        assert reader.raw == [frame.raw for frame in await scene.journal(upload_id)]
    after = scene.service.pids()
    assert (after["web"], after["worker"]) == (before["web"], before["worker"])
    assert "background" not in scene.service.log
    assert proxy.resets > 50
    await scene.ready()


# ---- a demoted master


@pytest.fixture
def pair() -> Iterator[tuple[RedisServer, RedisServer]]:
    """A master and its replica, which can change places."""
    places = [Path(tempfile.mkdtemp(prefix="sp-")) for _ in range(2)]
    servers = [RedisServer(place) for place in places]
    try:
        for server in servers:
            server.start()
        yield servers[0], servers[1]
    finally:
        for server, place in zip(servers, places, strict=True):
            server.close()
            shutil.rmtree(place)


async def test_a_demoted_master_is_left(
    short_dir: Path, pair: tuple[RedisServer, RedisServer]
) -> None:
    """Behind one address the master moves: uploads go on, streams too, and readiness holds."""
    old, new = pair
    with RedisProxy(old.socket_path) as proxy:
        scene = Scene(short_dir, {"SSE_PROGRESS_REDIS_URL": proxy.url})
        try:
            scene.start()
            first = await scene.held("moved-stage", "analyzing")
            body = await scene.sending("moved-body").send_half()
            await eventually(scene.receivers, "the body arrives")
            _follow(new, old)
            async with reading(scene.url, "moved-stage", "moved-body") as readers:
                proxy.target = new.socket_path
                new.command("REPLICAOF", "NO", "ONE")
                _follow(old, new)  # connections that are open stay at the old one
                scene.go("moved-stage")
                await body.send_all()
                assert (await body.answer())[0] == 200
                assert (await first.answer())[0] == 200
            for reader in readers:
                assert reader.seen.ended == "complete"
            await scene.ready()
            later = await scene.sending("moved-later").send_all()
            assert (await later.answer())[0] == 200
        finally:
            scene.hang_up()
            scene.close()


async def test_a_read_only_redis_is_not_ready(
    short_dir: Path, pair: tuple[RedisServer, RedisServer]
) -> None:
    """Where nothing can be written /readyz is 503 and says why, until that ends."""
    master, other = pair
    scene = Scene(short_dir, {"SSE_PROGRESS_REDIS_URL": master.url})
    try:
        scene.start()
        _follow(master, other)
        async with httpx.AsyncClient(base_url=scene.url, timeout=60) as client:

            async def refused() -> bool:
                answer = await client.get("/readyz")
                return answer.status_code == 503 and answer.json()["checks"]["redis"] == "read_only"

            await eventually(refused, "the service is not ready")
            master.command("REPLICAOF", "NO", "ONE")
            await scene.ready()
        sending = await scene.sending("again").send_all()
        assert (await sending.answer())[0] == 200
    finally:
        scene.hang_up()
        scene.close()


def _follow(replica: RedisServer, master: RedisServer) -> None:
    """Make `replica` a copy of `master`, and wait until it is."""
    port = master.listen_on_tcp()
    assert replica.command("REPLICAOF", "127.0.0.1", str(port)).startswith(b"+OK")
    wait_until(
        lambda: b"master_link_status:up" in replica.command("INFO", "replication"),
        "the replica is in step",
    )


# ---- background tasks


@pytest.mark.parametrize(
    ("part", "task", "name"),
    [
        ("web", "sse_progress.journal.append_batcher:AppendBatcher", "journal_writer"),
        ("web", "sse_progress.access.limits:Limits", "limits"),
        ("web", "sse_progress.emitter.emitter:Emitter", "emitter"),
        ("worker", "sse_progress.worker.reconciler:Reconciler", "reconciler"),
    ],
)
def test_a_background_task_that_fails_ends_its_process(
    short_dir: Path, own_redis: RedisServer, part: str, task: str, name: str
) -> None:
    """It is named in the log, and the exit code is 1, so that a supervisor starts it again."""
    trigger, log = short_dir / "break", short_dir / "log"
    reads, writes = os.pipe()
    with log.open("wb") as out:
        process = subprocess.Popen(
            bound([sys.executable, "-m", "tests.faults.broken_task", str(trigger), task, part]),
            cwd=ROOT,
            stderr=out,
            pass_fds=(writes,),
            env={
                **os.environ,
                "SSE_PROGRESS_REDIS_URL": own_redis.url,
                "SSE_PROGRESS_DATA_DIR": str(short_dir / "data"),
                "SSE_PROGRESS_PORT": "0",
                "SSE_PROGRESS_LOG_FORMAT": "json",
                "SSE_PROGRESS_READY_FD": str(writes),
            },
        )
    os.close(writes)
    try:
        assert os.read(reads, 1) == b"1"
        trigger.touch()
        assert process.wait(timeout=60) == 1
    finally:
        os.close(reads)
        process.kill()
        process.wait()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    (ended,) = [line for line in lines if line["event"] == "background task ended"]
    assert (ended["task"], ended["level"]) == (name, "error")
    assert "planted" in ended["exception"]


def test_what_is_degraded(short_dir: Path, own_redis: RedisServer) -> None:
    """Without a worker uploads are taken and wait, and a Redis that may evict journals has them
    still: /readyz is 200, `degraded`, and says why. One that keeps its policy to itself is ok."""
    env = {"SSE_PROGRESS_WORKER_PROCESSES": "0", "SSE_PROGRESS_REDIS_URL": own_redis.url}
    with Service(short_dir, env) as service:

        def checks() -> dict[str, str]:
            answer = httpx.get(f"{service.url}/readyz", timeout=60)
            assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
            found: dict[str, str] = answer.json()["checks"]
            return found

        assert (checks()["queue"], checks()["redis"]) == ("no_worker", "ok")
        sent = httpx.post(
            f"{service.url}/upload",
            files={"file": ("a.txt", b"words")},
            headers={"X-Upload-ID": "waits", "Prefer": "respond-async"},
            timeout=60,
        )
        assert sent.status_code == 202
        told = httpx.get(f"{service.url}/upload/waits", timeout=60).json()["message"]
        assert told == stored_text(5, served=False)
        own_redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        assert checks()["redis"] == "may_evict"
        own_redis.command("ACL", "SETUSER", "default", "-info")
        assert checks()["redis"] == "ok"


def test_a_worker_alone_answers_metrics(short_dir: Path, own_redis: RedisServer) -> None:
    """At its port, with what it did: here, its own release and nothing done yet."""
    port = str(free_port())
    process = subprocess.Popen(
        bound([sys.executable, "-m", "sse_progress", "worker", "--metrics-port", port]),
        cwd=ROOT,
        env={
            **os.environ,
            "SSE_PROGRESS_REDIS_URL": own_redis.url,
            "SSE_PROGRESS_DATA_DIR": str(short_dir / "data"),
        },
    )

    def scraped() -> str:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
        except httpx.TransportError:
            return ""

    try:
        text = wait_until(scraped, "the worker answers")
        assert "sse_progress_jobs 0.0" in text
        assert "sse_progress_build_info" in text
    finally:
        process.terminate()
        assert process.wait(60) == 0
