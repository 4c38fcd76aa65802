"""A circuit breaker around Redis: a deadline, and a pause after a failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sse_progress.runtime.concurrency import within

__all__ = ["NotAsked", "RedisAway", "RedisGuard"]

log = structlog.get_logger(__name__)

COMMAND_LIMIT_S = 2.0
"""Longest wait for an answer about a limit, seconds."""
AWAY_S = 1.0
"""Pause after a failure, seconds."""


class RedisAway(Exception):
    """Redis did not answer; says nothing about the limit."""


class NotAsked(RedisAway):
    """It did not answer a moment ago, so it was not asked again."""


class RedisGuard:
    """Asks Redis with a deadline, and does not ask again at once when it did not answer."""

    def __init__(self, redis: Redis, clock: Callable[[], float]) -> None:
        self.redis = redis
        self._clock = clock
        self._away_until = float("-inf")
        self._away = False

    async def ask(self, command: Callable[[], Any]) -> Any:
        """The answer to one command or pipeline; raises RedisAway."""
        if self._clock() < self._away_until:
            raise NotAsked
        try:
            with within(COMMAND_LIMIT_S):
                answer = await command()
        except (RedisError, OSError, TimeoutError) as exc:
            self._away_until = self._clock() + AWAY_S
            if not self._away:
                log.warning("limits cannot ask redis", reason=str(exc) or type(exc).__name__)
            self._away = True
            raise RedisAway from exc
        self._away = False
        return answer
