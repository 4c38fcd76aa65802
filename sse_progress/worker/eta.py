"""How long the rest will take: from the stage's own pace, and from how long such uploads took.

A running average per stage, kind of file and size class lives in Redis. It is a guess and says
nothing where it has no basis; losing it loses nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sse_progress.runtime.media_families import family_of
from sse_progress.runtime.redis.keys import durations_key

__all__ = ["Estimate", "History"]

TTL_S = 90 * 24 * 3600
WEIGHT = 0.3
"""Of the newest measurement in the running average."""
PACE_FROM = 0.1
"""The part of a stage that has to be done before its own pace is believed."""


class Estimate:
    """Remaining seconds of one upload, asked during its stages."""

    def __init__(
        self,
        redis: Redis,
        key: str,
        *,
        seconds: dict[str, float],
        stages: Sequence[str],
        clock: Callable[[], float],
    ) -> None:
        self._redis, self._key, self._seconds, self._stages = redis, key, seconds, stages
        self._clock, self._began, self._stage = clock, clock(), ""

    def begin(self, stage: str) -> None:
        self._stage, self._began = stage, self._clock()

    def remaining_s(self, fraction: float) -> int | None:
        """Whole seconds until the end, with `fraction` (0-1) of this stage done; None: no basis."""
        at = self._stages.index(self._stage)
        later = [self._seconds.get(stage) for stage in self._stages[at + 1 :]]
        elapsed = self._clock() - self._began
        known = self._seconds.get(self._stage)
        if fraction >= PACE_FROM and elapsed >= 1:
            now: float | None = elapsed * (1 - fraction) / fraction
        elif known is not None:
            now = max(known - elapsed, 0)
        else:
            now = None
        if now is None or None in later:
            return None
        return max(0, round(now + sum(second or 0 for second in later)))

    async def finish(self) -> None:
        """The stage took its time: remember it."""
        took = self._clock() - self._began
        known = self._seconds.get(self._stage)
        average = took if known is None else known + WEIGHT * (took - known)
        self._seconds[self._stage] = average
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hset(self._key, self._stage, f"{average:.4f}")
                pipe.expire(self._key, TTL_S)
                await pipe.execute()
        except (RedisError, OSError):
            return  # only a statistic


class History:
    def __init__(self, redis: Redis, *, clock: Callable[[], float]) -> None:
        self._redis, self._clock = redis, clock

    async def estimate(
        self, *, kind: str, stages: Sequence[str], content_type: str, size: int
    ) -> Estimate:
        """What is known of uploads of this kind, type (`image/…`) and size class (powers of four).

        `stages` are those that it passes, in order.
        """
        key = durations_key(kind, family_of(content_type), size.bit_length() // 2)
        try:
            rows: Any = await self._redis.hgetall(key)
        except (RedisError, OSError):
            rows = {}
        seconds = {stage.decode(): float(value) for stage, value in rows.items()}
        return Estimate(self._redis, key, seconds=seconds, stages=stages, clock=self._clock)
