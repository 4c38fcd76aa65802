"""Which worker leads: it does, for its storage, what need not be done by each of them.

A lease in Redis. Two may lead for a moment, after a freeze or a failover, so what a leader does has
to be harmless twice.
"""

from __future__ import annotations

import contextlib
import secrets

import anyio
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sse_progress.runtime.redis.keys import leader_key

__all__ = ["Leader"]

RESIGN_S = 2.0

_HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RESIGN = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class Leader:
    """One worker's candidacy: whoever asks first leads, until it has not asked for `lease_s`."""

    def __init__(self, redis: Redis, *, storage_id: str, lease_s: float) -> None:
        self._key, self._lease_ms = leader_key(storage_id), int(lease_s * 1000)
        self._token = secrets.token_hex(8)
        self._hold = redis.register_script(_HOLD)
        self._resign = redis.register_script(_RESIGN)
        self.leading = False
        """As it was when it was asked last."""

    async def leads(self) -> bool:
        """Ask, and lead for another lease if nobody else does. Raises `redis.RedisError`."""
        self.leading = False
        self.leading = bool(await self._hold(keys=[self._key], args=[self._token, self._lease_ms]))
        return self.leading

    async def resign(self) -> None:
        """Let another one lead at once, if Redis can be told."""
        self.leading = False
        with (
            contextlib.suppress(RedisError, OSError),
            anyio.move_on_after(RESIGN_S, shield=True),
        ):
            await self._resign(keys=[self._key], args=[self._token])
