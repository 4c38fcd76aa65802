"""The journal on a real Redis, held against a short model of what it promises."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sse_progress.journal.append_batcher import Answer
from sse_progress.journal.frames import Foreign, Page
from sse_progress.journal.journal import Journal
from sse_progress.journal.redis_age import redis_age_s
from sse_progress.journal.scripts import APPEND, APPEND_OPTIONAL, READ, Script
from sse_progress.model.events import Draft, Error, decode_json, tags_of
from sse_progress.model.ids import Position
from sse_progress.model.stage_table import DEFAULT_TABLE, percent
from sse_progress.runtime.concurrency import beside
from sse_progress.runtime.redis.client import connect
from sse_progress.runtime.redis.keys import journal_channel, journal_keys
from tests.helpers.waiting import eventually

ID = "machine"


@asynccontextmanager
async def journal_at(url: str, **how: Any) -> AsyncIterator[Journal]:
    redis = connect(url)
    journal = Journal(redis, **how)
    async with beside(journal.appends.run()):
        yield journal
    await redis.aclose()


def draft(stage: str, stage_progress: int = 0) -> Draft:
    error = Error("internal", "it failed", "analyzing") if stage == "error" else None
    return Draft(stage=stage, stage_progress=stage_progress, message="testing", error=error)


async def whole(journal: Journal, upload_id: str) -> Page:
    page = await journal.read(upload_id, limit=10_000)
    assert isinstance(page, Page)
    return page


async def begin(journal: Journal, upload_id: str = ID, owner: str = "ann") -> Answer:
    return await journal.begin(upload_id, owner=owner, draft=draft("receiving"), lease_s=10)


async def say(journal: Journal, fence: int, n: int, event: Draft, **how: Any) -> Answer:
    return await journal.operation(
        "next", ID, owner="ann", fence=fence, numbers=iter([n]), draft=event, **how
    )


# ---- single facts


async def test_a_claim_is_one_owners(redis_url: str) -> None:
    """Whoever asks first owns the id; others learn nothing but that it is not theirs."""
    async with journal_at(redis_url) as journal:
        pages = await asyncio.gather(
            *(journal.read(ID, owner=f"user{n}", claim=True) for n in range(20))
        )
        mine = [page for page in pages if isinstance(page, Page)]
        assert len(mine) == 1
        assert sum(isinstance(page, Foreign) for page in pages) == 19
        assert (await begin(journal, owner="nobody")).status == "forbidden"


async def events(journal: Journal) -> list[dict[str, Any]]:
    page = await journal.read(ID, owner="ann", limit=100)
    assert isinstance(page, Page)
    return [decode_json(frame.data) for frame in page.frames]


async def test_tags_are_in_every_event_from_the_first_that_has_them(redis_url: str) -> None:
    """Also in events of others, who do not know them, and after Redis has lost the journal."""
    name = 'a "b" \u2028 Größe.txt'
    tags = tags_of(filename=name)
    async with journal_at(redis_url) as journal:
        fence = (await begin(journal)).fence
        await say(journal, fence, 2, draft("receiving", 1), tags=tags)
        await say(journal, fence, 3, draft("receiving", 2))
        assert [event.get("filename") for event in await events(journal)] == [None, name, name]
        await journal.redis.flushall()
        await say(journal, fence, 4, draft("receiving", 3), tags=tags)
        await journal.cancel(ID, owner="ann", draft=draft("cancelled"))
        assert [event.get("filename") for event in await events(journal)] == [name, name]


@pytest.mark.parametrize("stage", ["receiving", "analyzing", ""])
async def test_the_journal_fills_in_the_stage_of_an_error(redis_url: str, stage: str) -> None:
    """An end that does not know the stage has the one in which it found the journal."""
    end = Draft(
        stage="cancelled", stage_progress=0, message="m", error=Error("cancelled", 'why "x"}}')
    )
    async with journal_at(redis_url) as journal:
        if stage:
            fence = (await begin(journal)).fence
            await say(journal, fence, 2, draft(stage, 1))
        else:
            await journal.read(ID, owner="ann", claim=True)
        await journal.cancel(ID, owner="ann", draft=end)
        assert (await events(journal))[-1]["error"] == {
            "code": "cancelled",
            "detail": 'why "x"}}',
            "stage": stage or "receiving",
        }


def test_scripts_take_their_arguments_by_name() -> None:
    """No script counts its arguments, and each name that it uses is declared."""
    folder = files("sse_progress.journal") / "lua"
    for name, names, optional in (("append", APPEND, APPEND_OPTIONAL), ("read", READ, ())):
        text = (folder / f"{name}.lua").read_text()
        code = "\n".join(line.partition("--")[0] for line in text.splitlines())
        assert "ARGV" not in code
        assert set(re.findall(r"\bA\.(\w+)", code)) == {*names, *optional}
        with pytest.raises(KeyError):
            Script(name, names[1:], optional=optional)
        with pytest.raises(KeyError):
            Script(name, names, optional=optional).arguments({})


def test_arguments_that_say_nothing_are_not_sent() -> None:
    """An optional one that is left out between others is empty; behind the last it is absent."""
    script = Script("append", APPEND, optional=APPEND_OPTIONAL)
    needed = dict.fromkeys(APPEND, 1)
    count = len(APPEND)
    assert script.arguments(needed) == [1] * count
    one = {**needed, APPEND_OPTIONAL[2]: 3}
    assert script.arguments(one) == [1] * count + [b"", b"", 3]
    with pytest.raises(KeyError):
        script.arguments({**needed, "no_such_argument": 1})


async def test_a_claim_expires_and_a_begun_upload_does_not(redis_url: str) -> None:
    """A pending claim lives as long as it is told; keeping it never shortens a longer life."""
    async with journal_at(redis_url) as journal:
        meta = journal_keys(ID)[0]
        await journal.read(ID, owner="ann", claim=True)
        assert 590 <= await journal.redis.ttl(meta) <= 600
        await begin(journal)
        await journal.keep_claim(ID)
        assert await journal.redis.ttl(meta) > 600


async def test_reading_without_a_claim_makes_nothing(redis_url: str) -> None:
    """A plain read of an unknown id leaves no key behind."""
    async with journal_at(redis_url) as journal:
        assert await journal.read(ID, owner="ann") is None
        assert await journal.redis.dbsize() == 0


async def test_of_two_beginnings_one_wins(redis_url: str) -> None:
    """`begin` is one transition, however many try at once."""
    async with journal_at(redis_url) as journal:
        answers = await asyncio.gather(*(begin(journal) for _ in range(20)))
        statuses = sorted(answer.status for answer in answers)
        assert statuses == ["in_use"] * 19 + ["ok"]
        assert (await whole(journal, ID)).end.seq == 1


async def test_every_key_has_a_life(redis_url: str) -> None:
    """No key is for ever: an open journal's is long, an ended one's a day."""
    async with journal_at(redis_url) as journal:
        answer = await begin(journal)
        for key in journal_keys(ID):
            assert await journal.redis.ttl(key) > 6 * 24 * 3600
        await say(journal, answer.fence, 2, draft("error"))
        for key in journal_keys(ID):
            assert 0 < await journal.redis.ttl(key) <= 24 * 3600


async def test_events_of_an_open_journal_lengthen_its_life_once_an_hour(redis_url: str) -> None:
    """By the hour of the event before; what a new telling begins with has a life at once."""
    async with journal_at(redis_url) as journal:
        answer = await begin(journal)
        meta, log = journal_keys(ID)
        hour_ms = 3_600_000  # time does not go back: after an event of the future comes one of then
        for number, moved, renewed in ((2, 2 * hour_ms, False), (3, -4 * hour_ms, True)):
            await journal.redis.hincrby(meta, "ts", moved)
            for key in (meta, log):
                await journal.redis.expire(key, 1000)
            assert (await say(journal, answer.fence, number, draft("analyzing"))).status == "ok"
            for key in (meta, log):
                assert (await journal.redis.ttl(key) > 1000) == renewed
        await journal.redis.expire(meta, 1000)
        assert (await say(journal, answer.fence, 9, draft("analyzing"))).status == "new"
        for key in (meta, log):
            assert await journal.redis.ttl(key) > 1000
        taken = await journal.take(ID, owner="ann", seen=Position("lost", 99))
        assert taken.status == "new"
        assert (await say(journal, taken.fence, 1, draft("analyzing"))).status == "ok"
        assert await journal.redis.ttl(log) > 1000


async def test_journals_of_refused_uploads_may_go_earlier(redis_url: str) -> None:
    """Where it is set; all others stay as long as ever."""
    for end, least_s in (("error", 3500), ("cancelled", 86300)):
        async with journal_at(redis_url, refused_ttl_s=3600) as journal:
            await journal.redis.flushdb()
            answer = await begin(journal)
            await say(journal, answer.fence, 2, draft(end))
            for key in journal_keys(ID):
                assert least_s < await journal.redis.ttl(key) <= least_s + 100


async def test_times_are_the_servers_and_never_go_back(redis_url: str) -> None:
    """Timestamps are RFC 3339 with milliseconds, of Redis' clock, and monotonic."""
    async with journal_at(redis_url) as journal:
        before = datetime.now(UTC) - timedelta(seconds=1)
        answer = await begin(journal)
        after = datetime.now(UTC) + timedelta(seconds=1)
        for n in range(2, 30):
            await say(journal, answer.fence, n, draft("receiving", n))
        page = await whole(journal, ID)
        stamps = [decode_json(frame.data)["timestamp"] for frame in page.frames]
        assert stamps == sorted(stamps)
        read = [datetime.fromisoformat(stamp) for stamp in stamps]
        assert all(stamp.endswith("Z") and len(stamp) == 24 for stamp in stamps)
        assert before <= read[0] <= after


@pytest.mark.parametrize(
    "seconds", [0, 951_782_399, 951_782_400, 1_709_164_800, 4_107_542_399, 4_107_542_400]
)
async def test_dates_are_right_at_their_edges(redis_url: str, seconds: int) -> None:
    """Leap days and centuries: Lua's date agrees with Python's."""
    async with journal_at(redis_url) as journal:
        source = journal.appends._script.source
        code = source[: source.index("local function load_meta")].replace("KEYS", "({1,2})")
        got = await journal.redis.eval(
            code + "return rfc3339(tonumber(ARGV[1]))", 0, seconds * 1000
        )
        wanted = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        assert got.decode() == wanted


async def test_a_stage_result_comes_with_its_end(redis_url: str) -> None:
    """One call: either both are there or neither."""
    async with journal_at(redis_url) as journal:
        await begin(journal)
        taken = await journal.take(ID, owner="ann")
        await say(
            journal, taken.fence, 1, draft("validating", 100), result=("validating", b'{"a":1}')
        )
        assert await journal.results(ID) == {"validating": b'{"a":1}'}


async def test_two_events_are_told_in_one_step(redis_url: str) -> None:
    """Both are in the journal and on the channel, in their order, under one number: sent again they
    are known; of one that was told before only the other is left."""
    async with journal_at(redis_url) as journal:
        fence = (await begin(journal)).fence
        ended, stored = draft("receiving", 100), draft("file_received", 100)
        async with journal.redis.pubsub() as heard:
            await heard.subscribe(journal_channel(ID))
            await heard.get_message(timeout=60)
            for status in ("ok", "dup"):
                answer = await say(journal, fence, 2, ended, then=stored, about=b"{}")
                assert (answer.status, answer.seq) == (status, 3)
            for seq in (2, 3):
                message = await heard.get_message(ignore_subscribe_messages=True, timeout=60)
                assert message is not None
                assert f"-{seq}\n".encode() in message["data"]
        told = [(event["stage"], event["stageProgress"]) for event in await events(journal)]
        assert told == [("receiving", 0), ("receiving", 100), ("file_received", 100)]
        assert (await say(journal, fence, 3, draft("validating", 100))).status == "ok"
        both = await say(journal, fence, 4, draft("validating", 100), then=draft("analyzing", 0))
        assert (both.status, both.seq) == ("ok", 5)
        assert [event["stage"] for event in await events(journal)][-2:] == [
            "validating",
            "analyzing",
        ]


async def test_a_sweep_respects_the_living(redis_url: str) -> None:
    """A journal whose writer moved on, or whose lease runs, is not swept."""
    async with journal_at(redis_url) as journal:
        answer = await begin(journal)
        lost = draft("error")
        assert (await journal.sweep(ID, fence=answer.fence, draft=lost)).status == "busy"
        await journal.redis.hset(journal_keys(ID)[0], "lease", 0)
        assert (await journal.sweep(ID, fence=answer.fence - 1, draft=lost)).status == "busy"
        assert (await journal.sweep(ID, fence=answer.fence, draft=lost)).status == "ok"
        assert (await whole(journal, ID)).term == "error"
        assert (await say(journal, answer.fence, 2, draft("receiving", 50))).status == "stale"


async def test_a_revived_end_is_a_new_epoch(redis_url: str) -> None:
    """A finished upload whose journal is gone is told again, once, to its owner."""
    async with journal_at(redis_url) as journal:
        end = Draft(stage="complete", stage_progress=100, message="done", media={"id": ID})
        assert (await journal.revive(ID, owner="ann", draft=end)).status == "ok"
        assert (await journal.revive(ID, owner="ann", draft=end)).status == "in_use"
        page = await whole(journal, ID)
        assert [decode_json(frame.data)["stage"] for frame in page.frames] == ["complete"]
        assert isinstance(await journal.read(ID, owner="bob"), Foreign)


async def test_a_young_redis_says_so(redis_url: str) -> None:
    """An emptied server is as young as its data."""
    async with journal_at(redis_url) as journal:
        assert await redis_age_s(journal.redis) == 0.0
        await journal.redis.set("sp:birth", 1)
        await eventually(lambda: redis_age_s(journal.redis), "the server has been up for a second")


# ---- the state machine


@dataclass
class Writer:
    """A writer as it knows itself: its fence, and how far it has counted."""

    fence: int
    n: int = 0
    last: tuple[int, Draft] | None = None


@dataclass
class Model:
    """What the journal should hold."""

    epochs: int = 0
    fence: int = 0
    n: int = 0
    events: list[tuple[str, int, int]] = field(default_factory=list)
    stage: str = ""
    p: int = 0
    sp: int = 0
    term: str = ""
    exists: bool = False

    def copy(self) -> Model:
        return Model(**{**self.__dict__, "events": list(self.events)})

    def new_epoch(self) -> None:
        self.epochs += 1
        self.events, self.stage, self.p, self.sp, self.term = [], "", 0, 0, ""

    def add(self, event: Draft, *, first: bool = False) -> None:
        row = DEFAULT_TABLE[event.stage]
        rank = DEFAULT_TABLE[self.stage].rank if self.stage else 0
        shown = self.stage == event.stage
        self.n += 1
        if not row.terminal and (row.rank < rank or (shown and (first or self.sp == 100))):
            return
        sp = max(event.stage_progress, self.sp) if shown else event.stage_progress
        p = percent(event.stage, sp)
        if event.stage not in ("error", "cancelled"):
            p = max(p, self.p)
        self.stage, self.p, self.sp = event.stage, p, sp
        self.events.append((event.stage, p, sp))
        if row.terminal:
            self.term = event.stage


OPEN_STAGES = [name for name, row in DEFAULT_TABLE.items() if not row.terminal]
EVENTS = st.builds(
    draft, st.sampled_from([*OPEN_STAGES, *OPEN_STAGES, "complete", "error"]), st.integers(0, 100)
)


class JournalMachine(RuleBasedStateMachine):
    """Twin writers, retries, cancellations, rewinds and lost data against `Model`."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.redis = connect(self.url)
        self.run(self.redis.flushall())
        counter = itertools.count(1)
        self.journal = Journal(self.redis, epoch=lambda: f"e{next(counter)}")
        self.delivery = self.loop.create_task(self.journal.appends.run())
        self.model = Model()
        self.writers: list[Writer] = []
        self.saved: tuple[Model, list[bytes | None]] | None = None

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, 60))

    def teardown(self) -> None:
        self.delivery.cancel()
        self.loop.run_until_complete(asyncio.wait([self.delivery]))
        self.loop.run_until_complete(self.redis.aclose())
        self.loop.close()

    @initialize()
    def start(self) -> None:
        answer = self.run(begin(self.journal))
        assert answer.status == "ok"
        self.model = Model(epochs=1, fence=answer.fence, exists=True)
        self.model.add(draft("receiving"), first=True)
        self.writers.append(Writer(fence=answer.fence, n=1))

    # -- writers

    @rule(event=EVENTS, first=st.booleans(), which=st.integers(0, 7))
    def append(self, event: Draft, first: bool, which: int) -> None:
        writer = self.writers[which % len(self.writers)]
        writer.n += 1
        writer.last = (writer.n, event)
        answer = self.run(say(self.journal, writer.fence, writer.n, event, first=first))
        self._expect(writer, writer.n, event, answer, first=first)

    @rule(which=st.integers(0, 7))
    def retry(self, which: int) -> None:
        """A writer that heard nothing sends its last event again, with the same number."""
        writer = self.writers[which % len(self.writers)]
        if writer.last is None:
            return
        n, event = writer.last
        answer = self.run(say(self.journal, writer.fence, n, event))
        self._expect(writer, n, event, answer, first=False)

    def _expect(self, writer: Writer, n: int, event: Draft, answer: Answer, *, first: bool) -> None:
        model = self.model
        if model.exists and writer.fence < model.fence:
            assert answer.status == "stale"
        elif model.exists and writer.fence == model.fence and n <= model.n:
            assert answer.status == "dup"
        elif model.exists and model.term:
            assert answer.status == "ended"
            assert answer.term == model.term
        else:
            lost = not model.exists or writer.fence > model.fence or n > model.n + 1
            if lost:
                model.new_epoch()
                model.exists = True
                model.fence, model.n = writer.fence, n - 1
            model.add(event, first=first)
            assert answer.status == "new" if lost else answer.status in ("ok", "skip")

    @rule()
    def take(self) -> None:
        answer = self.run(self.journal.take(ID, owner="ann"))
        model = self.model
        if model.exists and model.term:
            assert answer.status == "ended"
            return
        if not model.exists:
            model.new_epoch()
            model.exists = True
            assert answer.status == "new"
        else:
            assert answer.status == "ok"
        self._taken(answer)

    def _taken(self, answer: Answer) -> None:
        """Older writers are refused from now on, also those that Redis knows nothing of."""
        assert answer.fence > max(writer.fence for writer in self.writers)
        self.model.fence, self.model.n = answer.fence, 0
        self.writers.append(Writer(fence=answer.fence))

    @rule(ahead=st.integers(-3, 3))
    def take_having_seen(self, ahead: int) -> None:
        """A worker that knows of a later position than the journal has begins a new epoch."""
        model = self.model
        if not model.exists or model.term:
            return
        page = self.run(whole(self.journal, ID))
        seen = Position(page.end.epoch, max(page.end.seq + ahead, 0))
        answer = self.run(self.journal.take(ID, owner="ann", seen=seen))
        if seen.seq > page.end.seq:
            model.new_epoch()
            assert answer.status == "new"
        else:
            assert answer.status == "ok"
        self._taken(answer)

    @rule()
    def cancel(self) -> None:
        answer = self.run(self.journal.cancel(ID, owner="ann", draft=draft("cancelled")))
        model = self.model
        if not model.exists:
            assert answer.status == "unknown"
        elif model.term:
            assert answer.status == "ended"
        else:
            assert answer.status == "ok"
            model.fence, model.n = answer.fence, 0
            model.add(draft("cancelled"))

    # -- Redis

    @rule()
    def save(self) -> None:
        dumps = [self.run(self.redis.dump(key)) for key in journal_keys(ID)]
        self.saved = (self.model.copy(), dumps)

    @precondition(lambda self: self.saved is not None)
    @rule()
    def rewind(self) -> None:
        """An older copy of the data is put back."""
        assert self.saved is not None
        model, dumps = self.saved
        for key, dump in zip(journal_keys(ID), dumps, strict=True):
            self.run(self.redis.delete(key))
            if dump is not None:
                self.run(self.redis.restore(key, 1_000_000, dump, replace=True))
        epochs = self.model.epochs
        self.model = model.copy()
        self.model.epochs = epochs

    @rule(which=st.integers(0, 7))
    def forget_one(self, which: int) -> None:
        """Redis acknowledged an event and lost it: the writer has counted on."""
        self.writers[which % len(self.writers)].n += 1

    @rule()
    def lose(self) -> None:
        self.run(self.redis.flushall())
        self.model = Model(epochs=self.model.epochs)

    # -- what always holds

    @invariant()
    def is_as_modelled(self) -> None:
        page = self.run(self.journal.read(ID, limit=10_000))
        if not self.model.exists:
            assert page is None
            return
        assert page.end.seq == len(self.model.events)
        assert [frame.position.seq for frame in page.frames] == list(range(1, page.end.seq + 1))
        assert {frame.position.epoch for frame in page.frames} <= {page.end.epoch}
        told = [decode_json(frame.data) for frame in page.frames]
        assert [(e["stage"], e["progress"], e["stageProgress"]) for e in told] == self.model.events
        assert page.term == self.model.term
        assert [frame.terminal for frame in page.frames].count(True) == bool(self.model.term)
        ranks = [DEFAULT_TABLE[event["stage"]].rank for event in told]
        assert ranks == sorted(ranks)


def test_the_journal_keeps_its_promises(redis_url: str) -> None:
    """Whatever writers and Redis do, the log is what the model says, event by event."""
    JournalMachine.url = redis_url
    run_state_machine_as_test(
        JournalMachine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
