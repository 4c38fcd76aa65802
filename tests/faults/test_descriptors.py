"""A web process near its limit of file descriptors: it stays reachable, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from tests.helpers.media import jpeg
from tests.helpers.service import SERVE, Service
from tests.helpers.sse import EventStream
from tests.helpers.waiting import eventually

pytestmark = pytest.mark.faults

LIMIT = 300


def limited(soft: int, hard: int) -> tuple[str, ...]:
    return ("sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "sh", *SERVE)


@pytest.fixture
def service(short_dir: Path) -> Iterator[Service]:
    """A service whose processes may have 300 descriptors."""
    environment = {"SSE_PROGRESS_HEARTBEAT_S": "0.5", "SSE_PROGRESS_LOG_FORMAT": "json"}
    with Service(short_dir, environment, command=limited(LIMIT, LIMIT)) as service:
        yield service


async def test_streams_are_refused_before_descriptors_run_out(service: Service) -> None:
    """They end at once and ask to come back; open streams, probes and uploads go on."""
    async with httpx.AsyncClient(base_url=service.url, timeout=60) as client:
        async with AsyncExitStack() as stack:
            streams: list[EventStream] = []
            while True:
                stream = EventStream(f"{service.url}/upload/s-{len(streams)}/progress")
                await stack.enter_async_context(stream)
                assert stream.status == 200
                if stream.headers.get("connection") == "close":
                    break
                streams.append(stream)
                assert len(streams) < LIMIT
            (frame,) = [frame async for frame in stream]
            assert 7_500 <= int(frame.raw.splitlines()[0].removeprefix(b"retry: ")) <= 12_500
            assert len(streams) > LIMIT // 2
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/readyz")).status_code == 200
            answer = await client.post("/upload", files={"file": ("a.jpg", jpeg())})
            assert answer.status_code == 200
            frames = aiter(streams[0])
            beats = 0
            while beats < 3:
                beats += (await anext(frames)).comment
            metrics = (await client.get("/metrics")).text.splitlines()
            values = dict(line.split(" ") for line in metrics if line and line[0] != "#")
            assert float(values["sse_progress_descriptors_limit"]) == LIMIT
            assert float(values["sse_progress_descriptors_open"]) > LIMIT // 2

        async def admitted() -> bool:
            async with EventStream(f"{service.url}/upload/later/progress") as stream:
                return stream.headers.get("connection") != "close"

        await eventually(admitted, "there is room again")


async def test_connections_are_refused_before_accept_fails(service: Service) -> None:
    """A flood of connections is closed and logged; one that is open is served all the while."""
    async with httpx.AsyncClient(base_url=service.url, timeout=60) as client:
        assert (await client.get("/healthz")).status_code == 200
        host, port = service.url.removeprefix("http://").split(":")
        flood = [await asyncio.open_connection(host, int(port)) for _ in range(LIMIT + 100)]
        try:
            assert (await client.get("/healthz")).status_code == 200
            await eventually(lambda: "out of file descriptors" in service.log, "it is logged")
            metrics = (await client.get("/metrics")).text.splitlines()
            (told,) = [line for line in metrics if line.startswith("sse_progress_descriptors_open")]
            assert LIMIT // 2 < float(told.split()[1]) < LIMIT - 16
            assert (await client.get("/healthz")).status_code == 200
        finally:
            for _, writer in flood:
                writer.close()

        async def open_again() -> bool:
            async with httpx.AsyncClient(base_url=service.url, timeout=60) as fresh:
                try:
                    return (await fresh.get("/healthz")).status_code == 200
                except httpx.TransportError:
                    return False

        await eventually(open_again, "new connections are served")


def test_the_soft_limit_is_raised(short_dir: Path) -> None:
    """Every process may have as many descriptors as the hard limit allows."""
    with Service(short_dir, command=limited(256, 2048)) as service:
        pids = service.pids()
        for pid in (*pids["web"], *pids["worker"]):
            limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
            (row,) = [line.split() for line in limits if line.startswith("Max open files")]
            assert row[3:5] == ["2048", "2048"]
