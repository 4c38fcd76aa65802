"""Taking a body in: the order of journal, disk and queue, and every way in which it can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from sse_progress.ingest import journaling as module
from sse_progress.ingest import progress
from sse_progress.ingest.body import Body
from sse_progress.ingest.ingest import Ingest, IngestConfig
from sse_progress.ingest.labelling import Labelling
from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.ingest.progress import receiving_progress
from sse_progress.journal.writer import JournalWriter
from sse_progress.model.errors import (
    Cancelled,
    ClientDisconnected,
    Forbidden,
    InsufficientStorage,
    Internal,
    MalformedMultipart,
    Problem,
    QuotaExceeded,
    ReceiveTimeout,
    TooLarge,
    Unavailable,
    UnsupportedMediaType,
    UploadIdInUse,
)
from sse_progress.model.events import Draft
from sse_progress.model.kinds import Kinds
from sse_progress.model.labels import NO_LABELS
from sse_progress.model.timestamps import rfc3339
from sse_progress.storage.incoming import Incoming
from sse_progress.uploads.components import Components
from tests.helpers.components import (
    KINDS,
    components,
    draft,
    events_of,
    left_over,
    page_of,
    store,
    story_of,
)
from tests.helpers.multipart import body as multipart
from tests.helpers.multipart import content_type, file_part
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually

CONTENT = b"some bytes of a file"
WHOLE = multipart([file_part(CONTENT)])


def plainly(largest: int = 1024**3) -> Labelling:
    """Of an upload without labels."""
    kinds = Kinds(max_bytes=largest, allowed_types=("*/*",))
    return Labelling(NO_LABELS, kinds, allowed=None)


def ingest_of(core: Components, *, queue: Any = None, **changes: Any) -> Ingest:
    given: dict[str, Any] = {
        "limits": ReceiveLimits(),
        "kinds": KINDS,
        "lease_s": 10,
        "redis_wait_s": 10,
        **changes,
    }
    parts = replace(core, queue=queue) if queue else core
    return Ingest(parts, IngestConfig(**given))


def body(
    chunks: AsyncIterator[bytes], *, total: int | None = len(WHOLE), largest: int = 1024**3
) -> Body:
    return Body(content_type=content_type(), chunks=chunks, total=total, labelling=plainly(largest))


async def all_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@dataclass
class Slow:
    """A body that stands still after its first half, until it is let go."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def chunks(self) -> AsyncIterator[bytes]:
        yield WHOLE[: len(WHOLE) // 2]
        self.reached.set()
        await self.go.wait()
        yield WHOLE[len(WHOLE) // 2 :]


def bodies_open(core: Components) -> float:
    return core.metrics.bodies.collect()[0].samples[0].value  # type: ignore[no-any-return]


def ends(story: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """First and last events; those between depend on how fast this machine is."""
    return [(stage, percent) for stage, percent in story if percent in (0, 100)]


async def ended_with(core: Components, code: str) -> None:
    """The journal has ended with this code, nothing is left, and nobody will look again."""
    (*_, last) = await events_of(core)
    assert (last["stage"], last["progress"]) == ("error", 0)
    assert (last["error"]["code"], last["error"]["stage"]) == (code, "receiving")
    assert left_over(core) == []
    assert await core.index.open_uploads() == []
    assert await core.queue.depth() == (0, 0)


def after_storing(
    monkeypatch: pytest.MonkeyPatch, then: Callable[[], Coroutine[Any, Any, Any]]
) -> None:
    """Do something in the very moment in which the file has become *stored*."""
    loop = asyncio.get_running_loop()
    real = Incoming.store

    def store_and(self: Incoming, *args: Any) -> None:
        real(self, *args)
        asyncio.run_coroutine_threadsafe(then(), loop).result(20)

    monkeypatch.setattr(Incoming, "store", store_and)


# ---- well


async def test_a_whole_body_is_stored_told_and_queued(redis_url: str, tmp_path: Path) -> None:
    """In this order; the manifest has what was received, and the place in the journal is noted."""
    async with components(redis_url, tmp_path) as core:
        began = await core.redis.time()
        await ingest_of(core).take_in("up", body(all_of(WHOLE)), owner="ann")
        assert ends(await story_of(core)) == [
            ("receiving", 0),
            ("receiving", 100),
            ("file_received", 100),
        ]
        first, *_, arrived, told = await events_of(core)
        assert "filename" not in first
        assert arrived["filename"] == told["filename"] == "photo.jpg"
        assert (first["bytes"], first["total"]) == (0, len(WHOLE))
        assert (arrived["bytes"], arrived["total"]) == (len(WHOLE), len(WHOLE))
        assert "20 bytes stored" in told["message"]
        found = core.storage.objects.find("up")
        assert found is not None
        assert found.original().read_bytes() == CONTENT
        manifest, page = found.manifest, await page_of(core)
        assert (manifest.owner, manifest.size, manifest.filename) == ("ann", 20, "photo.jpg")
        assert manifest.epoch == page.end.epoch
        assert manifest.created_at >= rfc3339(began[0] - 1)
        assert core.storage.objects.marked("up") == page.end
        assert await core.queue.depth() == (1, 0)
        assert [name for name, _ in await core.index.open_uploads()] == ["up"]


async def test_a_body_of_unknown_length_has_no_total(redis_url: str, tmp_path: Path) -> None:
    """A chunked body: its bytes are told and never go back, a percentage is not made up."""
    async with components(redis_url, tmp_path) as core:
        await ingest_of(core).take_in("up", body(all_of(WHOLE), total=None), owner="ann")
        events = await events_of(core)
        assert all("total" not in event for event in events)
        assert events[-2]["bytes"] == len(WHOLE)


async def test_a_pending_id_is_taken_by_its_owner(redis_url: str, tmp_path: Path) -> None:
    """Whoever watched first may upload; the journal goes on in the epoch that was claimed."""
    async with components(redis_url, tmp_path) as core:
        claimed = await core.journal.read("up", owner="ann", claim=True)
        with pytest.raises(Forbidden):
            await ingest_of(core).take_in("up", body(all_of(WHOLE)), owner="bob")
        await ingest_of(core).take_in("up", body(all_of(WHOLE)), owner="ann")
        assert claimed is not None
        assert (await page_of(core)).end.epoch == claimed.end.epoch  # type: ignore[union-attr]


async def test_a_queue_that_does_not_answer_is_no_failure(redis_url: str, tmp_path: Path) -> None:
    """The upload is stored, so the answer is good; the reconciler enqueues it."""

    class Away:
        served = True

        def entry(self, upload_id: str, **how: Any) -> None:
            return None

        async def enqueue(self, upload_id: str, **how: Any) -> None:
            raise RedisConnectionError("away")

    async with components(redis_url, tmp_path) as core:
        await ingest_of(core, queue=Away()).take_in("up", body(all_of(WHOLE)), owner="ann")
        assert (await story_of(core))[-1] == ("file_received", 100)
        assert core.storage.objects.find("up") is not None


# ---- refused before anything begins


async def test_an_id_is_one_upload(redis_url: str, tmp_path: Path) -> None:
    """Whatever became of it: received, ended with an error, or on the storage alone."""
    async with components(redis_url, tmp_path) as core:
        ingest = ingest_of(core)
        await ingest.take_in("up", body(all_of(WHOLE)), owner="ann")
        too_large = body(all_of(), total=ReceiveLimits().max_body_bytes + 1)
        with pytest.raises(UploadIdInUse):
            await ingest.take_in("up", body(all_of(WHOLE)), owner="ann")
        with pytest.raises(TooLarge):
            await ingest.take_in("failed", too_large, owner="ann")
        with pytest.raises(UploadIdInUse):
            await ingest.take_in("failed", body(all_of(WHOLE)), owner="ann")
        store(core, "old")
        with pytest.raises(UploadIdInUse):
            await ingest.take_in("old", body(all_of(WHOLE)), owner="ann")
        assert await core.journal.head("old") is None


async def test_of_two_bodies_for_one_id_one_wins(redis_url: str, tmp_path: Path) -> None:
    """The loser is refused, and takes nothing of the winner along."""
    async with components(redis_url, tmp_path) as core:
        results = await asyncio.gather(
            *(ingest_of(core).take_in("up", body(all_of(WHOLE)), owner="ann") for _ in range(8)),
            return_exceptions=True,
        )
        assert results.count(None) == 1
        assert sum(isinstance(result, UploadIdInUse) for result in results) == 7
        found = core.storage.objects.find("up")
        assert found is not None
        assert found.original().read_bytes() == CONTENT
        assert (await story_of(core))[-1] == ("file_received", 100)


async def test_without_redis_nothing_begins(
    sure_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, and the upload does not begin by itself when Redis is back."""
    monkeypatch.setattr(module, "REDIS_WAIT_S", 0.3)
    async with components(sure_redis.url, tmp_path) as core:
        sure_redis.kill()
        with pytest.raises(Unavailable) as caught:
            await ingest_of(core).take_in("up", body(all_of(WHOLE)), owner="ann")
        assert caught.value.retry_after_s
        sure_redis.start()
        await eventually(lambda: core.journal.appends.connected, "nothing waits any more")
        assert await core.journal.head("up") is None
        assert left_over(core) == []


async def test_a_user_over_the_quota_is_refused(redis_url: str, tmp_path: Path) -> None:
    """Before the body where its length says so, else when it is received; another user is not."""
    async with components(redis_url, tmp_path, max_bytes_per_user=len(CONTENT)) as core:
        ingest = ingest_of(core)
        await ingest.take_in("up", body(all_of(WHOLE)), owner="ann")
        with pytest.raises(QuotaExceeded):
            await ingest.take_in("large", body(all_of(WHOLE), total=2**20), owner="ann")
        assert await core.journal.head("large") is None
        with pytest.raises(QuotaExceeded):
            await ingest.take_in("small", body(all_of(WHOLE), total=None), owner="ann")
        assert (await events_of(core, "small"))[-1]["error"]["code"] == "quota_exceeded"
        assert core.storage.objects.find("small") is None
        await ingest.take_in("other", body(all_of(WHOLE)), owner="bob")


# ---- refused and failed


async def test_a_refusal_by_header_ends_the_journal_without_reading(
    redis_url: str, tmp_path: Path
) -> None:
    """The upload has an id and an owner, so its end is told; of its body nothing is asked for."""
    asked = []

    async def chunks() -> AsyncIterator[bytes]:
        asked.append(1)
        yield WHOLE

    text = Body(content_type="text/plain", chunks=chunks(), total=len(WHOLE), labelling=plainly())
    async with components(redis_url, tmp_path) as core:
        with pytest.raises(UnsupportedMediaType):
            await ingest_of(core).take_in("up", text, owner="ann")
        assert await story_of(core) == [("receiving", 0), ("error", 0)]
        await ended_with(core, "unsupported_media_type")
        assert asked == []


async def _leave() -> AsyncIterator[bytes]:
    yield WHOLE[:40]
    raise ClientDisconnected


async def _break() -> AsyncIterator[bytes]:
    yield WHOLE[:40]
    raise KeyError("a bug of ours at /srv/private")


async def _stall() -> AsyncIterator[bytes]:
    yield WHOLE[:40]
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("chunks", "problem"),
    [
        (lambda: all_of(WHOLE[:-20]), MalformedMultipart),
        (lambda: all_of(b"no multipart at all"), MalformedMultipart),
        (lambda: all_of(multipart([file_part(b"x" * 101)])), TooLarge),
        (_leave, ClientDisconnected),
        (_stall, ReceiveTimeout),
        (_break, Internal),
    ],
)
async def test_a_failed_body_ends_its_journal_with_its_code(
    chunks: Callable[[], AsyncIterator[bytes]],
    problem: type[Problem],
    redis_url: str,
    tmp_path: Path,
) -> None:
    """Cut, broken, too large, left, stalled, or a bug of ours: the same code twice, no byte."""
    async with components(redis_url, tmp_path) as core:
        limits = ReceiveLimits(max_upload_bytes=100, stall_s=0.2)
        with pytest.raises(problem) as caught:
            await ingest_of(core, limits=limits).take_in(
                "up", body(chunks(), largest=limits.max_upload_bytes), owner="ann"
            )
        await ended_with(core, problem.code)
        assert "private" not in caught.value.detail
        assert "private" not in str(await events_of(core))


async def test_a_disk_that_runs_full_is_named(redis_url: str, tmp_path: Path) -> None:
    """Full before the body: no journal at all. Full in the middle of it: an end."""
    async with components(redis_url, tmp_path) as core:
        core.storage._reserve_bytes = 2**60
        with pytest.raises(InsufficientStorage):
            await ingest_of(core).take_in("early", body(all_of(WHOLE)), owner="ann")
        assert await core.journal.head("early") is None
        core.storage._reserve_bytes = 0

        async def chunks() -> AsyncIterator[bytes]:
            core.storage._reserve_bytes = 2**60
            yield WHOLE

        with pytest.raises(InsufficientStorage):
            await ingest_of(core).take_in("up", body(chunks()), owner="ann")
        await ended_with(core, "insufficient_storage")


async def test_a_disk_that_fails_in_the_last_step_is_named(redis_url: str, tmp_path: Path) -> None:
    """The rename does not succeed: 503, and the bytes are gone all the same."""

    async with components(redis_url, tmp_path) as core:
        stored_at = core.settings.data_dir / "open"

        async def chunks() -> AsyncIterator[bytes]:
            yield WHOLE
            stored_at.rename(stored_at.with_name("away"))

        with pytest.raises(Unavailable):
            await ingest_of(core).take_in("up", body(chunks()), owner="ann")
        await ended_with(core, "unavailable")


# ---- stopped from elsewhere


async def test_a_cancellation_elsewhere_stops_the_body(redis_url: str, tmp_path: Path) -> None:
    """Another process ends the journal: the body is not read on, and nothing of it stays."""
    slow = Slow()
    async with components(redis_url, tmp_path) as core, components(redis_url, tmp_path) as other:
        taking = asyncio.ensure_future(
            ingest_of(core).take_in("up", body(slow.chunks()), owner="ann")
        )
        await slow.reached.wait()
        await other.journal.cancel("up", owner="ann", draft=draft("cancelled"))
        with pytest.raises(Cancelled):
            await asyncio.wait_for(taking, 60)
        assert not slow.go.is_set()
        assert (await story_of(core))[-1] == ("cancelled", 0)
        assert left_over(core) == []
        assert await core.queue.depth() == (0, 0)


async def test_a_cancellation_in_the_last_moment_removes_the_file(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored, but not yet told: the journal has ended, so the bytes go, no work is queued, and its
    sender hears of it."""
    async with components(redis_url, tmp_path) as core:
        after_storing(
            monkeypatch, lambda: core.journal.cancel("up", owner="ann", draft=draft("cancelled"))
        )
        with pytest.raises(Cancelled):
            await ingest_of(core).take_in("up", body(all_of(WHOLE)), owner="ann")
        assert ends(await story_of(core)) == [("receiving", 0), ("cancelled", 0)]
        assert left_over(core) == []
        assert await core.queue.depth() == (0, 0)


async def test_a_worker_that_was_faster_is_left_alone(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reconciler found the stored file first: all is well, and its journal is the worker's."""
    async with components(redis_url, tmp_path) as core:
        after_storing(monkeypatch, lambda: core.journal.take("up", owner="ann"))
        await ingest_of(core).take_in("up", body(all_of(WHOLE)), owner="ann")
        assert core.storage.objects.find("up") is not None
        assert not (await page_of(core)).terminal


async def test_an_outage_that_lasts_too_long_removes_the_stored_file(
    sure_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answered 503, so the bytes go; the journal ends with `unavailable` when Redis is back."""
    monkeypatch.setattr(module, "REDIS_WAIT_S", 0.3)

    async def lose_redis() -> None:
        sure_redis.kill()

    async with components(sure_redis.url, tmp_path) as core:
        after_storing(monkeypatch, lose_redis)
        with pytest.raises(Unavailable):
            await ingest_of(core, redis_wait_s=0.3).take_in("up", body(all_of(WHOLE)), owner="ann")
        assert left_over(core) == []
        sure_redis.start()

        async def ended() -> bool:
            return (await page_of(core)).terminal

        await eventually(ended, "the end is told")
        assert (await events_of(core))[-1]["error"]["code"] == "unavailable"
        assert await core.queue.depth() == (0, 0)


async def test_a_short_outage_is_waited_for(
    sure_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis is restarted while the file is stored: nothing is lost and nothing is told twice."""

    async def restart() -> None:
        sure_redis.restart()

    async with components(sure_redis.url, tmp_path) as core:
        after_storing(monkeypatch, restart)
        await ingest_of(core).take_in("up", body(all_of(WHOLE)), owner="ann")
        assert ends(await story_of(core)) == [
            ("receiving", 0),
            ("receiving", 100),
            ("file_received", 100),
        ]


async def test_a_stored_upload_is_queued_with_its_event(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step of Redis tells that it is stored and puts it into the queue, for its owner and with
    its kind's priority."""
    async with components(redis_url, tmp_path) as core:

        async def unexpected(*_: Any, **__: Any) -> None:
            raise AssertionError("a step of its own")

        monkeypatch.setattr(core.queue, "enqueue", unexpected)
        for name in ("up", "next"):
            await ingest_of(core).take_in(name, body(all_of(WHOLE)), owner="ann")
        assert await core.queue.positions(["up", "next"]) == {"up": 1, "next": 2}
        assert await core.queue.backlog("ann") == 2


@pytest.mark.parametrize("published", [False, True])
async def test_an_answer_that_is_lost_does_not_take_a_published_file_away(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, published: bool
) -> None:
    """Redis queues the upload and its answer never comes; meanwhile a worker may be done."""
    last = JournalWriter.last

    async def unanswered(self: JournalWriter, *drafts: Any, **how: Any) -> None:
        await last(self, *drafts, **how)
        assert (await core.queue.place("up"))[0] != ""
        if published:
            await asyncio.to_thread(core.storage.objects.publish, "up", b"{}")
        raise TimeoutError

    monkeypatch.setattr(JournalWriter, "last", unanswered)
    async with components(redis_url, tmp_path) as core:
        with pytest.raises(Unavailable):
            await ingest_of(core).take_in("up", body(all_of(WHOLE)), owner="ann")
        found = core.storage.objects.find("up")
        assert (found is not None) == published
        assert found is None or found.done


async def test_what_was_cancelled_meanwhile_is_not_queued(redis_url: str, tmp_path: Path) -> None:
    """Its last event is refused, and the job with it."""
    async with components(redis_url, tmp_path) as core:

        async def cancelled_at_the_end() -> AsyncIterator[bytes]:
            yield WHOLE
            draft = Draft(stage="cancelled", stage_progress=0, message="")
            await core.journal.cancel("up", owner="ann", draft=draft)

        with pytest.raises(Cancelled):
            await ingest_of(core).take_in("up", body(cancelled_at_the_end()), owner="ann")
        assert (await core.queue.place("up"))[0] == ""


async def test_a_queue_that_never_answers_is_left_to_the_reconciler(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is stored and its journal says so, so the sender is answered all the same."""

    class Silent:
        served = True

        def entry(self, upload_id: str, **how: Any) -> None:
            return None

        async def enqueue(self, upload_id: str, **how: Any) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(module, "REDIS_WAIT_S", 0.3)
    async with components(redis_url, tmp_path) as core:
        ingest = ingest_of(core, queue=Silent())
        await asyncio.wait_for(ingest.take_in("up", body(all_of(WHOLE)), owner="ann"), 60)
        assert (await story_of(core))[-1] == ("file_received", 100)
        assert core.storage.objects.find("up") is not None


async def test_a_redis_that_forgot_everything_is_told_again(
    redis_url: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    """In the middle of a body: a new epoch goes on from there, and the lists have it again."""
    slow = Slow()
    async with components(redis_url, tmp_path) as core:
        taking = asyncio.ensure_future(
            ingest_of(core).take_in("up", body(slow.chunks()), owner="ann")
        )
        await slow.reached.wait()
        old = (await page_of(core)).end
        redis_server.flush()
        slow.go.set()
        await asyncio.wait_for(taking, 60)
        page = await page_of(core)
        assert page.end.epoch != old.epoch
        assert (await story_of(core))[-1] == ("file_received", 100)
        assert core.storage.objects.marked("up") == page.end

        async def listed() -> bool:
            return bool(await core.index.open_uploads())

        await eventually(listed, "it stands among the open uploads")


# ---- ending the process


async def test_draining_waits_for_bodies_and_then_refuses_new_ones(
    redis_url: str, tmp_path: Path
) -> None:
    """Bodies that end within the grace are taken in; one that comes later is asked to come back."""
    slow = Slow()
    async with components(redis_url, tmp_path) as core:
        ingest = ingest_of(core)
        taking = asyncio.ensure_future(ingest.take_in("up", body(slow.chunks()), owner="ann"))
        await slow.reached.wait()
        assert bodies_open(core) == 1
        draining = asyncio.ensure_future(ingest.drain(20))
        await asyncio.sleep(0)
        await ingest.take_in("on its way", body(all_of(WHOLE)), owner="ann")
        assert not draining.done()
        slow.go.set()
        await asyncio.wait_for(asyncio.gather(taking, draining), 60)
        with pytest.raises(Unavailable) as caught:
            await ingest.take_in("late", body(all_of(WHOLE)), owner="ann")
        assert caught.value.retry_after_s == 1
        assert await core.journal.head("late") is None
        assert bodies_open(core) == 0
        assert (await story_of(core))[-1] == ("file_received", 100)


async def test_a_body_that_outlasts_the_grace_ends_with_unavailable(
    redis_url: str, tmp_path: Path
) -> None:
    """Its POST is answered, its journal ended, its bytes removed; only then is draining over."""
    slow = Slow()
    async with components(redis_url, tmp_path) as core:
        ingest = ingest_of(core)
        taking = asyncio.ensure_future(ingest.take_in("up", body(slow.chunks()), owner="ann"))
        await slow.reached.wait()
        await asyncio.wait_for(ingest.drain(0.05), 60)
        await ended_with(core, "unavailable")
        with pytest.raises(Unavailable, match="restarting"):
            await taking


async def test_a_body_that_is_stopped_as_it_becomes_whole_is_not_stored(
    redis_url: str, tmp_path: Path
) -> None:
    """Between its last byte and its rename: it is refused, and so nothing of it is kept."""
    async with components(redis_url, tmp_path) as core:
        ingest = ingest_of(core)

        async def chunks() -> AsyncIterator[bytes]:
            yield WHOLE
            for under_way in tuple(ingest.receivers._open):
                under_way.stop(Unavailable())

        with pytest.raises(Unavailable):
            await ingest.take_in("up", body(chunks()), owner="ann")
        await ended_with(core, "unavailable")


async def test_a_request_that_is_cut_off_leaves_nothing(redis_url: str, tmp_path: Path) -> None:
    """The server drops the task itself: cleaned up and told before it is gone."""
    slow = Slow()
    async with components(redis_url, tmp_path) as core:
        taking = asyncio.ensure_future(
            ingest_of(core).take_in("up", body(slow.chunks()), owner="ann")
        )
        await slow.reached.wait()
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        await ended_with(core, "unavailable")


async def test_a_body_with_nothing_to_tell_keeps_its_lease(redis_url: str, tmp_path: Path) -> None:
    """A slow client is not taken for a dead server."""
    slow = Slow()
    async with components(redis_url, tmp_path) as core:
        taking = asyncio.ensure_future(
            ingest_of(core, lease_s=0.3).take_in("up", body(slow.chunks()), owner="ann")
        )
        await slow.reached.wait()
        first = (await page_of(core)).lease_until_ms

        async def renewed() -> bool:
            page = await page_of(core)
            return page.lease_until_ms > first + 300 and page.lease_until_ms > page.now_ms

        await eventually(renewed, "the lease goes on")
        slow.go.set()
        await taking


# ---- what is told of the bytes


class Heard(list[Draft]):
    tags = b""

    def progress(self, draft: Draft) -> None:
        self.append(draft)


def test_percent_comes_from_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never 100 before all is on the disk, never more bytes than were announced."""
    heard = Heard()
    tell = receiving_progress(heard, 1000, plainly(), whole=lambda: False)  # type: ignore[arg-type]
    for count in (0, 10, 500, 999, 1000, 1200):
        tell(count, "a.txt" if count else "")
    assert heard.tags == b'"filename":"a.txt"'
    assert [(d.stage_progress, d.bytes, d.total) for d in heard] == [
        (0, 0, 1000),
        (1, 10, 1000),
        (50, 500, 1000),
        (99, 999, 1000),
        (99, 1000, 1000),
        (99, 1000, 1000),
    ]


def test_the_remaining_time_needs_a_second_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Absent before there is a basis and without a total; never negative."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    heard = Heard()
    tell = receiving_progress(heard, 1000, plainly(), whole=lambda: False)  # type: ignore[arg-type]
    unknown = Heard()
    tell_unknown = receiving_progress(unknown, None, plainly(), whole=lambda: False)  # type: ignore[arg-type]
    for seconds, count in ((0.5, 100), (1, 0), (2, 200), (4, 500), (5, 1200)):
        now[0] = 100 + seconds
        tell(count, "")
        tell_unknown(count, "")
    assert [d.eta_seconds for d in heard] == [None, None, 8, 4, 0]
    assert {d.eta_seconds for d in unknown} == {None}
    assert {d.stage_progress for d in unknown} == {0}
