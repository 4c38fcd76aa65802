"""A follower inside the process: the latest frame, the end, and the wait for either."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sse_progress.emitter.waiter import Waiter, watching
from sse_progress.journal.frames import Frame
from sse_progress.model.ids import Position
from tests.helpers.components import begin, components, draft
from tests.helpers.waiting import eventually


def frame(seq: int, *, terminal: bool = False) -> Frame:
    return Frame(b'id: e-%d\ndata: {"n":%d}\n\n' % (seq, seq), terminal=terminal)


async def test_a_push_is_the_latest_and_wakes_whoever_waits() -> None:
    """`changed` returns with the first frame after the cursor, and at once from then on."""
    waiter = Waiter()
    waiting = asyncio.ensure_future(waiter.changed())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiter.push(frame(5))
    await asyncio.wait_for(waiting, 60)
    await asyncio.wait_for(waiter.changed(), 60)
    assert waiter.latest is not None
    assert waiter.latest.position == Position("e", 5)
    assert not waiter.ended


async def test_of_several_frames_the_last_counts() -> None:
    """What is caught up with in one piece ends with the state that holds; a reset does, too."""
    waiter = Waiter()
    await waiter.write([frame(1), frame(2), frame(3)])
    assert waiter.latest is not None
    assert waiter.latest.position.seq == 3
    await waiter.reset(frame(9))
    assert waiter.latest.position.seq == 9


async def test_the_end_is_told_once() -> None:
    """`on_end` and `end` have the terminal frame, even if the end is told again by a reset."""
    ends: list[Frame] = []
    waiter = Waiter(on_end=ends.append)
    last = frame(2, terminal=True)
    await waiter.write([frame(1), last])
    await waiter.reset(frame(3, terminal=True))
    assert ends == [last]
    assert await waiter.end() is last
    assert waiter.ended


async def test_many_may_wait_for_the_end_and_give_up() -> None:
    """One that is cancelled takes nothing from the others."""
    waiter = Waiter()
    waits = [asyncio.ensure_future(waiter.end()) for _ in range(3)]
    await asyncio.sleep(0)
    waits[0].cancel()
    await asyncio.sleep(0)
    last = frame(1, terminal=True)
    waiter.push(last)
    assert [await wait for wait in waits[1:]] == [last, last]


@pytest.mark.parametrize("how", ["gone", "close"])
async def test_what_can_no_longer_be_watched_ends_the_waits(how: str) -> None:
    """Nobody remembers the upload, or it is somebody else's: both waits end, with nothing."""
    waiter = Waiter()
    if how == "gone":
        await waiter.gone()
    else:
        waiter.close()
    assert waiter.lost
    assert await waiter.end() is None
    await asyncio.wait_for(waiter.changed(), 60)


async def test_a_journal_is_watched_for_the_length_of_a_block(
    redis_url: str, tmp_path: Path
) -> None:
    """From what is there already over what comes live to the end; afterwards nothing follows."""
    async with components(redis_url, tmp_path) as core:
        await begin(core)
        waiter = Waiter()
        with watching(core.emitter, "up", waiter, owner="ann"):
            await eventually(lambda: waiter.latest, "the beginning is read")
            await core.journal.cancel("up", owner="ann", draft=draft("cancelled"))
            end = await asyncio.wait_for(waiter.end(), 60)
        assert end is not None
        assert end.position.seq == 2
        (topic,) = core.emitter._topics
        assert topic.idle


async def test_a_foreign_journal_is_not_watched(redis_url: str, tmp_path: Path) -> None:
    """Whoever does not own it sees its end as nothing."""
    async with components(redis_url, tmp_path) as core:
        await begin(core)
        waiter = Waiter()
        with watching(core.emitter, "up", waiter, owner="bob"):
            assert await asyncio.wait_for(waiter.end(), 60) is None
        assert waiter.latest is None
