"""Looks whether Redis may evict keys: a journal that is evicted is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

__all__ = ["watch_policy"]

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 600.0
AGAIN_S = 5.0
WANTED = "noeviction"


async def watch_policy(redis: Redis, *, every_s: float = LOOK_EVERY_S) -> None:
    """Warn once of each policy but `noeviction`, until cancelled. A server that does not tell, or
    does not answer, is asked again."""
    warned = {WANTED}
    while True:
        try:
            policies = _policies(await redis.info("memory"))
        except (RedisError, OSError):
            await asyncio.sleep(min(AGAIN_S, every_s))
            continue
        for policy in sorted(policies - warned):
            log.warning("redis may evict journals", maxmemory_policy=policy, wanted=WANTED)
        warned |= policies
        await asyncio.sleep(every_s)


def _policies(info: dict[str, Any]) -> set[str]:
    """Of one server, or of each node of a cluster."""
    rows = [row for row in info.values() if isinstance(row, dict)] or [info]
    return {str(row["maxmemory_policy"]) for row in rows if "maxmemory_policy" in row}
