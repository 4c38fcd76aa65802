"""The lists beside the journals: what is open here, and what is whose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from sse_progress.journal import upload_index as module
from sse_progress.journal.journal import Journal
from sse_progress.journal.upload_index import Index
from sse_progress.model.events import Draft
from sse_progress.runtime.concurrency import beside
from sse_progress.runtime.redis.client import connect
from sse_progress.runtime.redis.keys import journal_keys, owner_channel

NOW_S = 1_800_000_000.25


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url) as client:
        yield client


async def test_an_upload_is_open_until_it_is_closed(redis: Redis) -> None:
    """From before its first event until after its last, with the moment it began in ms."""
    index = Index(redis, storage_id="here")
    await index.opened("a", owner="ann", now_s=NOW_S)
    await index.opened("b", owner="bob", now_s=NOW_S + 1)
    assert await index.open_uploads() == [("a", 1_800_000_000_250), ("b", 1_800_000_001_250)]
    await index.closed("a")
    await index.closed("a")
    assert await index.open_uploads() == [("b", 1_800_000_001_250)]


async def test_an_upload_whose_end_was_lost_stays_listed(redis: Redis) -> None:
    """Redis was rewound between the end and this: without a list no worker would write it again.
    A job or a claim that has not begun is no such upload."""
    index = Index(redis, storage_id="here")
    for name, stage, term in (("lost", "moderating", ""), ("over", "complete", "complete")):
        await redis.hset(journal_keys(name)[0], mapping={"stage": stage, "term": term})
    await redis.hset(journal_keys("claimed")[0], mapping={"stage": "", "term": ""})
    for name in ("lost", "over", "claimed", "gone"):
        await index.opened(name, owner="ann", now_s=NOW_S)
        await index.closed(name)
    assert [name for name, _ in await index.open_uploads()] == ["lost"]


async def test_opening_twice_keeps_the_first_moment(redis: Redis) -> None:
    """A reconciler that puts it back does not make an old upload young, nor move it in lists."""
    index = Index(redis, storage_id="here")
    await index.opened("a", owner="ann", now_s=NOW_S)
    await index.opened("a", owner="ann", now_s=NOW_S + 1000)
    assert await index.open_uploads() == [("a", 1_800_000_000_250)]
    assert await index.owned("ann", before_us=None, limit=9) == [("a", 1_800_000_000_250_000)]


async def test_storages_do_not_see_each_others_open_uploads(redis: Redis) -> None:
    """A worker judges only what lies on the disk that it can see; an owner's list is one."""
    here, there = Index(redis, storage_id="here"), Index(redis, storage_id="there")
    await here.opened("a", owner="ann", now_s=NOW_S)
    await there.opened("b", owner="ann", now_s=NOW_S + 1)
    assert [name for name, _ in await here.open_uploads()] == ["a"]
    assert [name for name, _ in await there.open_uploads()] == ["b"]
    assert [name for name, _ in await here.owned("ann", before_us=None, limit=9)] == ["b", "a"]


async def test_an_owners_uploads_are_paged_newest_first(redis: Redis) -> None:
    """Going on before the last moment of a page: every upload once, and then nothing."""
    index = Index(redis, storage_id="here")
    for n in range(25):
        await index.opened(f"up-{n}", owner="ann", now_s=NOW_S + n / 1000)
        await index.opened(f"other-{n}", owner="bob", now_s=NOW_S + n / 1000)
    pages, before = [], None
    while True:
        page = await index.owned("ann", before_us=before, limit=10)
        pages.append([name for name, _ in page])
        if not page:
            break
        before = page[-1][1]
    assert [len(page) for page in pages] == [10, 10, 5, 0]
    assert [name for page in pages for name in page] == [f"up-{n}" for n in reversed(range(25))]


async def test_closing_leaves_the_owners_list_alone_and_forgetting_does_not(
    redis: Redis,
) -> None:
    """A finished upload is still its owner's; one that nobody remembers is struck out."""
    index = Index(redis, storage_id="here")
    await index.opened("a", owner="ann", now_s=NOW_S)
    await index.closed("a")
    assert len(await index.owned("ann", before_us=None, limit=9)) == 1
    await index.forget("a", owner="ann")
    assert await index.owned("ann", before_us=None, limit=9) == []


async def test_an_owners_list_is_bounded_to_the_latest(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest fall off; nobody can fill Redis with names."""
    monkeypatch.setattr(module, "OWNED_LIMIT", 5)
    index = Index(redis, storage_id="here")
    for n in range(8):
        await index.opened(f"up-{n}", owner="ann", now_s=NOW_S + n)
    names = [name for name, _ in await index.owned("ann", before_us=None, limit=99)]
    assert names == ["up-7", "up-6", "up-5", "up-4", "up-3"]
    assert len(await index.open_uploads()) == 8


async def test_every_key_has_a_life(redis: Redis) -> None:
    """Days, not for ever; and each opening renews it."""
    index = Index(redis, storage_id="here")
    await index.opened("a", owner="ann", now_s=NOW_S)
    keys = await redis.keys("*")
    assert len(keys) == 2
    for key in keys:
        assert 8 * 24 * 3600 - 10 <= await redis.ttl(key) <= 30 * 24 * 3600
        await redis.expire(key, 5)
    await index.opened("b", owner="ann", now_s=NOW_S)
    assert all([await redis.ttl(key) > 5 for key in keys])


async def test_keys_of_one_owner_are_on_one_node_and_say_nothing_of_him(redis: Redis) -> None:
    """Whatever a token says, the key is short, plain, and has its hash tag."""
    for owner in ("ann", "x" * 5000, "a}b{c\n", "ü"):
        name = owner_channel(owner)
        assert name.startswith("sp:u:{")
        assert name.endswith("}")
        assert len(name) == len("sp:u:{}") + 32
        assert owner not in name
    assert owner_channel("ann") != owner_channel("bob")


async def test_a_beginning_is_announced_to_its_owner_alone(redis: Redis) -> None:
    """The notice names the upload, on the owner's channel."""
    async with redis.pubsub(ignore_subscribe_messages=False) as heard:
        await heard.subscribe(owner_channel("ann"), owner_channel("bob"))
        for _ in range(2):
            await heard.get_message(timeout=60)
        await Index(redis, storage_id="here").announce("up", owner="ann")
        message: Any = await heard.get_message(timeout=60)
        assert (message["channel"], message["data"]) == (owner_channel("ann").encode(), b"up")
        assert await heard.get_message(timeout=0.05) is None


async def test_a_first_event_lists_its_upload_and_announces_it(redis_url: str) -> None:
    """In the step in which it begins, and only if it begins: as `opened` and `announce` would, or
    in no owner's list."""
    redis = connect(redis_url)
    index, journal = Index(redis, storage_id="here"), Journal(redis)

    async def begun(upload_id: str, *, by: str, listed_for: str | None) -> str:
        answer = await journal.begin(
            upload_id,
            owner=by,
            draft=Draft(stage="receiving", stage_progress=0, message="testing"),
            lease_s=60,
            listing=index.listing(upload_id, owner=listed_for, now_s=NOW_S),
        )
        return answer.status

    async def lists() -> dict[str, list[tuple[str, int]]]:
        return {
            "open": await index.open_uploads(),
            "ann": await index.owned("ann", before_us=None, limit=9),
            "bob": await index.owned("bob", before_us=None, limit=9),
        }

    async with redis, beside(journal.appends.run()), redis.pubsub() as heard:
        await heard.subscribe(owner_channel("ann"), owner_channel("bob"))
        assert await begun("up", by="ann", listed_for="ann") == "ok"
        for key in [key async for key in redis.scan_iter()]:
            assert await redis.ttl(key) > 0, key
        found = await lists()
        await index.opened("up", owner="ann", now_s=NOW_S + 1)
        assert found == await lists()
        assert found["open"] == [("up", int(NOW_S * 1000))]
        assert found["ann"] == [("up", int(NOW_S * 1_000_000))]
        assert await begun("up", by="ann", listed_for="ann") == "in_use"
        assert await begun("up", by="bob", listed_for="bob") == "forbidden"
        assert await lists() == found
        assert await begun("unlisted", by="bob", listed_for=None) == "ok"
        assert (await lists())["bob"] == []
        assert ("unlisted", int(NOW_S * 1000)) in (await lists())["open"]
        await index.announce("last", owner="ann")
        told = [message["data"] async for message in _messages(heard, until=b"last")]
        assert told == [b"up", b"last"]


async def _messages(heard: Any, *, until: bytes) -> AsyncIterator[dict[str, Any]]:
    async for message in heard.listen():
        if message["type"] == "message":
            yield message
            if message["data"] == until:
                return


async def test_without_one_server_an_upload_is_listed_by_commands_of_their_own() -> None:
    """Lists and journal are in different slots of a Cluster, which no script may touch at once."""
    async with connect("redis+cluster://127.0.0.1:1") as cluster:
        index = Index(cluster, storage_id="here")
        assert index.listing("up", owner="ann", now_s=NOW_S) is None


async def test_every_consumer_learns_of_every_end(redis: Redis) -> None:
    """An end is in each consumer's list from the step in which the upload is no longer open, and
    stays there until that consumer is done with it, also if it is noted again."""
    index = Index(redis, storage_id="here", consumers=("archive", "webhooks"))
    for name in ("a", "b"):
        await index.opened(name, owner="ann", now_s=NOW_S)
        await index.closed(name)
    assert await index.open_uploads() == []
    assert [name for name, _ in await index.ended("archive", limit=9)] == ["a", "b"]
    assert [name for name, _ in await index.ended("archive", limit=1)] == ["a"]
    await index.done("archive", ["a"])
    await index.done("archive", [])
    assert [name for name, _ in await index.ended("archive", limit=9)] == ["b"]
    first = await index.ended("webhooks", limit=9)
    await index.closed("a")
    assert await index.ended("webhooks", limit=9) == first
    assert [name for name, _ in await index.ended("archive", limit=9)] == ["b", "a"]


async def test_without_consumers_ends_leave_nothing(redis: Redis) -> None:
    """No list grows that nothing reads."""
    index = Index(redis, storage_id="here")
    await index.opened("a", owner="ann", now_s=NOW_S)
    before = set(await redis.keys("*ended*"))
    await index.closed("a")
    assert set(await redis.keys("*ended*")) == before == set()
