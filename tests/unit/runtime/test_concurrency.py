"""Leaving the event loop, working beside a block, waiting for the first of several."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import anyio
import pytest
import structlog
from structlog.testing import capture_logs

from sse_progress.runtime import concurrency as module
from sse_progress.runtime.concurrency import (
    BackgroundTasks,
    LongTasks,
    beside,
    blocking,
    end_tasks,
    first_of,
    shared,
    within,
)
from tests.helpers.waiting import eventually


class Work:
    """Background work that records its life; its cleanup takes turns of the loop."""

    def __init__(self, *, cleanup: int = 0) -> None:
        self.began = self.ended = False
        self._cleanup = cleanup

    async def run(self) -> None:
        self.began = True
        try:
            await anyio.sleep_forever()
        finally:
            for _ in range(self._cleanup):
                await asyncio.sleep(0)
            self.ended = True


# ---- blocking


async def test_a_function_runs_in_a_thread_with_its_arguments() -> None:
    """The loop goes on meanwhile; result and exception come back."""
    main = threading.get_ident()
    assert await blocking(lambda a, *, b: (a, b, threading.get_ident() != main), 1, b=2) == (
        1,
        2,
        True,
    )
    with pytest.raises(ZeroDivisionError):
        await blocking(lambda: 1 / 0)


async def test_a_cancelled_caller_still_waits_for_its_thread() -> None:
    """Nothing goes on behind the back of whoever cleans up afterwards."""
    begun, go = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        begun.set()
        assert go.wait(60)
        done.append("thread")

    async def call() -> None:
        try:
            await blocking(work)
        finally:
            done.append("caller")

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await eventually(begun.is_set, "the thread works")
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            for _ in range(5):
                await asyncio.sleep(0)
            assert done == []
            go.set()
    assert done == ["thread", "caller"]


async def test_a_cancelled_scope_leaves_what_the_thread_returned() -> None:
    """What a thread has taken can be given back: the cancellation comes with the next wait in the
    scope, and not behind it."""
    loop = asyncio.get_running_loop()
    taken: list[str] = []

    def take() -> str:
        go.wait(20)
        return "taken"

    for rest_s in (0, 20):
        go = threading.Event()
        with anyio.CancelScope() as scope:
            loop.call_soon(scope.cancel)
            loop.call_later(0.05, go.set)
            taken.append(await blocking(take))
            if rest_s:
                await asyncio.sleep(rest_s)
        assert scope.cancelled_caught is bool(rest_s)
        await asyncio.sleep(0)  # nothing of it comes behind its scope
    assert taken == ["taken", "taken"]


async def test_a_cancelled_task_waits_for_its_thread_and_ends() -> None:
    """A Task.cancel() comes once, so it is not held back."""
    begun, go = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert go.wait(20)

    task = asyncio.ensure_future(blocking(work))
    await eventually(begun.is_set, "the thread works")
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_more_work_than_threads_waits_its_turn() -> None:
    """All of it is done, by no more threads than there may be."""
    seen: set[int] = set()

    def work() -> None:
        seen.add(threading.get_ident())
        time.sleep(0.001)

    await asyncio.gather(*(blocking(work) for _ in range(200)))
    assert 1 < len(seen) <= 40


async def test_a_thread_sees_what_the_caller_has_bound() -> None:
    """Lines that are logged in a thread have their request's names."""
    with structlog.contextvars.bound_contextvars(request="r1"):
        assert (await blocking(structlog.contextvars.get_contextvars))["request"] == "r1"


# ---- begun at once


async def test_work_is_begun_by_its_caller() -> None:
    """As far as it gets without waiting; the rest goes on in the background and ends with the
    block, and what it raises is logged."""
    done: list[str] = []
    go = asyncio.Event()

    async def work(name: str) -> None:
        done.append(f"{name} begun")
        await go.wait()
        done.append(f"{name} over")
        await asyncio.sleep(20)

    async def broken(*, at_once: bool) -> None:
        if not at_once:
            await asyncio.sleep(0)
        raise ZeroDivisionError

    with capture_logs() as logs:
        async with BackgroundTasks() as tasks:
            tasks.begin(work("a"))
            assert done == ["a begun"]
            tasks.begin(broken(at_once=True))
            tasks.begin(broken(at_once=False))
            assert len(logs) == 1
            go.set()
            await eventually(lambda: "a over" in done and len(logs) == 2, "the rest goes on")
    assert [line["event"] for line in logs] == ["background task failed"] * 2


# ---- within


async def test_a_block_that_takes_too_long_is_left() -> None:
    """With TimeoutError, also where the first cancellation gets lost; and nothing of it is left."""
    lost = 0

    async def losing() -> None:
        nonlocal lost
        with within(0.01):
            while lost < 2:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(20)
                lost += 1
            await asyncio.sleep(20)

    with pytest.raises(TimeoutError):
        await losing()
    assert lost == 2
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_block_in_time_leaves_nothing() -> None:
    """Its result and its errors come through, and so does a cancellation from outside."""
    with within(0.01):
        await asyncio.sleep(0)
    with pytest.raises(ZeroDivisionError), within(0.01):
        raise ZeroDivisionError
    await asyncio.sleep(0.03)

    async def waiting() -> None:
        with within(20):
            await asyncio.sleep(20)

    task = asyncio.ensure_future(waiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# ---- beside


async def test_work_begins_before_the_block_and_is_over_after_it() -> None:
    """The block finds it begun; afterwards it is cancelled, and has cleaned up."""
    work = Work(cleanup=3)
    async with beside(work.run()):
        assert work.began
        assert not work.ended
    assert work.ended


async def test_work_is_waited_for_however_the_block_ends() -> None:
    """An exception in the block passes on once the work is over."""
    work = Work(cleanup=3)
    with pytest.raises(KeyError):
        async with beside(work.run()):
            raise KeyError
    assert work.ended


async def test_work_is_waited_for_in_a_cancelled_scope() -> None:
    """A scope that is cancelled stays so, and the work's cleanup is waited for all the same."""
    work = Work(cleanup=3)
    with anyio.CancelScope() as scope:
        async with beside(work.run()):
            scope.cancel()
            await anyio.sleep_forever()
    assert work.ended


async def test_a_cancellation_that_is_lost_on_its_way_is_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Work that swallows it once, as a library in its middle may, ends all the same."""
    monkeypatch.setattr(module, "CANCEL_AGAIN_S", 0.01)
    swallowed = 0

    async def deaf() -> None:
        nonlocal swallowed
        while swallowed < 3:
            try:
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                swallowed += 1
        await anyio.sleep_forever()

    async with beside(deaf()):
        pass
    assert swallowed == 3


async def deaf(counts: list[int], times: int = 2) -> None:
    """Swallows its first cancellations, as a library in its middle may."""
    while len(counts) < times:
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            counts.append(1)
    await anyio.sleep_forever()


async def test_background_tasks_end_with_their_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that lose a cancellation, and those that such a task starts as it ends."""
    monkeypatch.setattr(module, "CANCEL_AGAIN_S", 0.01)
    swallowed: list[int] = []
    late = Work()
    before = asyncio.all_tasks()
    async with BackgroundTasks() as background:
        background.spawn(deaf(swallowed))

        async def starts_another() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                background.spawn(late.run())

        background.spawn(starts_another())
        await asyncio.sleep(0)
    assert len(swallowed) == 2
    assert late.began == late.ended
    assert asyncio.all_tasks() == before


async def test_a_background_task_that_fails_is_logged() -> None:
    """The others go on."""
    work = Work()

    async def fail() -> None:
        raise KeyError("broken")

    with capture_logs() as lines:
        async with BackgroundTasks() as background:
            background.spawn(work.run())
            background.spawn(fail())
            await eventually(lambda: lines, "the failure is logged")
            assert not work.ended
    assert [line["event"] for line in lines] == ["background task failed"]


async def test_failing_work_is_logged_and_leaves_the_block_alone() -> None:
    """Background work that breaks is told in the log; what it was beside goes on to its end."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("broken")

    with capture_logs() as lines:
        async with beside(fail()):
            await eventually(lambda: lines, "the failure is logged")
    assert [line["event"] for line in lines] == ["background work failed"]


async def test_cancelled_work_is_not_logged() -> None:
    """Its end is the ordinary one."""
    with capture_logs() as lines:
        async with beside(Work().run()):
            pass
        await asyncio.sleep(0)
    assert lines == []


# ---- first_of


async def test_the_first_that_is_done_ends_the_wait_and_the_others() -> None:
    """None of them goes on afterwards."""
    slow = Work(cleanup=3)
    await first_of(slow.run(), asyncio.sleep(0.01))
    assert slow.began
    assert slow.ended


async def test_time_ends_the_wait_too() -> None:
    """With a bound nothing has to happen."""
    one, two = Work(), Work(cleanup=3)
    await first_of(one.run(), two.run(), timeout_s=0.01)
    assert one.ended
    assert two.ended


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    """Whoever waits and is cancelled has ended what was waited for."""
    one, two = Work(cleanup=3), Work(cleanup=3)
    with anyio.move_on_after(0.01) as scope:
        await first_of(one.run(), two.run())
    assert scope.cancelled_caught
    assert one.ended
    assert two.ended


async def test_a_wait_that_fails_is_told() -> None:
    """The error of the one that ended the wait is raised, not lost."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("broken")

    other = Work()
    with pytest.raises(KeyError):
        await first_of(other.run(), fail())
    assert other.ended


async def test_a_wait_that_is_ended_twice_ends_what_has_lost_a_cancellation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever ends the wait asks again, just before the wait would have asked its own tasks."""
    monkeypatch.setattr(module, "CANCEL_AGAIN_S", 0.01)
    deaf = Work()

    async def lose_one() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await deaf.run()

    waiting = asyncio.ensure_future(first_of(lose_one(), asyncio.sleep(60)))
    await asyncio.sleep(0)
    await end_tasks(waiting)
    assert waiting.cancelled()
    assert deaf.ended


# ---- tasks as long as the process


async def test_a_long_task_that_ends_is_named() -> None:
    """Whether it fails or returns; one that may finish, and one that the block ends, are not."""

    async def fail() -> None:
        raise KeyError("broken")

    async def finish() -> None:
        return

    tasks = LongTasks()
    with capture_logs() as lines:
        async with (
            tasks.running("lasting", anyio.sleep_forever()),
            tasks.running("optional", finish(), may_finish=True),
        ):
            await asyncio.sleep(0)
            assert tasks.dead() == []
            assert not tasks.failed.is_set()
            async with tasks.running("failing", fail()), tasks.running("returning", finish()):
                await tasks.failed.wait()
                await eventually(lambda: len(tasks.dead()) == 2, "both are noticed")
                assert tasks.dead() == ["failing", "returning"]
    assert [line["event"] for line in lines] == ["background task ended"] * 2


async def test_what_others_wait_for_goes_on_without_one_of_them() -> None:
    """Who leaves cancels nothing; each of the others gets what was returned or raised."""
    for error in (None, ConnectionError()):
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def ask(answer: asyncio.Future[int] = answer) -> int:
            return await answer

        task = asyncio.ensure_future(ask())
        waits = [asyncio.ensure_future(shared(task)) for _ in range(3)]
        await asyncio.sleep(0)
        waits[0].cancel()
        await asyncio.wait(waits[:1])
        assert not task.done()
        if error is None:
            answer.set_result(5)
        else:
            answer.set_exception(error)
        found = await asyncio.gather(*waits, shared(task), return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1:] == [error or 5] * 3


async def test_what_is_cancelled_is_cancelled_for_all_who_wait_for_it() -> None:
    task = asyncio.ensure_future(asyncio.sleep(60))
    waits = [asyncio.ensure_future(shared(task)) for _ in range(2)]
    await asyncio.sleep(0)
    task.cancel()
    found = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(one) for one in found] == [asyncio.CancelledError] * 2
