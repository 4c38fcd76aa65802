"""Reads of journals share pipelines, and each gets its own reply whatever becomes of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import RedisError

from sse_progress.journal.frames import Foreign, Page
from sse_progress.journal.journal import Journal
from sse_progress.journal.read_batcher import BATCH
from sse_progress.model.ids import Position
from sse_progress.runtime.concurrency import beside
from sse_progress.runtime.redis.client import connect, linked
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually

READS = 3 * BATCH + 1


@pytest.fixture(params=[False, True], ids=["pool", "link"])
def by_link(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@asynccontextmanager
async def journal_at(url: str, *, by_link: bool = False) -> AsyncIterator[Journal]:
    redis = connect(url)
    link = linked(redis, url) if by_link else None
    try:
        if link is None:
            yield Journal(redis)
            return
        async with beside(link.run()):
            await eventually(lambda: link.takes, "the link is connected")
            yield Journal(redis)
    finally:
        await redis.aclose()


async def claims(journal: Journal, count: int) -> list[Page | Foreign | None]:
    """An id each for as many owners, all in one turn of the loop."""
    return await asyncio.gather(
        *(journal.read(f"u{n}", owner=f"owner {n}", claim=True) for n in range(count))
    )


def owners(pages: list[Page | Foreign | None]) -> list[str]:
    return [page.owner for page in pages if isinstance(page, Page)]


@pytest.mark.parametrize("count", [1, 2, READS])
async def test_each_caller_gets_its_own_reply(redis_url: str, count: int, *, by_link: bool) -> None:
    """However many read in one turn: claims, refusals and what is not there keep their places."""
    async with journal_at(redis_url, by_link=by_link) as journal:
        assert owners(await claims(journal, count)) == [f"owner {n}" for n in range(count)]
        reads = [
            read
            for n in range(count)
            for read in (
                journal.read(f"u{n}", owner="another"),
                journal.read(f"none{n}", owner="another"),
                journal.read(f"u{n}", owner=f"owner {n}", after=Position("other", 1)),
            )
        ]
        pages = await asyncio.gather(*reads)
        assert pages[0::3] == [Foreign()] * count
        assert pages[1::3] == [None] * count
        assert owners(pages[2::3]) == [f"owner {n}" for n in range(count)]


async def test_reads_of_one_turn_share_pipelines(redis_url: str, *, by_link: bool) -> None:
    """Ninety-seven reads at once take four connections, not a connection each."""
    async with journal_at(redis_url, by_link=by_link) as journal, journal_at(redis_url) as other:
        before = (await other.redis.info("stats"))["total_connections_received"]
        await claims(journal, READS)
        after = (await other.redis.info("stats"))["total_connections_received"]
        assert after - before <= -(-READS // BATCH)


@pytest.mark.parametrize("count", [1, READS])
async def test_a_forgotten_script_is_sent_again(
    redis_url: str, count: int, *, by_link: bool
) -> None:
    """A Redis that lost its scripts answers all the same."""
    async with journal_at(redis_url, by_link=by_link) as journal:
        await claims(journal, 2)
        await journal.redis.script_flush()
        assert owners(await claims(journal, count)) == [f"owner {n}" for n in range(count)]


async def test_a_caller_that_leaves_takes_no_other_along(redis_url: str, *, by_link: bool) -> None:
    """Of those that share a pipeline one is cancelled; the others get their replies."""
    async with journal_at(redis_url, by_link=by_link) as journal:
        tasks = [
            asyncio.ensure_future(journal.read(f"u{n}", owner="ann", claim=True)) for n in range(8)
        ]
        await asyncio.sleep(0)
        tasks[0].cancel()
        pages = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(pages[0], asyncio.CancelledError)
        assert [page.owner for page in pages[1:] if isinstance(page, Page)] == ["ann"] * 7


@pytest.mark.parametrize("count", [1, 5])
async def test_an_outage_is_raised_in_each_caller(
    own_redis: RedisServer, count: int, *, by_link: bool
) -> None:
    """And the reads after it are answered."""
    async with journal_at(own_redis.url, by_link=by_link) as journal:
        await claims(journal, count)
        own_redis.kill()
        outcomes = await asyncio.gather(
            *(journal.read(f"u{n}") for n in range(count)), return_exceptions=True
        )
        assert all(isinstance(outcome, RedisError | OSError) for outcome in outcomes)
        own_redis.start()
        assert len(owners(await claims(journal, count))) == count
