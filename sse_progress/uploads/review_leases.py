"""Who is looking at what waits for a person, so that two of them never get the same upload.

A lease is a key that expires: a reviewer who goes away holds nothing up. It keeps others from being
given the upload, and no more; whoever decides first decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from sse_progress.runtime.redis.keys import review_lease_key

__all__ = ["ReviewLeases", "Reviewer"]

TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


@dataclass(frozen=True, slots=True)
class Reviewer:
    """`desk` tells the windows of one person apart, and persons where all have one name."""

    sub: str
    desk: str = ""

    @property
    def name(self) -> bytes:
        return f"{self.desk} {self.sub}".encode()


class ReviewLeases:
    """Every method raises `redis.RedisError`."""

    def __init__(self, redis: Redis, storage_id: str) -> None:
        self._redis, self._storage_id = redis, storage_id

    async def mine_first(self, upload_ids: Sequence[str], reviewer: Reviewer) -> list[str]:
        """Those that nobody else looks at, in their order; what `reviewer` has comes first."""
        if not upload_ids:
            return []
        keys = [self._key(upload_id) for upload_id in upload_ids]
        holders = await self._redis.mget(keys)
        found = list(zip(upload_ids, holders, strict=True))
        mine = [upload_id for upload_id, holder in found if holder == reviewer.name]
        return mine + [upload_id for upload_id, holder in found if holder is None]

    async def take(self, upload_id: str, reviewer: Reviewer, *, lease_s: float) -> bool:
        """Nobody else has it: `reviewer` has it now, for `lease_s` from now on."""
        ms = int(lease_s * 1000)
        taken = await self._redis.eval(TAKE, 1, self._key(upload_id), reviewer.name, ms)
        return bool(taken)

    async def release(self, upload_id: str, reviewer: Reviewer) -> None:
        await self._redis.eval(RELEASE, 1, self._key(upload_id), reviewer.name)

    def _key(self, upload_id: str) -> str:
        return review_lease_key(self._storage_id, upload_id)
