"""Which uploads need work, and which worker is at it: the port that web and worker use.

It owns handing out jobs, noticing dead workers, and hand-over. What a job does is up to its
handler; the reconciler makes sure that every open upload has a job.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from redis.asyncio import Redis

from sse_progress.model.kinds import Priority
from sse_progress.queue.consumer import Consumer, Handler
from sse_progress.queue.job_store import Job, JobStore, Outcome, Overview, Park, RetryLater, Worker

SERVED_S = 5.0
"""How long it is remembered whether there are workers."""

HEAD_STARTS: dict[Priority, int] = {"high": 20, "normal": 0, "low": -20}

__all__ = ["Handler", "Job", "Outcome", "Overview", "Park", "Queue", "RetryLater", "Worker"]


class Queue:
    """Jobs of one storage, by upload id: each waits once, and runs in one worker at a time.

    `name` is the storage's id: a worker never gets a job whose file it cannot see. `lease_s`,
    seconds without a report after which a worker's jobs go to another one, by the
    server's clock; after an outage it starts again.
    """

    def __init__(self, redis: Redis, *, name: str, lease_s: float = 5.0) -> None:
        self._store = JobStore(redis, name=name, lease_s=lease_s)
        self.lease_s = lease_s
        self._served, self._served_at = False, -SERVED_S

    async def enqueue(
        self, upload_id: str, *, owner: str = "", priority: Priority = "normal"
    ) -> None:
        """See that the upload is worked on: nothing happens if it has a job already, even one that
        is delayed or parked.

        Jobs of different owners alternate, whoever has more. One of high priority is 20 turns
        earlier than it would be, one of low priority as many later; so none waits forever.

        Raises `redis.exceptions.RedisError`; then the job may be queued or not.
        """
        await self._store.add(upload_id, owner=owner, head_start=HEAD_STARTS[priority])

    async def backlog(self, owner: str) -> int:
        """How many jobs of the owner's wait, about. Raises as `depth` does."""
        return await self._store.backlog(owner)

    async def position(self, upload_id: str) -> int | None:
        """The job's place among those that wait, from 1; None if it does not wait. Raises as
        `depth` does."""
        return await self._store.position(upload_id)

    async def requeue(self, upload_id: str) -> str:
        """Have a delayed or parked upload worked on now, with its attempts counted from 0.

        Answers where its job was: `waiting`, `running`, `delayed`, `parked`, or empty if the queue
        had none. Raises as `enqueue` does.
        """
        return await self._store.add(upload_id, again=True)

    async def drop(self, upload_id: str) -> None:
        """Its upload has ended, so it need not be worked on; a job that runs finds out itself.
        Raises as `depth` does."""
        await self._store.drop([upload_id])

    async def drop_parked(self) -> None:
        """Drop parked jobs whose uploads are not open any more. Raises as `depth` does."""
        if ended := await self._store.parked_in_vain():
            await self._store.drop(ended)

    async def pause(self) -> None:
        """Give out no more jobs, on any worker, until `resume`; those that run go on."""
        await self._store.pause(paused=True)

    async def resume(self) -> None:
        await self._store.pause(paused=False)

    async def overview(self, *, limit: int = 100) -> Overview:
        """Counts, and the first `limit` jobs of each kind. Raises as `depth` does."""
        return await self._store.overview(limit=limit)

    async def place(self, upload_id: str) -> tuple[str, int]:
        """Where an upload's job is (as `requeue` answers), and its attempts so far."""
        return await self._store.place(upload_id)

    async def holders(self) -> dict[str, str]:
        """The name of the worker that runs each job, by upload id."""
        return await self._store.holders()

    async def depth(self) -> tuple[int, int]:
        """How many jobs wait, and how many run. Raises `redis.exceptions.RedisError`."""
        return await self._store.count()

    async def workers(self) -> list[Worker]:
        """Workers that reported within a day and have not ended. Raises as `depth` does."""
        return await self._store.workers()

    async def workers_alive(self) -> int:
        """How many workers have reported within two leases. Raises as `depth` does."""
        limit_s = 2 * self._store.lease_s
        return sum(worker.age_s < limit_s for worker in await self.workers())

    async def is_served(self) -> bool:
        """Whether a worker takes jobs of this storage, as it was within seconds. Raises as `depth`
        does."""
        now = time.monotonic()
        if now - self._served_at > SERVED_S:
            self._served, self._served_at = await self.workers_alive() > 0, now
        return self._served

    async def run(
        self,
        handler: Handler,
        *,
        concurrency: int,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        """Work until cancelled, on `concurrency` jobs at once; `on_ready` once Redis has answered.

        The handler is cancelled when this is, and has the time that it needs to clean up; its job
        then goes on elsewhere at once. It is cancelled, too, when another worker has got its job.
        It is not cancelled while Redis is away: it goes on, and Redis hears of it afterwards.

        The handler answers None when the job is over, RetryLater, or Park. It does not raise; if it
        does, that is logged, and the job is over.
        """
        await Consumer(
            self._store, handler, concurrency=concurrency, on_ready=on_ready or _nothing
        ).work()


def _nothing() -> None:
    return
