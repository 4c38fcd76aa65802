"""How much one caller may do at once and per minute, counted across processes in Redis.

Leases (live streams, bodies being received), request rates, and this process' own limit on bodies.
What happens to a request that is over a limit is decided by the caller.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from sse_progress.access.addresses import network
from sse_progress.access.backlogs import Backlogs
from sse_progress.access.leases import Lease, Leases
from sse_progress.access.rates import rate_limit
from sse_progress.access.redis_guard import RedisAway, RedisGuard
from sse_progress.access.spending import Spending
from sse_progress.model.errors import (
    RateLimited,
    TooManyStreams,
    TooManyUploads,
    Unavailable,
)
from sse_progress.runtime.redis.keys import digest, limit_key
from sse_progress.settings import Settings

__all__ = ["Limits"]


RETRY_AFTER_S = 5
BUSY_RETRY_AFTER_S = 30
SPENT_RETRY_AFTER_S = 300


class Limits:
    """Every limit of one process. `None` in the settings turns one off, and Redis is not asked.

    `run()` renews the leases and has to run for as long as the process serves. The leases of a
    process that dies or hangs expire after `settings.lease_s`. `backlog` tells how many uploads of
    a user wait for a worker.
    """

    def __init__(
        self,
        redis: Redis,
        settings: Settings,
        *,
        backlog: Callable[[str], Awaitable[int]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        guard = RedisGuard(redis, clock)
        self._guard = guard
        self._max_queued = settings.max_queued_per_user
        self._backlogs = None
        if backlog is not None:
            self._backlogs = Backlogs(
                lambda sub: guard.ask(lambda: backlog(sub)), most=self._max_queued, clock=clock
            )
        self._spending, self._max_cpu_s = Spending(redis), settings.cpu_s_per_hour
        self._leases = Leases(guard, settings.lease_s, clock)
        self._max_streams = settings.streams_per_user
        self._max_uploads = settings.uploads_per_user
        self._max_bodies = settings.max_open_bodies
        self._bodies = 0
        self._waiting: dict[str, int] = {}
        self._patience_s = settings.lease_s / 3 + settings.lease_s / 10
        self._clock = clock
        self._users = rate_limit("user", settings.rate_per_user, guard, name=digest)
        self._addresses = rate_limit("address", settings.rate_per_address, guard, name=network)
        self._claims = rate_limit(
            "claim", settings.claims_per_user, guard, name=digest, per_s=settings.claim_ttl_s
        )

    async def rate(self, sub: str | None, address: str | None) -> None:
        """Count one request of a user, a client address, or both (None: not counted).

        Raises RateLimited with `retry_after_s`. While Redis is away none is refused. Addresses
        of IPv6 count by their /64, which is what one customer gets.
        """
        if address is not None:
            await self._addresses.hit(address)
        if sub is not None:
            await self._users.hit(sub)

    async def may_claim(self, sub: str) -> bool:
        """Count one id that a stream of the user wants to claim; False: not this one now.

        The window is as long as a claim lives, so this bounds how many are held at a time.
        """
        try:
            await self._claims.hit(sub)
        except RateLimited:
            return False
        return True

    @asynccontextmanager
    async def uploads(self, sub: str) -> AsyncIterator[None]:
        """Hold one of the user's places for a body while the block runs.

        Raises TooManyUploads, RateLimited if the user's uploads took too much CPU time, or
        Unavailable if Redis is away or this process receives too many.
        """
        await self._check_work(sub)
        if self._bodies >= self._max_bodies:
            raise Unavailable(
                "The server is receiving too many uploads. Please try again.",
                retry_after_s=RETRY_AFTER_S,
            )
        self._bodies += 1
        try:
            if self._max_uploads is None:
                yield
                return
            async with self._upload_lease(sub, self._max_uploads):
                yield
        finally:
            self._bodies -= 1

    async def _check_work(self, sub: str) -> None:
        """While Redis is away nothing is said here: the body cannot be taken anyway."""
        waiting = 0
        try:
            if self._backlogs is not None:
                waiting = await self._backlogs.before_one_more(sub)
            spent_s = 0.0
            if self._max_cpu_s is not None:
                spent_s = await self._guard.ask(lambda: self._spending.of_last_hour(sub))
        except RedisAway:
            return
        if waiting >= self._max_queued:
            raise TooManyUploads(
                f"{waiting} of your uploads wait to be worked on (limit {self._max_queued}).",
                retry_after_s=BUSY_RETRY_AFTER_S,
            )
        if self._max_cpu_s is not None and spent_s >= self._max_cpu_s:
            raise RateLimited(
                f"Work on your uploads took {spent_s:.0f} s of CPU time in the last hour "
                f"(limit {self._max_cpu_s}).",
                retry_after_s=SPENT_RETRY_AFTER_S,
            )

    @asynccontextmanager
    async def _upload_lease(self, sub: str, most: int) -> AsyncIterator[None]:
        key = limit_key("uploads", sub)
        try:
            lease = await self._leases.take(key, most)
        except RedisAway:
            raise Unavailable(retry_after_s=RETRY_AFTER_S) from None
        if lease is None:
            raise TooManyUploads(
                f"Too many concurrent uploads (limit {most}).",
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
            return Lease()
        key = limit_key("streams", sub)
        lease = await self._take_stream(key, self._max_streams)
        if lease is None:
            lease = await self._wait_for_stream(key, self._max_streams)
        if lease is None:
            raise TooManyStreams(
                f"Too many concurrent streams (limit {self._max_streams}).",
                retry_after_s=RETRY_AFTER_S,
            )
        return lease

    async def _take_stream(self, key: str, limit: int) -> Lease | None:
        try:
            return await self._leases.take(key, limit)
        except RedisAway:
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
