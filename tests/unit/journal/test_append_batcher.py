"""Delivery: every operation reaches Redis once and in its order, whatever the connection does."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from sse_progress.journal.append_batcher import Answer
from sse_progress.journal.frames import Page
from sse_progress.journal.journal import Journal
from sse_progress.model.events import Draft, decode_json
from sse_progress.runtime.concurrency import beside
from sse_progress.runtime.redis.client import connect, linked
from sse_progress.runtime.redis.keys import journal_keys
from tests.helpers.cutting import cutting
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually

BY_LINK = ContextVar("by_link", default=False)


@pytest.fixture(autouse=True, params=["by the pool", "by the link"])
def way(request: pytest.FixtureRequest) -> None:
    """Each of these facts holds for both ways to Redis."""
    BY_LINK.set(request.param == "by the link")


@asynccontextmanager
async def journal_at(url: str, *, delivering: bool = True) -> AsyncIterator[Journal]:
    redis = connect(url)
    journal = Journal(redis)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(redis.aclose)
        link = linked(redis, url) if BY_LINK.get() else None
        if link is not None:
            await stack.enter_async_context(beside(link.run()))
            await eventually(lambda: link.takes, "the link is connected")
        if delivering:
            await stack.enter_async_context(beside(journal.appends.run()))
        yield journal


def draft(text: str, stage: str = "receiving") -> Draft:
    return Draft(stage=stage, stage_progress=0, message=text)


class Teller:
    """One upload's writer: numbered events whose texts count up."""

    def __init__(self, journal: Journal, upload_id: str, answer: Answer) -> None:
        self.upload_id, self.epoch = upload_id, answer.epoch
        self._journal, self._fence = journal, answer.fence
        self._numbers: Iterator[int] = itertools.count(2)
        self._texts = itertools.count(2)

    def tell(self) -> asyncio.Future[Answer]:
        return self._journal.operation(
            "next",
            self.upload_id,
            owner="ann",
            fence=self._fence,
            numbers=self._numbers,
            draft=draft(str(next(self._texts))),
        )


async def begun(journal: Journal, upload_id: str) -> Teller:
    answer = await journal.begin(upload_id, owner="ann", draft=draft("1"), lease_s=60)
    assert answer.status == "ok"
    return Teller(journal, upload_id, answer)


async def texts(journal: Journal, teller: Teller) -> list[int]:
    """The texts of a whole journal, which has to be in its first epoch still."""
    page = await journal.read(teller.upload_id, limit=10_000)
    assert isinstance(page, Page)
    assert page.end.epoch == teller.epoch
    return [int(decode_json(frame.data)["message"]) for frame in page.frames]


# ---- what is delivered


async def test_operations_arrive_in_the_order_of_their_submission(redis_url: str) -> None:
    """More than one batch of several uploads, told at once: each journal counts 1, 2, 3…"""
    async with journal_at(redis_url) as journal:
        tellers = [await begun(journal, f"up-{n}") for n in range(5)]
        answers = await asyncio.gather(*(one.tell() for _ in range(100) for one in tellers))
        assert {answer.status for answer in answers} == {"ok"}
        assert [answer.seq for answer in answers[::5]] == list(range(2, 102))
        for one in tellers:
            assert await texts(journal, one) == list(range(1, 102))


@pytest.mark.parametrize("way", ["by the link"], indirect=True)
async def test_what_is_submitted_in_one_turn_leaves_in_one_batch(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each upload one operation at most, so that none overtakes one that is refused."""
    async with journal_at(redis_url) as journal:
        tellers = [await begun(journal, f"up{n}") for n in range(4)]
        link = journal.redis.link  # type: ignore[attr-defined]
        ask, sent = link.ask, []

        def asked(commands: Sequence[Any]) -> asyncio.Future[list[Any]]:
            sent.append(len(commands))
            return ask(commands)  # type: ignore[no-any-return]

        monkeypatch.setattr(link, "ask", asked)
        told = [teller.tell() for teller in (*tellers, tellers[0])]
        assert sent == []
        await asyncio.gather(*told)
        assert sent == [4, 1]
        await tellers[1].tell()
        assert sent == [4, 1, 1]


async def test_a_server_killed_in_the_middle_of_it_costs_nothing(sure_redis: RedisServer) -> None:
    """Killed while a thousand operations wait, and back: all are there, once, in one epoch."""
    async with journal_at(sure_redis.url) as journal:
        tellers = [await begun(journal, f"up-{n}") for n in range(4)]
        told = [one.tell() for _ in range(250) for one in tellers]
        await eventually(told[100].done, "the first are answered")
        assert not told[-1].done()
        sure_redis.kill()
        await eventually(lambda: not journal.appends.connected, "the loss is noticed")
        sure_redis.start()
        answers = await asyncio.wait_for(asyncio.gather(*told), 60)
        assert {answer.status for answer in answers} <= {"ok", "dup"}
        for one in tellers:
            assert await texts(journal, one) == list(range(1, 252))
        assert journal.appends.connected


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    cuts=st.lists(st.integers(0, 3000), min_size=1, max_size=4),
    order=st.lists(st.sampled_from("abc"), min_size=1, max_size=150),
)
def test_answers_that_are_cut_off_are_asked_for_again(
    redis_server: RedisServer, cuts: list[int], order: list[str]
) -> None:
    """Wherever a pipeline's answers are cut, in whatever order uploads are told: nothing is lost,
    nothing is there twice, nothing changes its place, and no new epoch begins."""

    async def run() -> None:
        redis_server.flush()
        async with cutting(redis_server) as front, journal_at(redis_server.url) as plain:
            tellers = {name: await begun(plain, name) for name in "abc"}
            async with journal_at(front.url) as journal:
                front.cuts = list(cuts)
                for one in tellers.values():
                    one._journal = journal
                await asyncio.wait_for(
                    asyncio.gather(*(tellers[name].tell() for name in order)), 20
                )
            assert front.made >= 1
            for name, one in tellers.items():
                assert await texts(plain, one) == list(range(1, order.count(name) + 2))

    asyncio.run(run())


async def test_a_forgotten_script_is_loaded_again(redis_url: str) -> None:
    """SCRIPT FLUSH, as after a restart or on a new replica, is not noticed by anybody."""
    async with journal_at(redis_url) as journal:
        teller = await begun(journal, "up")
        for _ in range(3):
            await journal.redis.script_flush()
            answers = await asyncio.gather(*(teller.tell() for _ in range(200)))
            assert {answer.status for answer in answers} == {"ok"}
        assert await texts(journal, teller) == list(range(1, 602))


@pytest.mark.parametrize("trouble", ["replica", "full", "no replicas"])
async def test_a_server_that_refuses_to_write_is_waited_for(
    sure_redis: RedisServer, trouble: str
) -> None:
    """In a failover (READONLY, NOREPLICAS) or out of memory: told later, once, and `connected`
    says meanwhile that something waits."""
    on, off = {
        "replica": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
        "full": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        "no replicas": (
            ("CONFIG", "SET", "min-replicas-to-write", "1"),
            ("CONFIG", "SET", "min-replicas-to-write", "0"),
        ),
    }[trouble]
    async with journal_at(sure_redis.url) as journal:
        teller = await begun(journal, "up")
        assert sure_redis.command(*on).startswith(b"+OK")
        told = [teller.tell(), teller.tell()]
        await eventually(lambda: not journal.appends.connected, "the refusal is noticed")
        assert not any(one.done() for one in told)
        assert sure_redis.command(*off).startswith(b"+OK")
        answers = await asyncio.wait_for(asyncio.gather(*told), 60)
        assert [answer.status for answer in answers] == ["ok", "ok"]
        assert await texts(journal, teller) == [1, 2, 3]
        assert journal.appends.connected


async def test_an_error_of_ones_own_is_raised_and_harms_nobody_else(redis_url: str) -> None:
    """What Redis will never take is told to its submitter; the rest of the batch is delivered."""
    async with journal_at(redis_url) as journal:
        teller = await begun(journal, "up")
        await journal.redis.set(journal_keys("broken")[0], "not a hash")
        broken = journal.begin("broken", owner="ann", draft=draft("1"), lease_s=1)
        results = await asyncio.gather(broken, teller.tell(), return_exceptions=True)
        assert isinstance(results[0], ResponseError)
        assert await texts(journal, teller) == [1, 2]


# ---- what is not


async def test_an_abandoned_operation_makes_no_hole_in_the_count(redis_url: str) -> None:
    """Whoever gave up before anything was sent is left out; the next number is the next one's."""
    async with journal_at(redis_url) as journal:
        teller = await begun(journal, "up")
    async with journal_at(redis_url, delivering=False) as journal:
        teller._journal = journal
        one, two, three = teller.tell(), teller.tell(), teller.tell()
        two.cancel()
        async with beside(journal.appends.run()):
            answers = await asyncio.gather(one, three)
        assert [(answer.status, answer.seq) for answer in answers] == [("ok", 2), ("ok", 3)]
        assert await texts(journal, teller) == [1, 2, 4]


async def test_what_was_sent_is_delivered_though_nobody_waits(sure_redis: RedisServer) -> None:
    """A number that may have been taken cannot be left out: it is sent until it is answered."""
    async with journal_at(sure_redis.url) as journal:
        teller = await begun(journal, "up")
        sure_redis.kill()
        told = teller.tell()
        await eventually(lambda: not journal.appends.connected, "it was tried")
        told.cancel()
        sure_redis.start()
        answer = await asyncio.wait_for(teller.tell(), 60)
        assert (answer.status, answer.seq) == ("ok", 3)
        assert await texts(journal, teller) == [1, 2, 3]


async def test_a_beginning_that_nobody_waits_for_is_dropped(sure_redis: RedisServer) -> None:
    """A request that was answered 503 does not begin an upload when Redis is back, and the writer
    is `connected` again although it has nothing to send."""
    async with journal_at(sure_redis.url) as journal:
        sure_redis.kill()
        request = asyncio.create_task(begun(journal, "up"))
        await eventually(lambda: not journal.appends.connected, "it was tried")
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        sure_redis.start()
        await eventually(lambda: journal.appends.connected, "nothing waits any more")
        assert await journal.head("up") is None


async def test_the_end_of_the_writer_ends_every_wait(sure_redis: RedisServer) -> None:
    """Operations under way and waiting are cancelled, so that no submitter hangs."""
    async with journal_at(sure_redis.url) as journal:
        teller = await begun(journal, "up")
        sure_redis.kill()
        told = [teller.tell() for _ in range(300)]
        await eventually(lambda: not journal.appends.connected, "it was tried")
    assert all(one.cancelled() for one in told)
