"""Webhook deliveries: what is to be sent, what became of it, and when it is tried again.

All in Redis, so that any worker sends it, and none twice at the same time. It knows nothing of HTTP
or signatures. Deliveries that wait are bounded by whoever makes them; those that are over are kept
for `KEPT_S`, the latest `KEPT`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from redis.asyncio import Redis

from sse_progress.runtime.redis.keys import DeliveryKeys

__all__ = ["Deliveries", "Delivery", "Outcome", "State"]

State = Literal["waiting", "delivered", "failed"]

KEPT = 10_000
KEPT_S = 7 * 24 * 3600
WAITING_TTL_S = 30 * 24 * 3600
"""Longer than all retries together."""

_ADD = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'type', ARGV[2], 'upload', ARGV[3], 'body', ARGV[4],
  'state', 'waiting', 'attempts', 0, 'created', ARGV[5], 'tried', 0, 'answer', '')
redis.call('EXPIRE', KEYS[1], ARGV[6])
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[5], ARGV[1])
return 1
"""
"""Once for an id, however often its end is noticed."""

_TAKE = """
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], ARGV[2], id) end
return ids
"""
"""Due ones; they are due again where their sender does not say what became of them."""

_AGAIN = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'state', 'waiting', 'attempts', 0)
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Times are Unix times. `tried_at` 0: not yet. `due_at` None: it is over.

    `answer` tells in a few words what came of the latest attempt.
    """

    id: str
    type: str
    upload_id: str
    body: bytes
    state: State
    attempts: int
    created_at: float
    tried_at: float
    answer: str
    due_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an attempt. `retry_s`: it is tried again then; None: it is over."""

    answer: str
    delivered: bool = False
    retry_s: float | None = None


class Deliveries:
    """Every method raises `redis.RedisError`. `now`: Unix time."""

    def __init__(
        self, redis: Redis, *, storage_id: str, now: Callable[[], float] = time.time
    ) -> None:
        self._redis, self._now = redis, now
        self._keys = DeliveryKeys(storage_id)

    async def add(self, delivery_id: str, *, type: str, upload_id: str, body: bytes) -> bool:
        """Have it sent; False if this id was there before."""
        keys = self._keys
        added: Any = await self._redis.eval(
            _ADD,
            3,
            keys.one(delivery_id),
            keys.due,
            keys.all,
            delivery_id,
            type,
            upload_id,
            body,
            int(self._now() * 1_000_000),
            WAITING_TTL_S,
        )
        return bool(added)

    async def waiting(self) -> int:
        return int(await self._redis.zcard(self._keys.due))

    async def take(self, *, limit: int, lease_s: float) -> list[Delivery]:
        """Due ones, which nobody else is given for `lease_s`."""
        now_us = int(self._now() * 1_000_000)
        ids: Any = await self._redis.eval(
            _TAKE, 1, self._keys.due, now_us, now_us + int(lease_s * 1_000_000), limit
        )
        found = await self._read(ids)
        if lost := [name for name, one in zip(ids, found, strict=True) if one is None]:
            await self._redis.zrem(self._keys.due, *lost)
        return [one for one in found if one is not None]

    async def tried(self, delivery: Delivery, outcome: Outcome) -> None:
        """Note what became of an attempt."""
        keys, now_us = self._keys, int(self._now() * 1_000_000)
        over: State = "delivered" if outcome.delivered else "failed"
        one = keys.one(delivery.id)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(
                one,
                mapping={
                    "state": over if outcome.retry_s is None else "waiting",
                    "attempts": delivery.attempts + 1,
                    "tried": now_us,
                    "answer": outcome.answer,
                },
            )
            if outcome.retry_s is None:
                pipe.expire(one, KEPT_S)
                pipe.zrem(keys.due, delivery.id)
                pipe.zadd(keys.over, {delivery.id: now_us})
            else:
                pipe.zadd(keys.due, {delivery.id: now_us + int(outcome.retry_s * 1_000_000)})
            await pipe.execute()
        if outcome.retry_s is None:
            await self._forget(now_us)

    async def again(self, delivery_id: str) -> bool:
        """Have it sent now, with its attempts counted from zero; False if it is not known."""
        keys = self._keys
        found: Any = await self._redis.eval(
            _AGAIN,
            4,
            keys.one(delivery_id),
            keys.due,
            keys.all,
            keys.over,
            delivery_id,
            int(self._now() * 1_000_000),
            WAITING_TTL_S,
        )
        return bool(found)

    async def find(self, delivery_id: str) -> Delivery | None:
        return (await self._read([delivery_id.encode()]))[0]

    async def latest(
        self, *, limit: int, before_us: int | None
    ) -> tuple[list[Delivery], int | None]:
        """Newest first, and the time to go on before (None: no more)."""
        maximum: Any = "+inf" if before_us is None else f"({before_us}"
        rows: Any = await self._redis.zrevrangebyscore(
            self._keys.all, maximum, "-inf", start=0, num=limit, withscores=True
        )
        found = await self._read([name for name, _ in rows])
        goes_on = int(rows[-1][1]) if len(rows) == limit else None
        return [one for one in found if one is not None], goes_on

    # ---- an endpoint that wants no more

    async def disable(self, endpoint: str) -> None:
        """It has said that it wants no more deliveries. `endpoint`: a digest of its URL."""
        await self._redis.set(self._keys.disabled, endpoint, ex=365 * 24 * 3600)

    async def enable(self) -> None:
        await self._redis.delete(self._keys.disabled)

    async def disabled(self, endpoint: str) -> bool:
        value: Any = await self._redis.get(self._keys.disabled)
        return bool(value == endpoint.encode())

    # ---- steps

    async def _read(self, ids: Iterable[bytes]) -> list[Delivery | None]:
        names = [name.decode() for name in ids]
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(self._keys.one(name))
                pipe.zscore(self._keys.due, name)
            rows = await pipe.execute()
        return [
            _delivery(name, fields, due)
            for name, fields, due in zip(names, rows[::2], rows[1::2], strict=True)
        ]

    async def _forget(self, now_us: int) -> None:
        """What has been over for long, and the oldest of too many."""
        keys = self._keys
        old: Any = await self._redis.zrangebyscore(
            keys.over, "-inf", now_us - KEPT_S * 1_000_000, start=0, num=100
        )
        old += await self._redis.zrange(keys.over, 0, -KEPT - 1)
        if not old:
            return
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zrem(keys.over, *old)
            pipe.zrem(keys.all, *old)
            pipe.delete(*(keys.one(name.decode()) for name in old))
            await pipe.execute()


def _delivery(name: str, fields: dict[bytes, bytes], due: float | None) -> Delivery | None:
    if not fields:
        return None
    state: Any = fields[b"state"].decode()
    return Delivery(
        id=name,
        type=fields[b"type"].decode(),
        upload_id=fields[b"upload"].decode(),
        body=fields[b"body"],
        state=state,
        attempts=int(fields[b"attempts"]),
        created_at=int(fields[b"created"]) / 1e6,
        tried_at=int(fields[b"tried"]) / 1e6,
        answer=fields[b"answer"].decode(),
        due_at=None if due is None else due / 1e6,
    )
