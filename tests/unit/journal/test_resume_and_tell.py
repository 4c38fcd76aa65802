"""A body in several requests, and a writer that keeps nothing between two events."""

from __future__ import annotations

import re

import pytest

from sse_progress.journal.append_batcher import Answer
from sse_progress.journal.journal import Journal
from sse_progress.journal.scripts import APPEND, APPEND_OPTIONAL, Script
from sse_progress.journal.writer import JournalWriter, WriterLost, interval_s
from sse_progress.model.events import Draft
from sse_progress.runtime.redis.keys import journal_keys, turn_channel
from tests.unit.journal.test_journal import ID, begin, draft, events, journal_at, say, whole

DAY_S = 86_400.0


async def set_back(journal: Journal, ms: int) -> None:
    """Redis' clock was `ms` earlier all along: its lease ends that much later."""
    meta = journal_keys(ID)[0]
    await journal.redis.hincrby(meta, "lease", ms)


async def tell(journal: Journal, fence: int, nonce: str, event: Draft) -> Answer:
    return await journal.tell(ID, fence=fence, nonce=nonce, draft=event, lease_s=10)


async def rested(journal: Journal, ms: int) -> None:
    """The last event was `ms` earlier than it was."""
    await journal.redis.hincrby(journal_keys(ID)[0], "ts", -ms)


# ---- leases


async def test_a_long_lease_is_kept(redis_url: str) -> None:
    """An upload that may rest for a day is not swept by one whose own lease is 10 s."""
    async with journal_at(redis_url) as journal:
        await begin(journal)
        answer = await journal.resume(ID, owner="ann", lease_s=DAY_S)
        swept = await journal.sweep(ID, fence=answer.fence, draft=draft("error"), lease_s=10)
        assert swept.status == "busy"
        page = await whole(journal, ID)
        assert page.lease_ms == DAY_S * 1000
        assert page.lease_until_ms - page.now_ms <= page.lease_ms


async def test_a_long_lease_of_a_clock_set_back_does_not_hold_for_ever(redis_url: str) -> None:
    """A small step back is no reason to end it; a lease far beyond its own length is no lease."""
    async with journal_at(redis_url) as journal:
        await begin(journal)
        answer = await journal.resume(ID, owner="ann", lease_s=DAY_S)
        lost = draft("error")
        await set_back(journal, 60_000)
        swept = await journal.sweep(ID, fence=answer.fence, draft=lost, lease_s=10)
        assert swept.status == "busy"
        await set_back(journal, 3_600_000)
        swept = await journal.sweep(ID, fence=answer.fence, draft=lost, lease_s=10)
        assert swept.status == "ok"


async def test_a_lease_is_as_long_as_its_last_writer_made_it(redis_url: str) -> None:
    """After the rest, the receiver's short leases count again."""
    async with journal_at(redis_url) as journal:
        await begin(journal)
        answer = await journal.resume(ID, owner="ann", lease_s=DAY_S)
        await say(journal, answer.fence, 1, draft("receiving", 50), lease_s=10)
        assert (await whole(journal, ID)).lease_ms == 10_000


# ---- resume


async def test_a_newer_request_takes_over(redis_url: str) -> None:
    """The older receiver is refused from then on, and hears the new fence on the turn channel."""
    async with journal_at(redis_url) as journal:
        first = await begin(journal)
        old = JournalWriter(journal, ID, owner="ann", answer=first, written=1)
        async with journal.redis.pubsub() as heard:
            await heard.subscribe(turn_channel(ID))
            await heard.get_message(timeout=60)
            second = await journal.resume(ID, owner="ann", lease_s=10)
            assert second.status == "ok"
            assert second.fence > first.fence
            message = await heard.get_message(ignore_subscribe_messages=True, timeout=60)
            assert message is not None
            assert message["data"] == str(second.fence).encode()
        with pytest.raises(WriterLost):
            await old.last(draft("receiving", 50))
        new = JournalWriter(journal, ID, owner="ann", answer=second, written=0)
        await new.last(draft("receiving", 100))
        assert [event["stageProgress"] for event in await events(journal)] == [0, 100]


async def test_a_resumption_may_say_so(redis_url: str) -> None:
    """With a draft it is an event, the first of its writer; without one nothing is told."""
    async with journal_at(redis_url) as journal:
        await begin(journal)
        await journal.resume(ID, owner="ann", lease_s=10)
        assert len(await events(journal)) == 1
        answer = await journal.resume(ID, owner="ann", lease_s=10, draft=draft("receiving", 30))
        assert len(await events(journal)) == 2
        writer = JournalWriter(journal, ID, owner="ann", answer=answer, written=1)
        await writer.last(draft("receiving", 60))
        assert (await whole(journal, ID)).end.epoch == answer.epoch
        assert len(await events(journal)) == 3


async def test_a_resumption_hears_that_the_body_rested(redis_url: str) -> None:
    """By the latest event alone: a text that looks like it does not count."""
    async with journal_at(redis_url) as journal:
        await begin(journal)
        answer = await journal.resume(ID, owner="ann", lease_s=10)
        assert answer.status == "ok"
        looks_so = Draft(stage="receiving", stage_progress=30, message='a "paused":true b')
        await say(journal, answer.fence, 1, looks_so)
        assert (await journal.resume(ID, owner="ann", lease_s=10)).status == "ok"
        answer = await journal.resume(ID, owner="ann", lease_s=10)
        rests = Draft(stage="receiving", stage_progress=30, message="rests", paused=True)
        await say(journal, answer.fence, 1, rests)
        answer = await journal.resume(ID, owner="ann", lease_s=10)
        assert answer.status == "paused"
        await say(journal, answer.fence, 1, draft("receiving", 40))
        assert (await journal.resume(ID, owner="ann", lease_s=10)).status == "ok"


async def test_only_a_body_under_way_is_resumed(redis_url: str) -> None:
    """Each other state has its own answer, and changes nothing."""
    async with journal_at(redis_url) as journal:

        async def status(owner: str = "ann") -> str:
            return (await journal.resume(ID, owner=owner, lease_s=10)).status

        assert await status() == "unknown"
        await journal.read(ID, owner="ann", claim=True)
        assert await status() == "unknown"
        answer = await begin(journal)
        assert await status("bob") == "forbidden"
        assert (await whole(journal, ID)).fence == answer.fence
        await say(journal, answer.fence, 2, draft("file_received", 100))
        assert await status() == "stored"
        await journal.cancel(ID, owner="ann", draft=draft("cancelled"))
        assert await status() == "ended"


# ---- tell


async def test_what_is_told_too_early_is_merged(redis_url: str) -> None:
    """Within a stage one event per interval; the rest is answered `merged` and left out."""
    async with journal_at(redis_url) as journal:
        fence = (await begin(journal)).fence
        assert (await tell(journal, fence, "a", draft("analyzing", 1))).status == "ok"
        await rested(journal, -60_000)  # now is well within the interval, however slow the test
        assert (await tell(journal, fence, "b", draft("analyzing", 2))).status == "merged"
        await rested(journal, 70_000)
        assert (await tell(journal, fence, "c", draft("analyzing", 3))).status == "ok"
        shown = [event["stageProgress"] for event in await events(journal)]
        assert shown == [0, 1, 3]


async def test_a_stages_end_and_the_end_of_all_are_never_merged(redis_url: str) -> None:
    """100, another stage and a terminal event are appended however early they come."""
    async with journal_at(redis_url) as journal:
        fence = (await begin(journal)).fence
        for nonce, event in enumerate(
            (
                draft("analyzing", 1),
                draft("analyzing", 100),
                draft("moderating", 0),
                draft("error"),
            )
        ):
            assert (await tell(journal, fence, str(nonce), event)).status == "ok"
        assert (await tell(journal, fence, "x", draft("error"))).status == "ended"


async def test_a_report_that_is_sent_twice_counts_once(redis_url: str) -> None:
    """The same nonce is answered `dup`; an older writer's report `stale`."""
    async with journal_at(redis_url) as journal:
        fence = (await begin(journal)).fence
        assert (await tell(journal, fence, "a", draft("analyzing", 100))).status == "ok"
        assert (await tell(journal, fence, "a", draft("analyzing", 100))).status == "dup"
        assert len(await events(journal)) == 2
        assert (await tell(journal, fence - 1, "b", draft("moderating", 1))).status == "stale"
        await journal.redis.delete(*journal_keys(ID))
        assert (await tell(journal, fence, "c", draft("moderating", 1))).status == "unknown"


async def test_reports_leave_a_writers_numbers_alone(redis_url: str) -> None:
    """A numbered writer of the same fence goes on where it was."""
    async with journal_at(redis_url) as journal:
        answer = await begin(journal)
        assert (await tell(journal, answer.fence, "a", draft("validating", 1))).status == "ok"
        assert (await say(journal, answer.fence, 2, draft("analyzing", 1))).status == "ok"


async def test_the_script_waits_as_long_as_a_writer(redis_url: str) -> None:
    """Both merge by the same rule: 0.1 s, doubling after each 100 events of a stage, up to 5 s."""
    source = Script("append", APPEND, optional=APPEND_OPTIONAL).source
    (function,) = re.findall(r"^local function interval_ms.*?^end$", source, re.M | re.S)
    code = f"{function}\nreturn string.format('%d', interval_ms(tonumber(ARGV[1])))"
    async with journal_at(redis_url) as journal:
        for events in (0, 1, 99, 100, 199, 200, 399, 400, 599, 600, 10_000):
            milliseconds = await journal.redis.eval(code, 0, events)
            assert int(milliseconds) == round(interval_s(events) * 1000)


async def test_reports_of_a_stage_are_counted(redis_url: str) -> None:
    """Events are counted for each stage: a new one begins with the short interval again."""
    async with journal_at(redis_url) as journal:
        fence = (await begin(journal)).fence
        await tell(journal, fence, "a", draft("analyzing", 1))
        await journal.redis.hset(journal_keys(ID)[0], "shown", 600)
        await rested(journal, 5000)
        assert (await tell(journal, fence, "b", draft("analyzing", 2))).status == "ok"
        assert await journal.redis.hget(journal_keys(ID)[0], "shown") == b"601"
        assert (await tell(journal, fence, "c", draft("moderating", 1))).status == "ok"
        assert await journal.redis.hget(journal_keys(ID)[0], "shown") == b"0"
