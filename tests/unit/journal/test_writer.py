"""Merging before the append: what one upload's writer tells, when, and what it may never drop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from sse_progress.journal.append_batcher import Answer
from sse_progress.journal.frames import Page
from sse_progress.journal.journal import Journal
from sse_progress.journal.writer import JournalWriter, WriterLost, interval_s
from sse_progress.model.events import Draft
from sse_progress.model.ids import Position
from sse_progress.runtime.concurrency import beside
from sse_progress.runtime.redis.client import connect
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually


def at(percent: int, stage: str = "analyzing") -> Draft:
    return Draft(stage=stage, stage_progress=percent, message=f"{percent} percent")


class Told(list[tuple[float, str, Draft | None]]):
    """A journal that records what is submitted, and when; `answer_all` answers it."""

    def __init__(self) -> None:
        self.open: list[asyncio.Future[Answer]] = []
        self.answering = True
        self.seq = 1
        self.results: list[Any] = []
        self.numbers: list[int] = []

    def operation(
        self,
        op: str,
        upload_id: str,
        *,
        draft: Draft | None = None,
        numbers: Iterable[int] | None = None,
        result: tuple[str, bytes] | None = None,
        **how: Any,
    ) -> asyncio.Future[Answer]:
        loop = asyncio.get_running_loop()
        self.append((loop.time(), op, draft))
        if numbers is not None:
            self.numbers.append(next(iter(numbers)))
        if result is not None:
            self.results.append(result)
        future: asyncio.Future[Answer] = loop.create_future()
        self.open.append(future)
        if self.answering:
            self.answer()
        return future

    def answer(self, status: str = "ok", *, epoch: str = "e", term: str = "") -> None:
        for future in self.open:
            self.seq += 1
            if not future.done():
                future.set_result(Answer(status, epoch, self.seq, 1, term))
        self.open.clear()

    @property
    def shown(self) -> list[tuple[str, int]]:
        return [(draft.stage, draft.stage_progress) for _, _, draft in self if draft is not None]


class Time:
    """The running loop's clock and timers, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self._timers: list[asyncio.TimerHandle] = []
        self._loop = asyncio.get_running_loop()
        monkeypatch.setattr(self._loop, "time", lambda: self.now)
        monkeypatch.setattr(self._loop, "call_later", self._call_later)

    def _call_later(self, delay: float, call: Any, *args: Any) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(self.now + delay, call, args, self._loop)
        self._timers.append(timer)
        return timer

    @property
    def waiting(self) -> int:
        return sum(not timer.cancelled() for timer in self._timers)

    async def to(self, now: float) -> None:
        """Move on, ringing what is due on the way, each followed by a turn of the loop."""
        while due := [t for t in self._timers if not t.cancelled() and t.when() <= now + 1e-9]:
            timer = min(due, key=lambda t: t.when())
            self._timers.remove(timer)
            self.now = max(self.now, timer.when())
            timer._run()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        self.now = now
        await asyncio.sleep(0)


def writer_on(told: Told, *, lease_s: float = 0, **callbacks: Any) -> JournalWriter:
    return JournalWriter(
        told,  # type: ignore[arg-type]  # a recording fake
        "up",
        owner="ann",
        answer=Answer("ok", "e", 1, 1, ""),
        written=0,
        lease_s=lease_s,
        **callbacks,
    )


# ---- merging


@pytest.mark.parametrize(
    ("events", "seconds"),
    [
        (0, 0.1),
        (99, 0.1),
        (100, 0.2),
        (199, 0.2),
        (200, 0.4),
        (300, 0.8),
        (400, 1.6),
        (500, 3.2),
        (600, 5.0),
        (700, 5.0),
        (10_000_000, 5.0),
    ],
)
def test_the_interval_doubles_after_each_hundred_events(events: int, seconds: float) -> None:
    """100 ms at first, 5 s at most."""
    assert interval_s(events) == pytest.approx(seconds)


def test_a_stage_that_takes_a_day_is_under_20000_events() -> None:
    """However often it reports: the journal stays small and need never be trimmed."""
    elapsed, events = 0.0, 0
    while elapsed < 24 * 3600:
        elapsed += interval_s(events)
        events += 1
    assert events < 20_000


async def test_at_most_one_event_per_interval_and_the_latest_is_told_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten reports a millisecond apart are one event; nothing newer is held back longer."""
    time, told = Time(monkeypatch), Told()
    writer = writer_on(told)
    writer.first(at(0))
    for n in range(1, 11):
        await time.to(1000 + n / 1000)
        writer.progress(at(n))
    assert told.shown == [("analyzing", 0)]
    await time.to(1000.0999)
    assert told.shown == [("analyzing", 0)]
    await time.to(1000.1)
    assert told.shown == [("analyzing", 0), ("analyzing", 10)]
    await time.to(1003)
    assert len(told) == 2
    writer.progress(at(50))
    assert told.shown[-1] == ("analyzing", 50)


async def test_steady_reports_keep_to_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report every 10 ms for minutes: gaps of 0.1 s a hundred times, then of 0.2, 0.4 …"""
    time, told = Time(monkeypatch), Told()
    writer = writer_on(told)
    writer.first(at(0))
    for n in range(13_000):
        await time.to(1000 + n / 100)
        writer.progress(at(min(n // 200, 99)))
    moments = [moment for moment, _, _ in told]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert len(gaps) > 330
    for number, gap in enumerate(gaps):
        assert interval_s(number) - 1e-6 <= gap <= interval_s(number) + 0.011


async def test_a_new_stage_begins_with_a_short_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval is the stage's, not the upload's."""
    time, told = Time(monkeypatch), Told()
    writer = writer_on(told)
    writer.first(at(0))
    for n in range(250):
        await time.to(time.now + 0.5)
        writer.progress(at(n // 3))
    writer.first(at(0, "moderating"))
    await time.to(time.now + 0.1)
    writer.progress(at(5, "moderating"))
    assert told.shown[-1] == ("moderating", 5)


async def test_first_and_last_are_told_at_once_and_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They do not wait for an interval, and a report that they overtake is not told after them."""
    time, told = Time(monkeypatch), Told()
    writer = writer_on(told)
    writer.first(at(0))
    writer.progress(at(40))
    await writer.last(at(100), result=b'{"a":1}')
    await time.to(1500)
    writer.first(at(0, "moderating"))
    writer.progress(at(30, "moderating"))
    await writer.end(at(0, "complete"))
    await time.to(2000)
    assert told.shown == [
        ("analyzing", 0),
        ("analyzing", 100),
        ("moderating", 0),
        ("complete", 0),
    ]
    assert told.results == [("analyzing", b'{"a":1}')]
    assert told.numbers == [1, 2, 3, 4]
    assert time.waiting == 0


async def test_while_redis_is_away_one_event_is_under_way_and_one_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An hour of reports into an outage holds two of them; then the latest is told."""
    time, told = Time(monkeypatch), Told()
    writer = writer_on(told)
    writer.first(at(0))
    told.answering = False
    for n in range(3600):
        await time.to(time.now + 1)
        writer.progress(at(n // 40))
    assert told.shown == [("analyzing", 0), ("analyzing", 0)]
    assert len(told.open) == 1
    assert time.waiting == 0
    told.answering = True
    told.answer()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert told.shown[2:] == [("analyzing", 89)]


async def test_closing_forgets_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """No timer outlives its upload."""
    time, told = Time(monkeypatch), Told()
    writer = writer_on(told)
    writer.first(at(0))
    writer.progress(at(40))
    writer.close()
    await time.to(2000)
    assert told.shown == [("analyzing", 0)]
    assert time.waiting == 0


# ---- losing the right to write


@pytest.mark.parametrize(
    ("status", "term"), [("stale", ""), ("ended", "cancelled"), ("stale", "error")]
)
async def test_whoever_may_not_write_any_more_is_told_once(status: str, term: str) -> None:
    """The first refused append calls `on_lost`; every wait from then on raises WriterLost."""
    told, losses = Told(), []
    writer = writer_on(told, on_lost=losses.append)
    told.answering = False
    writer.first(at(0))
    writer.progress(at(1))
    ending = asyncio.ensure_future(writer.last(at(100)))
    await asyncio.sleep(0)
    told.answer(status, term=term)
    with pytest.raises(WriterLost) as caught:
        await ending
    assert caught.value.term == term
    assert losses == [caught.value]
    told.answering = True
    with pytest.raises(WriterLost):
        await writer.end(at(0, "complete"))
    assert losses == [caught.value]


async def test_a_lost_writer_reports_into_the_void(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that goes on reporting until it is stopped appends nothing more."""
    time, told = Time(monkeypatch), Told()
    writer = writer_on(told)
    told.answering = False
    writer.first(at(0))
    told.answer("stale")
    await asyncio.sleep(0)
    await time.to(2000)
    writer.progress(at(50))
    await time.to(3000)
    assert told.shown == [("analyzing", 0)]


async def test_an_unknown_journal_is_no_loss_of_the_right_to_write() -> None:
    """`renew` of a journal that Redis lost says `unknown`; the next event begins it anew."""
    told = Told()
    writer = writer_on(told)
    told.answering = False
    renewing = asyncio.ensure_future(writer.renew())
    await asyncio.sleep(0)
    told.answer("unknown", epoch="")
    await renewing
    assert writer.lost is None
    assert writer.position == Position("e", 1)


# ---- what is acknowledged


async def test_positions_are_told_as_they_grow() -> None:
    """`on_position` hears of each acknowledged place, and never of one that was there before."""
    told, heard = Told(), []
    writer = writer_on(told, on_position=heard.append)
    writer.first(at(0))
    await asyncio.sleep(0)
    await writer.last(at(100))
    told.seq -= 2
    await writer.note("verdict", b"[]")
    assert heard == [Position("e", 2), Position("e", 3)]
    assert writer.position == Position("e", 3)


async def test_a_new_epoch_is_told_once() -> None:
    """What only Redis knew can be put back when it turns out to have forgotten."""
    told, renewals, heard = Told(), [], []
    writer = writer_on(
        told, on_new_epoch=lambda: renewals.append(writer.position), on_position=heard.append
    )
    told.answering = False
    writer.first(at(0))
    told.seq = 0
    told.answer("new", epoch="f")
    await asyncio.sleep(0)
    assert renewals == [Position("f", 1)]
    ending = asyncio.ensure_future(writer.last(at(100)))
    await asyncio.sleep(0)
    told.answer(epoch="f")
    await ending
    assert renewals == [Position("f", 1)]
    assert heard == [Position("f", 1), Position("f", 2)]


async def test_giving_up_a_wait_does_not_take_the_event_back() -> None:
    """A numbered append whose waiter has a deadline is delivered all the same."""
    told = Told()
    writer = writer_on(told)
    told.answering = False
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await writer.end(at(0, "error"))
    (future,) = told.open
    assert not future.cancelled()
    told.answer()
    await asyncio.sleep(0)
    assert writer.position.seq == 2


# ---- on a real journal


@asynccontextmanager
async def journal_at(url: str) -> AsyncIterator[Journal]:
    redis = connect(url)
    journal = Journal(redis)
    async with beside(journal.appends.run()):
        yield journal
    await redis.aclose()


async def test_an_outage_in_the_middle_of_a_stage_is_caught_up_with(
    sure_redis: RedisServer,
) -> None:
    """Reports go on while Redis is killed; afterwards the latest of them is there, in the same
    epoch, and the stage ends as if nothing had been."""
    async with journal_at(sure_redis.url) as journal:
        answer = await journal.take("up", owner="ann")
        writer = JournalWriter(journal, "up", owner="ann", answer=answer, written=0)
        writer.first(at(0))
        await eventually(lambda: writer.position.seq == 1, "it has begun")
        sure_redis.kill()
        for n in range(1, 50):
            writer.progress(at(n))
        await eventually(lambda: not journal.appends.connected, "the outage is noticed")
        writer.progress(at(60))
        sure_redis.start()
        await eventually(lambda: writer.position.seq == 3, "the latest is told")
        await writer.last(at(100))
        page = await journal.read("up", limit=100)
        assert isinstance(page, Page)
        assert [frame.data.count(b'"stageProgress":60') for frame in page.frames][2] == 1
        assert page.end == Position(answer.epoch, 4)


async def test_another_writer_ends_this_one(redis_url: str) -> None:
    """A job taken by another worker raises the fence: the slower twin hears of it with its next
    event, whatever that is."""
    async with journal_at(redis_url) as journal:
        answer = await journal.take("up", owner="ann")
        slow = JournalWriter(journal, "up", owner="ann", answer=answer, written=0)
        slow.first(at(0))
        await slow.note("analyzing", b"{}")
        await journal.take("up", owner="ann")
        with pytest.raises(WriterLost) as caught:
            await slow.last(at(100), result=b"{}")
        assert caught.value.term == ""
        with pytest.raises(WriterLost):
            await slow.renew()


async def test_a_cancelled_upload_ends_its_writer(redis_url: str) -> None:
    """The loser of the race for the end learns how it ended."""
    async with journal_at(redis_url) as journal:
        answer = await journal.take("up", owner="ann")
        writer = JournalWriter(journal, "up", owner="ann", answer=answer, written=0)
        writer.first(at(0))
        await journal.cancel("up", owner="ann", draft=at(0, "cancelled"))
        with pytest.raises(WriterLost, match="ended with cancelled"):
            await writer.end(at(100, "complete"))
