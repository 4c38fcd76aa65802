"""Looks at a user's open and recent uploads, on a real Redis: what they find and cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from sse_progress.journal.glances import glances
from sse_progress.model.events import tags_of
from sse_progress.model.labels import NO_LABELS, Labels
from sse_progress.uploads import recent as module
from sse_progress.uploads.components import Components
from sse_progress.uploads.recent import RecentUploads
from tests.helpers.components import components, draft
from tests.helpers.redis_server import RedisServer


async def begin_many(
    core: Components, *upload_ids: str, owner: str = "ann", labels: Labels = NO_LABELS
) -> None:
    tags = tags_of(filename="", labels=labels)
    for n, upload_id in enumerate(upload_ids):
        await core.index.opened(upload_id, owner=owner, now_s=1_800_000_000 + n)
        await core.journal.begin(
            upload_id, owner=owner, draft=draft("receiving"), lease_s=60, tags=tags
        )


async def cancel(core: Components, upload_id: str) -> None:
    await core.journal.cancel(upload_id, owner="ann", draft=draft("cancelled"))


async def calls(core: Components, command: str) -> int:
    found = await core.redis.info("commandstats")
    return int(found.get(f"cmdstat_{command}", {}).get("calls", 0))


@asynccontextmanager
async def looking(
    url: str, directory: Path, *, pause_s: float = 0
) -> AsyncIterator[tuple[Components, RecentUploads]]:
    async with components(url, directory) as core:
        yield core, RecentUploads(core.index, core.background, pause_s=pause_s)


async def names(recent: RecentUploads, owner: str) -> list[str]:
    return [one.upload_id for one in await recent.current(owner)]


async def test_open_and_recent_uploads_oldest_first(redis_url: str, tmp_path: Path) -> None:
    """The user's own, those that ended a moment ago included; a lost journal is left out."""
    async with looking(redis_url, tmp_path) as (core, recent):
        await begin_many(core, "one", "two", "three")
        await begin_many(core, "theirs", owner="bob")
        await core.index.opened("lost", owner="ann", now_s=1_800_000_009)
        await core.index.opened("theirs", owner="ann", now_s=1_800_000_009)
        await cancel(core, "two")
        assert await names(recent, "ann") == ["one", "two", "three"]
        assert [one.ended for one in await recent.current("ann")] == [False, True, False]
        assert await names(recent, "bob") == ["theirs"]
        assert await names(recent, "nobody") == []


async def test_what_ended_long_ago_is_asked_of_once(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second look reads the others only; after a loss of data everything is read again."""
    monkeypatch.setattr(module, "RECENT_MS", 0)
    async with looking(redis_url, tmp_path) as (core, recent):
        ended = [f"ended-{n}" for n in range(20)]
        await begin_many(core, *ended, "open")
        for upload_id in ended:
            await cancel(core, upload_id)
        counts = []
        for _ in range(2):
            before = await calls(core, "hmget")
            assert await names(recent, "ann") == ["open"]
            counts.append(await calls(core, "hmget") - before)
        assert counts == [21, 1]
        recent.forget("ann")
        before = await calls(core, "hmget")
        await recent.current("ann")
        assert await calls(core, "hmget") - before == 21


async def test_what_is_open_is_found_behind_any_number_that_ended(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is read to its end, and from then on no further back than the oldest open one."""
    monkeypatch.setattr(module, "RECENT_MS", 0)
    monkeypatch.setattr(module, "STEP", 4)
    monkeypatch.setattr(module.time, "time", lambda: 2e9)
    async with looking(redis_url, tmp_path) as (core, recent):
        ended = [f"ended-{n}" for n in range(21)]
        await begin_many(core, *ended[:10], "old", *ended[10:], "young")
        for upload_id in ended:
            await cancel(core, upload_id)
        reads = []
        for _ in range(2):
            before = await calls(core, "zrevrangebyscore")
            assert await names(recent, "ann") == ["old", "young"]
            reads.append(await calls(core, "zrevrangebyscore") - before)
        assert reads == [6, 4]  # 23 rows, then 13


async def test_memory_of_what_is_over_is_bounded(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who were looked up longest ago are forgotten first, and looked up again as a whole."""
    monkeypatch.setattr(module, "RECENT_MS", 0)
    monkeypatch.setattr(module, "REMEMBERED", 5)
    async with looking(redis_url, tmp_path) as (core, recent):
        for owner in ("ann", "bob"):
            ended = [f"{owner}-{n}" for n in range(3)]
            await begin_many(core, *ended, owner=owner)
            for upload_id in ended:
                await core.journal.cancel(upload_id, owner=owner, draft=draft("cancelled"))
        asked = []
        for owner in ("ann", "bob", "bob", "ann"):
            before = await calls(core, "hmget")
            assert await names(recent, owner) == []
            asked.append(await calls(core, "hmget") - before)
        assert asked == [3, 3, 0, 3]


async def test_all_who_wait_share_a_look(redis_url: str, tmp_path: Path) -> None:
    """Fifteen streams that open at once read the list once, whoever of them leaves."""
    async with looking(redis_url, tmp_path) as (core, recent):
        await begin_many(core, "one", "two")
        before = await calls(core, "zrevrangebyscore")
        asking = [asyncio.ensure_future(recent.current("ann")) for _ in range(15)]
        await asyncio.sleep(0)
        asking[0].cancel()
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1:] == [found[1]] * 14
        assert await calls(core, "zrevrangebyscore") - before == 1


async def test_looks_for_one_user_are_paced(redis_url: str, tmp_path: Path) -> None:
    """A user's second look waits, others' do not; if the last who waits for it leaves, it is not
    made at all."""
    async with looking(redis_url, tmp_path, pause_s=60) as (core, recent):
        await begin_many(core, "one")
        before = await calls(core, "zrevrangebyscore")
        await recent.current("ann")
        asking = [asyncio.ensure_future(recent.current("ann")) for _ in range(5)]
        await asyncio.sleep(0)
        for other in ("bob", "carol", "dave"):
            await recent.current(other)
        assert await calls(core, "zrevrangebyscore") - before == 4
        assert not any(task.done() for task in asking)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        assert not recent._waiting


async def test_a_look_sees_what_came_before_it_was_asked_for(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks while a look is being made gets a later one: the first may have read too early."""
    async with looking(redis_url, tmp_path) as (core, recent):
        await begin_many(core, "one")
        reading, go_on = asyncio.Event(), asyncio.Event()

        async def slow(*given: object) -> object:
            found = await glances(*given)  # type: ignore[arg-type]
            reading.set()
            await go_on.wait()
            return found

        monkeypatch.setattr(module, "glances", slow)
        first = asyncio.ensure_future(recent.current("ann"))
        await asyncio.wait_for(reading.wait(), 60)
        await begin_many(core, "two")
        second = asyncio.ensure_future(recent.current("ann"))
        await asyncio.sleep(0)
        go_on.set()
        assert [one.upload_id for one in await first] == ["one"]
        assert {one.upload_id for one in await second} == {"one", "two"}


async def test_without_redis_a_look_fails(sure_redis: RedisServer, tmp_path: Path) -> None:
    """Everyone who waits hears it, and the next look is a new one."""
    async with looking(sure_redis.url, tmp_path) as (core, recent):
        await begin_many(core, "one")
        sure_redis.kill()
        asking = [asyncio.ensure_future(recent.current("ann")) for _ in range(3)]
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert all(isinstance(error, RedisError | OSError) for error in found)
        sure_redis.start()
        assert await names(recent, "ann") == ["one"]
