"""Leases of users' places, counted across processes in Redis."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice

import anyio

from sse_progress.access.redis_guard import COMMAND_LIMIT_S, NotAsked, RedisAway, RedisGuard

__all__ = ["Lease", "Leases"]


BATCH_KEYS = 50
"""Users in one pipeline: packing it holds the loop for milliseconds, so it is not longer."""

_TAKE = """
-- KEYS[1] leases of one user and kind: member -> expiry, ms of this server's clock
-- ARGV lease ms, lost ms, limit, new member, members given back since...
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local limit = tonumber(ARGV[3])
for i = 5, #ARGV do redis.call('ZREM', KEYS[1], ARGV[i]) end
if redis.call('ZCARD', KEYS[1]) >= limit then
  -- Living processes renew earlier than this, so these were lost with theirs. Where that is wrong,
  -- the next renewal puts them back.
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now + ARGV[2])
  if redis.call('ZCARD', KEYS[1]) >= limit then return 0 end
end
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[4])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], last[2])
return 1
"""

_RENEW = """
-- KEYS[1] as above; ARGV: lease ms, members held...
local t = redis.call('TIME')
local expiry = t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[1]
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], expiry, ARGV[i]) end
redis.call('PEXPIREAT', KEYS[1], expiry)
"""


class Lease:
    """One place taken; this one is not counted. `release` never waits, and may be called twice."""

    __slots__ = ()

    def release(self) -> None:
        """Return the place."""


class _CountedLease(Lease):
    __slots__ = ("_give_back",)

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back = give_back

    def release(self) -> None:
        self._give_back()


class Leases:
    """This process' leases: a sorted set per user and kind, scores are expiries by Redis' clock.

    Each lease is renewed every third of its time by the one task in `run`. Only that task drops
    what it knows of released leases, after its own renewals: a renewal that was under way when a
    lease was given back cannot bring it to life again.
    """

    def __init__(self, guard: RedisGuard, lease_s: float, clock: Callable[[], float]) -> None:
        self._guard = guard
        self._take = guard.redis.register_script(_TAKE)
        self._lease_s = lease_s
        self._clock = clock
        self._held: dict[str, set[str]] = {}
        self._released: dict[str, dict[str, float]] = {}
        self._wake = asyncio.Event()
        self._process = uuid.uuid4().hex
        self._numbers = count(1)

    async def take(self, key: str, limit: int) -> Lease | None:
        """A lease, or None if the user has `limit` already; raises RedisAway."""
        if self._full_here(key, limit):
            return None
        member = self._member()
        lost_s = self._lease_s * (1 - 1 / 3 - 1 / 10)
        try:
            taken = await self._guard.ask(
                lambda: self._take(
                    keys=[key],
                    args=[
                        int(self._lease_s * 1000),
                        int(lost_s * 1000),
                        limit,
                        member,
                        *self._released.get(key, ()),
                    ],
                )
            )
        except NotAsked:
            raise
        except BaseException:  # it may have been taken although the reply was lost
            self._give_back(key, member)
            raise
        return self._hold(key, member) if taken else None

    def take_here(self, key: str, limit: int) -> Lease | None:
        """The same by what only this process knows; the next renewal registers it."""
        return None if self._full_here(key, limit) else self._hold(key, self._member())

    async def forget(self, key: str) -> None:
        """Take the released leases of `key` out of Redis now, if it answers."""
        if members := list(self._released.get(key, ())):
            try:
                await self._guard.ask(lambda: self._guard.redis.zrem(key, *members))
            except RedisAway:
                pass  # they are not renewed, so they expire

    async def run(self) -> None:
        due = self._clock() + self._lease_s / 3
        try:
            while True:
                try:
                    with anyio.fail_after(max(due - self._clock(), 0)):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()
                if self._clock() >= due:
                    await self._renew_all()
                    due = self._clock() + self._lease_s / 3
                await self._forget_all()
        finally:
            with anyio.move_on_after(COMMAND_LIMIT_S, shield=True):
                await self._forget_all()

    def _full_here(self, key: str, limit: int) -> bool:
        return len(self._held.get(key, ())) >= limit

    def _member(self) -> str:
        return f"{self._process}:{next(self._numbers)}"

    def _hold(self, key: str, member: str) -> Lease:
        self._held.setdefault(key, set()).add(member)
        return _CountedLease(lambda: self._give_back(key, member))

    def _give_back(self, key: str, member: str) -> None:
        if members := self._held.get(key):
            members.discard(member)
            if not members:
                del self._held[key]
        self._released.setdefault(key, {})[member] = self._clock()
        self._wake.set()

    async def _renew_all(self) -> None:
        try:
            for keys in _batches(list(self._held)):
                await self._guard.ask(lambda keys=keys: self._renew(keys))  # type: ignore[misc]
        except RedisAway:
            pass

    async def _renew(self, keys: list[str]) -> None:
        async with self._guard.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                if members := self._held.get(key):
                    pipe.eval(_RENEW, 1, key, int(self._lease_s * 1000), *members)
            await pipe.execute()

    async def _forget_all(self) -> None:
        for keys in _batches(list(self._released)):
            batch = {key: list(self._released[key]) for key in keys}
            try:
                await self._guard.ask(lambda batch=batch: self._forget(batch))  # type: ignore[misc]
            except RedisAway:
                self._drop_expired()
                return
            for key, members in batch.items():
                self._drop(key, members)

    async def _forget(self, batch: dict[str, list[str]]) -> None:
        async with self._guard.redis.pipeline(transaction=False) as pipe:
            for key, members in batch.items():
                pipe.zrem(key, *members)
            await pipe.execute()

    def _drop(self, key: str, members: Iterable[str]) -> None:
        for member in members:
            self._released[key].pop(member, None)
        if not self._released[key]:
            del self._released[key]

    def _drop_expired(self) -> None:
        # Redis drops these by itself in the same time: they were not renewed since.
        oldest = self._clock() - 2 * self._lease_s
        for key, members in list(self._released.items()):
            self._drop(key, [member for member, at in members.items() if at < oldest])


def _batches(keys: list[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while batch := list(islice(rest, BATCH_KEYS)):
        yield batch
