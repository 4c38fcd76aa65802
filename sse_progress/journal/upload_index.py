"""Which uploads are open on this storage, have ended lately, and are whose: lists of ids.

An upload stands in the open list from before its first event until after its last, so that nothing
that began can be forgotten. From there it moves, in one step, to a list for each consumer of ends,
and leaves it once the consumer is done with it: so each consumer learns of every end at least once.
The lists may name too much; what holds is in the journals.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from redis.asyncio import Redis

from sse_progress.runtime.redis.client import one_server, together
from sse_progress.runtime.redis.keys import (
    QueueKeys,
    ended_key,
    journal_keys,
    open_key,
    owned_key,
    owner_channel,
    put_off_key,
)

__all__ = ["ARCHIVE", "SHORTENER", "WEBHOOKS", "Index", "Listing"]

ARCHIVE, SHORTENER, WEBHOOKS = "archive", "journals", "webhooks"
"""Names of consumers."""

OPEN_TTL_S = 30 * 24 * 3600
OWNED_TTL_S = 8 * 24 * 3600
OWNED_LIMIT = 10_000
"""Uploads kept in one user's list, the latest."""


class Listing(NamedTuple):
    """The lists that an upload is put into by its first event, as lua/append.lua has them."""

    keys: tuple[str, ...]
    arguments: dict[str, str | int]


class Index:
    """`consumers`: names of what acts on every end (an archive, webhooks)."""

    def __init__(self, redis: Redis, *, storage_id: str, consumers: Sequence[str] = ()) -> None:
        self.redis = redis
        self._one_server = one_server(redis)
        self._open_key, self._put_off_key = open_key(storage_id), put_off_key(storage_id)
        queue = QueueKeys.of(storage_id)
        self._running_key, self._arrived_key = queue.running, queue.arrived
        self._at_rest = (queue.waiting, queue.delayed, queue.parked, self._put_off_key)
        self._ended_keys = {name: ended_key(storage_id, name) for name in consumers}

    def listing(self, upload_id: str, *, owner: str | None, now_s: float) -> Listing | None:
        """What `opened` and `announce` do, for the journal to do in the step of the first event.

        None: it cannot, since lists and journal are on several servers.
        """
        if not self._one_server:
            return None
        keys: tuple[str, ...] = (self._open_key,)
        arguments: dict[str, str | int] = {
            "listed_id": upload_id,
            "listed_ms": int(now_s * 1e3),
            "listed_ttl_s": OPEN_TTL_S,
        }
        if owner is not None:
            keys += (owned_key(owner),)
            arguments |= {
                "owned_us": int(now_s * 1e6),
                "owned_ttl_s": OWNED_TTL_S,
                "owned_most": OWNED_LIMIT,
                "listed_channel": owner_channel(owner),
            }
        return Listing(keys, arguments)

    async def opened(self, upload_id: str, *, owner: str | None, now_s: float) -> None:
        """Before an upload's first event. `owner` None: it stands in nobody's list. `now_s`: Unix
        time."""
        commands: list[tuple[Any, ...]] = [
            ("ZADD", self._open_key, "NX", int(now_s * 1e3), upload_id),
            ("EXPIRE", self._open_key, OPEN_TTL_S),
        ]
        if owner is not None:
            owned = owned_key(owner)
            commands += [
                ("ZADD", owned, "NX", int(now_s * 1e6), upload_id),
                ("ZREMRANGEBYRANK", owned, 0, -OWNED_LIMIT - 1),
                ("EXPIRE", owned, OWNED_TTL_S),
            ]
        await together(self.redis, commands)

    async def announce(self, upload_id: str, *, owner: str) -> None:
        """After its first event: followers of all of the owner's uploads may read it."""
        await self.redis.publish(owner_channel(owner), upload_id)

    async def closed(self, upload_id: str) -> None:
        """After an upload's end and the removal of what it left.

        Where Redis was rewound since that end was written, the upload is open again, and would be
        in no list: it stays listed then.
        """
        await self.tell_end(upload_id)
        stage, term = await self.redis.hmget(journal_keys(upload_id)[0], ["stage", "term"])
        if stage and not term:
            await self.opened(upload_id, owner=None, now_s=time.time())

    async def tell_end(self, name: str) -> None:
        """Move an upload, or a batch, from the open list to those of the consumers."""
        async with self.redis.pipeline(transaction=True) as pipe:
            pipe.zrem(self._open_key, name)
            pipe.zrem(self._put_off_key, name)
            for key in self._ended_keys.values():
                pipe.zadd(key, {name: int(time.time() * 1e3)}, nx=True)
                pipe.expire(key, OPEN_TTL_S)
            await pipe.execute()

    def heard_by(self, consumer: str) -> bool:
        """Whether `note` has anything to do for this consumer."""
        return consumer in self._ended_keys

    async def note(self, what: str, upload_id: str, *, consumer: str) -> None:
        """Add a moment of an upload's life other than its end to a consumer's list, if it has one:
        as `what:upload_id`."""
        if (key := self._ended_keys.get(consumer)) is not None:
            now_ms = int(time.time() * 1e3)
            add = ("ZADD", key, "NX", now_ms, f"{what}:{upload_id}")
            await together(self.redis, [add, ("EXPIRE", key, OPEN_TTL_S)])

    async def ended(self, consumer: str, *, limit: int) -> list[tuple[str, int]]:
        """(upload id, ms since 1970 when its end was noted) that `consumer` is not done with.

        The first ones. An id may come that was there before, and one whose journal is gone.
        """
        rows: Any = await self.redis.zrange(
            self._ended_keys[consumer], 0, limit - 1, withscores=True
        )
        return [(name.decode(), int(score)) for name, score in rows]

    async def waiting(self, consumer: str) -> tuple[int, float]:
        """How many ends `consumer` is not done with, and seconds since the first was noted.

        (0, 0) if it has no list."""
        if (key := self._ended_keys.get(consumer)) is None:
            return 0, 0.0
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.zcard(key)
            pipe.zrange(key, 0, 0, withscores=True)
            count, first = await pipe.execute()
        return count, max(time.time() - first[0][1] / 1e3, 0.0) if first else 0.0

    async def done(self, consumer: str, upload_ids: Iterable[str]) -> None:
        """What followed from these ends is committed: `consumer` need not hear of them again."""
        if names := list(upload_ids):
            await self.redis.zrem(self._ended_keys[consumer], *names)

    async def settled(self, upload_ids: Sequence[str], *, but: str) -> list[str]:
        """Those whose end every consumer but one has dealt with."""
        others = [key for name, key in self._ended_keys.items() if name != but]
        if not upload_ids or not others:
            return list(upload_ids)
        async with self.redis.pipeline(transaction=False) as pipe:
            for key in others:
                pipe.zmscore(key, list(upload_ids))
            rows = await pipe.execute()
        return [
            name
            for name, *waits in zip(upload_ids, *rows, strict=True)
            if all(score is None for score in waits)
        ]

    async def open_uploads(self, *, limit: int | None = None) -> list[tuple[str, int]]:
        """(upload id, ms since 1970 when it began) of every upload that may be open, or of the
        oldest ones."""
        last = -1 if limit is None else limit - 1
        rows: Any = await self.redis.zrange(self._open_key, 0, last, withscores=True)
        return [(name.decode(), int(score)) for name, score in rows]

    async def open_before(self, began_ms: int, *, after: int, limit: int) -> list[str]:
        """Some of those that began before a moment, oldest first, without the first `after`."""
        rows: Any = await self.redis.zrangebyscore(
            self._open_key, "-inf", f"({began_ms}", start=after, num=limit
        )
        return [name.decode() for name in rows]

    async def unattended(self, *, now_s: float) -> list[tuple[str, int]]:
        """As `open_uploads`: those for which there is no job, and that are not put off.

        Redis finds them, so what waits for a worker costs nothing here, however much it is.
        """
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.zremrangebyscore(self._put_off_key, "-inf", int(now_s * 1e3))
            pipe.zdiff([self._open_key, self._running_key, *self._at_rest], withscores=True)
            _, rows = await pipe.execute()
        return [
            (name.decode(), int(began_ms))
            for name, began_ms in zip(rows[::2], rows[1::2], strict=True)
        ]

    async def changing(self, *, since_ms: int) -> tuple[list[str], list[str], int]:
        """Open uploads that are received or worked on; those that have begun to wait for a worker
        since a moment; and this moment, ms by Redis' clock.

        What waits, rests or is parked gets no events, and is left out by Redis.
        """
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zdiff([self._open_key, *self._at_rest])
            pipe.zrangebyscore(self._arrived_key, since_ms, "+inf")
            (seconds, micros), active, arrived = await pipe.execute()
        names = [name.decode() for name in active], [name.decode() for name in arrived]
        return *names, seconds * 1000 + micros // 1000

    async def put_off(self, upload_id: str, *, until_s: float) -> None:
        """It need not be looked at before that, unless `look_at` says so."""
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.zadd(self._put_off_key, {upload_id: int(until_s * 1e3)})
            pipe.expire(self._put_off_key, OPEN_TTL_S)
            await pipe.execute()

    async def look_at(self, upload_id: str) -> None:
        """What had it put off is over."""
        await self.redis.zrem(self._put_off_key, upload_id)

    async def open_count(self) -> int:
        """How many uploads may be open."""
        return int(await self.redis.zcard(self._open_key))

    async def owned(
        self, owner: str, *, before_us: int | None, after_us: int = 0, limit: int
    ) -> list[tuple[str, int]]:
        """(upload id, us since 1970) of uploads that began before a moment, and not before another,
        newest first."""
        maximum: Any = "+inf" if before_us is None else f"({before_us}"
        rows: Any = await self.redis.zrevrangebyscore(
            owned_key(owner), maximum, after_us, start=0, num=limit, withscores=True
        )
        return [(name.decode(), int(score)) for name, score in rows]

    async def began_us(self, upload_id: str, *, owner: str) -> int | None:
        """When it began, us since 1970; None: it is not in the owner's list."""
        score: Any = await self.redis.zscore(owned_key(owner), upload_id)
        return None if score is None else int(score)

    async def forget(self, upload_id: str, *, owner: str) -> None:
        await self.redis.zrem(owned_key(owner), upload_id)
