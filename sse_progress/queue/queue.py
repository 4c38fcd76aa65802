"""Which uploads need work, and which worker is at it: the port that web and worker use.

It owns handing out jobs, noticing dead workers, and hand-over. What a job does is the handler's
business; that every open upload has a job is the reconciler's, which enqueues it again.
"""

from __future__ import annotations

from collections.abc import Callable

from redis.asyncio import Redis

from sse_progress.queue.consumer import Consumer, Handler
from sse_progress.queue.job_store import Job, JobStore, Worker

__all__ = ["Handler", "Job", "Queue", "Worker"]


class Queue:
    """Jobs of one storage, by upload id: each waits once, and runs in one worker at a time.

    `name` is the storage's id: a worker never gets a job whose file it cannot see. `lease_s`,
    seconds, is how long a worker may be unheard of before its jobs go on elsewhere, by the
    server's clock; after an outage it counts anew.
    """

    def __init__(self, redis: Redis, *, name: str, lease_s: float = 5.0) -> None:
        self._store = JobStore(redis, name=name, lease_s=lease_s)

    async def enqueue(self, upload_id: str) -> None:
        """See that the upload is worked on: nothing happens if it waits or runs already.

        Raises `redis.exceptions.RedisError`; then the job may be queued or not.
        """
        await self._store.add(upload_id)

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

        The handler does not raise. If it does, that is logged, and the job is over.
        """
        await Consumer(
            self._store, handler, concurrency=concurrency, on_ready=on_ready or _nothing
        ).work()


def _nothing() -> None:
    return
