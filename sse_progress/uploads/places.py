"""Where waiting uploads stand in the queue, for streams that tell it: looks that streams share.

A look costs one command for each upload that is followed; nothing walks over the queue.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import anyio
from redis.exceptions import RedisError

from sse_progress.queue.queue import Queue
from sse_progress.runtime.concurrency import BackgroundTasks

__all__ = ["Place", "Places"]

WAIT_S = 2.0
"""A stream's heartbeat is not held up by what may be away."""
REMEMBERED = 10_000
"""Uploads whose first place is remembered."""


class Place(NamedTuple):
    """`position` from 1. `starts_in_s`: seconds until it is its turn, at the pace seen so far;
    None while there is no basis for it."""

    upload_id: str
    position: int
    starts_in_s: int | None

    @property
    def told(self) -> dict[str, Any]:
        place: dict[str, Any] = {"uploadId": self.upload_id, "queuePosition": self.position}
        return place if self.starts_in_s is None else {**place, "startsInSeconds": self.starts_in_s}


class Places:
    """`clock` gives seconds. All who ask while a look has not begun share it."""

    def __init__(
        self, queue: Queue, background: BackgroundTasks, *, clock: Callable[[], float]
    ) -> None:
        self._queue, self._background, self._clock = queue, background, clock
        self._asked: set[str] = set()
        self._next: asyncio.Task[dict[str, Place]] | None = None
        self._turn = asyncio.Lock()
        self._first: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def of(self, upload_ids: Collection[str]) -> list[Place]:
        """Those that wait, the first in the queue first; none while the queue cannot be asked."""
        self._asked.update(upload_ids)
        if self._next is None:
            self._next = self._background.start(self._look())
        found = await asyncio.shield(self._next)
        return sorted((found[one] for one in upload_ids if one in found), key=lambda p: p.position)

    async def _look(self) -> dict[str, Place]:
        async with self._turn:
            self._next, asked = None, self._asked  # who asks from here on needs a later look
            self._asked = set()
            try:
                with anyio.fail_after(WAIT_S):
                    positions = await self._queue.positions(sorted(asked))
            except (RedisError, OSError, TimeoutError):
                return {}
        return {name: self._place(name, position) for name, position in positions.items()}

    def _place(self, upload_id: str, position: int) -> Place:
        """With an estimate by how far it has moved up since it was first seen."""
        now = self._clock()
        first, since = self._first.setdefault(upload_id, (position, now))
        if position > first:  # a job of another owner, or of a higher priority, goes before it
            self._first[upload_id] = position, now
        self._first.move_to_end(upload_id)
        if len(self._first) > REMEMBERED:
            self._first.popitem(last=False)
        moved = first - position
        if moved <= 0 or now <= since:
            return Place(upload_id, position, None)
        return Place(upload_id, position, round(position * (now - since) / moved))
