"""The queue's state in Redis: which jobs wait, which run, and under whose lease.

Two Lua scripts and a wake-up channel. A worker reports at once what it holds, what it has finished
and what it gives back, and gets new jobs in the answer. Reports may be repeated: a lost answer
costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from typing import Literal, NamedTuple

from anyio import fail_after, sleep
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sse_progress.queue.queue import (
    Job,
    Listed,
    Outcome,
    Overview,
    Park,
    QueueEntry,
    RetryLater,
    Worker,
)
from sse_progress.runtime.redis.client import one_server, together
from sse_progress.runtime.redis.keys import QueueKeys, digest, open_key
from sse_progress.runtime.redis.scripts import run_script

__all__ = ["AWAY", "PAUSE_S", "Answer", "JobStore", "JobUpdate", "enqueue_function"]

AWAY = (RedisError, OSError, TimeoutError)
"""What is raised while Redis cannot be asked."""

PAUSE_S = 0.25
"""Between attempts to reach Redis."""

TTL_S = 24 * 3600
"""Of the keys, counted from the last report or enqueue."""


class JobUpdate(NamedTuple):
    """One line of a report; `number` is that of the report which took the job."""

    verb: Literal["held", "done", "back", "later", "park", "take"]
    upload_id: str
    number: int
    delay_ms: int = 0

    def after(self, outcome: Outcome) -> JobUpdate:
        """The same job's update once its handler has returned."""
        match outcome:
            case RetryLater(delay_s):
                return self._replace(verb="later", delay_ms=max(int(delay_s * 1000), 0))
            case Park():
                return self._replace(verb="park")
        return self._replace(verb="done")


class Answer(NamedTuple):
    """`lost`: held jobs, by id and number, that are another worker's now. `taken`: new jobs.

    `lapse_s`: seconds until the first lease of all runs out, unless its worker reports.
    """

    lost: set[tuple[str, int]]
    taken: list[Job]
    lapse_s: float


class JobStore:
    """`gives`: a report's answer has new jobs; else the worker has them from another engine, and
    `take`s them."""

    def __init__(self, redis: Redis, *, name: str, lease_s: float, gives: bool = True) -> None:
        self.lease_s = lease_s
        self._redis, self._gives = redis, gives
        self._channel = QueueKeys.channel(name)
        self._keys = QueueKeys.of(name)
        self._open_key = open_key(name)
        self._enqueue = redis.register_script(_source("enqueue.lua"))
        self._report = redis.register_script(_source("report.lua"))

    async def add(
        self,
        upload_id: str,
        *,
        owner: str = "",
        head_start: int = 0,
        again: bool = False,
        lane: str = "",
    ) -> str:
        """Where the job was before; `again`: it waits no longer for a delay or an operator."""
        arguments = (
            upload_id,
            TTL_S,
            self._channel,
            int(again),
            digest(owner),
            head_start,
            int(self.lease_s * 1000),
            lane,
        )
        script = self._enqueue
        was: bytes = await run_script(self._redis, script.sha, script.script, self._keys, arguments)
        return was.decode()

    def entry(self, upload_id: str, *, owner: str, head_start: int) -> QueueEntry | None:
        """`add` as a part of a script on the same server; None: there are several, or jobs are
        given out by another engine."""
        if not (self._gives and one_server(self._redis)):
            return None
        arguments: dict[str, str | int] = {
            "queued_id": upload_id,
            "queued_ttl_s": TTL_S,
            "queued_channel": self._channel,
            "queued_owner": digest(owner),
            "queued_head_start": head_start,
            "queued_lease_ms": int(self.lease_s * 1000),
        }
        return QueueEntry(self._keys, arguments)

    async def backlog(self, owner: str) -> int:
        """How many jobs of the owner's wait, about: its latest turn is so many after the last that
        was given out."""
        asked = [("ZSCORE", self._keys.turns, digest(owner)), ("HGET", self._keys.jobs, "turn")]
        latest, given = await together(self._redis, asked)
        return max(0, int(latest or 0) - int(float(given or 0)))

    async def positions(self, upload_ids: Sequence[str]) -> dict[str, int]:
        """How many jobs go before each that waits, and itself."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for upload_id in upload_ids:
                pipe.zrank(self._keys.waiting, upload_id)
            ranks = await pipe.execute()
        found = zip(upload_ids, ranks, strict=True)
        return {upload_id: rank + 1 for upload_id, rank in found if rank is not None}

    async def drop(self, upload_ids: Iterable[str]) -> None:
        """Jobs that nobody has, of uploads that have ended otherwise."""
        keys = self._keys
        async with self._redis.pipeline(transaction=False) as pipe:
            for upload_id in upload_ids:
                for key in (keys.waiting, keys.arrived, keys.delayed, keys.parked):
                    pipe.zrem(key, upload_id)
                pipe.hdel(keys.jobs, f"crashes/{upload_id}", f"lane/{upload_id}")
            await pipe.execute()

    async def parked_in_vain(self) -> list[str]:
        """Parked jobs whose uploads are not open any more."""
        names: list[bytes] = await self._redis.zdiff([self._keys.parked, self._open_key])  # type: ignore[assignment]
        return [name.decode() for name in names]

    async def place(self, upload_id: str) -> tuple[str, int]:
        """Where a job is, empty if there is none, and how many attempts it has had."""
        kinds = ("running", "waiting", "delayed", "parked")
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in (
                self._keys.running,
                self._keys.waiting,
                self._keys.delayed,
                self._keys.parked,
            ):
                pipe.zscore(key, upload_id)
            pipe.hget(self._keys.jobs, f"crashes/{upload_id}")
            *scores, attempts = await pipe.execute()
        places = (kind for kind, score in zip(kinds, scores, strict=True) if score is not None)
        return next(places, ""), int(attempts or 0)

    async def holders(self) -> dict[str, str]:
        """The worker of each running job, by upload id."""
        rows: dict[bytes, bytes] = await self._redis.hgetall(self._keys.jobs)  # type: ignore[assignment]
        return {
            name.decode().removeprefix("owner/"): holder.decode().rpartition(":")[0]
            for name, holder in rows.items()
            if name.startswith(b"owner/")
        }

    async def pause(self, *, paused: bool) -> None:
        """Give out no more jobs, or go on."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hset(self._keys.jobs, "paused", "1") if paused else pipe.hdel(
                self._keys.jobs, "paused"
            )
            pipe.expire(self._keys.jobs, TTL_S)
            pipe.publish(self._channel, b"")
            await pipe.execute()

    async def overview(self, *, limit: int) -> Overview:
        kinds = {
            "waiting": self._keys.waiting,
            "running": self._keys.running,
            "delayed": self._keys.delayed,
            "parked": self._keys.parked,
        }
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.hexists(self._keys.jobs, "paused")
            for key in kinds.values():
                pipe.zcard(key)
                pipe.zrange(key, 0, limit - 1, withscores=True)
            (seconds, micros), paused, *rows = await pipe.execute()
        now_s = seconds + micros / 1e6
        rows[1] = await self._with_arrivals([name for name, _ in rows[1]])
        jobs = {}
        for kind, found in zip(kinds, rows[1::2], strict=True):
            ahead = kind in ("running", "delayed")
            jobs[kind] = [
                Listed(name.decode(), at / 1000 - now_s if ahead else now_s - at / 1000)
                for name, at in found
            ]
        return Overview(dict(zip(kinds, rows[::2], strict=True)), jobs, bool(paused))

    async def _with_arrivals(self, names: list[bytes]) -> list[tuple[bytes, float]]:
        """Waiting jobs with the time since when they wait, ms."""
        if not names:
            return []
        times = await self._redis.zmscore(self._keys.arrived, names)  # type: ignore[arg-type]
        return [(name, at) for name, at in zip(names, times, strict=True) if at is not None]

    async def count(self) -> tuple[int, int]:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zcard(self._keys.waiting)
            pipe.zcard(self._keys.running)
            waiting, running = await pipe.execute()
        return waiting, running

    async def workers(self) -> list[Worker]:
        """Every worker that reported within a day and did not end since, by name."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(self._keys.workers, 0, -1, withscores=True)
            (seconds, micros), rows = await pipe.execute()
        now_s = seconds + micros / 1e6
        return sorted(Worker(name.decode(), now_s - seen_ms / 1000) for name, seen_ms in rows)

    async def report(
        self,
        worker: str,
        number: int,
        updates: Sequence[JobUpdate],
        *,
        room: int,
        unsure: bool,
        leaving: bool = False,
    ) -> Answer:
        """Tell and ask in one step. `number` rises with each report of a worker.

        `room`: how many more jobs it takes. `unsure`: the answer to an earlier report was lost,
        and jobs of this worker that `updates` does not name are put back. `leaving`: it ends.
        Raises one of `AWAY`, within one lease.
        """
        lease_ms = int(self.lease_s * 1000)
        args: list[str | int] = [worker, number, room, lease_ms, TTL_S, self._channel]
        args += [int(unsure), int(leaving), int(self._gives)]
        for update in updates:
            args.extend(update)
        with fail_after(self.lease_s):
            lost, taken, lapse_ms = await self._report(keys=self._keys, args=args)
        return Answer(
            lost={(lost[i].decode(), lost[i + 1]) for i in range(0, len(lost), 2)},
            taken=[Job(taken[i].decode(), taken[i + 1]) for i in range(0, len(taken), 2)],
            lapse_s=lapse_ms / 1000,
        )

    async def next_in_turn(self, limit: int) -> list[tuple[str, str]]:
        """The jobs whose turn it is, and the lane of each; none while the queue is paused."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hexists(self._keys.jobs, "paused")
            pipe.zrange(self._keys.waiting, 0, limit - 1)
            paused, names = await pipe.execute()
        if paused or not names:
            return []
        fields = [b"lane/" + name for name in names]
        lanes: list[bytes | None] = await self._redis.hmget(self._keys.jobs, fields)  # type: ignore[assignment]
        return [
            (name.decode(), (lane or b"").decode()) for name, lane in zip(names, lanes, strict=True)
        ]

    async def listen(self, worker: str, notify: Callable[[], None]) -> None:
        """Call `notify` when a job has come for `worker`, and when one may have come unheard.
        Never returns.

        Only for speed: a worker that reports regularly misses nothing.
        """
        name = worker.encode()
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(self._channel)
                    async for message in pubsub.listen():
                        if message["type"] != "message" or message["data"] in (b"", name):
                            notify()
            except AWAY:
                pass
            await sleep(PAUSE_S)


def enqueue_function() -> str:
    """`enqueue(keys, arguments)` for another script on the same server, as enqueue.lua has them."""
    return f"local function enqueue(KEYS, ARGV)\n{_source('enqueue.lua')}\nend\n"


def _source(name: str) -> str:
    folder = files("sse_progress.queue")
    return (folder / "wake.lua").read_text() + (folder / name).read_text()
