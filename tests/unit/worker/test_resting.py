"""Bodies that nobody sends now: told that they are paused, ended in time, never lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from sse_progress.ingest.resumable.parts import Part
from sse_progress.model.errors import Unavailable
from sse_progress.storage.body_port import ResumableBody
from sse_progress.uploads.components import Components
from tests.helpers.components import begin, components, draft, events_of, left_over, page_of
from tests.helpers.waiting import eventually
from tests.unit.ingest.resumable.test_resumable import resumable_of
from tests.unit.storage.test_resumable import announced
from tests.unit.worker.test_reconciler import LEASE_S, grow_old, open_ids, reconciler_of


def resting(core: Components, content: bytes = b"some bytes", **more: Any) -> ResumableBody:
    """A body of `ann`'s upload `up`, held until it is closed."""
    body = core.storage.bodies.begin(announced("up", owner="ann", filename="a.txt", **more))
    body.append(content, offset=0)
    return body


async def quiet(core: Components) -> None:
    """The latest event is older than a lease."""

    async def old() -> bool:
        page = await page_of(core)
        return page.now_ms - page.changed_ms > LEASE_S * 1000

    await eventually(old, "the upload has been quiet for a lease")


async def test_a_body_that_was_left_is_paused(redis_url: str, tmp_path: Path) -> None:
    """Its receiver was killed and said nothing: one event says it, once, and the time runs on."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await begin(core, lease_s=60)
        resting(core, length=20).close()
        await reconciler_of(core, lease_s=10 * LEASE_S).round()
        assert len(await events_of(core)) == 1
        reconciler = reconciler_of(core)
        await quiet(core)
        before = await page_of(core)
        await reconciler.round()
        await quiet(core)
        await reconciler.round()
        (_, last) = await events_of(core)
        assert (last["paused"], last["bytes"], last["total"]) == (True, 10, 20)
        assert abs((await page_of(core)).lease_until_ms - before.lease_until_ms) < 1000


async def test_a_body_that_is_held_is_left_alone(redis_url: str, tmp_path: Path) -> None:
    """However long nothing was told, and although its time is over."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await begin(core, lease_s=0)
        body = resting(core)
        await quiet(core)
        await reconciler_of(core).round()
        assert len(await events_of(core)) == 1
        body.discard()


async def over(core: Components) -> None:
    """The upload's lease has run out."""

    async def out() -> bool:
        page = await page_of(core)
        return page.lease_until_ms <= page.now_ms

    await eventually(out, "the lease has run out")


async def test_a_body_whose_time_is_over_ends(redis_url: str, tmp_path: Path) -> None:
    """With `upload_expired`; nothing of it is left."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await begin(core, lease_s=2 * LEASE_S)
        resting(core).close()
        await over(core)
        await reconciler_of(core).round()
        (*_, last) = await events_of(core)
        assert (last["stage"], last["error"]["code"]) == ("error", "upload_expired")
        assert left_over(core) == []
        assert await open_ids(core) == []


async def test_a_body_that_was_only_begun_has_its_time(redis_url: str, tmp_path: Path) -> None:
    """Whoever began it died before it could hold it for longer: it is paused, and then it ends."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await begin(core, lease_s=0.01)
        resting(core, length=20).close()
        await over(core)
        await quiet(core)
        reconciler = reconciler_of(core, resume_s=LEASE_S)
        await reconciler.round()
        (_, last) = await events_of(core)
        assert (last["paused"], last["bytes"]) == (True, 10)
        await over(core)

        async def expired() -> bool:  # it is put off for a moment longer than its lease
            await reconciler.round()
            return (await page_of(core)).terminal

        await eventually(expired, "its time is over")
        assert (await events_of(core))[-1]["error"]["code"] == "upload_expired"


async def test_a_beginning_without_a_body_is_lost(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis had it and the answer was lost: the claim lasts for a lease, not for a day."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        begin_journal, leases = core.journal.begin, []

        async def beginning(*args: Any, **how: Any) -> Any:
            leases.append(how["lease_s"])
            await begin_journal(*args, **how)
            raise RedisConnectionError

        monkeypatch.setattr(core.journal, "begin", beginning)
        with pytest.raises(Unavailable):
            await resumable_of(core, lease_s=LEASE_S).create(
                announced("up", owner="ann", length=20), Part(chunks=nothing())
            )
        assert leases == [LEASE_S]
        assert left_over(core) == []
        await over(core)
        await reconciler_of(core).round()
        assert (await events_of(core))[-1]["error"]["code"] == "server_lost"


async def nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def test_a_body_whose_journal_is_lost_begins_a_new_one(
    redis_url: str, tmp_path: Path
) -> None:
    """Redis was emptied: the upload is listed, paused at its offset, and its sender's."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        resting(core, length=20).close()
        await reconciler_of(core, resume_s=50).round()
        (event,) = await events_of(core)
        assert (event["paused"], event["bytes"], event["filename"]) == (True, 10, "a.txt")
        page = await page_of(core)
        assert page.owner == "ann"
        assert 40_000 < page.lease_until_ms - page.now_ms <= 50_000
        assert await open_ids(core) == ["up"]
        assert await core.recovery.held("up") == "wait"


async def test_a_body_whose_upload_has_ended_is_removed(redis_url: str, tmp_path: Path) -> None:
    """Cancelled while its receiver died."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await begin(core)
        resting(core).close()
        cancelled = draft("cancelled")
        await core.journal.cancel("up", owner="ann", draft=cancelled)
        await reconciler_of(core).round()
        assert left_over(core) == []
        assert await open_ids(core) == []


async def test_a_stored_body_of_a_dead_receiver_is_queued(redis_url: str, tmp_path: Path) -> None:
    """It died between storing and telling: the lease of a day does not hold the upload up."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await begin(core, lease_s=86400)
        body = resting(core)
        from tests.unit.storage.test_resumable import manifest

        body.store(manifest(body, "up"))
        await reconciler_of(core, lease_s=10 * LEASE_S).round()
        assert await core.queue.depth() == (0, 0)
        await quiet(core)
        await reconciler_of(core).round()
        assert (await core.queue.depth())[0] == 1


async def test_a_partial_upload_stands_in_nobodys_list(redis_url: str, tmp_path: Path) -> None:
    """Listed again after Redis lost it, so that it expires; its owner's list does not have it."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        resting(core, length=20, partial=True).close()
        await reconciler_of(core).round()
        assert await open_ids(core) == ["up"]
        assert await core.index.owned("ann", before_us=None, limit=9) == []
        assert (await events_of(core))[-1]["partial"] is True
