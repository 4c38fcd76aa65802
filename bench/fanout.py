"""One upload, many readers: CPU of the server per delivered event, memory per open stream."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.processes import cpu_s, free_port, resident_kb, running, service
from sse_progress.journal.journal import Journal
from sse_progress.model.events import Draft
from sse_progress.runtime.concurrency import beside
from sse_progress.runtime.redis_client import connect

GAP_S = 0.02


class Readers:
    """Open streams that count the events they get."""

    def __init__(self) -> None:
        self.got = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, port: int, path: str, count: int) -> None:
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            self._writers.append(writer)
            self._tasks.append(asyncio.ensure_future(self._read(reader)))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while part := await reader.read(65536):
            self.got += part.count(b"id: ")

    async def wait(self, count: int, *, limit_s: float = 60) -> None:
        async with asyncio.timeout(limit_s):
            while self.got < count:
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        for task, writer in zip(self._tasks, self._writers, strict=True):
            task.cancel()
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def measure(
    pid: int,
    port: int,
    path: str,
    publish: Callable[[int], Awaitable[None]],
    *,
    readers: int,
    events: int,
    first: int,
) -> dict[str, float]:
    """`publish(n)` tells one event; `first` events reach a reader on opening."""
    crowd = Readers()
    before_kb = resident_kb(pid)
    await crowd.open(port, path, readers)
    if first:
        await crowd.wait(readers * first)
    await asyncio.sleep(1)
    per_stream = (resident_kb(pid) - before_kb) * 1024 / readers
    await publish(0)  # warm
    await crowd.wait(readers * (first + 1))
    costs = []
    for _ in range(3):
        began, at = cpu_s(pid), crowd.got
        for n in range(events):
            await publish(n)
            await asyncio.sleep(GAP_S)
        await crowd.wait(at + readers * events)
        costs.append((cpu_s(pid) - began) * 1e6 / (readers * events))
    await crowd.close()
    return {"cpu_us_per_event": statistics.median(costs), "bytes_per_stream": per_stream}


async def ours(readers: int, events: int) -> dict[str, float]:
    with (
        tempfile.TemporaryDirectory() as place,
        service(Path(place) / "data", log_level="error") as (port, roles),
    ):
        password = (Path(place) / "data" / "redis" / "password").read_text()
        redis = connect(f"unix://:{password}@{place}/data/redis/redis.sock")
        journal = Journal(redis)
        async with beside(journal.appends.run()):
            draft = Draft(stage="receiving", stage_progress=0, message="begin")
            answer = await journal.begin("fan", owner="anonymous", draft=draft, lease_s=3600)
            numbers = iter(range(2, 10_000_000))

            async def publish(n: int) -> None:
                await journal.operation(
                    "next",
                    "fan",
                    owner="anonymous",
                    fence=answer.fence,
                    numbers=numbers,
                    lease_s=3600,
                    draft=Draft(
                        stage="receiving",
                        stage_progress=1,
                        message=f"Decoding frame {n} of {events}",
                        bytes=n,
                        total=events,
                    ),
                )

            found = await measure(
                roles["web"][0],
                port,
                "/upload/fan/progress",
                publish,
                readers=readers,
                events=events,
                first=1,
            )
        await redis.aclose()
        return found


async def usual(readers: int, events: int) -> dict[str, float]:
    port = free_port()
    with running(["-m", "bench.peers.sse_starlette_server", str(port)], port=port) as pid:

        async def publish(n: int) -> None:
            event = {
                "n": n,
                "type": "progress",
                "uploadId": "fan",
                "progress": 1,
                "stage": "receiving",
                "message": f"Decoding frame {n} of {events}",
                "timestamp": "2026-01-15T10:30:00.000Z",
                "stageProgress": 1,
                "bytes": n,
                "total": events,
            }
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/publish", data=json.dumps(event).encode(), method="POST"
            )
            await asyncio.to_thread(lambda: urllib.request.urlopen(request).close())

        return await measure(
            pid, port, "/progress", publish, readers=readers, events=events, first=0
        )


def run(*, quick: bool) -> dict[str, Any]:
    readers, events, rounds = (200, 30, 1) if quick else (1000, 100, 3)
    ways = {"sse_progress (with Redis, journal)": ours, "sse-starlette (queue, dict)": usual}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(asyncio.run(way(readers, events)))
    return {
        name: {key: round(statistics.median(row[key] for row in rows), 1) for key in rows[0]}
        for name, rows in found.items()
    }
