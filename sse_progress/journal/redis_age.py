"""How long Redis has had its data: what it does not know may have been lost by a young one."""

from __future__ import annotations

from redis.asyncio import Redis

from sse_progress.runtime.redis.client import servers
from sse_progress.runtime.redis.keys import birth_key, journal_keys

__all__ = ["redis_age_s", "redis_run"]

BIRTH_TTL_S = 365 * 24 * 3600


async def redis_age_s(redis: Redis, upload_id: str = "") -> float:
    """Seconds that Redis has been up with this data.

    On a Cluster: the master that has the upload, or the youngest one. Raises `redis.RedisError`.
    """
    of = journal_keys(upload_id)[0] if upload_id else None
    return min([(await _seen(redis, tag))[0] for tag, _ in await servers(redis, of=of)])


async def redis_run(redis: Redis) -> tuple[float, str]:
    """The same, and a name for the data as it was loaded: another one after each start of a server
    and each failover, which may have lost the last events. Raises `redis.RedisError`."""
    seen = [await _seen(redis, tag) for tag, _ in await servers(redis)]
    return min(age_s for age_s, _ in seen), "-".join(name for _, name in seen)


async def _seen(redis: Redis, tag: str) -> tuple[float, str]:
    key = birth_key(tag)
    async with redis.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.info("server")
        pipe.get(key)
        (seconds, _), info, birth = await pipe.execute()
    if birth is None or int(birth) > seconds:  # later than now: its clock was set back
        await redis.set(key, seconds, ex=BIRTH_TTL_S)
        return 0.0, ""
    age_s = float(min(info["uptime_in_seconds"], seconds - int(birth)))
    return age_s, f"{int(birth)}.{info['run_id']}"
