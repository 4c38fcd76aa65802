"""What so many uploads a day need: a cost model of measured figures, a simulation of the busiest
hour, and a real run of the service to hold the model against.

    python -m bench.capacity                  the table of docs/capacity.md
    python -m bench.capacity check [COUNT]    pictures through `serve`: CPU and Redis' bytes
"""

from __future__ import annotations

import asyncio
import heapq
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from bench.processes import role_of, service
from sse_progress.supervisor.private_redis import PASSWORD_FILE

DAY_S = 86_400


@dataclass(frozen=True)
class Costs:
    """CPU in seconds, memory in bytes; see docs/capacity.md for where each is from."""

    web_upload_s: float = 0.007
    web_byte_s: float = 1.54 / 1024**3
    web_stream_s: float = 0.00017
    web_event_s: float = 24e-6
    redis_upload_s: float = 0.0035
    worker_upload_s: float = 0.125
    redis_upload_bytes: int = 14_000
    redis_kept_s: int = DAY_S
    event_bytes: int = 300


@dataclass(frozen=True)
class Load:
    per_day: float
    file_bytes: float = 80_000
    followers: float = 1.0
    events: float = 40.0
    """Told of an upload, and delivered to each follower."""

    peak: float = 3.0
    """The busiest hour's rate divided by the day's mean."""

    stream_s: float = 10.0
    """How long a follower watches."""

    @property
    def per_s(self) -> float:
        return self.per_day / DAY_S * self.peak


@dataclass(frozen=True)
class Need:
    """Cores that are busy in the busiest hour, and what has to be there."""

    uploads_per_s: float
    web_cores: float
    worker_cores: float
    redis_cores: float
    streams: float
    redis_bytes: float
    bits_per_s: float

    def processes(self, busy: float = 0.6) -> dict[str, int]:
        """So many that none is busier than `busy`; Redis and web have one core each."""
        return {
            "web": max(1, math.ceil(self.web_cores / busy)),
            "workers": max(1, math.ceil(self.worker_cores / busy)),
            "redis": max(1, math.ceil(self.redis_cores / busy)),
        }


def need(load: Load, costs: Costs = Costs()) -> Need:  # frozen
    delivered = load.events * load.followers
    web_s = (
        costs.web_upload_s
        + load.file_bytes * costs.web_byte_s
        + load.followers * costs.web_stream_s
        + delivered * costs.web_event_s
    )
    kept = load.per_day * costs.redis_kept_s / DAY_S
    each_bits = 8 * (load.file_bytes + delivered * costs.event_bytes)
    return Need(
        uploads_per_s=load.per_s,
        web_cores=load.per_s * web_s,
        worker_cores=load.per_s * costs.worker_upload_s,
        redis_cores=load.per_s * costs.redis_upload_s,
        streams=load.per_s * load.followers * load.stream_s,
        redis_bytes=kept * costs.redis_upload_bytes,
        bits_per_s=load.per_s * each_bits,
    )


def waits(load: Load, workers: int, *, uploads: int = 20_000, seed: int = 1) -> Iterator[float]:
    """Seconds that uploads of the busiest hour wait for a worker: arrivals at random, work of
    exponential length. `workers` take one upload at a time, the oldest first."""
    chance = random.Random(seed)
    free_at = [0.0] * workers
    now = 0.0
    for _ in range(uploads):
        now += chance.expovariate(load.per_s)
        begins = max(now, heapq.heappop(free_at))
        work_s = chance.expovariate(1 / Costs().worker_upload_s)
        heapq.heappush(free_at, begins + work_s)
        yield begins - now


def table() -> None:
    print("| uploads a day | at the peak | web | worker cores | Redis | streams | Redis memory |"
          " traffic | wait for a worker, p99 |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for per_day in (1e4, 1e6, 1e8):
        load = Load(per_day)
        found = need(load)
        count = found.processes()
        late = sorted(waits(load, count["workers"]))
        cells = [
            f"{per_day:,.0f}",
            f"{found.uploads_per_s:,.1f}/s",
            f"{count['web']:,} ({found.web_cores:,.2f} busy)",
            f"{count['workers']:,} ({found.worker_cores:,.2f} busy)",
            f"{count['redis']:,} ({found.redis_cores:,.2f} busy)",
            f"{found.streams:,.0f}",
            f"{found.redis_bytes / 1e9:,.2f} GB",
            f"{found.bits_per_s / 1e6:,.1f} Mbit/s",
            f"{late[int(len(late) * 0.99)] * 1000:,.0f} ms",
        ]
        print("| " + " | ".join(cells) + " |")


# ---- the real run


async def send_and_follow(port: int, name: str, body: bytes) -> int:
    """One picture with a follower until its end; the number of events."""
    upload_id = f"capacity-{name}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = f"/upload/{upload_id}/progress"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    sender_reader, sender = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST /upload HTTP/1.1\r\nHost: localhost\r\nX-Upload-ID: {upload_id}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n"
        "Prefer: respond-async\r\nConnection: close\r\n\r\n"
    )
    sender.write(head.encode() + body)
    status = await sender_reader.readline()
    if b" 20" not in status:
        raise RuntimeError(status.decode())
    sender.close()
    events, rest = 0, b""
    while b'"stage":"complete"' not in rest:
        part = await reader.read(65536)
        if not part:
            raise RuntimeError("the stream ended early")
        events += part.count(b"\nid: ") + part.startswith(b"id: ")
        rest = (rest + part)[-4096:]
    writer.close()
    return events


def _descendants(pid: int) -> list[int]:
    from bench.places import tree

    return tree(pid)


def _cpu_by_role(supervisor: int) -> dict[str, float]:
    """Of live processes, and of those that a live one has waited for."""
    import os

    ticks: dict[str, float] = {}
    for pid in _descendants(supervisor)[1:]:
        role = role_of(pid)
        role = "worker" if role == "other" else role
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        spent = sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
        ticks[role] = ticks.get(role, 0) + spent
    return ticks


def _redis_bytes(data_dir: Path) -> dict[str, int]:
    """Of the private Redis: its memory in use, and its append-only file."""
    directory = data_dir / "redis"
    with Redis(
        unix_socket_path=str(directory / "redis.sock"),
        password=(directory / PASSWORD_FILE).read_text().strip(),
    ) as redis:
        memory: Any = redis.info("memory")
    files = sum(path.stat().st_size for path in directory.rglob("*.aof"))
    return {"memory": memory["used_memory"], "appended": files}


def check(count: int) -> None:
    from tests.helpers.media import jpeg

    with tempfile.TemporaryDirectory() as place, service(
        Path(place) / "data", log_level="error", archive_url="off"
    ) as (port, roles):  # fmt: skip
        (supervisor,) = roles["supervisor"]

        async def go(first: int, last: int) -> int:
            free = asyncio.Semaphore(4)

            async def one(number: int) -> int:
                picture = jpeg(1100, 825, seed=number)
                head = (
                    b'--b\r\nContent-Disposition: form-data; name="file"; filename="p.jpg"\r\n\r\n'
                )
                async with free:
                    return await send_and_follow(
                        port, str(number), head + picture + b"\r\n--b--\r\n"
                    )

            return sum(await asyncio.gather(*(one(number) for number in range(first, last))))

        asyncio.run(go(0, 10))
        kept_before = _redis_bytes(Path(place) / "data")
        before, began = _cpu_by_role(supervisor), time.monotonic()
        events = asyncio.run(go(10, 10 + count))
        took = time.monotonic() - began
        after = _cpu_by_role(supervisor)
        kept = _redis_bytes(Path(place) / "data")
    size = len(jpeg(1100, 825, seed=10))
    load = Load(DAY_S, file_bytes=size, events=events / count, peak=1)
    model = need(load)
    found = {
        "uploads": count,
        "file_bytes": size,
        "events_per_upload": round(events / count, 1),
        "seconds": round(took, 1),
        "redis_bytes_per_upload": {
            what: round((kept[what] - kept_before[what]) / count) for what in kept
        },
        "cpu_s_per_upload": {
            role: round((after[role] - before.get(role, 0)) / count, 4) for role in sorted(after)
        },
        "model_cpu_s_per_upload": {
            "redis": round(model.redis_cores, 4),
            "web": round(model.web_cores, 4),
            "worker": round(model.worker_cores, 4),
        },
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        check(int(sys.argv[2]) if len(sys.argv) > 2 else 100)
    else:
        table()
