"""What tests of queues share: workers in this process and in others, and what they did."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from anyio import CancelScope, create_task_group
from redis.asyncio import Redis

from sse_progress.queue.queue import Job, Outcome, Queue
from sse_progress.queue.redis_queue import RedisQueue
from tests.helpers.processes import bound
from tests.helpers.waiting import eventually

FOR_EVER_S = 600.0
"""A lease that does not run out within a test: what moves, moves without it."""

IDLE = {"sp:q:{storage}:jobs": ["seen", "turn"]}
"""What a queue without jobs leaves in Redis."""


def queue_of(
    redis: Redis, nats_url: str, *, name: str = "storage", lease_s: float = 5.0
) -> RedisQueue:
    """On the engine of that URL; none: Redis."""
    if nats_url:
        from sse_progress.queue.nats_queue import NatsQueue  # as many modules as all the others
        from sse_progress.runtime.nats_url import parse_nats_url

        return NatsQueue(redis, parse_nats_url(nats_url), name=name, lease_s=lease_s)
    return RedisQueue(redis, name=name, lease_s=lease_s)


class Engine:
    """Makes queues of one kind, all at the same servers, and closes them."""

    def __init__(self, nats_url: str) -> None:
        self.nats_url = nats_url
        self._made: list[RedisQueue] = []

    def __call__(self, redis: Redis, *, name: str = "storage", lease_s: float = 5.0) -> Queue:
        queue = queue_of(redis, self.nats_url, name=name, lease_s=lease_s)
        self._made.append(queue)
        return queue

    async def aclose(self) -> None:
        for queue in self._made:
            await queue.aclose()


@dataclass(frozen=True)
class Line:
    what: str
    upload_id: str
    pid: int
    crashes: int


class Workers:
    """Worker processes on one Redis, and the log that they write."""

    def __init__(self, url: str, directory: Path, *, nats_url: str = "") -> None:
        self._url, self._nats_url = url, nats_url
        self._directory = directory
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *, concurrency: int = 2, lease_s: float = 1) -> subprocess.Popen[bytes]:
        words = [self._url, str(self._directory), str(concurrency), str(lease_s), self._nats_url]
        process = subprocess.Popen(
            bound([sys.executable, "-m", "tests.queue_worker", *words]),
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
        )
        self._started.append(process)
        return process

    async def ready(self, *processes: subprocess.Popen[bytes]) -> None:
        for process in processes:
            await eventually(lambda p=process: p.pid in self.pids("ready", "-"), "worker is ready")

    def lines(self, what: str, upload_id: str) -> list[Line]:
        try:
            text = (self._directory / "log").read_text()
        except FileNotFoundError:
            return []
        rows = (line.split() for line in text.splitlines())
        found = (Line(what, which, int(pid), int(crashes)) for what, which, pid, crashes in rows)
        return [line for line in found if (line.what, line.upload_id) == (what, upload_id)]

    def pids(self, what: str, upload_id: str) -> list[int]:
        return [line.pid for line in self.lines(what, upload_id)]

    async def until(self, what: str, upload_id: str, times: int = 1) -> Line:
        """Wait until it has happened so often; answers its last line."""
        lines = await eventually(
            lambda: (found := self.lines(what, upload_id))[times - 1 :] and found,
            f"{what} {upload_id} x {times}",
        )
        return lines[-1]

    def let_end(self, upload_id: str) -> None:
        (self._directory / f"{upload_id}.go").touch()

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()


class Desk:
    """A recording handler whose jobs end when they are told to."""

    def __init__(self) -> None:
        self.started: list[Job] = []
        self.ended: list[str] = []
        self.ends = asyncio.Event()

    async def __call__(self, job: Job) -> None:
        self.started.append(job)
        await self.ends.wait()
        self.ended.append(job.upload_id)

    @property
    def ids(self) -> list[str]:
        return [job.upload_id for job in self.started]


@asynccontextmanager
async def at_work(
    queue: Queue, handler: Callable[[Job], Awaitable[Outcome]], *, concurrency: int = 2
) -> AsyncIterator[CancelScope]:
    """A worker for the time of the block, ready at its beginning, gone at its end or when told."""
    ready = asyncio.Event()
    scope = CancelScope()

    async def run() -> None:
        with scope:
            await queue.run(handler, concurrency=concurrency, on_ready=ready.set)

    async with create_task_group() as group:
        group.start_soon(run)
        await eventually(ready.is_set, "worker is ready")
        yield scope
        scope.cancel()


async def left_in(redis: Redis) -> dict[str, list[str]]:
    """Every key of jobs, with the members or fields in it."""
    found = {}
    of_workers = {b"sp:q:{storage}:workers", b"sp:q:{storage}:idle"}
    for key in set(await redis.keys("*")) - of_workers:
        kind = await redis.type(key)
        members = redis.hkeys(key) if kind == b"hash" else redis.zrange(key, 0, -1)
        found[key.decode()] = sorted(member.decode() for member in await members)
    return found


async def no_jobs(queue: Queue) -> None:
    async def empty() -> bool:
        return await queue.depth() == (0, 0)

    await eventually(empty, "no job waits or runs")
