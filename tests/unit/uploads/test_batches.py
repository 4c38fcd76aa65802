"""Batches: exact counts whatever is noted in which order, one end, and repair."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sse_progress.model.errors import AlreadyFinished, BatchClosed, Forbidden, UnknownUpload
from sse_progress.model.events import decode_json, tags_of
from sse_progress.model.labels import NO_LABELS, Labels
from sse_progress.uploads.batches import Batches, BatchKeeper
from sse_progress.uploads.components import Components
from tests.helpers.components import components, draft, store
from tests.helpers.waiting import eventually

ENDS = ("complete", "error", "cancelled")


@asynccontextmanager
async def batches_at(
    url: str, directory: Path, *, most: int = 100
) -> AsyncIterator[tuple[Components, Batches]]:
    async with components(url, directory) as core:
        yield core, Batches(core, most=most)


async def opened(batches: Batches, batch_id: str = "b1", *, total: int = 0) -> bool:
    return await batches.open(batch_id, owner="ann", labels=NO_LABELS, total=total)


async def upload(core: Components, upload_id: str, *, batch: str = "b1", end: str = "") -> None:
    """An upload of the batch, ended with `end` if that is given."""
    tags = tags_of(filename="", labels=Labels(batch_id=batch))
    await core.index.opened(upload_id, owner="ann", now_s=1_800_000_000)
    answer = await core.journal.begin(
        upload_id, owner="ann", draft=draft("receiving"), lease_s=60, tags=tags
    )
    if end:
        await core.journal.operation(
            "next", upload_id, owner="ann", fence=answer.fence, numbers=iter([2]), draft=draft(end)
        )
        await core.index.closed(upload_id)


async def events(core: Components, batch_id: str = "b1") -> list[dict[str, Any]]:
    page = await core.journal.read(f"b:{batch_id}", limit=10_000)
    return [decode_json(frame.data) for frame in page.frames]  # type: ignore[union-attr]


def keeper(core: Components, batches: Batches) -> BatchKeeper:
    return BatchKeeper(core, batches, repair_s=60)


async def test_a_batch_counts_its_items_and_ends_once(redis_url: str, tmp_path: Path) -> None:
    """With the announced number of items it ends with the last, complete although one failed."""
    async with batches_at(redis_url, tmp_path) as (core, batches):
        assert await opened(batches, total=3)
        for name in ("one", "two", "three"):
            await batches.join("b1", name, owner="ann")
        await upload(core, "one", end="complete")
        await upload(core, "two", end="error")
        await keeper(core, batches).round()

        async def told() -> bool:
            return (await events(core))[-1]["items"]["running"] == 1

        await eventually(told, "what was merged is told")
        await batches.ended(["one", "two"])  # noted twice, counted once
        latest = (await events(core))[-1]
        assert latest["items"] == {
            "total": 3,
            "complete": 1,
            "error": 1,
            "cancelled": 0,
            "running": 1,
        }
        assert (latest["batchId"], latest["stage"], latest["progress"]) == ("b1", "processing", 66)
        assert latest["message"] == "Item 3 of 3"
        await upload(core, "three", end="complete")
        await keeper(core, batches).round()
        *_, last, end = await events(core)
        assert (last["stageProgress"], last["progress"]) == (100, 99)
        assert (end["stage"], end["progress"]) == ("complete", 100)
        assert end["items"]["complete"] == 2
        with pytest.raises(BatchClosed):
            await batches.join("b1", "four", owner="ann")
        with pytest.raises(AlreadyFinished):
            await batches.close("b1", owner="ann")


async def test_who_may_join_and_how_many(redis_url: str, tmp_path: Path) -> None:
    """Items of its owner, up to the limit, until it is closed; an unknown batch is a label only."""
    async with batches_at(redis_url, tmp_path, most=2) as (_, batches):
        await batches.join("nowhere", "one", owner="ann")
        with pytest.raises(UnknownUpload):
            await batches.close("nowhere", owner="ann")
        await opened(batches)
        with pytest.raises(Forbidden):
            await batches.join("b1", "one", owner="bob")
        with pytest.raises(Forbidden):
            await batches.page("b1", owner="bob")
        for name in ("one", "one", "two"):
            await batches.join("b1", name, owner="ann")
        with pytest.raises(BatchClosed, match="as many items"):
            await batches.join("b1", "three", owner="ann")
        await batches.close("b1", owner="ann")
        with pytest.raises(BatchClosed, match="No more"):
            await batches.join("b1", "three", owner="ann")


async def test_an_end_that_nobody_noted_is_found(redis_url: str, tmp_path: Path) -> None:
    """By the list of ended uploads, also of an item that did not join; and by the look at open
    batches, where that list was lost as well."""
    async with batches_at(redis_url, tmp_path) as (core, batches):
        await opened(batches)
        await batches.join("b1", "one", owner="ann")
        await upload(core, "one", end="cancelled")
        await upload(core, "two", end="complete")
        await core.index.done("batches", ["one"])
        await keeper(core, batches).round()
        await batches.repair()
        await batches.close("b1", owner="ann")
        end = (await events(core))[-1]
        assert end["stage"] == "complete"
        assert (end["items"]["complete"], end["items"]["cancelled"]) == (1, 1)


async def test_a_batch_whose_end_was_lost_stays_open(redis_url: str, tmp_path: Path) -> None:
    """Redis was rewound between the end and its removal from the list: repair finds it again."""
    async with batches_at(redis_url, tmp_path) as (_core, batches):
        await opened(batches)
        await batches._over("b1")
        assert await batches.open_journals() == ["b:b1"]
        await batches.close("b1", owner="ann")
        await batches.repair()
        assert await batches.open_journals() == []


async def test_an_item_that_never_began_ends_as_an_error(redis_url: str, tmp_path: Path) -> None:
    """A stream that waits for it has claimed its id, which makes it no upload: the batch waits a
    minute for it, and not for ever."""
    async with batches_at(redis_url, tmp_path) as (core, batches):
        await opened(batches)
        for name in ("claimed", "unknown", "job"):
            await batches.join("b1", name, owner="ann")
        await core.journal.read("claimed", owner="ann", claim=True)
        await core.journal.job("job", owner="ann", producer="farm", lease_s=60, tags=b"", about=b"")
        await batches.close("b1", owner="ann")
        await batches.repair()
        assert len(await batches._log.running("b1")) == 3
        await core.redis.hincrby("sp:{b:b1}:meta", "ts", -60_000)
        await batches.repair()
        assert await batches._log.running("b1") == ["job"]


async def test_a_batch_whose_items_were_all_cancelled_is_cancelled(
    redis_url: str, tmp_path: Path
) -> None:
    """By one DELETE; its end says so, with an error as every cancellation has."""
    async with batches_at(redis_url, tmp_path) as (core, batches):
        await opened(batches)
        for name in ("one", "two"):
            await batches.join("b1", name, owner="ann")
            await upload(core, name)
        await batches.cancel("b1", owner="ann")
        end = (await events(core))[-1]
        assert (end["stage"], end["error"]["code"], end["progress"]) == ("cancelled",) * 2 + (0,)
        assert end["items"]["cancelled"] == 2
        head = await core.journal.head("two")
        assert head is not None
        assert head.term == "cancelled"


async def test_bulk_deletion_goes_on_where_its_process_died(redis_url: str, tmp_path: Path) -> None:
    """Each item is done once and counted; one that cannot be is an error, and stops nothing."""
    async with batches_at(redis_url, tmp_path) as (core, batches):
        store(core, "one")
        await upload(core, "one", end="complete")
        await upload(core, "open")
        await batches._open("b2", owner="ann", labels=NO_LABELS, total=0, most=10, work="delete")
        await batches._log.add("b2", ["one", "open", "unknown"])
        await batches._log.do("close", "b2", owner="ann")
        await core.redis.hincrby("sp:{b:b2}:meta", "ts", -60_000)
        await batches.repair()
        end = (await events(core, "b2"))[-1]
        assert end["stage"] == "complete"
        assert (end["items"]["complete"], end["items"]["error"]) == (1, 2)
        assert core.storage.objects.find("one") is None


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_counts_hold_in_any_order(
    data: st.DataObject, redis_url: str, tmp_path: Path
) -> None:
    """Notes twice, late, before the joining, between others: one end, when the last has ended."""
    ends = data.draw(st.lists(st.sampled_from(ENDS), min_size=1, max_size=8))
    steps = [("join", f"i{at}", "") for at in range(len(ends))]
    steps += [("note", f"i{at}", end) for at, end in enumerate(ends)]
    steps += data.draw(st.lists(st.sampled_from(steps), max_size=8))
    steps = data.draw(st.permutations(steps))
    async with batches_at(redis_url, tmp_path) as (core, batches):
        await core.redis.flushdb()
        await opened(batches, total=len(ends))
        first: dict[str, str] = {}
        for op, item, status in steps:
            answer = await batches._log.do(op, "b1", owner="ann", item=item, status=status)
            if op == "note":
                first.setdefault(item, status)
            over = len(first) == len(ends)
            assert bool(answer.term) == over
        told = await events(core)
        assert [event["stage"] for event in told].count("processing") == len(told) - 1
        percents = [event["progress"] for event in told[:-1]]
        assert percents == sorted(percents)
        items = told[-1]["items"]
        assert [items[end] for end in ENDS] == [ends.count(end) for end in ENDS]
        assert told[-1]["stage"] == ("cancelled" if set(ends) == {"cancelled"} else "complete")
