"""The guarantee behind the queue: each judgement, and what is never judged."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sse_progress.journal.redis_age import redis_age_s
from sse_progress.model.events import encode_json
from sse_progress.model.kinds import Kind, Kinds
from sse_progress.model.labels import Labels
from sse_progress.queue.queue import Job, Outcome, Park
from sse_progress.runtime.concurrency import beside
from sse_progress.runtime.redis.keys import journal_keys, leader_key
from sse_progress.settings import load_settings
from sse_progress.storage.disk_bodies import DiskBodies
from sse_progress.uploads.components import Components
from sse_progress.worker import reconciler as module
from sse_progress.worker.leader import Leader
from sse_progress.worker.process import retention_of
from sse_progress.worker.reconciler import Reconciler
from tests.helpers.components import (
    begin,
    components,
    draft,
    events_of,
    left_over,
    page_of,
    store,
    stored,
    story_of,
)
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually

LEASE_S = 0.5


def leader_of(core: Components) -> Leader:
    return Leader(core.redis, storage_id=core.storage.id, lease_s=LEASE_S)


def reconciler_of(core: Components, **changes: Any) -> Reconciler:
    given: dict[str, Any] = {
        "journal": core.journal,
        "storage": core.storage,
        "index": core.index,
        "queue": core.queue,
        "leader": leader_of(core),
        "lease_s": LEASE_S,
        "retention_s": {},
        **changes,
    }
    return Reconciler(**given)


async def grow_old(core: Components) -> None:
    """Redis has been up with its data for longer than a lease."""
    seconds, _ = await core.redis.time()
    await core.redis.set("sp:birth", seconds - 1000, ex=1000)

    async def old() -> bool:
        return await redis_age_s(core.journal.redis) >= LEASE_S

    await eventually(old, "the server has run for a second")


async def open_ids(core: Components) -> list[str]:
    return [name for name, _ in await core.index.open_uploads()]


# ---- bodies whose receiver is gone


async def test_an_upload_whose_receiver_died_ends_with_server_lost(
    redis_url: str, tmp_path: Path
) -> None:
    """Its lease ran out, nobody holds its file and nothing is stored: told, and struck out."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await begin(core, lease_s=0)
        await reconciler_of(core).round()
        assert await story_of(core) == [("receiving", 0), ("error", 0)]
        error = (await events_of(core))[-1]["error"]
        assert (error["code"], error["stage"]) == ("server_lost", "receiving")
        assert await open_ids(core) == []


async def test_a_body_that_rests_is_not_judged(redis_url: str, tmp_path: Path) -> None:
    """Its lease is as long as it may rest, many times the lease of a receiver: it is no mistake."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await begin(core, lease_s=0)
        await core.journal.resume("up", owner="ann", lease_s=86_400)
        await reconciler_of(core).round()
        assert await story_of(core) == [("receiving", 0)]
        assert await open_ids(core) == ["up"]


async def test_a_receiver_within_its_lease_is_not_judged(redis_url: str, tmp_path: Path) -> None:
    """It may have no file yet: between claim and first byte there is nothing on the disk."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await begin(core, lease_s=5)
        await reconciler_of(core).round()
        assert await story_of(core) == [("receiving", 0)]
        assert await open_ids(core) == ["up"]


async def test_a_slow_body_whose_file_is_held_is_safe(redis_url: str, tmp_path: Path) -> None:
    """Its process could not renew the lease, but lives: the lock on the file says so, and neither
    journal nor bytes are touched. When the lock goes, both are."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await begin(core, lease_s=0)
        incoming = core.storage.bodies.incoming("up")
        incoming.write(b"half of it")
        reconciler = reconciler_of(core)
        await reconciler.round()
        assert await story_of(core) == [("receiving", 0)]
        assert len(left_over(core)) == 1
        incoming._file.close()  # as the kernel does when the process dies
        await reconciler.round()
        assert (await story_of(core))[-1] == ("error", 0)
        assert left_over(core) == []


@pytest.mark.parametrize("look", ["receiving", "partial"])
async def test_a_body_that_is_stored_while_it_is_looked_for_is_found(
    look: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease is over, as in a Redis that went back; in the midst of the looks it moves from
    where bodies arrive to where they are stored. It is neither lost nor unknown."""
    whole_look = getattr(DiskBodies, look)

    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await begin(core, lease_s=0)

        def looked(bodies: DiskBodies, upload_id: str) -> Any:
            found = whole_look(bodies, upload_id)
            if core.storage.objects.find(upload_id) is None:
                store(core, upload_id)
            return found

        monkeypatch.setattr(DiskBodies, look, looked)
        await reconciler_of(core).round()
        assert await story_of(core) == [("receiving", 0)]
        assert await core.queue.place("up") == ("waiting", 0)
        assert await core.recovery.absent("unlisted") == "wait"


async def test_what_dead_receivers_left_on_the_disk_goes(redis_url: str, tmp_path: Path) -> None:
    """Also of uploads that no list names; what is being received stays."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        dead, living = core.storage.bodies.incoming("dead"), core.storage.bodies.incoming("living")
        dead.write(b"x")
        living.write(b"x")
        dead._file.close()
        (core.settings.data_dir / "trash" / "old").mkdir()
        await reconciler_of(core).round()
        (name,) = left_over(core)
        assert name.startswith("incoming/")
        assert core.storage.bodies.receiving("living")
        assert list((core.settings.data_dir / "trash").iterdir()) == []
        living.discard()


async def test_a_young_redis_is_no_base_for_judgement(
    redis_url: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    """It may have forgotten leases and journals: nothing is ended and nothing removed, but what is
    stored is worked on."""
    async with components(redis_url, tmp_path) as core:
        await begin(core, lease_s=0)
        dead = core.storage.bodies.incoming("dead")
        dead.write(b"x")
        dead._file.close()
        store(core, "stored")
        reconciler = reconciler_of(core, lease_s=3600)
        await reconciler.round()
        await reconciler.round()
        assert await story_of(core) == [("receiving", 0)]
        assert len([name for name in left_over(core) if name.startswith("incoming/")]) == 1
        assert await core.queue.depth() == (1, 0)


# ---- stored files


async def test_a_stored_upload_without_a_job_gets_one(redis_url: str, tmp_path: Path) -> None:
    """The web process died between the rename and the enqueue; however often one looks, one job."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await stored(core)
        reconciler = reconciler_of(core)
        for _ in range(3):
            await reconciler.round()
        assert await core.queue.depth() == (1, 0)
        assert not (await page_of(core)).terminal


async def test_a_stored_upload_that_redis_forgot_is_listed_and_queued(
    redis_url: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    """From its manifest alone, with its owner."""
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        redis_server.flush()
        await reconciler_of(core).round()
        assert await open_ids(core) == ["up"]
        owned = await core.index.owned("ann", before_us=None, limit=9)
        assert [name for name, _ in owned] == ["up"]
        assert await core.queue.depth() == (1, 0)


async def test_a_receiver_may_still_tell_that_it_has_stored(redis_url: str, tmp_path: Path) -> None:
    """Between the rename and `file_received` its lease runs: a worker would take its word away.
    Once the lease is over, the work is queued."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        answer = await begin(core, lease_s=60)
        store(core, epoch=answer.epoch)
        reconciler = reconciler_of(core, lease_s=30)
        await core.redis.set("sp:birth", 1, ex=1000)
        await reconciler.round()
        assert await core.queue.depth() == (0, 0)
        await core.journal.operation("renew", "up", owner="ann", fence=answer.fence, lease_s=-1)
        reconciler = reconciler_of(core)
        await reconciler.round()
        assert await core.queue.depth() == (1, 0)


async def test_an_upload_that_is_neither_here_nor_ended_is_a_workers_case(
    redis_url: str, tmp_path: Path
) -> None:
    """Refused by an attempt that could not say so: the job finds the verdict."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await stored(core)
        core.storage.remove("up")
        await reconciler_of(core).round()
        assert await core.queue.depth() == (1, 0)
        assert not (await page_of(core)).terminal


# ---- ended uploads


@pytest.mark.parametrize("term", ["cancelled", "error"])
async def test_bytes_of_a_failed_upload_go(term: str, redis_url: str, tmp_path: Path) -> None:
    """Whoever ended it died before the bytes were removed."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await stored(core)
        end = draft(term)
        assert (await core.journal.cancel("up", owner="ann", draft=end)).status == "ok"
        await reconciler_of(core).round()
        assert left_over(core) == []
        assert await open_ids(core) == []
        assert await core.queue.depth() == (0, 0)


async def test_the_object_of_a_complete_upload_stays(redis_url: str, tmp_path: Path) -> None:
    """It is struck from the open list, and that is all."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await stored(core)
        core.storage.objects.publish("up", encode_json({"id": "up"}))
        end = draft("complete", 100, media={"id": "up"})
        await core.journal.cancel("up", owner="ann", draft=end)
        before = left_over(core)
        assert any(name.startswith("objects/") for name in before)
        await reconciler_of(core).round()
        assert left_over(core) == before
        assert await open_ids(core) == []


# ---- lists and lives


async def test_names_without_an_upload_are_struck_out_in_time(
    redis_url: str, tmp_path: Path
) -> None:
    """Listed before a first event that never came: after a lease, not before."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        now = time.time()
        await core.index.opened("young", owner="ann", now_s=now)
        await core.index.opened("old", owner="ann", now_s=now - 60)
        await core.index.opened("claimed", owner="ann", now_s=now - 60)
        await core.journal.read("claimed", owner="ann", claim=True)
        await reconciler_of(core, now=lambda: now + 0.1).round()
        assert await open_ids(core) == ["young"]
        assert await core.journal.head("claimed") is not None


async def test_keys_of_long_uploads_are_renewed(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload that takes weeks keeps its journal; that is seen to twice a day, some at a time,
    for those that began more than a day before."""
    monkeypatch.setattr(module, "RENEW_AT_ONCE", 1)
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        day_s, names = 24 * 3600, ("long", "longer", "new")
        now = [time.time()]
        for name, age_s in zip(names, (2 * day_s, 3 * day_s, 0), strict=True):
            await core.index.opened(name, owner="ann", now_s=now[0] - age_s)
            await stored(core, name)
        reconciler = reconciler_of(core, now=lambda: now[0])

        async def lives() -> list[int]:
            keys = [key for name in names for key in journal_keys(name)]
            return [await core.redis.ttl(key) for key in keys]

        async def grow_short() -> None:
            for name in names:
                for key in journal_keys(name):
                    await core.redis.expire(key, 100)

        await grow_short()
        await reconciler.round()
        assert [left > 6 * day_s for left in await lives()] == [True] * 4 + [False] * 2
        await grow_short()
        await reconciler.round()
        assert max(await lives()) <= 100
        now[0] += 12 * 3600 + 1
        await reconciler.round()
        assert [left > 6 * day_s for left in await lives()] == [True] * 4 + [False] * 2


async def test_uploads_whose_time_is_over_go(redis_url: str, tmp_path: Path) -> None:
    """Finished longer ago than the retention: removed. Without a retention nothing ever is, and
    all that is stored is looked through once an hour."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        for name in ("old", "new"):
            store(core, name)
            core.storage.objects.publish(name, encode_json({"id": name}))
        found = core.storage.objects.find("old")
        assert found is not None
        past = time.time() - 3 * 24 * 3600
        os.utime(found.directory / "record.json", (past, past))
        await reconciler_of(core).round()
        assert core.storage.objects.find("old") is not None
        reconciler = reconciler_of(core, retention_s={"upload": 2 * 24 * 3600})
        await reconciler.round()
        assert core.storage.objects.find("old") is None
        found = core.storage.objects.find("new")
        assert found is not None
        os.utime(found.directory / "record.json", (past, past))
        await reconciler.round()
        assert core.storage.objects.find("new") is not None


DAY_S = 24 * 3600.0


def published(core: Components, kind: str, *ages: int, days: float | None = None) -> set[str]:
    """Uploads that were published so many days ago, of a kind that promised `days`."""
    names = {f"{kind or 'upload'}-{days}-{age}": age for age in ages}
    for name, age in names.items():
        store(core, name, labels=Labels(kind=kind), retention_days=days)
        core.storage.objects.publish(name, encode_json({"id": name}))
        found = core.storage.objects.find(name)
        assert found is not None
        past = time.time() - age * DAY_S
        os.utime(found.directory / "record.json", (past, past))
    return set(names)


async def test_uploads_of_a_kind_that_is_gone_are_kept_as_it_promised(
    redis_url: str, tmp_path: Path
) -> None:
    """Longer or shorter than the settings say, by which those expire that were promised nothing.
    It is logged once. A kind that is there is asked itself: what it promised once is over."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        names = published(core, "gone", 10, 7, 1)
        names |= published(core, "gone", 10, 7, 1, days=9)
        names |= published(core, "gone", 4, 2, days=3)
        names |= published(core, "", 10, 7, days=9)  # the usual kind, which had been declared
        names |= published(core, "letter", 10, days=9)
        names |= published(core, "film", 10, 2, days=30)
        table = {"letter": None, "film": 5 * DAY_S}

        reconciler = reconciler_of(core, retention_s=table, default_retention_s=5 * DAY_S)
        with capture_logs() as logs:
            await reconciler.round()
        told = [line["kind"] for line in logs if "is not declared" in line["event"]]
        assert told == ["gone"]
        assert names - stored_of(core, names) == {
            "gone-None-10",
            "gone-None-7",
            "gone-9-10",
            "gone-3-4",
            "upload-9-10",
            "film-30-10",
        }


async def test_a_promise_alone_lets_uploads_expire(redis_url: str, tmp_path: Path) -> None:
    """Where neither the table nor the settings have a time, and after a restart. What was promised
    nothing is kept forever, and while the kind is there nobody looks through what is published."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        names = published(core, "gone", 10, 2, days=3) | published(core, "gone", 10)
        await reconciler_of(core, retention_s={"gone": None}).round()
        assert stored_of(core, names) == names
        core.storage.objects.expired = forbidden  # type: ignore[method-assign]
        await reconciler_of(core, retention_s={"gone": None}).round()
    async with components(redis_url, tmp_path) as core:
        await reconciler_of(core).round()
        assert names - stored_of(core, names) == {"gone-3-10"}


def forbidden(*_: object) -> None:
    raise AssertionError("all that is published was looked through")


def stored_of(core: Components, upload_ids: Iterable[str]) -> set[str]:
    return {name for name in upload_ids if core.storage.objects.find(name) is not None}


def test_how_long_each_kind_is_kept() -> None:
    """As its table says, else as the settings do; None is forever. What the table does not have is
    not there, the usual kind neither: its uploads may have been promised something."""
    kinds = Kinds(
        [Kind(name="film", retention_days=2), Kind(name="letter")], max_bytes=1, allowed_types=()
    )
    kept = {"film": 2 * 86400, "letter": None}
    assert retention_of(kinds, load_settings(retention_days=None)) == kept
    kept |= {"letter": 86400}
    assert retention_of(kinds, load_settings(retention_days=1)) == kept
    assert retention_of(Kinds(max_bytes=1, allowed_types=()), load_settings()) == {}


async def test_it_goes_on_after_an_outage(sure_redis: RedisServer, tmp_path: Path) -> None:
    """Rounds that fail are put off; the first one after Redis is back does the work."""
    async with components(sure_redis.url, tmp_path) as core:
        await grow_old(core)
        await begin(core, lease_s=0)
        sure_redis.kill()
        async with beside(reconciler_of(core).run(every_s=0.05)):
            sure_redis.start()

            async def ended() -> bool:
                return (await page_of(core)).terminal

            await eventually(ended, "the lost upload is ended")


# ---- no walk that grows


async def scripts_run(core: Components) -> int:
    return await commands_run(core, "evalsha")


async def commands_run(core: Components, name: str) -> int:
    stats: Any = await core.redis.info("commandstats")
    return int(stats[f"cmdstat_{name}"]["calls"])


async def test_what_waits_for_a_worker_costs_nothing(redis_url: str, tmp_path: Path) -> None:
    """A round runs no script for an upload that has a job, wherever the job is, and compares all
    that are open with the storage only now and then."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        for n in range(30):
            await stored(core, f"up-{n}")
            await core.queue.enqueue(f"up-{n}")
        reconciler = reconciler_of(core)
        await reconciler.round()
        before = await scripts_run(core), await commands_run(core, "zrange")
        await reconciler.round()
        assert before == (await scripts_run(core), await commands_run(core, "zrange"))
        await core.queue.drop("up-7")
        assert await core.queue.depth() == (29, 0)
        await reconciler.round()
        assert await core.queue.depth() == (30, 0)


async def test_a_parked_job_goes_with_its_upload(redis_url: str, tmp_path: Path) -> None:
    """One whose upload was cancelled; not one that still waits for an operator."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        for upload_id in ("ended", "waits"):
            await stored(core, upload_id)
            await core.queue.enqueue(upload_id)

        async def park(job: Job) -> Outcome:
            return Park()

        async def both() -> bool:
            return (await core.queue.overview()).counts["parked"] == 2

        async with beside(core.queue.run(park, concurrency=2)):
            await eventually(both, "both are parked")
        await core.journal.cancel("ended", owner="ann", draft=draft("cancelled"))
        core.storage.remove("ended")
        await core.index.closed("ended")
        await reconciler_of(core).round()
        assert (await core.queue.place("ended"))[0] == ""
        assert (await core.queue.place("waits"))[0] == "parked"


async def test_what_rests_is_put_off(redis_url: str, tmp_path: Path) -> None:
    """Another service's job is not looked at while its lease runs, and is when that is over."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        now = [time.time()]
        await core.index.opened("job", owner="ann", now_s=now[0])
        await core.journal.job("job", owner="ann", producer="p", lease_s=30)
        reconciler = reconciler_of(core, now=lambda: now[0])
        await reconciler.round()
        assert await core.index.unattended(now_s=now[0]) == []
        before = await scripts_run(core)
        await reconciler.round()
        assert await scripts_run(core) == before
        now[0] += 31
        assert [name for name, _ in await core.index.unattended(now_s=now[0])] == ["job"]
        await reconciler.round()
        await core.index.look_at("job")
        assert [name for name, _ in await core.index.unattended(now_s=now[0])] == ["job"]
        await reconciler.round()
        await core.index.closed("job")
        assert await core.redis.keys("*put-off*") == []


async def test_one_worker_leads(redis_url: str, tmp_path: Path) -> None:
    """Of several the first that asks, until it resigns or is silent for a lease."""
    async with components(redis_url, tmp_path) as core:
        first, second = leader_of(core), leader_of(core)
        assert await first.leads()
        assert not await second.leads()
        assert await first.leads()
        await second.resign()
        assert not await second.leads()
        await first.resign()
        assert await second.leads()

        async def silent() -> bool:
            return await first.leads()

        await eventually(silent, "the lease of the second has run out")
        assert not await second.leads()


class Counting(Leader):
    """Counts how often it was asked."""

    asked = 0

    async def leads(self) -> bool:
        self.asked += 1
        return await super().leads()


async def test_only_the_leader_judges(redis_url: str, tmp_path: Path) -> None:
    """Another worker leaves it alone, and takes over at once when the leader stops."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        first, second = (
            Counting(core.redis, storage_id=core.storage.id, lease_s=600) for _ in range(2)
        )
        assert await first.leads()
        async with beside(reconciler_of(core, leader=second).run(every_s=0.01)):
            before = second.asked
            await begin(core, lease_s=0)
            await eventually(lambda: second.asked > before + 3, "the second one has asked")
            assert second.leading is (await page_of(core)).terminal is False
            await first.resign()

            async def ended() -> bool:
                return (await page_of(core)).terminal

            await eventually(ended, "the second one judges")
        assert await core.redis.exists(leader_key(core.storage.id)) == 0


async def test_a_long_round_ends_when_another_worker_leads(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks again after some uploads, and leaves the others to the new leader."""
    monkeypatch.setattr(module, "ASK_AFTER", 2)
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        for n in range(5):
            await begin(core, f"up-{n}", lease_s=0)
        assert await Leader(core.redis, storage_id=core.storage.id, lease_s=600).leads()
        await reconciler_of(core).round()
        assert len(await open_ids(core)) == 3
