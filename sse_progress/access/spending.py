"""How much CPU time the uploads of one user took in the last hour, over all processes.

Told by workers, asked before a new body is received. The hour slides: of the clock hour before, the
part counts that is not an hour ago yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sse_progress.runtime.redis.keys import spent_key

__all__ = ["Spending"]

HOUR_S = 3600
TTL_S = 2 * HOUR_S


class Spending:
    def __init__(self, redis: Redis, *, now: Callable[[], float] = time.time) -> None:
        self._redis, self._now = redis, now

    async def note(self, owner: str, cpu_s: float) -> None:
        """Add it. What cannot be noted is lost."""
        key = spent_key(owner, int(self._now() // HOUR_S))
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.incrbyfloat(key, round(cpu_s, 3))
                pipe.expire(key, TTL_S)
                await pipe.execute()
        except (RedisError, OSError):
            return

    async def of_last_hour(self, owner: str) -> float:
        """CPU seconds, about. Raises `redis.exceptions.RedisError`."""
        hour, within_s = divmod(self._now(), HOUR_S)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.get(spent_key(owner, int(hour)))
            pipe.get(spent_key(owner, int(hour) - 1))
            rows: list[Any] = await pipe.execute()
        this, last = (float(row or 0) for row in rows)
        return this + last * (1 - within_s / HOUR_S)
