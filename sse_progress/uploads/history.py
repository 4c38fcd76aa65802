"""The events of an upload as a list: which part of its journal is asked for, and its pages.

No HTTP. Journals number their events 1, 2, 3…, so that any part of one is found by numbers, also in
the archive.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import anyio
from redis.exceptions import RedisError

from sse_progress.journal.frames import Foreign, Frame, Page
from sse_progress.journal.retelling import WholeJournal
from sse_progress.model.errors import Unavailable
from sse_progress.model.events import decode_json
from sse_progress.model.ids import Position
from sse_progress.model.timestamps import parse_rfc3339
from sse_progress.uploads.components import Components

__all__ = ["Pages", "Part", "Source", "begun", "pages", "part_of", "source_of"]

Source: TypeAlias = Callable[[str, Position, int], Awaitable[tuple[Frame, ...]]]
"""Reads events of a journal after a position, so many at most. Raises Unavailable."""
Pages: TypeAlias = AsyncIterator[Sequence[Frame]]

PAGE_EVENTS = 500
REDIS_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Part:
    """Events `first` to `last` of a journal, by number; none where `first` is above `last`.

    `reset`: the position that was asked for is not in this journal, so the part begins with it.
    `more`: there are events beyond, in the order that was asked for.
    """

    epoch: str
    first: int
    last: int
    descending: bool = False
    more: bool = False
    reset: bool = False

    @property
    def next(self) -> str | None:
        """Where the next part goes on: after this position, or before it if descending."""
        if not self.more:
            return None
        return f"{self.epoch}-{self.first if self.descending else self.last}"


async def part_of(
    source: Source,
    upload_id: str,
    page: Page,
    *,
    since: Position | float | None,
    before: Position | None,
    limit: int | None,
    descending: bool,
) -> Part:
    """The part after `since` (a position, or from a Unix time on) and before `before`.

    At most `limit` events, the latest ones if `descending`. Raises Unavailable.
    """
    first, last, reset = 1, page.end.seq, False
    if isinstance(since, Position):
        reset = since.epoch != page.end.epoch or since.seq > last
        first = 1 if reset else since.seq + 1
    elif since is not None:
        first = await _first_from(source, upload_id, page.end, since)
    if before is not None:
        if before.epoch == page.end.epoch:
            last = min(last, before.seq - 1)
        else:
            reset = True
    more = limit is not None and last - first + 1 > limit
    if more and limit is not None:
        if descending:
            first = last - limit + 1
        else:
            last = first + limit - 1
    return Part(page.end.epoch, first, last, descending, more, reset)


async def begun(events: Pages) -> Pages:
    """The same, with the first of them read now, so that what cannot be had is known at once."""
    first = await anext(events, None)

    async def all_of_them() -> Pages:
        if first is not None:
            yield first
        async for frames in events:
            yield frames

    return all_of_them()


async def pages(source: Source, upload_id: str, part: Part) -> Pages:
    """The part's events in its order, some at a time; ends early if Redis lost the journal."""
    first, last = part.first, part.last
    while first <= last:
        if part.descending:
            low = max(first, last - PAGE_EVENTS + 1)
            frames = await source(upload_id, Position(part.epoch, low - 1), last - low + 1)
            last = low - 1
        else:
            frames = await source(
                upload_id,
                Position(part.epoch, first - 1),
                min(PAGE_EVENTS, last - first + 1),
            )
            first += len(frames)
        if not frames:
            return
        yield frames[::-1] if part.descending else frames


async def _first_from(source: Source, upload_id: str, end: Position, moment: float) -> int:
    """The number of the first event that is not earlier than a time, by halving."""
    low, high = 1, end.seq + 1
    while low < high:
        middle = (low + high) // 2
        frames = await source(upload_id, Position(end.epoch, middle - 1), 1)
        if frames and parse_rfc3339(decode_json(frames[0].data)["timestamp"]) < moment:
            low = middle + 1
        else:
            high = middle
    return low


def source_of(components: Components, page: Page) -> Source:
    """The journal, or the archive where that is what `page` was read from."""
    whole = WholeJournal(components.journal, components.archive)

    async def journal(upload_id: str, after: Position, limit: int) -> tuple[Frame, ...]:
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                found = await whole.read(upload_id, after=after, limit=limit, strict=True)
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable from exc
        assert not isinstance(found, Foreign), "read without an owner"
        return found.frames if found is not None and not found.unknown else ()

    async def archive(upload_id: str, after: Position, limit: int) -> tuple[Frame, ...]:
        return await components.archive.events(upload_id, after=after, limit=limit)

    return journal if page.live else archive
