"""A thousand connections that ask for nothing, slowly; and what honest users notice of them.

`python -m tests.attacks.hostile_load [connections]` prints the figures of
docs/measured/hostile-load.md:
a service of its own, honest requests at a steady rate, without and with dripping connections from
another process. The test beside it holds that everybody is still answered.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.attacks.words import new_id
from tests.helpers.media import jpeg
from tests.helpers.multipart import body, content_type, file_part
from tests.helpers.processes import bound, resident_bytes
from tests.helpers.service import Service

HOLD_BACK_S = 0.5
"""Pause between two bytes of a dripping connection."""
PICTURE = jpeg(320, 240)


# ---- those who drip


def _request(kind: str, host: str) -> tuple[bytes, bytes]:
    """What is sent at once, and what is then dripped, of each kind of connection."""
    if kind == "head":
        return (
            b"GET /uploads HTTP/1.1\r\nHost: " + host.encode() + b"\r\n",
            b"X-Drip: " + b"x" * 999,
        )
    if kind == "body":
        head = (
            f"POST /upload HTTP/1.1\r\nHost: {host}\r\nX-Upload-ID: drip-{new_id()}\r\n"
            f"Content-Type: {content_type()}\r\nContent-Length: 1000000\r\n\r\n"
        )
        return head.encode() + body([file_part(PICTURE)])[:300], b"x" * 9999
    if kind == "stream":
        path = f"/upload/drip-{new_id()}/progress"
        return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), b""
    return b"", b""  # says nothing at all


KINDS = ("head", "body", "stream", "idle")


async def drip(url: str, kind: str, counts: dict[str, int]) -> None:
    """One hostile connection, made again whenever the service lets it go."""
    host = urlsplit(url).netloc
    while True:
        writer = None
        try:
            reader, writer = await asyncio.open_connection(*host.split(":"))
            counts["open"] += 1
            first, rest = _request(kind, host)
            writer.write(first)
            for byte in itertools.chain(rest, itertools.repeat(None)):
                if byte is not None:
                    writer.write(bytes([byte]))
                    await writer.drain()
                try:
                    async with asyncio.timeout(HOLD_BACK_S):
                        if not await reader.read(65536):
                            break
                except TimeoutError:
                    pass
        except OSError:
            await asyncio.sleep(HOLD_BACK_S)
        finally:
            if writer is not None:
                counts["open"] -= 1
                counts["let go"] += 1
                writer.transport.abort()


async def drip_many(url: str, connections: int, counts: dict[str, int]) -> None:
    """`connections` of all kinds in turn, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for number in range(connections):
            tasks.create_task(drip(url, KINDS[number % len(KINDS)], counts))
            if number % 50 == 49:
                await asyncio.sleep(0.02)


# ---- those who do not


async def honest(url: str, *, times_each: int, rate: float) -> dict[str, list[float]]:
    """Answer times, seconds, by kind of request; each is asked so often, `rate` times a second."""
    times: dict[str, list[float]] = defaultdict(list)
    raw = body([file_part(PICTURE)])
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        known = new_id()
        fields = {"Content-Type": content_type(), "Prefer": "respond-async"}
        (await client.post("/upload", content=raw, headers={**fields, "X-Upload-ID": known}))

        async def state() -> None:
            (await client.get(f"/upload/{known}")).raise_for_status()

        async def first_frame() -> None:
            async with client.stream("GET", f"/upload/{known}/progress") as answer:
                async for _ in answer.aiter_bytes():
                    break

        async def upload() -> None:
            # Stored, and refused by the first stage: little of other work is in these figures.
            empty = body([file_part(b"")])
            answer = await client.post("/upload", content=empty, headers=fields)
            assert answer.status_code == 202, answer.text

        async def one(name: str) -> None:
            began = time.perf_counter()
            await asks[name]()
            times[name].append(time.perf_counter() - began)

        asks = {"state": state, "first frame": first_frame, "upload": upload}
        async with asyncio.TaskGroup() as tasks:
            for _ in range(times_each):
                for name in asks:
                    tasks.create_task(one(name))
                    await asyncio.sleep(1 / rate / len(asks))
    return times


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * share) - 1)]


# ---- figures


@contextmanager
def dripping(url: str, connections: int) -> Iterator[None]:
    """Another process that drips for the length of the block."""
    command = [sys.executable, "-m", "tests.attacks.hostile_load", "drip", url, str(connections)]
    process = subprocess.Popen(bound(command), cwd=Path(__file__).parents[2])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _measure(service: Service, connections: int, seconds: float) -> dict[str, object]:
    web = service.pids()["web"][0]
    with dripping(service.url, connections):
        time.sleep(15)  # past the first time-outs, into the steady state
        peak = [resident_bytes(web)]
        times = asyncio.run(_watched(service.url, seconds, web, peak))
    figures: dict[str, object] = {
        name: {
            "asked": len(values),
            "p50_ms": round(percentile(values, 0.5) * 1000, 1),
            "p99_ms": round(percentile(values, 0.99) * 1000, 1),
        }
        for name, values in times.items()
    }
    return {"connections": connections, "web_rss_mib": round(max(peak) / 2**20, 1), **figures}


async def _watched(url: str, seconds: float, pid: int, peak: list[int]) -> dict[str, list[float]]:
    async def watch() -> None:
        while True:
            peak.append(resident_bytes(pid))
            await asyncio.sleep(0.2)

    watching = asyncio.create_task(watch())
    try:
        return await honest(url, times_each=int(seconds * 20), rate=20)
    finally:
        watching.cancel()


def main() -> None:
    match sys.argv[1:]:
        case ["drip", url, count]:
            asyncio.run(drip_many(url, int(count), defaultdict(int)))
            return
        case rest:
            connections = int(rest[0]) if rest else 1000
    directory = Path(tempfile.mkdtemp(prefix="sp-load-"))
    with Service(directory, {"SSE_PROGRESS_LOG_LEVEL": "warning"}) as service:
        for count in (0, connections, 0):
            print(json.dumps(_measure(service, count, 20)), flush=True)
    shutil.rmtree(directory)


if __name__ == "__main__":
    main()
