"""How long Redis has had its data: what it does not know may have been lost by a young one."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from sse_progress.runtime.redis.client import servers
from sse_progress.runtime.redis.keys import birth_key, journal_keys

__all__ = ["redis_age_s", "redis_birth"]

BIRTH_TTL_S = 365 * 24 * 3600


async def redis_age_s(redis: Redis, upload_id: str = "") -> float:
    """Seconds that Redis has been up with this data.

    On a Cluster: the master that has the upload, or the youngest one. Raises `redis.RedisError`.
    """
    of = journal_keys(upload_id)[0] if upload_id else None
    return min([await _age_s(redis, birth_key(tag)) for tag, _ in await servers(redis, of=of)])


async def _age_s(redis: Redis, key: str) -> float:
    async with redis.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.info("server")
        pipe.get(key)
        (seconds, _), info, birth = await pipe.execute()
    if birth is None or int(birth) > seconds:  # later than now: its clock was set back
        await redis.set(key, seconds, ex=BIRTH_TTL_S)
        return 0.0
    return float(min(info["uptime_in_seconds"], seconds - int(birth)))


async def redis_birth(redis: Redis) -> str:
    """Names the data by when it was first seen; after `redis_age_s`. Raises `redis.RedisError`."""
    births: list[Any] = [await redis.get(birth_key(tag)) for tag, _ in await servers(redis)]
    return "-".join((birth or b"").decode() for birth in births)
