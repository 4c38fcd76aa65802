"""How often something may be done in a length of time, counted across processes in Redis."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from sse_progress.access.redis_guard import RedisAway, RedisGuard
from sse_progress.model.errors import (
    RateLimited,
)
from sse_progress.runtime.redis.keys import RATES_PREFIX

__all__ = ["rate_limit"]


class Rate(Protocol):
    async def hit(self, who: str) -> None:
        """Count one request; raises RateLimited."""


class NoRate:
    async def hit(self, who: str) -> None:
        pass


class Window:
    """A sliding window of `per_s` seconds, counted in Redis by the `limits` library."""

    def __init__(
        self, kind: str, limit: int, guard: RedisGuard, per_s: int, name: Callable[[str], str]
    ) -> None:
        # 90 ms of imports, paid for only where rates are limited.
        from limits import RateLimitItemPerSecond
        from limits.aio.storage import RedisStorage
        from limits.aio.strategies import SlidingWindowCounterRateLimiter

        class Storage(RedisStorage):
            """On our client, of whatever kind of Redis: it routes, guards and pools."""

            def configure_bridge(self) -> None:
                self.bridge.storage = guard.redis  # type: ignore[attr-defined]
                self.bridge.connection_getter = lambda _: guard.redis  # type: ignore[attr-defined]

        storage = Storage("async+redis://", implementation="redispy", key_prefix=RATES_PREFIX)
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._item = RateLimitItemPerSecond(limit, per_s)
        self._kind, self._per_s = kind, per_s
        self._guard, self._name = guard, name

    async def hit(self, who: str) -> None:
        who = self._name(who)
        try:
            if await self._guard.ask(lambda: self._limiter.hit(self._item, self._kind, who)):
                return
            stats = await self._guard.ask(
                lambda: self._limiter.get_window_stats(self._item, self._kind, who)
            )
        except RedisAway:
            return  # a minute without limits is better than refusing every request
        wait_s = int(min(max(stats.reset_time - time.time(), 0), self._per_s - 1)) + 1
        per = "minute" if self._per_s == 60 else f"{self._per_s} s"
        raise RateLimited(
            f"Too many requests (limit {self._item.amount} per {per}).", retry_after_s=wait_s
        )


def rate_limit(
    kind: str,
    limit: int | None,
    guard: RedisGuard,
    *,
    name: Callable[[str], str],
    per_s: int = 60,
) -> Rate:
    """`kind` names what is counted, `name` makes what it is counted by of whom. None: no limit, and
    Redis is not asked."""
    return NoRate() if limit is None else Window(kind, limit, guard, per_s, name)
