"""Figures of `docs/measured/reliability.md`: how fast everything recovers, on real processes.

    python -m bench.reliability chaos --seeds 20     storms of faults, promises checked
    python -m bench.reliability takeover --runs 20   a worker is killed in the middle of a stage
    python -m bench.reliability outage --runs 5      Redis is away for 10 s, 100 readers
    python -m bench.reliability storm --runs 3       1,000 readers, the web process restarts

Each run prints one line of JSON. Run from the project's directory, on a machine at rest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from redis import Redis

from tests.faults.chaos import Plan, run_chaos
from tests.faults.scene import KILL, TERM, Reading, Scene, reading
from tests.helpers.processes import descendants
from tests.helpers.sse import EventStream
from tests.helpers.waiting import eventually

Figures = dict[str, Any]


def spread(seconds: list[float]) -> Figures:
    """Median and worst, seconds."""
    return {
        "median": round(statistics.median(seconds), 3),
        "worst": round(max(seconds), 3),
        "of": len(seconds),
    }


async def chaos(arguments: argparse.Namespace, directory: Path) -> Figures:
    """One storm a seed; every third puts an older Redis back as well."""
    total: dict[str, Counter[str]] = {name: Counter() for name in ("struck", "in_flight", "ends")}
    sums: Counter[str] = Counter()
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        place = directory / str(seed)
        place.mkdir()
        report = await run_chaos(Plan(seed=seed, rewind=seed % 3 == 0), place)
        for name, counter in total.items():
            counter.update(getattr(report, name))
        for name in ("events", "resets", "reconnects", "accepted"):
            sums[name] += getattr(report, name)
        print(json.dumps({"seed": seed, "events": report.events}), flush=True)
        shutil.rmtree(place)
    return {"seeds": arguments.seeds, **{k: dict(v) for k, v in total.items()}, **sums}


async def takeover(arguments: argparse.Namespace, directory: Path) -> Figures:
    """From the kill of a worker until its job's stage is begun again by another."""
    env = {
        "SSE_PROGRESS_WORKER_PROCESSES": str(arguments.workers),
        "SSE_PROGRESS_WEB_PROCESSES": "1",
    }

    async def measure(scene: Scene) -> list[float]:
        took = []
        for number in range(arguments.runs):
            upload_id = f"takeover-{number}"
            await scene.held(upload_id, "analyzing")
            began = time.monotonic()
            scene.signal(_holder(scene), KILL)
            await eventually(
                lambda upload_id=upload_id: scene.tally(upload_id).count("analyzing begun") == 2,
                "another worker has it",
                timeout_s=60,
            )
            took.append(time.monotonic() - began)
            scene.go(upload_id)
            assert (await scene.journal(upload_id))[-1].stage == "complete"
            await scene.all_up(webs=1, workers=arguments.workers)
            scene.hang_up()
        return took

    took = spread(await _in_scene(directory, env, measure))
    return {"workers": arguments.workers, "takeover_s": took}


def _holder(scene: Scene) -> int:
    """The worker one of whose children works in a scratch directory."""
    for worker in scene.service.pids()["worker"]:
        for child in descendants(worker):
            try:
                if "/open/" in str(Path(f"/proc/{child}/cwd").readlink()):
                    return worker
            except OSError:
                continue
    raise AssertionError("no worker has the job")


async def outage(arguments: argparse.Namespace, directory: Path) -> Figures:
    """From the end of a 10 s outage until each of 100 readers has something new."""
    env = {"SSE_PROGRESS_WORKER_CONCURRENCY": "10", "SSE_PROGRESS_REDIS_WAIT_S": "30"}

    async def measure(scene: Scene) -> list[float]:
        took: list[float] = []
        for run in range(arguments.runs):
            ids = [f"outage-{run}-{number}" for number in range(10)]
            for upload_id in ids:
                (scene.place / f"{upload_id}.talk").touch()
                await scene.held(upload_id, "analyzing")
            async with reading(scene.url, *ids * 10) as readers:
                await eventually(lambda r=readers: all(x.seen.frames for x in r), "all read")
                async with scene.stopped_redis():
                    await asyncio.sleep(10)
                    had = {reader: len(reader.raw) for reader in readers}
                    began = time.monotonic()
                waiting = set(readers)
                while waiting:
                    for reader in [r for r in waiting if len(r.raw) > had[r]]:
                        took.append(time.monotonic() - began)
                        waiting.discard(reader)
                    await asyncio.sleep(0.005)
                for upload_id in ids:
                    scene.go(upload_id)
            for reader in readers:
                frames = await scene.journal(reader.seen.upload_id)
                assert reader.raw == [frame.raw for frame in frames]
                assert reader.seen.connections == 1
            scene.hang_up()
        return took

    return {"catch_up_s": spread(await _in_scene(directory, env, measure))}


class Patient(Reading):
    """Comes back when it was told to, as browsers do."""

    retry_s = 2.0

    async def run(self) -> Reading:
        while not self.seen.ended:
            headers = {"Last-Event-ID": self.position} if self.position else {}
            try:
                async with EventStream(self._url, headers=headers, timeout_s=60) as stream:
                    self.seen.connections += 1
                    self.seen.live = stream.status == 200
                    if stream.status == 204:
                        break
                    async for frame in stream:
                        if frame.retry_ms is not None:
                            self.retry_s = frame.retry_ms / 1000
                        self._take(frame)
            except (OSError, EOFError):
                self.seen.cut += 1
            self.seen.live = False
            await asyncio.sleep(self.retry_s)
        return self


async def storm(arguments: argparse.Namespace, directory: Path) -> Figures:
    """From SIGTERM of the only web process until 1,000 readers have an event told since."""
    env = {"SSE_PROGRESS_WEB_PROCESSES": "1", "SSE_PROGRESS_WORKER_CONCURRENCY": "20"}
    commands: list[Counter[str]] = []

    async def measure(scene: Scene) -> list[float]:
        took = []
        for run in range(arguments.runs):
            ids = [f"storm-{run}-{number}" for number in range(20)]
            for upload_id in ids:
                await scene.held(upload_id, "analyzing")
            readers = [Patient(scene.url, ids[n % 20]) for n in range(arguments.readers)]
            async with asyncio.TaskGroup() as group:
                for reader in readers:
                    group.create_task(reader.run())
                    if random.random() < 0.02:
                        await asyncio.sleep(0.01)
                await eventually(
                    lambda r=readers: all(x.seen.frames for x in r), "all read", timeout_s=60
                )
                before = _commands(scene)
                (web,) = scene.service.pids()["web"]
                began = time.monotonic()
                scene.signal(web, TERM)
                for upload_id in ids:
                    scene.go(upload_id)
                await eventually(
                    lambda r=readers: all(x.seen.ended for x in r),
                    "all have the end",
                    timeout_s=120,
                )
                took.append(time.monotonic() - began)
                commands.append(_commands(scene) - before)
            for upload_id in ids:
                whole = [frame.raw for frame in await scene.journal(upload_id)]
                assert all(r.raw == whole for r in readers if r.seen.upload_id == upload_id)
            scene.hang_up()
            await scene.all_up(webs=1)
        return took

    took = await _in_scene(directory, env, measure)
    totals = [counter.total() for counter in commands]
    return {
        "readers": arguments.readers,
        "caught_up_s": spread(took),
        "redis_commands": totals,
        "most_used": dict(commands[-1].most_common(8)),
    }


def _commands(scene: Scene) -> Counter[str]:
    """Calls by command, what scripts call included."""
    with Redis(unix_socket_path=str(scene.redis.socket_path)) as redis:
        stats = redis.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()})


async def _in_scene(
    directory: Path, env: dict[str, str], measure: Callable[[Scene], Awaitable[list[float]]]
) -> list[float]:
    scene = Scene(directory, env)
    try:
        scene.start()
        return await measure(scene)
    finally:
        scene.hang_up()
        scene.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["chaos", "takeover", "outage", "storm"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--readers", type=int, default=1000)
    arguments = parser.parse_args()
    measure = {"chaos": chaos, "takeover": takeover, "outage": outage, "storm": storm}
    directory = Path(tempfile.mkdtemp(prefix="sp-"))
    try:
        print(json.dumps(asyncio.run(measure[arguments.what](arguments, directory))))
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
