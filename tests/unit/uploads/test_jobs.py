"""Work of other services: who may report, what is merged, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sse_progress.model.errors import (
    AlreadyFinished,
    Cancelled,
    Forbidden,
    InvalidStage,
    RateLimited,
    Replaced,
    UnknownUpload,
    UploadIdInUse,
)
from sse_progress.model.kinds import Kind, Kinds
from sse_progress.model.labels import Labels
from sse_progress.model.reports import Report
from sse_progress.runtime.redis.keys import journal_keys
from sse_progress.uploads.components import Components
from sse_progress.uploads.jobs import Jobs, Opened
from sse_progress.uploads.queries import Uploads
from tests.helpers.components import begin, components, draft, events_of, page_of, story_of
from tests.helpers.waiting import eventually
from tests.unit.worker.test_reconciler import LEASE_S, grow_old, open_ids, reconciler_of

RENDER = Kind(name="render", stages=[("fetching", 0, 19), ("rendering", 20, 99)])


@asynccontextmanager
async def jobs_at(url: str, directory: Path) -> AsyncIterator[tuple[Components, Jobs]]:
    async with components(url, directory) as core:
        yield core, Jobs(core, Kinds([RENDER], max_bytes=1, allowed_types=["*/*"]))


async def opened(jobs: Jobs, producer: str = "farm", **changes: Any) -> Opened:
    given: dict[str, Any] = {
        "owner": "ann",
        "labels": Labels(kind="render"),
        "title": "",
        "lease_s": 60,
        **changes,
    }
    return await jobs.open("up", producer=producer, **given)


async def rested(core: Components) -> None:
    """The last event is long enough ago for the next."""
    await core.redis.hincrby(journal_keys("up")[0], "ts", -10_000)


async def test_a_job_is_told_in_the_stages_of_its_kind(redis_url: str, tmp_path: Path) -> None:
    """Each stage shown begins with 0 and ends with 100, whatever the producer left out; a stage of
    which nothing is reported is not shown; the result is in the end."""
    async with jobs_at(redis_url, tmp_path) as (core, jobs):
        assert (await opened(jobs, title="Trailer")).new
        state = await Uploads(core).page("up", owner="ann")
        assert (state.status, state.producer) == ("pending", "farm")
        await jobs.report("up", Report(stage="fetching", stage_progress=40), producer="farm")
        await jobs.report("up", Report(stage="rendering", stage_progress=25), producer="farm")
        told = await jobs.report(
            "up", Report(stage="complete", result={"frames": 310}), producer="farm"
        )
        assert not told.merged
        assert await story_of(core) == [
            ("fetching", 0),
            ("fetching", 100),
            ("rendering", 0),
            ("rendering", 100),
            ("complete", 100),
        ]
        events = await events_of(core)
        assert [event["progress"] for event in events] == [0, 19, 20, 99, 100]
        assert events[-1]["result"] == {"frames": 310}
        assert {event["kind"] for event in events} == {"render"}
        page = await Uploads(core).page("up", owner="ann")
        assert not page.deleted
        assert await open_ids(core) == []


async def test_what_was_merged_is_told_later(redis_url: str, tmp_path: Path) -> None:
    """Of reports in haste the last one is in the journal once its time has come, on its own."""
    async with jobs_at(redis_url, tmp_path) as (core, jobs):
        await opened(jobs)
        merged = 0
        for at in range(1, 31):
            told = await jobs.report(
                "up", Report(stage="rendering", stage_progress=at), producer="farm"
            )
            merged += told.merged

        async def shown() -> bool:
            return (await story_of(core))[-1] == ("rendering", 30)

        await eventually(shown, "the last report is in the journal")
        assert merged > 20
        assert len(await story_of(core)) <= 31 - merged + 5


async def test_a_merged_report_is_never_told_after_a_later_one(
    redis_url: str, tmp_path: Path
) -> None:
    """What is kept is dropped as soon as the journal has gone on, here or on another process."""
    async with jobs_at(redis_url, tmp_path) as (core, jobs):
        elsewhere = Jobs(core, Kinds([RENDER], max_bytes=1, allowed_types=["*/*"]))
        await opened(jobs)
        first = Report(stage="rendering", stage_progress=10)
        late = Report(stage="rendering", stage_progress=11, message="late")
        await jobs.report("up", first, producer="farm")
        assert (await jobs.report("up", late, producer="farm")).merged
        await rested(core)
        last = Report(stage="rendering", stage_progress=90, message="newer")
        await elsewhere.report("up", last, producer="farm")
        await eventually(lambda: not jobs._telling, "it has been dealt with")
        assert [event["message"] for event in await events_of(core)][-1] == "newer"


async def test_only_its_producer_reports_and_only_its_latest_writer(
    redis_url: str, tmp_path: Path
) -> None:
    """Taken over, the earlier writer is refused; another producer is none at all, nor is one for an
    upload of a file."""
    async with jobs_at(redis_url, tmp_path) as (core, jobs):
        report = Report(stage="fetching", stage_progress=1)
        with pytest.raises(UnknownUpload):
            await jobs.report("up", report, producer="farm")
        earlier = await opened(jobs)
        later = await opened(jobs)
        assert (earlier.new, later.new) == (True, False)
        with pytest.raises(Replaced):
            await jobs.report("up", report, producer="farm", writer=earlier.writer)
        await jobs.report("up", report, producer="farm", writer=later.writer)
        with pytest.raises(Forbidden):
            await jobs.report("up", report, producer="other")
        with pytest.raises(UploadIdInUse):
            await opened(jobs, producer="other")
        with pytest.raises(Forbidden):
            await opened(jobs, owner="bob")
        await begin(core, "file")
        with pytest.raises(Forbidden):
            await jobs.report("file", report, producer="")
        with pytest.raises(InvalidStage):
            await jobs.report("up", Report(stage="analyzing"), producer="farm")


async def test_a_job_that_has_not_begun_is_no_id_for_an_upload(
    redis_url: str, tmp_path: Path
) -> None:
    """An upload under its id is refused as one in use; a claimed id may become a job."""
    async with jobs_at(redis_url, tmp_path) as (core, jobs):
        await core.journal.read("up", owner="ann", claim=True)
        await opened(jobs)
        answer = await core.journal.begin("up", owner="ann", draft=draft("receiving"), lease_s=60)
        assert answer.status == "in_use"


async def test_a_job_that_redis_lost_is_announced_again(redis_url: str, tmp_path: Path) -> None:
    """A reader that waits for it has claimed its id: its producer learns that the job is unknown,
    and announces it."""
    async with jobs_at(redis_url, tmp_path) as (core, jobs):
        report = Report(stage="fetching", stage_progress=1)
        before = await opened(jobs)
        await core.redis.flushall()
        await core.journal.read("up", owner="ann", claim=True)
        with pytest.raises(UnknownUpload):
            await jobs.report("up", report, producer="farm", writer=before.writer)
        answer = await core.journal.tell(
            "up", fence=1, nonce="", draft=draft("receiving"), producer="farm"
        )
        assert answer.status == "unknown"
        again = await opened(jobs)
        assert again.new
        await jobs.report("up", report, producer="farm", writer=again.writer)


async def test_a_producer_learns_that_it_must_stop(redis_url: str, tmp_path: Path) -> None:
    """Cancelled by its owner, or ended: each has its own answer, for reports and take-overs."""
    async with jobs_at(redis_url, tmp_path) as (core, jobs):
        one = await opened(jobs)
        await jobs.report("up", Report(stage="fetching", stage_progress=1), producer="farm")
        await Uploads(core).cancel("up", owner="ann")
        with pytest.raises(Cancelled):
            await jobs.report("up", Report(progress=50), producer="farm", writer=one.writer)
        with pytest.raises(Cancelled):
            await opened(jobs)
        assert (await events_of(core))[-1]["error"]["stage"] == "fetching"
    async with jobs_at(redis_url, tmp_path) as (core, jobs):
        await jobs.open("two", owner="ann", producer="farm", labels=Labels(), title="", lease_s=60)
        end = Report.decode(b'{"stage":"error","error":{"code":"no_disk"}}')
        await jobs.report("two", end, producer="farm", nonce="k")
        assert not (await jobs.report("two", end, producer="farm", nonce="k")).merged
        with pytest.raises(AlreadyFinished):
            await jobs.report("two", end, producer="farm")
        assert await story_of(core, "two") == [("error", 0)]


async def test_a_silent_producer_is_found_out(redis_url: str, tmp_path: Path) -> None:
    """Without a report for its lease the job ends with `producer_lost`; a report renews it, and so
    does one that is merged."""
    async with jobs_at(redis_url, tmp_path) as (core, jobs):
        await grow_old(core)
        await opened(jobs, lease_s=3600)
        await jobs.report("up", Report(stage="fetching", stage_progress=1), producer="farm")
        meta = journal_keys("up")[0]
        await core.redis.hincrby(meta, "lease", -3_599_000)
        await jobs.report("up", Report(stage="fetching", stage_progress=2), producer="farm")
        page = await page_of(core)
        assert page.lease_until_ms - page.now_ms > 3_500_000
        reconciler = reconciler_of(core)
        await reconciler.round()
        assert await open_ids(core) == ["up"]
        await core.redis.hincrby(meta, "lease", -3_700_000)
        await core.index.look_at("up")
        await reconciler.round()
        error = (await events_of(core))[-1]["error"]
        assert (error["code"], error["stage"]) == ("producer_lost", "fetching")
        assert await open_ids(core) == []
        with pytest.raises(AlreadyFinished):
            await jobs.report("up", Report(progress=50), producer="farm")
    assert LEASE_S


async def test_reports_are_limited_in_a_second(redis_url: str, tmp_path: Path) -> None:
    """The 51st within one second of Redis is refused, and the next second's first is not."""
    async with jobs_at(redis_url, tmp_path) as (core, jobs):
        await opened(jobs)

        async def taken() -> bool:
            try:
                await jobs.report("up", Report(stage="fetching"), producer="farm")
            except RateLimited:
                return False
            return True

        seconds, _ = await core.redis.time()
        later = {"second": seconds + 1, "reports": 49}
        await core.redis.hset(journal_keys("up")[0], mapping=later)

        async def begun() -> bool:
            return (await core.redis.time())[0] == seconds + 1

        await eventually(begun, "the next second has begun")
        assert await taken()
        assert not await taken()
        await eventually(taken, "that second is over")
