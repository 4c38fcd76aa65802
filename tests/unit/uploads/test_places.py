"""Places in the queue, for streams: what one look costs, and what is told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from sse_progress.queue.queue import Queue
from sse_progress.runtime.concurrency import BackgroundTasks
from sse_progress.uploads.places import Place, Places


class Line:
    """A queue that counts what it is asked, once it is let."""

    def __init__(self, *waiting: str) -> None:
        self.waiting, self.asked = list(waiting), list[Sequence[str]]()
        self.open = asyncio.Event()
        self.open.set()

    async def positions(self, upload_ids: Sequence[str]) -> dict[str, int]:
        self.asked.append(upload_ids)
        await self.open.wait()
        return {one: self.waiting.index(one) + 1 for one in upload_ids if one in self.waiting}


async def test_streams_share_a_look() -> None:
    """All that ask while one is under way have the next one together, each for its own uploads."""
    line = Line(*"abcdef")
    line.open.clear()
    async with BackgroundTasks() as background:
        places = Places(cast("Queue", line), background, clock=lambda: 0)
        first = asyncio.ensure_future(places.of(["a"]))
        await asyncio.sleep(0.01)
        others = [asyncio.ensure_future(places.of([one, "gone"])) for one in "fecb"]
        await asyncio.sleep(0.01)
        line.open.set()
        assert await first == [Place("a", 1, None)]
        assert [await other for other in others] == [
            [Place(one, at, None)] for one, at in (("f", 6), ("e", 5), ("c", 3), ("b", 2))
        ]
    assert line.asked == [["a"], ["b", "c", "e", "f", "gone"]]


async def test_an_estimate_needs_a_pace() -> None:
    """How long it takes at the pace seen so far; nothing where none was, or others came first."""
    now = 100.0
    line = Line(*"abcdefghij")
    async with BackgroundTasks() as background:
        places = Places(cast("Queue", line), background, clock=lambda: now)
        assert await places.of(["j"]) == [Place("j", 10, None)]
        now, line.waiting = 110, line.waiting[4:]
        assert await places.of(["j"]) == [Place("j", 6, 15)]
        line.waiting = [*"xyzvw", *line.waiting]
        assert await places.of(["j"]) == [Place("j", 11, None)]
        line.waiting = []
        assert await places.of(["j"]) == []


async def test_a_queue_that_is_away_holds_nothing_up() -> None:
    """Nothing is told then; the next look is a new one."""
    line = Line("a")

    async def away(upload_ids: Sequence[str]) -> dict[str, int]:
        raise ConnectionError

    async with BackgroundTasks() as background:
        places = Places(cast("Queue", line), background, clock=lambda: 0)
        there, line.positions = line.positions, away  # type: ignore[method-assign]
        assert await places.of(["a"]) == []
        line.positions = there  # type: ignore[method-assign]
        assert await places.of(["a"]) == [Place("a", 1, None)]
