"""The emitter on a real Redis: every follower gets exactly the journal, whatever is lost."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from sse_progress.emitter import catching_up
from sse_progress.emitter import topic as emitter_topic
from sse_progress.emitter.emitter import Emitter
from sse_progress.emitter.follower import Absent, Following
from sse_progress.emitter.pubsub import Subscription
from sse_progress.emitter.topic import ReadKey, Topic
from sse_progress.emitter.waiter import Waiter, watching
from sse_progress.journal.frames import Frame, Page
from sse_progress.journal.journal import Journal
from sse_progress.journal.writer import JournalWriter
from sse_progress.model.events import Draft
from sse_progress.model.ids import Position
from sse_progress.runtime import concurrency as blocking
from sse_progress.runtime.concurrency import BackgroundTasks, beside
from sse_progress.runtime.metrics import Metrics
from sse_progress.runtime.redis.client import connect, dedicated
from sse_progress.runtime.redis.keys import journal_keys
from tests.helpers.waiting import eventually


class Reader:
    """A follower that keeps what it was given; `slow` makes it take its time."""

    def __init__(self, *, owner: str = "ann", cursor: Position | None = None) -> None:
        self.owner, self.cursor = owner, cursor
        self.following: Following | None = None
        self.got: list[tuple[str, Frame]] = []
        self.writes = 0
        self.closed = self.is_gone = self.is_at_end = False
        self.free = asyncio.Event()
        self.free.set()

    def push(self, frame: Frame) -> Awaitable[None] | None:
        self.got.append(("event", frame))
        if not self.free.is_set():
            return self._wait()
        return None

    async def _wait(self) -> None:
        await self.free.wait()

    async def write(self, frames: Sequence[Frame]) -> None:
        await self.free.wait()
        self.writes += 1
        self.got += [("event", frame) for frame in frames]

    async def reset(self, frame: Frame) -> None:
        await self.free.wait()
        self.got.append(("reset", frame))

    async def gone(self) -> None:
        self.is_gone = True

    def at_end(self) -> None:
        self.is_at_end = True

    def close(self) -> None:
        self.closed = True

    @property
    def positions(self) -> list[Position]:
        return [frame.position for _, frame in self.got]


class Rig:
    """A journal, an emitter and one upload's writer."""

    def __init__(self, journal: Journal, emitter: Emitter) -> None:
        self.journal, self.emitter = journal, emitter
        self.writer: JournalWriter | None = None
        self.told = 0

    async def begin(self, upload_id: str = "u") -> JournalWriter:
        answer = await self.journal.begin(
            upload_id, owner="ann", draft=self.draft("receiving", 0), lease_s=10
        )
        assert answer.status == "ok"
        self.writer = JournalWriter(self.journal, upload_id, owner="ann", answer=answer, written=1)
        return self.writer

    def draft(self, stage: str, stage_progress: int) -> Draft:
        self.told += 1
        return Draft(stage=stage, stage_progress=stage_progress, message=f"said {self.told}")

    async def say(self, count: int = 1) -> None:
        """Events that are never merged."""
        assert self.writer is not None
        for _ in range(count):
            await self.writer._settled(self.writer._append(self.draft("receiving", 1)))

    async def saved(self) -> list[bytes]:
        """The journal as it is now, for `rewind`."""
        return [await self.journal.redis.dump(key) for key in journal_keys("u")]

    async def rewind(self, saved: list[bytes]) -> None:
        """The journal is again what it was, under the same epoch."""
        for key, dump in zip(journal_keys("u"), saved, strict=True):
            await self.journal.redis.restore(key, 1_000_000, dump, replace=True)

    async def rewrite(self, saved: list[bytes]) -> None:
        """Rewind, and go on with a writer that writes other events at the same positions."""
        await self.rewind(saved)
        assert self.writer is not None
        answer = await self.journal.take("u", owner="ann")
        self.writer.fence, self.writer._numbers = answer.fence, itertools.count(1)

    async def end(self) -> None:
        assert self.writer is not None
        await self.writer.end(self.draft("cancelled", 0))

    def follow(self, reader: Any, upload_id: str = "u", *, claims: bool = True) -> Topic:
        topic = self.emitter.open(upload_id)
        reader.following = self.emitter.follow(
            topic, reader, owner=reader.owner, cursor=reader.cursor, claims=claims
        )
        return topic

    async def open(self, reader: Any) -> Topic:
        """Follow as a stream does, from a page that was just read, for it or for another."""
        emitter, topic = self.emitter, self.emitter.open("u")
        opening = emitter.kept_page(topic, owner=reader.owner, after=reader.cursor)
        if opening is None:
            page, generation = await emitter.read(
                topic, owner=reader.owner, after=reader.cursor, claim=False
            )
            opening = (page, generation) if isinstance(page, Page) else None
        reader.following = emitter.follow(
            topic, reader, owner=reader.owner, cursor=reader.cursor, opening=opening
        )
        return topic

    async def drop_subscriptions(self) -> None:
        await self.journal.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


@asynccontextmanager
async def rig_at(
    url: str, *, absent: Absent = "gone", subscribe_at: str | None = None
) -> AsyncIterator[Rig]:
    async def what(_: str) -> Absent:
        return absent

    redis = connect(url)
    journal = Journal(redis)
    background = BackgroundTasks()
    emitter = Emitter(
        journal,
        connection=lambda: dedicated(subscribe_at or url),
        absent=what,
        background=background,
        metrics=Metrics(),
        probe_s=0.3,
        linger_s=0.2,
    )
    async with background, beside(journal.appends.run()), beside(emitter.run()):
        yield Rig(journal, emitter)
    await redis.aclose()


async def caught_up(rig: Rig, reader: Reader) -> None:
    async def there() -> bool:
        page = await rig.journal.head("u")
        return page is not None and bool(reader.positions) and reader.positions[-1] == page.end

    await eventually(there, "the reader has everything")


def contiguous(reader: Reader) -> bool:
    steps = zip(reader.got, reader.got[1:], strict=False)
    return all(
        kind == "reset"
        or (frame.position.epoch, frame.position.seq)
        == (before.position.epoch, before.position.seq + 1)
        for (_, before), (kind, frame) in steps
    )


async def test_before_during_and_after(redis_url: str) -> None:
    """Readers that come before, during and after an upload all see the whole journal."""
    async with rig_at(redis_url) as rig:
        early = Reader()
        rig.follow(early)
        await rig.begin()
        await rig.say(10)
        middle = Reader()
        rig.follow(middle)
        await rig.say(10)
        await rig.end()
        late = Reader()
        rig.follow(late)
        for reader in (early, middle, late):
            await caught_up(rig, reader)
            assert [p.seq for p in reader.positions] == list(range(1, 23))
            assert reader.got[-1][1].terminal


async def test_a_lost_subscription_loses_nothing(redis_url: str) -> None:
    """What is published while nobody listens is read from the journal, also the terminal event."""
    async with rig_at(redis_url) as rig:
        reader = Reader()
        rig.follow(reader)
        await rig.begin()
        await rig.say(3)
        await caught_up(rig, reader)
        await rig.drop_subscriptions()
        await rig.say(2)
        await rig.end()
        await caught_up(rig, reader)
        assert [p.seq for p in reader.positions] == list(range(1, 8))
        assert contiguous(reader)


class Wire:
    """A unix socket in front of Redis that can fall silent without closing anything."""

    def __init__(self, url: str, path: Path) -> None:
        self._to, self._path = url.removeprefix("unix://"), path
        self.url = f"unix://{path}"
        self.open = asyncio.Event()
        self.open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_unix_server(self._connect, str(self._path))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.set()  # a new connection works
        up, down = await asyncio.open_unix_connection(self._to)
        self._writers += [writer, down]
        for one, other in ((reader, down), (up, writer)):
            self._tasks.add(asyncio.ensure_future(self._carry(one, other)))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(65536):
            await self.open.wait()
            writer.write(part)
        writer.close()


async def test_a_silent_subscription_is_found(redis_url: str, short_dir: Path) -> None:
    """A connection that is open and carries nothing is probed, given up and made again."""
    async with (
        Wire(redis_url, short_dir / "wire") as wire,
        rig_at(redis_url, subscribe_at=wire.url) as rig,
    ):
        reader = Reader()
        topic = rig.follow(reader)
        await rig.begin()
        await caught_up(rig, reader)
        generation = topic.generation
        wire.open.clear()
        await rig.say(1)
        assert rig.emitter.connected
        await caught_up(rig, reader)
        assert topic.generation > generation
        assert contiguous(reader)


async def test_a_lost_cancellation_does_not_keep_a_dead_subscription(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever probes the connection survives its end, and the connection is replaced."""
    monkeypatch.setattr(blocking, "CANCEL_AGAIN_S", 0.01)
    probe = Subscription._probe
    lost: list[int] = []

    async def deaf(self: Subscription) -> None:
        """Loses one cancellation, as `asyncio.wait_for` may on Python 3.11."""
        if not lost:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost.append(1)
                await asyncio.Event().wait()
        await probe(self)

    monkeypatch.setattr(Subscription, "_probe", deaf)
    async with rig_at(redis_url) as rig:
        reader = Reader()
        rig.follow(reader)
        await rig.begin()
        await caught_up(rig, reader)
        await rig.journal.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await rig.end()
        await caught_up(rig, reader)
        assert lost


async def test_many_followers_share_a_read(redis_url: str) -> None:
    """A hundred readers of one place cost a few reads, not a hundred."""
    async with rig_at(redis_url) as rig:
        await rig.begin()
        await rig.say(20)
        before = (await rig.journal.redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
        readers = [Reader() for _ in range(100)]
        for reader in readers:
            rig.follow(reader)
        for reader in readers:
            await caught_up(rig, reader)
            assert len(reader.got) == 21
        after = (await rig.journal.redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
        looks = 100  # of caught_up itself
        assert after - before - looks < 20


@pytest.mark.parametrize("between", ["nothing", "an event", "a tailful", "a lost subscription"])
async def test_who_comes_in_the_same_moment_reads_nothing(
    redis_url: str, between: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that another reader was given just now is read no second time, and what it lacks was
    heard; but not where that cannot be known, and nobody else's page."""
    monkeypatch.setattr(emitter_topic, "KEPT_PAGE_S", 600)
    async with rig_at(redis_url) as rig:
        await rig.begin()
        await rig.say(3)
        first, second = Reader(), Reader()
        rig.emitter.open("u")  # another is on its way
        topic = await rig.open(first)
        await caught_up(rig, first)
        if between == "an event":
            await rig.say()
        elif between == "a tailful":
            await rig.say(100)
        elif between == "a lost subscription":
            generation = topic.generation
            assert first.following is not None
            rig.emitter.leave(first.following)  # or it would read again
            await rig.drop_subscriptions()
            await rig.say()
            await eventually(lambda: topic.generation > generation, "subscribed again")
        page = rig.emitter.kept_page(topic, owner="ann", after=None)
        assert (page is None) == (between == "a lost subscription")
        assert rig.emitter.kept_page(topic, owner="bob", after=None) is None
        assert rig.emitter.kept_page(topic, owner="ann", after=first.positions[0]) is None
        await rig.open(second)
        await caught_up(rig, second)
        assert [p.seq for p in second.positions] == list(range(1, second.positions[-1].seq + 1))


@pytest.mark.parametrize("others", [0, 1])
async def test_a_page_stays_for_a_moment(
    redis_url: str, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only where others come for it: it is memory."""
    kept: list[Page | None] = []
    keep = Topic.keep_page
    monkeypatch.setattr(emitter_topic, "KEPT_PAGE_S", 0.01)

    def keeping(topic: Topic, key: ReadKey, page: Page) -> None:
        keep(topic, key, page)
        kept.append(topic.page and topic.page[1])

    monkeypatch.setattr(Topic, "keep_page", keeping)
    async with rig_at(redis_url) as rig:
        await rig.begin()
        for _ in range(others):
            rig.emitter.open("u")
        topic = await rig.open(Reader())
        assert [page is not None for page in kept] == [others > 0]
        await eventually(
            lambda: rig.emitter.kept_page(topic, owner="ann", after=None) is None, "it is dropped"
        )


async def test_a_slow_follower_catches_up_in_one_piece(redis_url: str) -> None:
    """While it takes its time nobody queues for it; then it gets all it lacks joined."""
    async with rig_at(redis_url) as rig:
        reader, quick = Reader(), Reader()
        topic = rig.follow(reader)
        rig.follow(quick)
        await rig.begin()
        await caught_up(rig, reader)
        reader.free.clear()
        await rig.say(200)
        await caught_up(rig, quick)
        assert len(reader.got) < 5
        assert len(topic.tail) <= 64
        writes = reader.writes
        reader.free.set()
        await caught_up(rig, reader)
        assert contiguous(reader)
        assert reader.writes - writes <= 4


async def test_a_rewound_log_is_a_reset(redis_url: str) -> None:
    """A failover that takes a log back under the same epoch is noticed by what it holds."""
    async with rig_at(redis_url) as rig:
        reader = Reader()
        rig.follow(reader)
        await rig.begin()
        saved = await rig.saved()
        await rig.say(1)
        await caught_up(rig, reader)
        await rig.rewrite(saved)
        await rig.drop_subscriptions()
        await rig.say(1)
        await eventually(lambda: reader.got[-1][0] == "reset", "the reader was told")
        page = await rig.journal.head("u")
        assert page is not None
        assert page.last is not None
        assert reader.got[-1][1].raw == page.last.raw


async def test_lost_data_is_a_reset_with_the_new_epoch(redis_url: str) -> None:
    """Redis back empty: the next event of the writer begins a new epoch, told as a reset."""
    async with rig_at(redis_url, absent="wait") as rig:
        reader = Reader()
        rig.follow(reader)
        await rig.begin()
        await rig.say(3)
        await caught_up(rig, reader)
        await rig.journal.redis.flushall()
        await rig.drop_subscriptions()
        await rig.say(2)
        await caught_up(rig, reader)
        assert "reset" in [kind for kind, _ in reader.got]
        assert contiguous(reader)
        assert len({position.epoch for position in reader.positions}) == 2


async def test_a_rewound_log_is_noticed_by_what_is_published(redis_url: str) -> None:
    """Without a lost subscription too: a frame comes at a place where another one was heard."""
    async with rig_at(redis_url) as rig:
        reader = Reader()
        rig.follow(reader)
        await rig.begin()
        saved = await rig.saved()
        await rig.say(3)
        await caught_up(rig, reader)
        await rig.rewrite(saved)
        await rig.say(1)
        await rig.end()
        await caught_up(rig, reader)
        (_, last) = reader.got[-1]
        assert last.terminal
        assert last.position.seq == 3
        assert "reset" in [kind for kind, _ in reader.got]
        assert contiguous(reader)


async def test_a_rewound_log_that_ends_early_ends_its_followers(redis_url: str) -> None:
    """The end comes before the position that a follower had, and nothing comes after it."""
    async with rig_at(redis_url) as rig:
        reader = Reader()
        topic = rig.follow(reader)
        await rig.begin()
        saved = await rig.saved()
        await rig.say(3)
        await caught_up(rig, reader)
        topic.tail.clear()  # what it had was read, not heard
        await rig.rewrite(saved)
        await rig.end()
        await caught_up(rig, reader)
        assert reader.got[-1][1].terminal


async def test_what_is_heard_during_a_read_is_not_forgotten(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis came back empty; between a follower's read and its answer one more frame is heard."""
    async with rig_at(redis_url, absent="wait") as rig:
        reader = Reader()
        topic = rig.follow(reader)
        await rig.begin()
        await rig.say(3)
        await caught_up(rig, reader)
        epoch = reader.positions[-1].epoch
        read = rig.journal.read
        heard: list[Position] = []

        async def slow_read(*args: Any, **how: Any) -> Any:
            page = await read(*args, **how)
            if isinstance(page, Page) and page.end.epoch != epoch and not heard:
                heard.append(page.end)
                await rig.end()
                await eventually(lambda: topic.tail and topic.tail[-1].terminal, "it is heard")
            return page

        monkeypatch.setattr(rig.journal, "read", slow_read)
        await rig.journal.redis.flushall()
        await rig.drop_subscriptions()
        await rig.say(1)
        await eventually(lambda: reader.got[-1][1].terminal, "the reader has the end")
        assert heard
        assert contiguous(reader)


async def test_a_rewind_during_a_read_is_not_missed(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log was rewound and has ended before its older state, on its way, is taken over."""
    async with rig_at(redis_url) as rig:
        await rig.begin()
        saved = await rig.saved()
        await rig.say(3)
        topic = rig.emitter.open("u")
        read = rig.journal.read
        rewound: list[Position] = []

        async def slow_read(*args: Any, **how: Any) -> Any:
            page = await read(*args, **how)
            if not rewound:
                rewound.append(page.end)
                await rig.say(1)
                await eventually(lambda: topic.tail, "it is heard")
                await rig.rewrite(saved)
                await rig.end()
                await eventually(lambda: topic.tail[-1].terminal, "it is heard")
            return page

        monkeypatch.setattr(rig.journal, "read", slow_read)
        reader = Reader()
        rig.follow(reader)
        await eventually(lambda: reader.got and reader.got[-1][1].terminal, "it has the end")
        assert contiguous(reader)


async def test_a_foreigner_is_shut_out(redis_url: str) -> None:
    """A journal that is another's is closed to the follower before it saw anything."""
    async with rig_at(redis_url) as rig:
        await rig.begin()
        bob = Reader(owner="bob")
        rig.follow(bob)
        await eventually(lambda: bob.closed, "bob was shut out")
        assert not bob.got


async def test_a_forgotten_position_is_gone(redis_url: str) -> None:
    """A position in a journal that is not there is asked about, and then gone."""
    async with rig_at(redis_url) as rig:
        reader = Reader(cursor=Position("abcd", 3))
        rig.follow(reader)
        await eventually(lambda: reader.is_gone, "the reader was told")
        assert await rig.journal.head("u") is None


async def test_a_position_at_the_end_is_told_so(redis_url: str) -> None:
    """There is nothing to give after the last frame, and nothing to wait for."""
    async with rig_at(redis_url) as rig:
        await rig.begin()
        await rig.end()
        whole, late = Reader(), Reader()
        rig.follow(whole)
        await eventually(lambda: whole.got and whole.got[-1][1].terminal, "the reader has the end")
        late.cursor = whole.positions[-1]
        rig.follow(late)
        await eventually(lambda: late.is_at_end, "the late one was told")
        assert (late.got, whole.is_at_end) == ([], False)


def waiting_for(reader: Reader) -> Callable[[], bool]:
    return lambda: reader.following is not None and reader.following.waits is not None


@pytest.mark.parametrize("broken", [False, True])
async def test_without_a_claim_a_follower_waits(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """Where no journal is and none may be claimed, it is not told that the upload is gone. It gets
    everything once somebody begins, by what is heard: it reads once before and at most twice after,
    and once for each new subscription."""
    monkeypatch.setattr(catching_up, "LOOK_AGAIN_S", 3600)
    async with rig_at(redis_url) as rig:
        reader, reads = Reader(), rig.emitter._metrics.rereads._value
        topic = rig.follow(reader, claims=False)
        await eventually(waiting_for(reader), "it has looked")
        if broken:
            generation = topic.generation
            await rig.drop_subscriptions()
            await eventually(lambda: topic.generation > generation, "it is subscribed again")
            await eventually(lambda: reads.get() == 2, "it looks again")
            await eventually(waiting_for(reader), "it has looked again")
        assert reads.get() == 1 + broken
        assert not reader.is_gone
        assert await rig.journal.head("u") is None
        await rig.begin()
        await caught_up(rig, reader)
        assert [p.seq for p in reader.positions] == [1]
        assert reads.get() <= 3 + broken


async def test_who_leaves_waits_no_more(redis_url: str) -> None:
    """Nothing is left of a follower of an upload that never begins."""
    async with rig_at(redis_url) as rig:
        reader = Reader()
        topic = rig.follow(reader, claims=False)
        await eventually(waiting_for(reader), "it has looked")
        assert reader.following is not None
        rig.emitter.leave(reader.following)
        rig.emitter.release(topic)
        tasks = rig.emitter._background._tasks
        await eventually(lambda: not tasks, "its task has ended")


async def test_topics_do_not_stay(redis_url: str) -> None:
    """After its last follower a topic lingers and is then unsubscribed; it can come back."""
    async with rig_at(redis_url) as rig:
        await rig.begin()
        for _ in range(2):
            reader = Reader()
            topic = rig.follow(reader)
            await caught_up(rig, reader)
            assert reader.following is not None
            rig.emitter.leave(reader.following)
            rig.emitter.release(topic)
            await eventually(lambda: not rig.emitter._topics, "the topic is gone")

        async def unsubscribed() -> bool:
            channels = await rig.journal.redis.pubsub_channels("sp:{*")
            return not channels

        await eventually(unsubscribed, "the channel is unsubscribed")


async def test_a_watch_waits_for_the_end(redis_url: str) -> None:
    """The follower inside the process: the terminal frame, whenever it comes."""
    async with rig_at(redis_url) as rig:
        await rig.begin()
        waiter = Waiter()
        with watching(rig.emitter, "u", waiter, owner="ann"):
            await rig.say(2)
            assert not waiter.ended
            await rig.end()
            frame = await asyncio.wait_for(waiter.end(), 60)
        assert frame is not None
        assert frame.terminal


# ---- random interleavings


class EmitterMachine(RuleBasedStateMachine):
    """Writers, readers, lost subscriptions, rewinds and lost data in any order."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.context = rig_at(self.url, absent="wait")
        self.rig = self.run(self.context.__aenter__())
        self.run(self.rig.journal.redis.flushall())
        self.readers: list[tuple[Topic, Reader]] = []
        self.saved: list[bytes] | None = None

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, 30))

    @initialize()
    def start(self) -> None:
        self.follow()
        self.run(self.rig.begin())

    @rule(count=st.integers(1, 4))
    def say(self, count: int) -> None:
        self.run(self.rig.say(count))

    @rule(count=st.integers(5, 90))
    def say_at_once(self, count: int) -> None:
        """Many in one batch, also more than a tail holds."""

        async def many() -> None:
            writer = self.rig.writer
            futures = [writer._append(self.rig.draft("receiving", 1)) for _ in range(count)]
            await asyncio.gather(*futures)

        self.run(many())

    @rule(opened=st.booleans())
    def follow(self, opened: bool = False) -> None:
        self.run(self._follow(Reader(), opened))

    async def _follow(self, reader: Reader, opened: bool) -> None:
        topic = await self.rig.open(reader) if opened else self.rig.follow(reader)
        self.readers.append((topic, reader))

    @rule(which=st.integers(0, 9), opened=st.booleans())
    def come_back(self, which: int, opened: bool) -> None:
        """A reader hangs up and presents its position again."""
        _, old = self.readers[which % len(self.readers)]
        if old.positions:
            self.run(self._follow(Reader(cursor=old.positions[-1]), opened))

    @rule(which=st.integers(0, 9), slow=st.booleans())
    def dawdle(self, which: int, slow: bool) -> None:
        free = self.readers[which % len(self.readers)][1].free
        if slow:
            free.clear()
        else:
            free.set()

    @rule()
    def drop(self) -> None:
        self.run(self.rig.drop_subscriptions())

    @rule()
    def save(self) -> None:
        self.saved = self.run(self.rig.saved())

    @rule(drop=st.booleans())
    def rewind(self, drop: bool) -> None:
        """An older state comes back; after a real failover, subscriptions are gone as well."""
        if self.saved is None or None in self.saved:
            return
        self.run(self.rig.rewind(self.saved))
        if drop:
            self.run(self.rig.drop_subscriptions())

    @rule(drop=st.booleans())
    def lose(self, drop: bool) -> None:
        self.run(self.rig.journal.redis.flushall())
        if drop:
            self.run(self.rig.drop_subscriptions())

    @rule(seconds=st.sampled_from([0, 0.001, 0.02]))
    def pause(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    def teardown(self) -> None:
        try:
            for _, reader in self.readers:
                reader.free.set()
            self.run(self.rig.say(1))
            self.run(self.rig.end())
            for _, reader in self.readers:
                self.run(caught_up(self.rig, reader))
            page = self.run(self.rig.journal.read("u", limit=10_000))
            final = {frame.position: frame.raw for frame in page.frames}
            for _, reader in self.readers:
                assert not reader.closed
                assert contiguous(reader), [(k, str(f.position)) for k, f in reader.got]
                # From the last reset on, every frame is the journal's own, to the byte.
                kinds = [kind for kind, _ in reader.got]
                since = len(kinds) - 1 - kinds[::-1].index("reset") if "reset" in kinds else 0
                for _, frame in reader.got[since:]:
                    assert final[frame.position] == frame.raw
                assert reader.got[-1][1].terminal
        finally:
            self.run(self.context.__aexit__(None, None, None))
            self.loop.close()


def test_every_reader_reads_the_journal(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any interleaving each reader sees one unbroken run of the journal, or a reset into it."""
    EmitterMachine.url = redis_url
    monkeypatch.setattr(emitter_topic, "KEPT_PAGE_S", 600)  # the older a page, the more it lacks
    random.seed(1)
    run_state_machine_as_test(
        EmitterMachine,
        settings=settings(
            max_examples=40,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
