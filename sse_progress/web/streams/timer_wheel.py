"""One timer for everything that waits: heartbeats, lifetimes, expiries.

A thousand streams cost one wake-up per slot instead of a thousand timers.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Protocol

import structlog

__all__ = ["Timed", "Wheel"]

log = structlog.get_logger(__name__)


class Timed(Protocol):
    def tick(self, now: float) -> float | None:
        """Do what is due at `now` (loop time, s); the next moment to be asked, None for never."""


class Wheel:
    """Slots of `slot_s` seconds; an item is asked at the end of the slot that holds its moment."""

    def __init__(self, *, slot_s: float = 1.0, clock: Callable[[], float]) -> None:
        self._slot_s, self._clock = slot_s, clock
        self._slots: dict[int, set[Timed]] = {}
        self._where: dict[Timed, int] = {}

    def put(self, item: Timed, when: float) -> None:
        if item in self._where:
            self.drop(item)
        slot = max(math.ceil(when / self._slot_s), math.floor(self._clock() / self._slot_s) + 1)
        if (items := self._slots.get(slot)) is None:
            items = self._slots[slot] = set()
        items.add(item)
        self._where[item] = slot

    def drop(self, item: Timed) -> None:
        slot = self._where.pop(item, None)
        if slot is not None and (items := self._slots.get(slot)) is not None:
            items.discard(item)

    def __len__(self) -> int:
        return len(self._where)

    async def run(self) -> None:
        # Slots that went by before this began are due as well.
        now = math.floor(self._clock() / self._slot_s)
        done = min(now, min(self._slots, default=now + 1) - 1)
        while True:
            await asyncio.sleep((done + 1) * self._slot_s - self._clock())
            slot = math.floor(self._clock() / self._slot_s)
            for at in range(done + 1, slot + 1):
                for item in self._slots.pop(at, ()):
                    if self._where.get(item) == at:  # not dropped or moved by one before it
                        self._turn(item)
            done = max(done, slot)

    def _turn(self, item: Timed) -> None:
        del self._where[item]
        try:
            when = item.tick(self._clock())
        except Exception:
            log.exception("a timed item failed")
            return
        if when is not None:
            self.put(item, when)
