"""The queue's state in Redis: which jobs wait, which run, and under whose lease.

Two Lua scripts and a wake-up channel. A worker reports at once what it holds, what it has finished
and what it gives back, and gets new jobs in the answer. Reports may be repeated: a lost answer
costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, NamedTuple

from anyio import fail_after, sleep
from redis.asyncio import Redis
from redis.exceptions import RedisError

__all__ = ["AWAY", "PAUSE_S", "Answer", "Job", "JobStore", "JobUpdate", "Worker"]

AWAY = (RedisError, OSError, TimeoutError)
"""What is raised while Redis cannot be asked."""

PAUSE_S = 0.25
"""Between attempts to reach Redis."""

TTL_S = 24 * 3600
"""Of the keys, counted from the last time that somebody worked or enqueued."""


@dataclass(frozen=True, slots=True)
class Job:
    """One upload to work on. `crashes`: workers that died over it; hand-overs do not count."""

    upload_id: str
    crashes: int


class JobUpdate(NamedTuple):
    """One line of a report; `number` is that of the report which took the job."""

    verb: Literal["held", "done", "back"]
    upload_id: str
    number: int


class Worker(NamedTuple):
    """`name` is `<host>:<process id>:<random>`; `age_s`: seconds since its last report."""

    name: str
    age_s: float


class Answer(NamedTuple):
    """`lost`: held jobs, by id and number, that are another worker's now. `taken`: new jobs.

    `lapse_s`: seconds until the first lease of all runs out, unless its worker reports.
    """

    lost: set[tuple[str, int]]
    taken: list[Job]
    lapse_s: float


class JobStore:
    def __init__(self, redis: Redis, *, name: str, lease_s: float) -> None:
        self.lease_s = lease_s
        self._redis = redis
        self._channel = f"sp:q:{{{name}}}"
        self._waiting = f"{self._channel}:waiting"
        self._running = f"{self._channel}:running"
        self._jobs = f"{self._channel}:jobs"
        self._workers = f"{self._channel}:workers"
        self._enqueue = redis.register_script(_source("enqueue.lua"))
        self._report = redis.register_script(_source("report.lua"))

    async def add(self, upload_id: str) -> None:
        await self._enqueue(
            keys=[self._waiting, self._running], args=[upload_id, TTL_S, self._channel]
        )

    async def count(self) -> tuple[int, int]:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zcard(self._waiting)
            pipe.zcard(self._running)
            waiting, running = await pipe.execute()
        return waiting, running

    async def workers(self) -> list[Worker]:
        """Every worker that reported within a day and did not end since, by name."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(self._workers, 0, -1, withscores=True)
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
        args += [int(unsure), int(leaving)]
        for update in updates:
            args.extend(update)
        with fail_after(self.lease_s):
            lost, taken, lapse_ms = await self._report(
                keys=[self._waiting, self._running, self._jobs, self._workers], args=args
            )
        return Answer(
            lost={(lost[i].decode(), lost[i + 1]) for i in range(0, len(lost), 2)},
            taken=[Job(taken[i].decode(), taken[i + 1]) for i in range(0, len(taken), 2)],
            lapse_s=lapse_ms / 1000,
        )

    async def listen(self, notify: Callable[[], None]) -> None:
        """Call `notify` when a job has come, and when one may have come unheard; never returns.

        Only for speed: whoever reports regularly misses nothing.
        """
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(self._channel)
                    async for _ in pubsub.listen():
                        notify()
            except AWAY:
                pass
            await sleep(PAUSE_S)


def _source(name: str) -> str:
    return (files("sse_progress.queue") / name).read_text()
