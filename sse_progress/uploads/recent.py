"""Which uploads of a user are open or ended a moment ago: shared, paced looks at the lists."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from typing import NamedTuple

from redis.exceptions import RedisError

from sse_progress.journal.glances import glances
from sse_progress.journal.upload_index import Index
from sse_progress.runtime.concurrency import BackgroundTasks

__all__ = ["RecentUploads", "Seen"]

RECENT_MS = 5 * 60 * 1000
"""Uploads whose end is not older than this count as well."""
STEP = 500
"""Rows of a user's list that are read at a time."""
PAUSE_S = 0.5
LOOKS_AT_ONCE = 2
REMEMBERED = 100_000
"""Ids of all users that are remembered as over."""


class Seen(NamedTuple):
    """An upload that is open or ended a moment ago; `age_ms` since its latest event."""

    upload_id: str
    ended: bool
    age_ms: int


class _Over(NamedTuple):
    """What a user's looks need not ask again: all that began before `since_us`, and `ids`."""

    since_us: int
    ids: frozenset[str]


class _Look:
    """One look, and how many wait for it."""

    task: asyncio.Task[list[Seen] | Exception]

    def __init__(self) -> None:
        self.waiting = 0


class RecentUploads:
    """Looks for streams of all uploads.

    All who ask while a look has not begun share it, and two looks for one user begin at least
    `pause_s` apart: opening streams as fast as one can costs Redis no more than that. What ended
    long ago is remembered, until `forget`, and not looked at again.
    """

    def __init__(
        self, index: Index, background: BackgroundTasks, *, pause_s: float = PAUSE_S
    ) -> None:
        self._index, self._background, self._pause_s = index, background, pause_s
        self._waiting: dict[str, _Look] = {}
        self._began_at: dict[str, float] = {}
        self._over: OrderedDict[str, _Over] = OrderedDict()
        self._remembered = 0
        self._turn = asyncio.Semaphore(LOOKS_AT_ONCE)
        self.opening = asyncio.Semaphore(1)
        """Held while a stream begins to follow a few uploads, so that it is not all of them at
        once and other requests find connections to Redis."""

    async def current(self, owner: str) -> list[Seen]:
        """All of them, oldest first, read after this call began. Raises `redis.RedisError` or
        OSError."""
        look = self._waiting.get(owner)
        if look is None:
            look = self._waiting[owner] = _Look()
            look.task = self._background.start(self._look(owner, look))
        look.waiting += 1
        try:
            found = await asyncio.shield(look.task)
        finally:
            look.waiting -= 1
            if not look.waiting and self._waiting.get(owner) is look:  # its last client left
                self._close(owner, look)
                look.task.cancel()
        if isinstance(found, Exception):
            raise found
        return found

    def forget(self, owner: str) -> None:
        """Redis may have lost data, so that what had ended is open again."""
        if (over := self._over.pop(owner, None)) is not None:
            self._remembered -= len(over.ids)

    async def _look(self, owner: str, look: _Look) -> list[Seen] | Exception:
        loop = asyncio.get_running_loop()
        try:
            wait_s = self._began_at.get(owner, -math.inf) + self._pause_s - loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            async with self._turn:
                self._close(owner, look)  # who asks from here on needs a later look
                self._began_at[owner] = loop.time()
                loop.call_later(2 * self._pause_s, self._prune, owner)
                return await self._read(owner)
        except (RedisError, OSError) as exc:  # raised in everyone who waits
            return exc
        finally:
            self._close(owner, look)

    def _close(self, owner: str, look: _Look) -> None:
        if self._waiting.get(owner) is look:
            del self._waiting[owner]

    def _prune(self, owner: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._began_at.get(owner, now) >= self._pause_s:
            del self._began_at[owner]

    async def _read(self, owner: str) -> list[Seen]:
        known = self._over.get(owner) or _Over(0, frozenset())
        over, current = dict[str, int](), list[Seen]()
        # Hosts' clocks differ a little: one that begins now may be listed as older than the last.
        settled_us = since_us = int(time.time() * 1e6) - RECENT_MS * 1000
        before_us: int | None = None
        while True:
            rows = await self._index.owned(
                owner, before_us=before_us, after_us=known.since_us, limit=STEP
            )
            over.update(row for row in rows if row[0] in known.ids)
            asked = [row for row in rows if row[0] not in known.ids]
            seen = await glances(self._index.redis, [name for name, _ in asked])
            for (name, began_us), glance in zip(asked, seen, strict=True):
                if glance is None and began_us >= settled_us:
                    continue  # it may be about to begin
                if glance is None or (glance.terminal and glance.age_ms >= RECENT_MS):
                    over[name] = began_us
                elif glance.owner == owner:
                    current.append(Seen(name, glance.terminal, glance.age_ms))
                    since_us = min(since_us, began_us)
            if len(rows) < STEP:
                break
            before_us = rows[-1][1]
        ids = frozenset(name for name, began_us in over.items() if began_us >= since_us)
        self._remember(owner, _Over(since_us, ids))
        return current[::-1]

    def _remember(self, owner: str, over: _Over) -> None:
        self.forget(owner)
        self._over[owner] = over
        self._remembered += len(over.ids)
        while self._remembered > REMEMBERED:
            self.forget(next(iter(self._over)))
