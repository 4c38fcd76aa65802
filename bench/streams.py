"""Open streams: what opening one, keeping it and each delivered event cost a server."""

from __future__ import annotations

import asyncio
import http.client
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import uvloop

from bench import load
from bench.journals import journals, paced
from bench.peers import nginx
from bench.places import Ours, ours, pinned, place, redis, tree
from bench.processes import cpu_s, free_port, resident_kb

Tell = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Target:
    """A server with one upload that can be watched."""

    port: int
    pids: list[int]
    path: str
    tell: Tell


def event(number: int, of: int) -> bytes:
    """What our service sends of the same event, so that all carry as many bytes."""
    return json.dumps(
        {
            "uploadId": "fan",
            "stage": "receiving",
            "progress": 0,
            "message": f"Decoding frame {number} of {of} TS={time.monotonic_ns()}",
            "timestamp": "2026-01-15T10:30:00.000Z",
            "stageProgress": 1,
            "bytes": number,
            "total": of,
        },
        separators=(",", ":"),
    ).encode()


def over_http(port: int) -> Tell:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    async def tell(number: int) -> None:
        body = event(number, 1000)
        head = f"POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        if connection.sock is None:
            connection.connect()
        connection.sock.sendall(head.encode() + body)
        connection.sock.recv(65536)

    return tell


@asynccontextmanager
async def our_target() -> AsyncIterator[Target]:
    with ours() as service:
        async with journals(service.redis_url) as told:
            await told.begin("fan")

            async def tell(number: int) -> None:
                await told.tell("fan", number, of=1000)

            yield Target(service.port, [service.pid], "/upload/fan/progress", tell)


@asynccontextmanager
async def starlette(kind: str) -> AsyncIterator[Target]:
    port = free_port()
    command = [sys.executable, "-m", "bench.peers.sse_starlette_server", str(port), kind]
    with pinned(command, port=port) as pid:
        yield Target(port, [pid], "/progress", over_http(port))


@asynccontextmanager
async def nchan() -> AsyncIterator[Target]:
    port = free_port()
    with place() as directory:
        command = nginx.command(nginx.STREAMS, directory, port)
        with pinned(command, port=port) as pid:
            tell = over_http(port)
            await tell(0)  # else the first reader waits for the channel
            yield Target(port, tree(pid), "/progress", tell)


@asynccontextmanager
async def c_floor() -> AsyncIterator[Target]:
    port = free_port()
    with pinned([load.built("fanout_floor"), str(port)], port=port) as pid:
        yield Target(port, [pid], "/progress", over_http(port))


TARGETS = {
    "ours": our_target,
    "nchan": nchan,
    "sse_starlette": lambda: starlette("bytes"),
    "sse_starlette_dict": lambda: starlette("dict"),
    "c_floor": c_floor,
}


async def measure(target: Target, *, readers: int, events: int) -> dict[str, float]:
    """An event is told when all readers have the one before: none are joined into one write."""
    before_kb, began = sum(map(resident_kb, target.pids)), sum(map(cpu_s, target.pids))
    crowd = await asyncio.to_thread(load.Readers, target.port, target.path, readers)
    try:
        await asyncio.sleep(1)
        opened = sum(map(cpu_s, target.pids)) - began
        grown = sum(map(resident_kb, target.pids)) - before_kb
        late: list[float] = []
        for number in range(events + 2):
            if number == 2:
                began = sum(map(cpu_s, target.pids))
            crowd.begin(readers, limit_s=60)
            await target.tell(number)
            found = await asyncio.to_thread(crowd.end)
            late.append(found["p99_us"] / 1000)
        took = sum(map(cpu_s, target.pids)) - began
    finally:
        await asyncio.to_thread(crowd.close)
    return {
        "cpu_us_per_event": took * 1e6 / (readers * events),
        "open_cpu_us": opened * 1e6 / readers,
        "open_all_s": crowd.open_s,
        "bytes_per_stream": grown * 1024 / readers,
        "last_reader_p99_ms": statistics.median(late),
    }


async def one(name: str, *, readers: int, events: int) -> dict[str, float]:
    async with TARGETS[name]() as target:
        return await measure(target, readers=readers, events=events)


def fanout(
    names: list[str], *, readers: int, events: int, rounds: int
) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            found[name].append(uvloop.run(one(name, readers=readers, events=events)))
    return found


# ---- many uploads, each with a reader, through Redis


@contextmanager
def _usual_way() -> Any:
    port = free_port()
    with place() as directory, redis(directory) as (url, redis_pid):
        command = [sys.executable, "-m", "bench.peers.pubsub_per_client_server", str(port), url]
        with pinned(command, port=port) as pid:
            yield Ours(port, pid, url, redis_pid, directory)


async def _through_redis(name: str, *, topics: int, seconds: float) -> dict[str, float]:
    ids = [f"t{number}" for number in range(topics)]
    with ours() if name == "ours" else _usual_way() as service:
        async with journals(service.redis_url) as told:
            if name == "ours":
                for upload_id in ids:
                    await told.begin(upload_id)

            def tell(upload_id: str, number: int) -> Awaitable[object]:
                if name == "ours":
                    return told.tell(upload_id, number, of=1000)
                frame = b"id: %d\nevent: progress\ndata: %s\n\n" % (number, event(number, 1000))
                return plain.publish(upload_id, frame)

            async with _Plain(service.redis_url) as plain:
                crowd = load.Readers(service.port, "/upload/t%d/progress", topics)
                await asyncio.sleep(1)
                try:
                    crowd.begin(topics, limit_s=60)
                    await paced(ids, tell, per_s=10, seconds=0.1)
                    await asyncio.to_thread(crowd.end)
                    total = int(topics * 10 * seconds)
                    began, redis_began = cpu_s(service.pid), cpu_s(service.redis_pid)
                    crowd.begin(total, limit_s=seconds * 10 + 30)
                    await paced(ids, tell, per_s=10, seconds=seconds)
                    arrived = await asyncio.to_thread(crowd.end)
                    took = cpu_s(service.pid) - began
                    redis_took = cpu_s(service.redis_pid) - redis_began
                finally:
                    crowd.close()
    return {
        "cpu_us_per_event": took * 1e6 / total,
        "redis_cpu_us_per_event": redis_took * 1e6 / total,
        "events_per_s": total / max(arrived["span_s"], 1e-9),
        "p50_ms": arrived["p50_us"] / 1000,
        "p99_ms": arrived["p99_us"] / 1000,
    }


class _Plain:
    """A bounded stream and a publication for each event, in one transaction."""

    def __init__(self, url: str) -> None:
        from redis.asyncio import Redis

        self._redis = Redis.from_url(url)

    async def __aenter__(self) -> _Plain:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._redis.aclose()

    async def publish(self, topic: str, frame: bytes) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xadd(f"ev:{topic}", {"f": frame}, maxlen=256)
            pipe.publish(f"ch:{topic}", frame)
            await pipe.execute()


def many_topics(*, topics: int, seconds: float, rounds: int) -> dict[str, list[dict[str, float]]]:
    names = ["ours", "redis_py_pubsub_per_client"]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            row = uvloop.run(_through_redis(name, topics=topics, seconds=seconds))
            found[name].append(row)
    return found


def under_upload(*, readers: int, seconds: float, size: int) -> dict[str, float]:
    """Streams' delay while one client sends a file as fast as it can to the same process."""

    async def go() -> dict[str, float]:
        with ours() as service:
            async with journals(service.redis_url) as told:
                await told.begin("fan")
                crowd = load.Readers(service.port, "/upload/fan/progress", readers)
                try:
                    count = int(seconds * 10)
                    found = {}
                    for when in ("quiet", "under_upload"):
                        sending = None
                        if when == "under_upload":
                            sending = asyncio.ensure_future(asyncio.to_thread(_send, service, size))
                            await asyncio.sleep(0.2)
                        crowd.begin(readers * count, limit_s=seconds * 10 + 30)
                        for number in range(count):
                            await told.tell("fan", number, of=count)
                            await asyncio.sleep(0.1)
                        arrived = await asyncio.to_thread(crowd.end)
                        found[when] = arrived["p99_us"] / 1000
                        if sending is not None:
                            found["upload_outlived"] = float(not sending.done())
                            await sending
                finally:
                    crowd.close()
        return found

    return uvloop.run(go())


def _send(service: Ours, size: int) -> None:
    headers = ("Prefer: respond-async",)
    load.upload(service.port, "/upload", size=size, headers=headers)
