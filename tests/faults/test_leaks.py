"""Nothing grows: after many uploads and streams everything is back where it was."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.faults.scene import Scene
from tests.helpers.multipart import Part, body, content_type, file_part
from tests.helpers.processes import open_files
from tests.helpers.sse import EventStream
from tests.helpers.waiting import eventually

pytestmark = pytest.mark.faults

AT_ONCE = 25
MOST_THREADS = 45
"""The pool for blocking work comes and goes, up to 40, with a few threads beside it."""
ROUNDS = 4
"""What leaks grows with each load; what a busier moment than any before has needed does not."""


@dataclass(frozen=True)
class Level:
    """What a service holds; kB by process, and how many keys of each kind Redis has."""

    memory_kb: dict[int, int]
    descriptors: dict[int, int]
    threads: dict[int, int]
    keys: Counter[str]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One web, one worker; journals are forgotten a minute after their end."""
    directory = Path(tempfile.mkdtemp(prefix="sp-"))
    scene = Scene(
        directory,
        {
            "SSE_PROGRESS_WEB_PROCESSES": "1",
            "SSE_PROGRESS_WORKER_CONCURRENCY": "2",
            "SSE_PROGRESS_JOURNAL_TTL_S": "60",
            "SSE_PROGRESS_RETENTION_DAYS": "30",
        },
    )
    try:
        scene.start()
        yield scene
    finally:
        scene.close()
        shutil.rmtree(directory)


def _status(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise KeyError(field)


def _kind(key: str) -> str:
    """`sp:{x}:log` and `sp:{x}:meta` are journals; the rest goes by its name."""
    return "journal" if key.endswith((":log", ":meta")) else key


def level_of(scene: Scene) -> Level:
    pids = scene.service.pids()
    ours = [*pids["web"], *pids["worker"], *pids["supervisor"]]
    keys = scene.redis.command("EVAL", "return redis.call('KEYS', '*')", "0", timeout_s=60)
    names = [line.decode() for line in keys.split(b"\r\n") if line.startswith(b"sp:")]
    return Level(
        memory_kb={pid: _status(pid, "VmRSS") for pid in ours},
        descriptors={pid: open_files(pid) for pid in ours},
        threads={pid: _status(pid, "Threads") for pid in ours},
        keys=Counter(_kind(name) for name in names),
    )


async def put_load(scene: Scene, *, uploads: int, streams: int, name: str) -> None:
    """Uploads one after the other on a few connections, each with its share of streams."""
    numbers = iter(range(uploads))
    each = streams // uploads

    async def one(client: httpx.AsyncClient, number: int) -> None:
        upload_id = f"{name}-{number}"
        kind = number % 10
        content = b"" if kind == 9 else b"wind and water " * 50  # one in ten is refused
        raw = body([Part("n", b"1"), file_part(content, "words.txt", "text/plain")])
        readers = [asyncio.create_task(read(upload_id)) for _ in range(each)]
        answer = await client.post(
            "/upload",
            content=raw,
            headers={"X-Upload-ID": upload_id, "Content-Type": content_type()},
        )
        assert answer.status_code in (200, 202, 422), answer.text
        await asyncio.gather(*readers)

    async def read(upload_id: str) -> None:
        async with EventStream(f"{scene.url}/upload/{upload_id}/progress", timeout_s=60) as stream:
            assert stream.status == 200
            async for frame in stream:
                if frame.terminal:
                    return

    async def sender() -> None:
        async with httpx.AsyncClient(base_url=scene.url, timeout=60) as client:
            for number in numbers:
                await one(client, number)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(sender())


async def come_to_rest(scene: Scene) -> None:
    """No open upload, no stream, and the emitter has let every topic go."""
    storage = (scene.service.data_dir / "storage-id").read_text()

    async def resting() -> bool:
        open_uploads = scene.redis.command("ZCARD", f"sp:s:{{{storage}}}:open")
        channels = scene.redis.command("PUBSUB", "CHANNELS", "sp:{*")
        return open_uploads == b":0\r\n" and channels == b"*0\r\n"

    await eventually(resting, "nothing is open and nobody listens")


def compare(before: Level, after: Level) -> str:
    """What grew by more than one in twenty, and more than the grain of what is measured."""
    grown = []
    for what, grain in (("memory_kb", 3000), ("descriptors", 2)):
        was, now = getattr(before, what), getattr(after, what)
        assert was.keys() == now.keys(), f"processes changed: {was.keys()} {now.keys()}"
        for pid, value in was.items():
            if now[pid] > max(value * 1.05, value + grain):
                grown.append(f"{what} of {pid}: {value} -> {now[pid]}")
    for pid, threads in after.threads.items():
        if threads > MOST_THREADS:
            grown.append(f"threads of {pid}: {before.threads[pid]} -> {threads}")
    for key, count in after.keys.items():
        if key != "journal" and count > before.keys[key]:
            grown.append(f"key {key}")
    return ", ".join(grown)


async def _nothing_grows(scene: Scene, *, uploads: int, streams: int) -> None:
    await put_load(scene, uploads=uploads // 2, streams=streams // 2, name="warm")
    await come_to_rest(scene)
    grown = ""
    for turn in range(ROUNDS):
        before = level_of(scene)
        await put_load(scene, uploads=uploads, streams=streams, name=f"load-{turn}")
        await come_to_rest(scene)
        after = level_of(scene)
        print(f"{before}\n{after}")
        assert after.keys["journal"] > 0, "the load has left no journal, so it was none"
        if not (grown := compare(before, after)):
            break
    assert not grown
    assert not scene.files("incoming/", "open/", "trash/")


async def test_nothing_grows(scene: Scene) -> None:
    """Hundreds of uploads and streams leave memory, descriptors, threads and keys as they were."""
    await _nothing_grows(scene, uploads=150, streams=1500)


@pytest.mark.long
async def test_nothing_grows_in_the_long_run(scene: Scene) -> None:
    """The same with thousands; in the end their journals are gone as well."""
    await _nothing_grows(scene, uploads=5000, streams=20_000)
    await eventually(
        lambda: level_of(scene).keys["journal"] == 0, "all journals are forgotten", timeout_s=90
    )


async def test_the_log_says_nothing_of_failures(scene: Scene) -> None:
    """Under the load above nothing went wrong unseen."""
    assert "Traceback" not in scene.service.log
