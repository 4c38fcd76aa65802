"""One timer for all that waits: when an item is asked, and that none disturbs another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from sse_progress.runtime.concurrency import beside
from sse_progress.web.streams.timer_wheel import Wheel
from tests.helpers.waiting import eventually


class Item:
    """Records when it was asked; `again` says when it wants to be asked next."""

    def __init__(self, again: Callable[[float], float | None] = lambda _: None) -> None:
        self.again = again
        self.asked: list[float] = []

    def tick(self, now: float) -> float | None:
        self.asked.append(now)
        return self.again(now)


def wheel_of(slot_s: float = 0.01) -> Wheel:
    return Wheel(slot_s=slot_s, clock=asyncio.get_running_loop().time)


async def test_an_item_is_asked_when_its_moment_has_come() -> None:
    """Never before it, and again as often as it says."""
    loop, wheel = asyncio.get_running_loop(), wheel_of()
    item = Item(lambda now: now + 0.02 if len(item.asked) < 3 else None)
    began = loop.time()
    wheel.put(item, began + 0.02)
    assert len(wheel) == 1
    async with beside(wheel.run()):
        await eventually(lambda: len(item.asked) == 3, "it is asked three times")
        assert item.asked[0] >= began + 0.02
        assert all(later - earlier >= 0.02 for earlier, later in pairwise(item.asked))
        assert len(wheel) == 0


async def test_a_moment_that_has_passed_is_the_next_one() -> None:
    """What is due already is asked with the next slot, not forgotten."""
    wheel, item = wheel_of(), Item()
    async with beside(wheel.run()):
        wheel.put(item, asyncio.get_running_loop().time() - 5)
        await eventually(lambda: item.asked, "it is asked")


async def test_dropped_and_moved_items_are_not_asked_for_the_old_moment() -> None:
    """`drop` is for good, and `put` again moves an item instead of doubling it."""
    loop, wheel = asyncio.get_running_loop(), wheel_of()
    dropped, moved, other = Item(), Item(), Item()
    now = loop.time()
    for item in (dropped, moved, other):
        wheel.put(item, now + 0.02)
    wheel.drop(dropped)
    wheel.drop(dropped)
    wheel.put(moved, now + 3600)
    assert set(wheel._where) == {moved, other}
    async with beside(wheel.run()):
        await eventually(lambda: other.asked, "the slot has come")
    assert dropped.asked == moved.asked == []
    assert set(wheel._where) == {moved}


async def test_what_is_due_before_the_wheel_runs_is_asked_at_its_start() -> None:
    """A process that is slow to start forgets nothing."""
    loop, wheel = asyncio.get_running_loop(), wheel_of()
    late = Item()
    wheel.put(late, loop.time())
    await eventually(lambda: loop.time() > wheel._where[late] * 0.01 + 0.02, "its slot is over")
    async with beside(wheel.run()):
        await eventually(lambda: late.asked, "it is asked")


async def test_an_item_may_drop_and_move_others_while_it_is_asked() -> None:
    """A stream that ends in its tick and takes its neighbours along: they are not asked."""
    loop, wheel = asyncio.get_running_loop(), wheel_of()

    def drop_all(now: float) -> None:
        for item in items[:4]:
            wheel.drop(item)
        if len(wheel) == 1:
            wheel.put(items[4], now + 3600)

    items = [Item(drop_all) for _ in range(5)]
    last = Item()
    now = loop.time()
    for item in items:
        wheel.put(item, now + 0.02)
    async with beside(wheel.run()):
        await eventually(lambda: any(item.asked for item in items), "one is asked")
        wheel.put(last, loop.time())
        await eventually(lambda: last.asked, "the wheel goes on")
    assert sum(len(item.asked) for item in items) == 1
    assert len(wheel) == (0 if items[4].asked else 1)


async def test_a_failing_item_is_logged_and_harms_nobody_else() -> None:
    """Its neighbours in the slot are asked, and it is not asked again."""

    def broken(_: float) -> float | None:
        raise ValueError("broken")

    loop, wheel = asyncio.get_running_loop(), wheel_of()
    bad, good = Item(broken), Item()
    now = loop.time()
    wheel.put(bad, now + 0.02)
    wheel.put(good, now + 0.02)
    with capture_logs() as lines:
        async with beside(wheel.run()):
            await eventually(lambda: good.asked and bad.asked, "both are asked")
    assert [line["event"] for line in lines] == ["a timed item failed"]
    assert len(wheel) == 0


async def test_slots_that_a_busy_loop_missed_are_made_up_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a pause of many slots every item that came due in it is asked, once."""
    clock = [100.0]
    wheel = Wheel(slot_s=1.0, clock=lambda: clock[0])
    turns = 0

    async def sleep(seconds: float) -> None:
        nonlocal turns
        assert seconds == pytest.approx(1 - clock[0] % 1)
        turns += 1
        if turns > 1:
            raise asyncio.CancelledError
        clock[0] += 60

    items = [Item() for _ in range(50)]
    late = Item()
    for n, item in enumerate(items):
        wheel.put(item, 100.5 + n)
    wheel.put(late, 161)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await wheel.run()
    assert [item.asked for item in items] == [[160.0]] * 50
    assert late.asked == []


async def test_a_thousand_items_in_a_slot_cost_one_wake_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop has one timer for the wheel, however much waits in it."""
    loop = asyncio.get_running_loop()
    wheel = wheel_of(slot_s=0.02)
    items = [Item() for _ in range(1000)]
    for item in items:
        wheel.put(item, loop.time() + 0.02)
    timers = 0
    call_at = loop.call_at

    def counted(*args: object, **how: object) -> asyncio.TimerHandle:
        nonlocal timers
        timers += 1
        return call_at(*args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_at", counted)
    turning = asyncio.ensure_future(wheel.run())
    while not all(item.asked for item in items):
        await asyncio.sleep(0)
    turning.cancel()
    assert timers < 20
