"""Narrow gaps, each made wide on purpose: between two steps, or where a clock was set back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from sse_progress.journal.append_batcher import PURGE_FROM
from sse_progress.journal.redis_age import redis_age_s
from sse_progress.journal.upload_index import Index
from sse_progress.queue.queue import Job
from sse_progress.runtime.metrics import CODES, Metrics
from sse_progress.runtime.redis.client import connect
from sse_progress.runtime.redis.keys import journal_keys
from sse_progress.storage.disk import DiskStorage
from sse_progress.worker.eta import History
from sse_progress.worker.runner import Runner
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually
from tests.unit.emitter.test_emitter import Reader, caught_up, contiguous, rig_at
from tests.unit.journal.test_journal import ID, begin, draft, journal_at, say, whole


class Slow(Reader):
    """Takes as long over what it reads from the journal as the test likes."""

    busy = False

    async def write(self, frames):  # type: ignore[no-untyped-def]
        self.busy = True
        await super().write(frames)
        self.busy = False


async def test_an_end_told_while_a_slow_reader_was_given_the_rest(redis_url: str) -> None:
    """Subscription lost, end told, subscription back, all within one slow write: it has the end.

    Nothing follows an end, so a reader that took itself for up to date would wait for ever.
    """
    async with rig_at(redis_url) as rig:
        await rig.begin()
        await rig.say(3)
        reader, witness = Slow(), Reader()
        reader.free.clear()
        rig.follow(reader)
        topic = rig.follow(witness)
        await eventually(lambda: reader.busy and topic.live, "a slow write is under way")
        before = topic.generation
        await rig.drop_subscriptions()
        await eventually(lambda: not rig.emitter.connected, "the subscription is lost")
        await rig.end()
        await eventually(lambda: topic.generation > before, "the subscription is back")
        await caught_up(rig, witness)
        reader.free.set()
        await caught_up(rig, reader)
        assert contiguous(reader)
        assert reader.got[-1][1].terminal


async def test_readers_that_leave_during_an_outage_leave_nothing(own_redis: RedisServer) -> None:
    """Whoever waits for a subscription that cannot be had, and leaves, does not wait for ever."""
    async with rig_at(own_redis.url) as rig:
        await eventually(lambda: rig.emitter.connected, "the emitter is there")
        before = len(asyncio.all_tasks())
        own_redis.kill()
        await eventually(lambda: not rig.emitter.connected, "Redis is away")
        readers = [Reader() for _ in range(50)]
        topics = [rig.follow(reader) for reader in readers]
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) >= 50
        for reader, topic in zip(readers, topics, strict=True):
            assert reader.following is not None
            rig.emitter.leave(reader.following)
            rig.emitter.release(topic)
        await eventually(lambda: len(asyncio.all_tasks()) <= before, "their tasks have ended")
        own_redis.start()


async def test_what_nobody_waits_for_does_not_pile_up(own_redis: RedisServer) -> None:
    """Callers that gave up during an outage are forgotten; numbered events never are."""
    async with journal_at(own_redis.url) as journal:
        own_redis.kill()
        kept = [say(journal, 1, n, draft("receiving", n % 100)) for n in range(1, 4)]
        waiting = [asyncio.ensure_future(one) for one in kept]
        await asyncio.sleep(0)
        for _ in range(5000):
            journal.operation("cancel", ID, owner="ann", draft=draft("cancelled")).cancel()
        assert journal.appends.waiting <= PURGE_FROM
        own_redis.start()
        assert [answer.status for answer in await asyncio.gather(*waiting)][-1] == "ok"


async def test_a_clock_set_back_does_not_make_redis_young_for_ever(redis_url: str) -> None:
    """A birth later than now is corrected, so the reconciler judges again after one lease."""
    async with journal_at(redis_url) as journal:
        seconds, _ = await journal.redis.time()
        await journal.redis.set("sp:birth", seconds + 3600)
        assert await redis_age_s(journal.redis) == 0
        birth = await journal.redis.get("sp:birth")
        assert int(birth) <= seconds + 60
        assert await redis_age_s(journal.redis) >= 0


async def test_a_lease_of_a_clock_set_back_does_not_hold_for_ever(redis_url: str) -> None:
    """A lease that runs for hours is no lease: its upload is swept. A plausible one is kept."""
    async with journal_at(redis_url) as journal:
        answer = await begin(journal)
        seconds, _ = await journal.redis.time()
        meta = journal_keys(ID)[0]
        lost = draft("error")
        await journal.redis.hset(meta, "lease", (seconds + 20) * 1000)
        swept = await journal.sweep(ID, fence=answer.fence, draft=lost, lease_s=10)
        assert swept.status == "busy"
        await journal.redis.hset(meta, "lease", (seconds + 3600) * 1000)
        swept = await journal.sweep(ID, fence=answer.fence, draft=lost, lease_s=10)
        assert swept.status == "ok"
        assert (await whole(journal, ID)).term == "error"


async def test_a_job_without_a_file_stays_listed_until_it_has_ended(
    redis_url: str, short_dir: Path
) -> None:
    """A lease that still runs puts its end off; a job that was then forgotten would never end.

    So it is after an older Redis was put back: job and journal are there again, the file is not.
    """
    async with journal_at(redis_url) as journal:
        index = Index(journal.redis, storage_id="s")
        parts = SimpleNamespace(
            journal=journal, storage=DiskStorage.open(short_dir), index=index, metrics=Metrics()
        )
        runner = Runner(SimpleNamespace(components=parts))  # type: ignore[arg-type]
        await index.opened(ID, owner="ann", now_s=0)
        answer = await begin(journal)
        stored = draft("file_received", 100)
        await say(journal, answer.fence, 2, stored, lease_s=10)
        await runner.run(Job(ID, attempts=0))
        assert await index.open_uploads() == [(ID, 0)]
        assert not (await whole(journal, ID)).terminal
        await journal.redis.hset(journal_keys(ID)[0], "lease", 0)
        await runner.run(Job(ID, attempts=0))
        assert (await whole(journal, ID)).term == "error"
        assert await index.open_uploads() == []


async def test_times_stand_still_while_the_clock_is_behind(redis_url: str) -> None:
    """After the clock was set back, events bear the latest time told, not an earlier one."""
    async with journal_at(redis_url) as journal:
        answer = await begin(journal)
        seconds, _ = await journal.redis.time()
        ahead = (seconds + 3600) * 1000
        await journal.redis.hset(journal_keys(ID)[0], "ts", ahead)
        await say(journal, answer.fence, 2, draft("receiving", 50))
        await say(journal, answer.fence, 3, draft("receiving", 60))
        page = await journal.head(ID)
        assert page is not None
        assert page.changed_ms == ahead


async def test_a_forgotten_journal_is_told_again_by_a_silent_writer(redis_url: str) -> None:
    """A writer that has nothing new to tell says its last word again when its lease is renewed."""
    async with rig_at(redis_url) as rig:
        recorder = await rig.begin()
        await rig.say(1)
        epoch = recorder.position.epoch
        await rig.journal.redis.flushall()
        await recorder.renew()
        page = await rig.journal.head("u")
        assert page is not None
        assert (page.stage, page.end.seq) == ("receiving", 1)
        assert page.end.epoch != epoch
        await recorder.renew()
        again = await rig.journal.head("u")
        assert again is not None
        assert again.end == page.end


async def test_an_operation_that_is_sent_twice_is_done_once(redis_url: str) -> None:
    """As after a broken connection: the repetition changes nothing and is answered alike."""
    async with journal_at(redis_url) as journal:
        first = journal.operation(
            "begin", ID, owner="ann", draft=draft("receiving"), first=True, lease_s=10
        )
        [lane] = journal.appends._lanes.values()
        operation = lane.waiting[-1]
        begun = await first
        assert begun.status == "ok"
        operation.future = asyncio.get_running_loop().create_future()
        journal.appends.submit(operation)
        assert (await operation.future).status == "dup"
        page = await journal.head(ID)
        assert page is not None
        assert (page.end.seq, page.fence) == (1, begun.fence)


async def test_kinds_of_files_that_are_remembered_are_few(redis_url: str) -> None:
    """A client's word for its file makes no keys: an invented kind is `other`."""
    redis = connect(redis_url)
    history = History(redis, clock=lambda: 0.0)
    for number in range(20):
        estimate = await history.estimate(
            kind="upload", stages=["analyzing"], content_type=f"x{number}/y", size=1000
        )
        estimate.begin("analyzing")
        await estimate.finish()
    assert [key async for key in redis.scan_iter("sp:eta:*")] == [b"sp:eta:upload:other:5"]
    await redis.aclose()


def test_ways_to_end_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages make up codes: past a hundred they are counted as `other`."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    metrics = Metrics()
    for number in range(CODES + 50):
        metrics.ended(f"code_{number}")
    metrics.ended("code_1")
    text = metrics.text({})[0].decode()
    assert 'sse_progress_uploads_total{end="other"} 50.0' in text
    assert 'sse_progress_uploads_total{end="code_1"} 2.0' in text


def test_gauges_of_dead_processes_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their counters stay; the file of what they had open goes, and no living one's."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    metrics = Metrics()
    gone, living = tmp_path / "gauge_livesum_4194305.db", tmp_path / "gauge_livesum_1.db"
    counter = tmp_path / "counter_4194305.db"
    for path in (gone, living, counter):
        path.write_bytes(bytes(8))
    metrics.text({})
    assert (gone.exists(), living.exists(), counter.exists()) == (False, True, True)
