"""Parts of long journals: found by number or time, read a page at a time."""

from __future__ import annotations

from pathlib import Path

from sse_progress.model.ids import Position
from sse_progress.model.timestamps import parse_rfc3339
from sse_progress.uploads.history import PAGE_EVENTS, pages, part_of, source_of
from tests.helpers.components import begin, components, draft, events_of, page_of

EVENTS = 2 * PAGE_EVENTS + 100


async def test_a_journal_of_many_pages(redis_url: str, tmp_path: Path) -> None:
    """Both ways, over page after page, every event once; any moment is found."""
    async with components(redis_url, tmp_path) as core:
        answer = await begin(core)
        for number in range(2, EVENTS + 1):
            await core.journal.operation(
                "next",
                "up",
                owner="ann",
                fence=answer.fence,
                numbers=iter([number]),
                draft=draft("receiving", number * 99 // EVENTS),
            )
        page = await page_of(core)
        source = source_of(core, page)
        stamps = [event["timestamp"] for event in await events_of(core)]
        for descending in (False, True):
            part = await part_of(
                source,
                "up",
                page,
                since=None,
                before=None,
                limit=None,
                descending=descending,
            )
            read = [frames async for frames in pages(source, "up", part)]
            assert [len(frames) for frames in read] == [PAGE_EVENTS, PAGE_EVENTS, 100]
            numbers = [frame.position.seq for frames in read for frame in frames]
            expected = list(range(1, EVENTS + 1))
            assert numbers == (expected[::-1] if descending else expected)
        for at in (0, 1, 499, 777, EVENTS - 1):
            moment = parse_rfc3339(stamps[at])
            part = await part_of(
                source,
                "up",
                page,
                since=moment,
                before=None,
                limit=5,
                descending=False,
            )
            assert part.first == stamps.index(stamps[at]) + 1


async def test_a_journal_that_redis_lost_in_between_ends_early(
    redis_url: str, tmp_path: Path
) -> None:
    """What was read stays; nothing of another telling is mixed in."""
    async with components(redis_url, tmp_path) as core:
        await begin(core)
        page = await page_of(core)
        source = source_of(core, page)
        part = await part_of(
            source, "up", page, since=None, before=None, limit=None, descending=False
        )
        await core.redis.flushdb()
        assert [frames async for frames in pages(source, "up", part)] == []
        await begin(core)
        assert [frames async for frames in pages(source, "up", part)] == []
        foreign = Position("other", 3)
        part = await part_of(
            source, "up", page, since=foreign, before=None, limit=None, descending=False
        )
        assert (part.reset, part.first) == (True, 1)
