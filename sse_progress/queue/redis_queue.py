"""The queue in Redis: the default."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from redis.asyncio import Redis

from sse_progress.model.kinds import Priority
from sse_progress.queue.consumer import Consumer
from sse_progress.queue.job_store import JobStore
from sse_progress.queue.queue import Handler, Overview, Queue, QueueEntry, Worker

__all__ = ["RedisQueue"]

SERVED_S = 5.0
"""How long it is remembered whether there are workers."""

HEAD_STARTS: dict[Priority, int] = {"high": 20, "normal": 0, "low": -20}


class RedisQueue(Queue):
    """`name` is the storage's id: a worker never gets a job whose file it cannot see."""

    def __init__(
        self, redis: Redis, *, name: str, lease_s: float = 5.0, store: JobStore | None = None
    ) -> None:
        self._store = store or JobStore(redis, name=name, lease_s=lease_s)
        self.lease_s = lease_s
        self._served, self._served_at = False, -SERVED_S

    async def enqueue(
        self, upload_id: str, *, owner: str = "", priority: Priority = "normal"
    ) -> None:
        await self._store.add(upload_id, owner=owner, head_start=HEAD_STARTS[priority])

    def entry(self, upload_id: str, *, owner: str, priority: Priority) -> QueueEntry | None:
        return self._store.entry(upload_id, owner=owner, head_start=HEAD_STARTS[priority])

    async def backlog(self, owner: str) -> int:
        return await self._store.backlog(owner)

    async def positions(self, upload_ids: Sequence[str]) -> dict[str, int]:
        return await self._store.positions(upload_ids)

    async def requeue(self, upload_id: str) -> str:
        return await self._store.add(upload_id, again=True)

    async def drop(self, upload_id: str) -> None:
        await self._store.drop([upload_id])

    async def drop_parked(self) -> None:
        if ended := await self._store.parked_in_vain():
            await self._store.drop(ended)

    async def pause(self) -> None:
        await self._store.pause(paused=True)

    async def resume(self) -> None:
        await self._store.pause(paused=False)

    async def overview(self, *, limit: int = 100) -> Overview:
        return await self._store.overview(limit=limit)

    async def place(self, upload_id: str) -> tuple[str, int]:
        return await self._store.place(upload_id)

    async def holders(self) -> dict[str, str]:
        return await self._store.holders()

    async def depth(self) -> tuple[int, int]:
        return await self._store.count()

    async def workers(self) -> list[Worker]:
        return await self._store.workers()

    async def workers_alive(self) -> int:
        limit_s = 2 * self._store.lease_s
        return sum(worker.age_s < limit_s for worker in await self.workers())

    @property
    def served(self) -> bool | None:
        return self._served if time.monotonic() - self._served_at <= SERVED_S else None

    async def is_served(self) -> bool:
        if (known := self.served) is not None:
            return known
        now = time.monotonic()
        self._served, self._served_at = await self.workers_alive() > 0, now
        return self._served

    async def run(
        self,
        handler: Handler,
        *,
        concurrency: int,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        await Consumer(
            self._store, handler, concurrency=concurrency, on_ready=on_ready or _nothing
        ).work()

    async def aclose(self) -> None:
        return


def _nothing() -> None:
    return
