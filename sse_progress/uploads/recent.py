"""Which uploads of a user are open or ended a moment ago: shared, paced looks at the lists."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict

from redis.exceptions import RedisError

from sse_progress.journal.glances import glances
from sse_progress.journal.upload_index import Index
from sse_progress.runtime.concurrency import BackgroundTasks

__all__ = ["RecentUploads"]

RECENT_MS = 5 * 60 * 1000
"""Uploads whose end is not older than this count as well."""
UPLOADS = 500
"""Uploads of one user that are looked at, the newest."""
PAUSE_S = 0.5
LOOKS_AT_ONCE = 2
REMEMBERED_USERS = 200


class _Look:
    """One look, and how many wait for it."""

    task: asyncio.Task[list[str] | Exception]

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
        self._over: OrderedDict[str, set[str]] = OrderedDict()
        self._turn = asyncio.Semaphore(LOOKS_AT_ONCE)
        self.opening = asyncio.Semaphore(1)
        """Held while a stream begins to follow a few uploads, so that it is not all of them at
        once and other requests find connections to Redis."""

    async def current(self, owner: str) -> list[str]:
        """Ids, oldest first, read after this call began. Raises `redis.RedisError` or OSError."""
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
        self._over.pop(owner, None)

    async def _look(self, owner: str, look: _Look) -> list[str] | Exception:
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

    async def _read(self, owner: str) -> list[str]:
        rows = await self._index.owned(owner, before_us=None, limit=UPLOADS)
        listed = [upload_id for upload_id, _ in rows]
        over = self._over.get(owner, set()).intersection(listed)
        asked = [upload_id for upload_id in listed if upload_id not in over]
        current = []
        for upload_id, glance in zip(asked, await glances(self._index.redis, asked), strict=True):
            if glance is None or glance.owner != owner:
                continue
            if glance.terminal and glance.age_ms >= RECENT_MS:
                over.add(upload_id)
            else:
                current.append(upload_id)
        self._remember(owner, over)
        return current[::-1]

    def _remember(self, owner: str, over: set[str]) -> None:
        self._over[owner] = over
        self._over.move_to_end(owner)
        if len(self._over) > REMEMBERED_USERS:
            self._over.popitem(last=False)
