"""A whole run of faults: people upload and read while a seeded schedule breaks things.

Everything is a real process. The run tells what was in flight when each fault struck, and checks
the promises from outside when all has come to rest.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.faults.people import Seen, Sent, content, follow, send
from tests.faults.producers import Produced, close_batch, open_batch, produce
from tests.helpers.redis_server import RedisServer
from tests.helpers.service import Service
from tests.helpers.sse import Frame, journal, read_events
from tests.helpers.waiting import eventually

KINDS = ("kill web", "kill worker", "kill redis", "stop redis", "drop pubsub", "restart web")


@dataclass
class Plan:
    """How much of everything, and which faults; `rewind` puts an older state of Redis back."""

    seed: int
    uploads: int = 24
    readers: int = 48
    jobs: int = 6
    faults: tuple[str, ...] = KINDS
    rewind: bool = False
    rest_s: float = 150


@dataclass
class Report:
    seed: int
    struck: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)
    events: int = 0
    resets: int = 0
    reconnects: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    seconds: float = 0.0


class Chaos:
    def __init__(self, plan: Plan, service: Service, redis: RedisServer) -> None:
        self.plan, self.service, self.redis = plan, service, redis
        self.rng = random.Random(plan.seed)
        self.sent: list[Sent] = []
        self.seen: list[Seen] = []
        self.report = Report(plan.seed)
        self.readers: dict[tuple[str, int], tuple[Seen, asyncio.Task[None]]] = {}
        self.settled: set[str] = set()
        """Uploads and jobs whose client does no more for them."""
        self.rest = asyncio.Event()
        self.batch = f"b{plan.seed}"
        self.jobs = [
            Produced(f"j{plan.seed}-{number}", self.rng.choice(["complete", "complete", "error"]))
            for number in range(plan.jobs)
        ]

    async def run(self) -> Report:
        began = time.monotonic()
        async with asyncio.TaskGroup() as people:
            await open_batch(self.service.url, self.batch)
            breaking = people.create_task(self._break_things())
            for number, job in enumerate(self.jobs):
                people.create_task(self._one_job(number, job))
            for number in range(2):
                seen = Seen(self.batch, of="batches")
                self.seen.append(seen)
                people.create_task(self._reader(seen, number, self.rng.randrange(2**30)))
            for number in range(self.plan.uploads):
                people.create_task(self._one_upload(number, begin_within_s=8))
            people.create_task(self._keep_busy(people))
            await breaking
            self.rest.set()
            await self._all_items_begun()
            await close_batch(self.service.url, self.batch)
            await self._come_to_rest()
        self.report.seconds = time.monotonic() - began
        return self.report

    # ---- people

    async def _keep_busy(self, people: asyncio.TaskGroup) -> None:
        """A machine that restarts processes slowly must not run out of work before of faults."""
        number = self.plan.uploads
        while not self.rest.is_set():
            open_uploads = {seen.upload_id for seen in self.seen if not seen.ended}
            if len(self.sent) >= self.plan.uploads and len(open_uploads) < 3:
                people.create_task(self._one_upload(number, begin_within_s=0))
                number += 1
            await asyncio.sleep(0.5)

    async def _one_upload(self, number: int, *, begin_within_s: float) -> None:
        rng = random.Random(self.plan.seed * 1000 + number)
        await asyncio.sleep(rng.uniform(0, begin_within_s))
        upload_id = f"c{self.plan.seed}-{number}"
        name, file, good = content(rng, number)
        sent = Sent(upload_id, file, good, batch=self.batch if number % 3 == 0 else "")
        self.sent.append(sent)
        async with asyncio.TaskGroup() as group:
            for at in range(self.plan.readers // self.plan.uploads):
                seen = Seen(upload_id)
                self.seen.append(seen)
                reader = self._reader(seen, rng.random() * 2 * at, rng.randrange(2**30))
                self.readers[upload_id, at] = (seen, group.create_task(reader))
            await self._until_begun(sent, name, rng)
            self.settled.add(upload_id)

    async def _until_begun(self, sent: Sent, name: str, rng: random.Random) -> None:
        """Send; where nothing began (nobody answered, or 503 before the start) send again."""
        while not sent.status:
            await send(self.service.url, sent, name, rng, timeout_s=60)
            if sent.status == 409:
                # An attempt before did begin, and its answer was lost; if Redis is killed while it
                # waits for its disk, it forgets up to two seconds (appendfsync everysec), and this.
                sent.status = 0
                if self._begun(sent.upload_id):
                    return
            if sent.status == 503 and not self._begun(sent.upload_id):
                sent.status = 0
            if not sent.status:
                await asyncio.sleep(0.3)

    def _begun(self, upload_id: str) -> bool:
        return any(seen.frames for seen in self.seen if seen.upload_id == upload_id)

    async def _one_job(self, number: int, job: Produced) -> None:
        rng = random.Random(self.plan.seed * 2000 + number)
        await asyncio.sleep(rng.uniform(0, 6))
        seen = Seen(job.upload_id)
        self.seen.append(seen)
        async with asyncio.TaskGroup() as group:
            reader = self._reader(seen, 0, rng.randrange(2**30))
            self.readers[job.upload_id, 0] = (seen, group.create_task(reader))
            await produce(self.service.url, job, self.batch, rng)
            self.settled.add(job.upload_id)

    async def _all_items_begun(self) -> None:
        """Whatever is to belong to the batch has joined it, and jobs have said their end."""
        await eventually(
            lambda: all(job.told or job.stopped for job in self.jobs), "the jobs are done"
        )
        items = [sent for sent in self.sent if sent.batch]
        await eventually(
            lambda: all(sent.status or self._begun(sent.upload_id) for sent in items),
            "the items have begun",
        )

    async def _reader(self, seen: Seen, delay_s: float, seed: int) -> None:
        await asyncio.sleep(delay_s)
        await follow(self.service.url, seen, random.Random(seed), whole=self.rest)

    # ---- faults

    async def _break_things(self) -> None:
        kinds = list(self.plan.faults)
        self.rng.shuffle(kinds)
        if self.plan.rewind:
            kinds.insert(self.rng.randrange(1, 4), "rewind redis")  # while there is work left
        for kind in kinds:
            flying = await eventually(lambda kind=kind: self._flying(kind), f"work for {kind!r}")
            self.report.struck[kind] += 1
            self.report.in_flight[kind] += flying
            await self._strike(kind)
            await asyncio.sleep(self.rng.uniform(0.3, 1.2))

    def _flying(self, kind: str) -> int:
        """How much this fault would hit now."""
        bodies = sum(sent.sending for sent in self.sent)
        streams = sum(seen.live and not seen.ended for seen in self.seen)
        if kind in ("kill web", "restart web"):
            return bodies + streams if bodies else 0
        if kind == "kill worker":
            return len(
                [f for f in self.service.files() if "/scratch-" in f or f.startswith("open/")]
            )
        if kind == "drop pubsub":
            return streams
        return bodies + streams if streams else 0

    async def _strike(self, kind: str) -> None:
        pids = self.service.pids()
        match kind:
            case "kill web":
                _signal(self.rng.choice(pids["web"]), signal.SIGKILL)
            case "restart web":
                _signal(self.rng.choice(pids["web"]), signal.SIGTERM)
            case "kill worker":
                _signal(self.rng.choice(pids["worker"]), signal.SIGKILL)
            case "kill redis":
                await asyncio.to_thread(self.redis.restart)
            case "stop redis":
                self.redis.stop()
                await asyncio.sleep(self.rng.uniform(1, 4))
                self.redis.cont()
            case "drop pubsub":
                self.redis.command("CLIENT", "KILL", "TYPE", "pubsub")
            case "rewind redis":
                await self._rewind()

    async def _rewind(self) -> None:
        """An older data directory is put back: what was said since is lost."""
        copy = self.redis.data_dir.with_name("older")
        self.redis.kill()
        shutil.copytree(self.redis.data_dir, copy)
        self.redis.start()
        await asyncio.sleep(self.rng.uniform(0.5, 1.5))
        self.redis.kill()
        shutil.rmtree(self.redis.data_dir)
        shutil.move(copy, self.redis.data_dir)
        self.redis.start()

    # ---- rest

    async def _come_to_rest(self) -> None:
        """Everything has ended: every reader knows an end, and nothing is open any more."""

        def left() -> str:
            open_readers = [s.upload_id for s in self.seen if not s.ended]
            files = [f for f in self.service.files() if f.startswith(("incoming", "open", "trash"))]
            listed = self._listed()
            if not (open_readers or files or listed):
                return ""
            return f"readers {open_readers}, files {files}, {listed} listed as open"

        async def at_rest() -> bool:
            if self.plan.rewind:
                await self._let_go_of_the_forgotten()
            return not left()

        try:
            await eventually(at_rest, "all has ended", timeout_s=self.plan.rest_s)
        except AssertionError:
            raise AssertionError(f"seed {self.plan.seed}: not at rest: {left()}") from None

    async def _let_go_of_the_forgotten(self) -> None:
        """A rewind takes back the end of what left no file, and all of a job. Such a one has not
        begun yet, and its readers would wait for as long as there are tests."""
        async with httpx.AsyncClient(base_url=self.service.url, timeout=60) as client:
            for seen, task in self.readers.values():
                if seen.ended or not seen.live or seen.upload_id not in self.settled:
                    continue
                if await self._pending(client, seen.upload_id):
                    seen.ended = "forgotten"
                    task.cancel()

    def _listed(self) -> int:
        """Uploads that may be open: after a rewind also such as had ended already."""
        storage = (self.service.data_dir / "storage-id").read_text()
        return int(self.redis.command("ZCARD", f"sp:s:{{{storage}}}:open").strip()[1:] or -1)

    async def check(self) -> None:
        """The promises, from outside."""
        journals: dict[str, list[Frame]] = {}
        async with httpx.AsyncClient(base_url=self.service.url, timeout=60) as client:
            for sent in self.sent:
                if self.plan.rewind and await self._forgotten(client, sent):
                    journals[sent.upload_id] = []
                    continue
                frames = journal(
                    await read_events(f"{self.service.url}/upload/{sent.upload_id}/progress")
                )
                journals[sent.upload_id] = frames
                self._check_journal(sent, frames)
                await self._check_upload(client, sent, frames[-1])
            for job in self.jobs:
                forgotten = self.plan.rewind and await self._pending(client, job.upload_id)
                journals[job.upload_id] = [] if forgotten else await self._check_job(job)
            journals[self.batch] = await self._check_batch(journals)
        for seen in self.seen:
            self._check_reader(seen, journals[seen.upload_id])
        ends = {id: frames[-1].stage for id, frames in journals.items() if frames}
        complete = [sent for sent in self.sent if ends.get(sent.upload_id) == "complete"]
        kept = {f.split("/")[2] for f in self.service.files() if f.startswith("objects/")}
        assert len(kept) == len(complete), "objects of uploads that are not complete"

    async def _check_job(self, job: Produced) -> list[Frame]:
        """What its producer was told is what it ended with."""
        where = f"seed {self.plan.seed}, {job}"
        frames = journal(await read_events(f"{self.service.url}/upload/{job.upload_id}/progress"))
        self._check_frames(where, frames)
        end = frames[-1].json
        if not self.plan.rewind:
            assert job.told == job.end == end["stage"], f"{where}: {end}"
            if job.end == "complete":
                assert end["result"] == {"by": job.upload_id}, where
            else:
                assert end["error"]["code"] == "no_sound", where
        return frames

    async def _check_batch(self, journals: dict[str, list[Frame]]) -> list[Frame]:
        """It has one end, and counts each of its items once, as it ended."""
        where = f"seed {self.plan.seed}, batch {self.batch}"
        frames = journal(await read_events(f"{self.service.url}/batches/{self.batch}/progress"))
        self._check_frames(where, frames)
        items = [sent.upload_id for sent in self.sent if sent.batch]
        items += [job.upload_id for job in self.jobs]
        ends = Counter(str(journals[item][-1].stage) for item in items if journals[item])
        told = frames[-1].json
        assert told["stage"] == "complete", f"{where}: {told}"
        if not self.plan.rewind:
            counts = {end: ends[end] for end in ("complete", "error", "cancelled")}
            expected = {"total": len(items), "running": 0, **counts}
            assert told["items"] == expected, f"{where}: {told['items']}, not {expected}"
        return frames

    async def _pending(self, client: httpx.AsyncClient, upload_id: str) -> bool:
        state = await client.get(f"/upload/{upload_id}")
        return state.status_code == 404 or state.json().get("status") == "pending"

    async def _forgotten(self, client: httpx.AsyncClient, sent: Sent) -> bool:
        """A rewind takes back the end of what left no file; nothing else may be forgotten."""
        if not await self._pending(client, sent.upload_id):
            return False
        assert not (sent.accepted and sent.good), f"seed {self.plan.seed}: {sent.upload_id} is lost"
        self.report.ends["forgotten"] += 1
        return True

    def _check_journal(self, sent: Sent, frames: list[Frame]) -> None:
        where = f"seed {self.plan.seed}, upload {sent.upload_id}"
        self._check_frames(where, frames)
        self.report.events += len(frames)
        error = frames[-1].json.get("error")
        if error and error["code"] == "internal":
            assert self.plan.rewind, f"{where}: {error}"
        self.report.ends[error["code"] if error else str(frames[-1].stage)] += 1

    def _check_frames(self, where: str, frames: list[Frame]) -> None:
        """Numbered without a gap, in one epoch, with one end, never going back."""
        numbers = [_seq(frame) for frame in frames]
        assert numbers == list(range(1, len(frames) + 1)), f"{where}: {numbers}"
        assert len({_epoch(frame) for frame in frames}) == 1, where
        assert [frame.terminal for frame in frames] == [False] * (len(frames) - 1) + [True], where
        percents = [frame.json["progress"] for frame in frames[:-1]]
        assert percents == sorted(percents), f"{where}: {percents}"

    async def _check_upload(self, client: httpx.AsyncClient, sent: Sent, end: Frame) -> None:
        where = f"seed {self.plan.seed}, upload {sent.upload_id} ({sent.status} {sent.code})"
        told = end.json
        if sent.accepted:
            self.report.accepted += 1
            assert told["stage"] == "complete" or not sent.good, f"{where}: accepted, then {told}"
        if told["stage"] != "complete":
            return
        media = told["media"]
        file = await client.get(media["url"])
        assert file.status_code == 200, where
        assert file.content == sent.content, f"{where}: other bytes than were sent"
        assert media["sha256"] == sent.sha256, where

    def _check_reader(self, seen: Seen, frames: list[Frame]) -> None:
        where = f"seed {self.plan.seed}, a reader of {seen.upload_id}"
        final = {str(frame.id): frame for frame in frames}
        last: Frame | None = None
        for frame, reset in seen.frames:
            if reset:
                self.report.resets += 1
                assert self.plan.rewind, f"{where}: reset, though Redis has lost nothing: {frame}"
            elif last is None:
                assert _seq(frame) == 1, f"{where}: began with {frame.id}"
            else:
                assert (_epoch(last), _seq(last) + 1) == (_epoch(frame), _seq(frame)), (
                    f"{where}: {last.id} then {frame.id}"
                )
            if str(frame.id) in final and not reset and not self.plan.rewind:
                assert frame.raw == final[str(frame.id)].raw, where
            last = frame
        if last is not None and not self.plan.rewind:
            assert last.raw == frames[-1].raw, f"{where}: ended with {last.id}"
        self.report.reconnects += max(seen.connections - 1, 0)


def _seq(frame: Frame) -> int:
    return int(str(frame.id).rpartition("-")[2])


def _epoch(frame: Frame) -> str:
    return str(frame.id).rpartition("-")[0]


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


async def run_chaos(plan: Plan, directory: Path) -> Report:
    """One run of its own Redis, two web and two worker processes."""
    redis = RedisServer(directory, append_fsync="always")
    redis.start()
    environment: dict[str, Any] = {
        "SSE_PROGRESS_REDIS_URL": redis.url,
        "SSE_PROGRESS_WEB_PROCESSES": "2",
        "SSE_PROGRESS_WORKER_PROCESSES": "2",
        "SSE_PROGRESS_WORKER_CONCURRENCY": "1",  # each place has a process that loads decoders
        "SSE_PROGRESS_LEASE_S": "3",
        "SSE_PROGRESS_SHUTDOWN_GRACE_S": "3",
        "SSE_PROGRESS_STAGE_ATTEMPTS": "6",
    }
    try:
        with Service(directory / "service", environment) as service:
            chaos = Chaos(plan, service, redis)
            try:
                await chaos.run()
                await chaos.check()
            except BaseException:
                print(f"{chaos.report}\n{service.log}")
                raise
            return chaos.report
    finally:
        redis.close()
