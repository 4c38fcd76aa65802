"""Tickets: each reads one upload for a while, and nothing else.

Kept in Redis under a digest, so that what is stored gives nobody access. How a ticket travels in a
request is decided in web/.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

import anyio
import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sse_progress.access.principal import READ, InvalidToken, Principal
from sse_progress.model.errors import Unavailable
from sse_progress.runtime.redis.keys import digest, ticket_key

__all__ = ["InvalidTicket", "Tickets"]

PREFIX = "ticket_"
LENGTH_LIMIT = 100
REDIS_WAIT_S = 5.0


class InvalidTicket(InvalidToken):
    sentence = "The ticket is not valid for this, or has expired."


class _Row(msgspec.Struct):
    owner: str
    upload_id: str
    expires_at: float


class Tickets:
    """Makes tickets and finds them again, from any process. `now`: Unix time."""

    def __init__(self, redis: Redis, *, now: Callable[[], float] = time.time) -> None:
        self._redis, self._now = redis, now

    async def make(self, upload_id: str, *, owner: str, ttl_s: int) -> tuple[str, float]:
        """A new ticket, and when it expires (Unix time). Raises Unavailable."""
        ticket = PREFIX + secrets.token_urlsafe(32)
        row = _Row(owner, upload_id, self._now() + ttl_s)
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                await self._redis.set(
                    ticket_key(digest(ticket)), msgspec.json.encode(row), ex=ttl_s
                )
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable from exc
        return ticket, row.expires_at

    async def find(self, ticket: str, *, upload_id: str) -> Principal:
        """Who reads with this ticket: its owner, with no other right.

        Raises InvalidTicket if it is not for this upload, and Unavailable while Redis is away.
        """
        if not ticket.startswith(PREFIX) or len(ticket) > LENGTH_LIMIT:
            raise InvalidTicket
        key = digest(ticket)
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                value = await self._redis.get(ticket_key(key))
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable from exc
        row = msgspec.json.decode(value, type=_Row) if value else None
        if row is None or row.upload_id != upload_id or row.expires_at <= self._now():
            raise InvalidTicket
        return Principal(row.owner, frozenset({READ}), row.expires_at, limited_as=f"ticket {key}")
