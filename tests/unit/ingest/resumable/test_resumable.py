"""Bodies that come in several requests: whose turn it is, on two processes at once."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sse_progress.ingest import journaling
from sse_progress.ingest.ingest import Ingest, IngestConfig
from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.ingest.resumable import turns
from sse_progress.ingest.resumable.parts import Extent, Part
from sse_progress.ingest.resumable.resumable import Resumable
from sse_progress.model.errors import (
    ClientDisconnected,
    Forbidden,
    InconsistentLength,
    InsufficientStorage,
    MismatchingOffset,
    Replaced,
    TooManyUploads,
    Unavailable,
    UnknownUpload,
    UploadIdInUse,
)
from sse_progress.runtime.redis.keys import turn_channel
from sse_progress.storage.partial import PartialBody
from sse_progress.uploads.components import Components
from tests.helpers.components import KINDS, begin, components, events_of, left_over
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually
from tests.unit.storage.test_resumable import announced


def resumable_of(core: Components, **changes: Any) -> Resumable:
    given: dict[str, Any] = {
        "limits": ReceiveLimits(),
        "kinds": KINDS,
        "lease_s": 10,
        "redis_wait_s": 10,
        "resume_s": 600,
        **changes,
    }
    config = IngestConfig(**given)
    ingest = Ingest(core, config)
    return Resumable(core, config, receivers=ingest.receivers, journaling=ingest.journaling)


async def all_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def part(*pieces: bytes, **more: Any) -> Part:
    return Part(chunks=all_of(*pieces), completes_at_length=True, **more)


def body(**more: Any) -> Any:
    return announced("up", owner="ann", filename="a.txt", **more)


class Standing:
    """A part that brings one piece and then stands still."""

    def __init__(self, piece: bytes) -> None:
        self._piece = piece
        self.reached = asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._piece
        self.reached.set()
        await asyncio.Event().wait()
        yield b""


@pytest.mark.parametrize("by", ["a look", "a part"])
async def test_a_request_takes_over_from_another_process(
    redis_url: str, tmp_path: Path, by: str
) -> None:
    """The older one keeps what it has, and ends; the newer one goes on right there."""
    async with components(redis_url, tmp_path) as one, components(redis_url, tmp_path) as two:
        first, second = resumable_of(one), resumable_of(two)
        standing = Standing(b"abc")
        older = asyncio.ensure_future(
            first.create(body(length=6), Part(chunks=standing.chunks(), completes_at_length=True))
        )
        await asyncio.wait_for(standing.reached.wait(), 30)
        if by == "a look":
            extent = await asyncio.wait_for(second.extent("up", owner="ann"), 30)
            assert extent is not None
            assert (extent.offset, extent.length, extent.complete) == (3, 6, False)
        else:
            with pytest.raises(MismatchingOffset) as caught:
                await asyncio.wait_for(second.append("up", part(b"x"), owner="ann"), 30)
            assert caught.value.expected == 3
        with pytest.raises(Replaced):
            await asyncio.wait_for(older, 30)
        done = await second.append("up", part(b"def", offset=3), owner="ann")
        assert done == Extent(offset=6, length=6, complete=True)
        found = two.storage.objects.find("up")
        assert found is not None
        assert found.manifest.sha256 == hashlib.sha256(b"abcdef").hexdigest()
        assert not [event for event in await events_of(two) if event.get("paused")]
        assert (await two.queue.depth())[0] == 1


async def test_a_part_that_is_cut_off_rests(redis_url: str, tmp_path: Path) -> None:
    """What came is kept, one event says so, and the next part one that it goes on."""
    async with components(redis_url, tmp_path) as core:
        resumable = resumable_of(core)

        async def cut() -> AsyncIterator[bytes]:
            yield b"abc"
            raise ClientDisconnected

        with pytest.raises(ClientDisconnected):
            await resumable.create(body(length=9), Part(chunks=cut()))
        await resumable.extent("up", owner="ann")  # a look brings no bytes: the body still rests
        assert len(await events_of(core)) == 2
        await resumable.append("up", part(b"def", offset=3), owner="ann")
        events = await events_of(core)
        assert [event.get("paused", False) for event in events[:3]] == [False, True, False]
        assert [event["bytes"] for event in events[:3]] == [0, 3, 3]
        assert (events[2]["message"], events[2]["filename"]) == ("Upload resumed", "a.txt")


async def test_a_full_disk_keeps_the_offset(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows a piece that could not be written is not written either."""
    async with components(redis_url, tmp_path) as core:
        resumable = resumable_of(core)
        await resumable.create(body(), part(b"abc"))
        append = PartialBody.append

        def full(self: PartialBody, data: bytes, *, offset: int) -> None:
            monkeypatch.setattr(PartialBody, "append", append)
            raise InsufficientStorage

        monkeypatch.setattr(PartialBody, "append", full)
        with pytest.raises(InsufficientStorage):
            await resumable.append(
                "up", part(b"d" * 1024**2, b"ef", b"g" * 1024**2, offset=3), owner="ann"
            )
        extent = await resumable.extent("up", owner="ann")
        assert extent is not None
        assert extent.offset == 3


async def test_an_offset_that_is_told_is_on_the_disk(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written between the last sync and the answer, also on the way."""
    done: list[str] = []
    append, sync = PartialBody.append, PartialBody.sync

    def appending(self: PartialBody, data: bytes, *, offset: int) -> None:
        done.append("append")
        append(self, data, offset=offset)

    def syncing(self: PartialBody) -> int:
        done.append("sync")
        return sync(self)

    def told(offset: int) -> None:
        assert done[-1] == "sync"
        done.append(f"told {offset}")

    monkeypatch.setattr(PartialBody, "append", appending)
    monkeypatch.setattr(PartialBody, "sync", syncing)
    async with components(redis_url, tmp_path) as core:
        resumable = resumable_of(core)
        mib = b"x" * 1024**2
        extent = await resumable.create(body(), part(mib, mib, b"y", on_offset=told))
        assert (extent.offset, done[-1]) == (2 * 1024**2 + 1, "sync")
        assert [each for each in done if each.startswith("told")] == [
            "told 1048576",
            "told 2097152",
        ]
        await resumable.extent("up", owner="ann")
        assert done[-1] == "sync"


async def test_a_process_that_drains_lets_bodies_rest(redis_url: str, tmp_path: Path) -> None:
    """The request ends with `unavailable`; another process goes on."""
    async with components(redis_url, tmp_path) as core:
        config = IngestConfig(limits=ReceiveLimits(), kinds=KINDS, lease_s=10, redis_wait_s=10)
        ingest = Ingest(core, config)
        resumable = Resumable(
            core, config, receivers=ingest.receivers, journaling=ingest.journaling
        )
        standing = Standing(b"abc")
        sending = asyncio.ensure_future(
            resumable.create(body(length=6), Part(chunks=standing.chunks()))
        )
        await asyncio.wait_for(standing.reached.wait(), 30)
        await ingest.drain(0)
        with pytest.raises(Unavailable):
            await sending
        with pytest.raises(Unavailable):
            await resumable.extent("up", owner="ann")
        assert (await events_of(core))[-1]["paused"] is True
        done = await resumable_of(core).append("up", part(b"def", offset=3), owner="ann")
        assert done.complete


async def test_who_may_go_on(redis_url: str, tmp_path: Path) -> None:
    """Its owner, with an upload that exists and comes in parts; an id is claimed once."""
    async with components(redis_url, tmp_path) as core:
        resumable = resumable_of(core)
        for asking in (
            resumable.append("up", part(b"x"), owner="ann"),
            resumable.extent("up", owner="ann"),
        ):
            with pytest.raises(UnknownUpload):
                await asking
        await begin(core)  # a form's
        assert await resumable.extent("up", owner="ann") is None
        with pytest.raises(UnknownUpload):
            await resumable.append("up", part(b"x"), owner="ann")
        with pytest.raises(UploadIdInUse):
            await resumable.create(body(length=9), part(b"x"))
        with pytest.raises(Forbidden):
            await resumable.append("up", part(b"x"), owner="bob")
        assert left_over(core) == []


async def test_too_many_that_are_not_whole(redis_url: str, tmp_path: Path) -> None:
    """They are counted by owner; one that is whole is not counted any more."""
    async with components(redis_url, tmp_path) as core:
        resumable = resumable_of(core, max_paused=1)
        await resumable.create(body(length=3), part(b"a"))
        second = announced("second", owner="ann", length=1)
        with pytest.raises(TooManyUploads):
            await resumable.create(second, part())
        await resumable.create(announced("his", owner="bob", length=1), part())
        await resumable.append("up", part(b"bc", offset=1), owner="ann")
        await resumable.create(second, part())


async def test_a_last_part_that_ends_early_keeps_the_body(redis_url: str, tmp_path: Path) -> None:
    """The length was another one: refused, and it can still be sent whole."""
    async with components(redis_url, tmp_path) as core:
        resumable = resumable_of(core)
        await resumable.create(body(length=6), part(b"abc"))
        with pytest.raises(InconsistentLength):
            await resumable.append(
                "up", Part(chunks=all_of(b"de"), offset=3, last=True), owner="ann"
            )
        assert (await resumable.append("up", part(b"f", offset=5), owner="ann")).complete


async def test_many_small_parts_make_few_events(redis_url: str, tmp_path: Path) -> None:
    """They are merged across requests, like the chunks of one."""
    async with components(redis_url, tmp_path) as core:
        resumable = resumable_of(core)
        began_at = time.monotonic()
        await resumable.create(body(length=1000), part())
        for offset in range(50):
            await resumable.append("up", part(b"x", offset=offset), owner="ann")
        intervals = (time.monotonic() - began_at) / 0.1
        assert len(await events_of(core)) <= 2 + intervals

        async def told() -> bool:
            await resumable.append(
                "up",
                part(b"x", offset=(await resumable.extent("up", owner="ann")).offset),  # type: ignore[union-attr]
                owner="ann",
            )
            return bool((await events_of(core))[-1]["bytes"] > 50)

        await eventually(told, "a later part is told")


async def test_a_further_part_asks_redis_little(own_redis: RedisServer, tmp_path: Path) -> None:
    """One script for its turn, and one for an event that is due; nothing is subscribed or read."""
    async with components(own_redis.url, tmp_path) as core:
        resumable = resumable_of(core)
        await resumable.create(body(length=1000), part(b"x"))
        channel = resumable.turns._channels._open["up"]
        await eventually(lambda: channel.generation is not None, "the upload's channel is heard")
        await resumable.append("up", part(b"x", offset=1), owner="ann")

        async def asked() -> dict[str, int]:
            stats: dict[str, Any] = await core.redis.info("commandstats")
            return {
                name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]
                for name in ("evalsha", "evalsha_ro", "subscribe", "unsubscribe", "zrem")
            }

        before, began_at = await asked(), time.monotonic()
        for offset in range(2, 22):
            await resumable.append("up", part(b"x", offset=offset), owner="ann")
        told = (time.monotonic() - began_at) / 0.1 + 1
        after = await asked()
        calls = {name: after[name] - before[name] for name in before}
        assert calls.pop("evalsha") <= 20 + told
        assert set(calls.values()) == {0}


async def test_what_is_heard_before_the_first_byte_counts(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that was replaced between getting its turn and its first byte ends at once."""
    async with components(redis_url, tmp_path) as one, components(redis_url, tmp_path) as two:
        first, second = resumable_of(one), resumable_of(two)
        await first.create(body(length=9), part(b"abc"))
        take, heard = first.turns.take, asyncio.Event()
        newer: list[asyncio.Future[Any]] = []

        def hear(message: bytes) -> None:
            if message:
                heard.set()

        async def replaced(*args: Any) -> Any:
            turn = await take(*args)
            one.emitter.listen(turn_channel("up"), hear)  # with the turn's own listener
            newer.append(asyncio.ensure_future(second.extent("up", owner="ann")))
            await asyncio.wait_for(heard.wait(), 30)
            return turn

        monkeypatch.setattr(first.turns, "take", replaced)
        with pytest.raises(Replaced):
            await asyncio.wait_for(
                first.append("up", Part(chunks=Standing(b"x").chunks(), offset=3), owner="ann"), 30
            )
        assert await asyncio.wait_for(newer[0], 30) is not None


async def test_a_journal_that_redis_lost_begins_again(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    """Also where the process that goes on has listened to it all along."""
    async with components(own_redis.url, tmp_path) as core:
        resumable = resumable_of(core)
        await resumable.create(body(length=9), part(b"abc"))
        await core.redis.flushall()
        extent = await resumable.append("up", part(b"def", offset=3), owner="ann")
        assert extent.offset == 6
        assert (await resumable.append("up", part(b"ghi", offset=6), owner="ann")).complete
        assert (await events_of(core))[-1]["stage"] == "file_received"


# ---- Redis away


async def test_without_redis_nothing_is_begun(
    own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A creation, an append and a look are refused for now; no body is left, none is touched."""
    for module in (journaling, turns):
        monkeypatch.setattr(module, "REDIS_WAIT_S", 0.3)
    async with components(own_redis.url, tmp_path) as core:
        resumable = resumable_of(core)
        await resumable.create(body(length=9), part(b"abc"))
        kept = left_over(core)
        own_redis.stop()
        try:
            for asking in (
                resumable.create(announced("new", owner="ann", length=9), part(b"x")),
                resumable.append("up", part(b"def", offset=3), owner="ann"),
                resumable.extent("up", owner="ann"),
            ):
                with pytest.raises(Unavailable):
                    await asking
        finally:
            own_redis.cont()
        assert left_over(core) == kept
        extent = await resumable.extent("up", owner="ann")
        assert extent is not None
        assert extent.offset == 3


async def test_redis_away_while_a_part_arrives(own_redis: RedisServer, tmp_path: Path) -> None:
    """What arrived counts, and is told although no event can be."""
    async with components(own_redis.url, tmp_path) as core:
        resumable = resumable_of(core)

        async def chunks() -> AsyncIterator[bytes]:
            yield b"abc"
            own_redis.stop()
            yield b"def"

        try:
            extent = await asyncio.wait_for(
                resumable.create(body(length=9), Part(chunks=chunks())), 30
            )
        finally:
            own_redis.cont()
        assert extent.offset == 6
        assert (await resumable.append("up", part(b"ghi", offset=6), owner="ann")).complete
        events = await events_of(core)
        assert events[-1]["stage"] == "file_received"


async def test_redis_away_when_the_body_is_whole(own_redis: RedisServer, tmp_path: Path) -> None:
    """The file is stored and stays: its sender learns it when Redis is back."""
    async with components(own_redis.url, tmp_path) as core:
        resumable = resumable_of(core, redis_wait_s=0.3)

        async def chunks() -> AsyncIterator[bytes]:
            yield b"abcdef"
            own_redis.stop()

        whole = Part(chunks=chunks(), completes_at_length=True)
        try:
            with pytest.raises(Unavailable):
                await asyncio.wait_for(resumable.create(body(length=6), whole), 30)
        finally:
            own_redis.cont()
        found = core.storage.objects.find("up")
        assert found is not None
        assert found.original().read_bytes() == b"abcdef"
        assert await resumable.extent("up", owner="ann") == Extent(
            offset=6, length=6, complete=True
        )
        assert not [event for event in await events_of(core) if event.get("paused")]
