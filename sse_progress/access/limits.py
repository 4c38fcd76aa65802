"""How much one caller may do at once and per minute, counted across processes in Redis.

It owns leases (live streams, bodies being received), request rates, and this process' own ceiling
on bodies. What happens to a request that is over a limit is the caller's business.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import count, islice
from typing import Any, Protocol, TypeVar

import anyio
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sse_progress.model.errors import (
    RateLimited,
    TooManyStreams,
    TooManyUploads,
    Unavailable,
)
from sse_progress.settings import Settings

__all__ = ["Lease", "Limits"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

COMMAND_LIMIT_S = 2.0
"""Nobody waits longer for Redis to answer about a limit."""
AWAY_S = 1.0
"""After a failure, Redis is taken for away so long before it is asked again."""
RETRY_AFTER_S = 5
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


class _Away(Exception):
    """Redis did not answer; says nothing about the limit."""


class _NotAsked(_Away):
    """It did not answer a moment ago, so it was not asked again."""


class Lease:
    """One place taken. `release` gives it back; saying it twice is harmless, and it never waits."""

    __slots__ = ("_give_back",)

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back = give_back

    def release(self) -> None:
        self._give_back()


def _nothing() -> None:
    pass


class Limits:
    """Every limit of one process. `None` in the settings turns one off, and Redis is not asked.

    Somebody runs `run()` beside it for as long as the process serves: it renews the leases. The
    leases of a process that dies, or hangs, are gone after `settings.lease_s` at most.
    """

    def __init__(
        self, redis: Redis, settings: Settings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        line = _Line(redis, clock)
        self._leases = _Leases(line, settings.lease_s, clock)
        self._max_streams = settings.streams_per_user
        self._max_uploads = settings.uploads_per_user
        self._max_bodies = settings.max_open_bodies
        self._bodies = 0
        self._waiting: dict[str, int] = {}
        self._patience_s = settings.lease_s / 3 + settings.lease_s / 10
        self._clock = clock
        self._users = _rate("user", settings.rate_per_user, line)
        self._addresses = _rate("address", settings.rate_per_address, line)

    @property
    def bodies(self) -> int:
        """Bodies that this process receives now."""
        return self._bodies

    async def rate(self, sub: str | None, address: str | None) -> None:
        """Count one request of a user, a client address, or both (None: not counted).

        Raises RateLimited with `retry_after_s`. While Redis is away nobody is refused. Addresses
        of IPv6 count by their /64, which is what one customer gets.
        """
        if address is not None:
            await self._addresses.hit(_network(address))
        if sub is not None:
            await self._users.hit(_digest(sub))

    @asynccontextmanager
    async def uploads(self, sub: str) -> AsyncIterator[None]:
        """Hold one of the user's places for a body while the block runs.

        Raises TooManyUploads, or Unavailable if Redis is away or this process has its hands full.
        """
        if self._bodies >= self._max_bodies:
            raise Unavailable(
                "Too many uploads arrive at once. Please try again.", retry_after_s=RETRY_AFTER_S
            )
        self._bodies += 1
        try:
            async with self._upload_lease(sub):
                yield
        finally:
            self._bodies -= 1

    @asynccontextmanager
    async def _upload_lease(self, sub: str) -> AsyncIterator[None]:
        if self._max_uploads is None:
            yield
            return
        key = _key("uploads", sub)
        try:
            lease = await self._leases.take(key, self._max_uploads)
        except _Away:
            raise Unavailable(retry_after_s=RETRY_AFTER_S) from None
        if lease is None:
            raise TooManyUploads(
                f"No more than {self._max_uploads} uploads at once, please.",
                retry_after_s=RETRY_AFTER_S,
            )
        try:
            yield
        finally:
            lease.release()
            # So that the next upload of a client that was just answered finds its place free,
            # whichever process takes it.
            await self._leases.forget(key)

    async def stream(self, sub: str) -> Lease:
        """Take one of the user's places for a live stream, until `release()`.

        An EventSource that is refused never comes back, so this is not done in haste: it waits
        (about 4 s with the usual lease) for leases that a dead process left, or a reloaded page
        has not given back yet, and then raises TooManyStreams. While Redis is away it admits up to
        the limit in this process; such leases are registered when Redis is back.
        """
        if self._max_streams is None:
            return Lease(_nothing)
        key = _key("streams", sub)
        lease = await self._take_stream(key, self._max_streams)
        if lease is None:
            lease = await self._wait_for_stream(key, self._max_streams)
        if lease is None:
            raise TooManyStreams(
                f"No more than {self._max_streams} progress streams at once, please.",
                retry_after_s=RETRY_AFTER_S,
            )
        return lease

    async def _take_stream(self, key: str, limit: int) -> Lease | None:
        try:
            return await self._leases.take(key, limit)
        except _Away:
            return self._leases.take_here(key, limit)

    async def _wait_for_stream(self, key: str, limit: int) -> Lease | None:
        if self._waiting.get(key, 0) >= limit:
            return None
        self._waiting[key] = self._waiting.get(key, 0) + 1
        try:
            deadline = self._clock() + self._patience_s
            while self._clock() < deadline:
                await asyncio.sleep(self._patience_s / 8)
                if (lease := await self._take_stream(key, limit)) is not None:
                    return lease
            return None
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]

    async def run(self) -> None:
        """Renew this process' leases until cancelled; gives back what is left at the end."""
        await self._leases.run()


# ---- leases


class _Leases:
    """This process' leases: a sorted set per user and kind, scores are expiries by Redis' clock.

    Each lease is renewed every third of its time by the one task in `run`. Only that task drops
    what it knows of released leases, after its own renewals: a renewal that was under way when a
    lease was given back cannot bring it to life again.
    """

    def __init__(self, line: _Line, lease_s: float, clock: Callable[[], float]) -> None:
        self._line = line
        self._take = line.redis.register_script(_TAKE)
        self._lease_s = lease_s
        self._clock = clock
        self._held: dict[str, set[str]] = {}
        self._released: dict[str, dict[str, float]] = {}
        self._wake = asyncio.Event()
        self._process = uuid.uuid4().hex
        self._numbers = count(1)

    async def take(self, key: str, limit: int) -> Lease | None:
        """A lease, or None if the user has `limit` already; raises _Away."""
        if self._full_here(key, limit):
            return None
        member = self._member()
        lost_s = self._lease_s * (1 - 1 / 3 - 1 / 10)
        try:
            taken = await self._line.ask(
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
        except _NotAsked:
            raise
        except BaseException:  # it may have been taken although nobody was told
            self._give_back(key, member)
            raise
        return self._hold(key, member) if taken else None

    def take_here(self, key: str, limit: int) -> Lease | None:
        """The same by what this process alone knows; the next renewal registers it."""
        return None if self._full_here(key, limit) else self._hold(key, self._member())

    async def forget(self, key: str) -> None:
        """Take the released leases of `key` out of Redis now, if it answers."""
        if members := list(self._released.get(key, ())):
            try:
                await self._line.ask(lambda: self._line.redis.zrem(key, *members))
            except _Away:
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
        return Lease(lambda: self._give_back(key, member))

    def _give_back(self, key: str, member: str) -> None:
        if members := self._held.get(key):
            members.discard(member)
            if not members:
                del self._held[key]
        self._released.setdefault(key, {})[member] = self._clock()
        self._wake.set()

    async def _renew_all(self) -> None:
        try:
            seconds, micros = await self._line.ask(self._line.redis.time)
            expiry = seconds * 1000 + micros // 1000 + int(self._lease_s * 1000)
            for keys in _batches(list(self._held)):
                await self._line.ask(lambda keys=keys: self._renew(keys, expiry))  # type: ignore[misc]
        except _Away:
            pass

    async def _renew(self, keys: list[str], expiry: int) -> None:
        async with self._line.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                if members := self._held.get(key):
                    pipe.zadd(key, dict.fromkeys(members, expiry))
                    pipe.pexpireat(key, expiry)
            await pipe.execute()

    async def _forget_all(self) -> None:
        for keys in _batches(list(self._released)):
            batch = {key: list(self._released[key]) for key in keys}
            try:
                await self._line.ask(lambda batch=batch: self._forget(batch))  # type: ignore[misc]
            except _Away:
                self._drop_expired()
                return
            for key, members in batch.items():
                self._drop(key, members)

    async def _forget(self, batch: dict[str, list[str]]) -> None:
        async with self._line.redis.pipeline(transaction=False) as pipe:
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


# ---- rates


class _Rate(Protocol):
    async def hit(self, who: str) -> None:
        """Count one request; raises RateLimited."""


class _NoRate:
    async def hit(self, who: str) -> None:
        pass


class _PerMinute:
    """A sliding window of a minute, counted in Redis by the `limits` library."""

    def __init__(self, kind: str, limit: int, line: _Line) -> None:
        # 90 ms of imports, paid for only where rates are limited.
        from limits import RateLimitItemPerMinute
        from limits.aio.storage import RedisStorage
        from limits.aio.strategies import SlidingWindowCounterRateLimiter

        storage = RedisStorage(
            "async+redis://",  # not used: the pool is ours
            implementation="redispy",
            key_prefix="sp:lim",
            connection_pool=line.redis.connection_pool,  # type: ignore[arg-type]
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._item = RateLimitItemPerMinute(limit)
        self._kind = kind
        self._line = line

    async def hit(self, who: str) -> None:
        try:
            if await self._line.ask(lambda: self._limiter.hit(self._item, self._kind, who)):
                return
            stats = await self._line.ask(
                lambda: self._limiter.get_window_stats(self._item, self._kind, who)
            )
        except _Away:
            return  # better a minute without limits than a service that refuses everybody
        wait_s = int(min(max(stats.reset_time - time.time(), 0), 59)) + 1
        raise RateLimited(
            f"No more than {self._item.amount} requests a minute, please.", retry_after_s=wait_s
        )


def _rate(kind: str, limit: int | None, line: _Line) -> _Rate:
    return _NoRate() if limit is None else _PerMinute(kind, limit, line)


# ---- Redis, and the names in it


class _Line:
    """Asks Redis with a deadline, and does not ask again at once when it did not answer."""

    def __init__(self, redis: Redis, clock: Callable[[], float]) -> None:
        self.redis = redis
        self._clock = clock
        self._away_until = float("-inf")
        self._away = False

    async def ask(self, command: Callable[[], Any]) -> Any:
        """The answer to one command or pipeline; raises _Away."""
        if self._clock() < self._away_until:
            raise _NotAsked
        try:
            with anyio.fail_after(COMMAND_LIMIT_S):
                answer = await command()
        except (RedisError, OSError, TimeoutError) as exc:
            self._away_until = self._clock() + AWAY_S
            if not self._away:
                log.warning("limits cannot ask redis", reason=str(exc) or type(exc).__name__)
            self._away = True
            raise _Away from exc
        self._away = False
        return answer


def _digest(sub: str) -> str:
    # Names may be long, hold any character, or be somebody's e-mail address.
    return hashlib.sha256(sub.encode()).hexdigest()[:32]


def _key(kind: str, sub: str) -> str:
    return f"sp:lim:{kind}:{{{_digest(sub)}}}"


def _network(address: str) -> str:
    """The part of a client's address that stands for one client."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "other"  # a unix socket, or something that a proxy made up
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((int(ip), 64), strict=False))


def _batches(keys: list[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while batch := list(islice(rest, BATCH_KEYS)):
        yield batch
