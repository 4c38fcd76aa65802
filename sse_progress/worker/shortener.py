"""Journals that ended a while ago are shortened in Redis, to their last event.

That is done once nothing else waits for the end: all consumers of ends have dealt with it, so that
what the journal said before is in the archive. The worker that leads does it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from redis.exceptions import RedisError

from sse_progress.journal.journal import Journal
from sse_progress.journal.upload_index import SHORTENER, Index

__all__ = ["Shortener"]

log = structlog.get_logger(__name__)

EVERY_S = 5.0
AT_ONCE = 200


class Shortener:
    """`after_s`: how long after its end a journal stays whole. `now`: Unix time."""

    def __init__(
        self,
        journal: Journal,
        index: Index,
        *,
        after_s: float,
        leads: Callable[[], bool],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._journal, self._index = journal, index
        self._after_s, self._leads, self._now = after_s, leads, now

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                while self._leads() and await self.round():
                    pass
            except (RedisError, OSError) as exc:
                log.warning("journals not shortened", error=type(exc).__name__)
            except Exception:
                log.exception("journals not shortened")
            await asyncio.sleep(EVERY_S)

    async def round(self) -> int:
        """Shorten some; how many. Raises `redis.RedisError`."""
        before_ms = (self._now() - self._after_s) * 1000
        rows = await self._index.ended(SHORTENER, limit=AT_ONCE)
        due = [name for name, ended_ms in rows if ended_ms <= before_ms]
        due = await self._index.settled(due, but=SHORTENER)
        await self._journal.shorten(due)
        await self._index.done(SHORTENER, due)
        return len(due)
