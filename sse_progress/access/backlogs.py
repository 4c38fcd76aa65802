"""How many uploads of each user wait for a worker, asked as seldom as their limit allows.

To ask Redis is a twentieth of what a small upload costs a web process. So an answer holds for a
second, or until an eighth of what it leaves has begun here: up to eight processes that do so admit
no more together than is left. Who is near the limit is asked about each time.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

__all__ = ["Backlogs"]

HOLDS_S = 1.0
SHARE = 8
MOST_KNOWN = 1000
"""Users whose answers are kept; then all are asked about again."""


@dataclass(slots=True)
class _Known:
    waiting: int
    until: float
    uses: int


class Backlogs:
    """`ask` tells how many wait; `most` is the limit."""

    def __init__(
        self,
        ask: Callable[[str], Awaitable[int]],
        *,
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask, self._most, self._clock = ask, most, clock
        self._known: dict[str, _Known] = {}

    async def before_one_more(self, owner: str) -> int:
        """How many of the owner's wait, as it was a moment ago; below `most`, one more may begin.

        Raises what `ask` does.
        """
        known = self._known.get(owner)
        if known is not None and known.uses > 0 and self._clock() < known.until:
            known.uses -= 1
            return known.waiting
        waiting = await self._ask(owner)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        uses = (self._most - waiting) // SHARE - 1
        self._known[owner] = _Known(waiting, self._clock() + HOLDS_S, uses)
        return waiting
