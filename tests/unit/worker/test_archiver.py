"""The archive has each event of each journal once, whatever becomes of Redis and database."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import create_engine

from sse_progress.archive.archive import ArchiveWriter
from sse_progress.archive.database import Database
from sse_progress.archive.records import ArchivedUpload
from sse_progress.journal.frames import Frame
from sse_progress.journal.heads import heads
from sse_progress.journal.redis_age import redis_age_s
from sse_progress.journal.upload_index import ARCHIVE
from sse_progress.model.errors import Unavailable
from sse_progress.model.events import Draft, tags_of
from sse_progress.model.ids import Position
from sse_progress.uploads.batches import Batches
from sse_progress.uploads.components import Components
from sse_progress.worker import archiver
from sse_progress.worker.archiver import Archiver
from tests.helpers.components import begin, components, draft, page_of, store
from tests.helpers.postgres import PostgresServer
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually

DAY_S = 86400.0


@dataclass
class Scene:
    core: Components
    url: str
    writers: list[ArchiveWriter] = field(default_factory=list)

    def archiver(self, **options: Any) -> Archiver:
        """One more, as another worker has it."""
        given = {"history_s": 30 * DAY_S, "pause": 0, **options}
        batches = Batches(self.core, most=100)
        self.writers.append(ArchiveWriter(self.url))
        return Archiver(self.core, self.writers[-1], batches, **given)

    def kept(self, name: str) -> tuple[ArchivedUpload | None, list[Frame]]:
        """What the database itself has."""
        database = Database(self.url)
        try:
            with database.transaction() as archive:
                return archive.found([name]).get(name), archive.all_events(name)
        finally:
            database.close()

    async def check(self, name: str) -> None:
        """The archive has exactly the journal's events, byte for byte."""
        page = await page_of(self.core, name)
        upload, frames = self.kept(name)
        assert [frame.raw for frame in frames] == [frame.raw for frame in page.frames]
        assert upload is not None
        assert upload.position == page.end
        assert page.last is not None
        assert (upload.last, upload.owner, upload.stage) == (page.last.data, "ann", page.stage)


@asynccontextmanager
async def scene(redis_url: str, directory: Path, url: str, **more: Any) -> AsyncIterator[Scene]:
    async with components(redis_url, directory, archive_url=url, lease_s=0.2, **more) as core:
        one = Scene(core, url)
        try:
            yield one
        finally:
            for writer in one.writers:
                await writer.aclose()


async def tell(
    core: Components, name: str, fence: int, numbers: Iterator[int], *drafts: Draft
) -> None:
    for event in drafts:
        answer = await core.journal.operation(
            "next", name, owner="ann", fence=fence, numbers=numbers, draft=event
        )
        assert answer.status == "ok", answer


async def upload(core: Components, name: str, events: int = 5, *, end: bool = True) -> None:
    """A journal of so many events."""
    answer = await begin(core, name)
    numbers = count(2)
    for percent in range(1, events - end):
        await tell(core, name, answer.fence, numbers, draft("receiving", min(percent, 99)))
    if end:
        await core.journal.cancel(name, owner="ann", draft=draft("cancelled"))
        await core.index.closed(name)


async def test_open_and_ended_journals_are_copied(
    redis_url: str, tmp_path: Path, archive_url: str
) -> None:
    """Each event once and as it was sent, while an upload runs and after its end; the list of ends
    is empty then."""
    async with scene(redis_url, tmp_path, archive_url) as one:
        worker = one.archiver()
        await upload(one.core, "runs", 4, end=False)
        await upload(one.core, "ended", 6)
        assert (await one.core.index.waiting(ARCHIVE))[0] == 1
        await worker.round()
        for name in ("runs", "ended"):
            await one.check(name)
        assert await one.core.index.waiting(ARCHIVE) == (0, 0.0)
        await one.core.journal.cancel("runs", owner="ann", draft=draft("cancelled"))
        await one.core.index.closed("runs")
        await worker.round()
        await one.check("runs")
        found = await one.core.archive.find("runs")
        assert found is not None
        assert found.revision == 2


async def test_what_rests_is_not_looked_at_again_and_again(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look reads journals of uploads that are in work, once those that have come to rest, and
    all of them when it has not done so for long."""
    looked: list[set[str]] = []

    async def noted(redis: Redis, names: Sequence[str]) -> dict[str, Position]:
        looked.append(set(names))
        return await heads(redis, names)

    monkeypatch.setattr(archiver, "heads", noted)
    monkeypatch.setattr(archiver, "LOOK_AT_ALL_EVERY_S", 0.0)
    async with scene(redis_url, tmp_path, f"sqlite:///{tmp_path / 'a.sqlite3'}") as one:
        index, queue, worker = one.core.index, one.core.queue, one.archiver()

        async def look(*wanted: str) -> None:
            await worker._copy_open()
            assert looked.pop() == set(wanted)
            for name in wanted:
                await one.check(name)

        for name in ("waits", "rests", "runs"):
            await upload(one.core, name, 4, end=False)
        await queue.enqueue("waits")
        await worker.round()
        looked.clear()
        monkeypatch.setattr(archiver, "LOOK_AT_ALL_EVERY_S", 3600.0)
        await look("waits", "rests", "runs")
        await index.put_off("rests", until_s=time.time() + 600)
        await upload(one.core, "comes", 3, end=False)
        await queue.enqueue("comes")
        await asyncio.sleep(0.01)  # what arrives in the millisecond of a look is looked at again
        await look("rests", "runs", "comes")
        await look("runs")
        await index.look_at("rests")
        await look("rests", "runs")
        await look("rests", "runs")


async def test_partial_uploads_are_left_out(
    redis_url: str, tmp_path: Path, archive_url: str
) -> None:
    """Their bytes are another upload's, whose history is kept."""
    async with scene(redis_url, tmp_path, archive_url) as one:
        await begin(one.core, "part", tags=tags_of(filename="", partial=True))
        await one.core.journal.cancel("part", owner="ann", draft=draft("cancelled"))
        await one.core.index.closed("part")
        await upload(one.core, "whole")
        await one.archiver().round()
        assert one.kept("part") == (None, [])
        await one.check("whole")
        assert await one.core.index.waiting(ARCHIVE) == (0, 0.0)


async def test_nothing_is_opened_before_there_is_something(redis_url: str, tmp_path: Path) -> None:
    """A service at rest has no database, and its readers find nothing."""
    path = tmp_path / "archive.sqlite3"
    async with scene(redis_url, tmp_path, f"sqlite:///{path}") as one:
        await one.archiver().round()
        assert await one.core.archive.find("up") is None
        assert not path.exists()


async def test_a_long_journal_is_copied_in_parts(
    redis_url: str, tmp_path: Path, archive_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays among the ends until its last event is there."""
    monkeypatch.setattr(archiver, "EVENTS", 7)
    async with scene(redis_url, tmp_path, archive_url) as one:
        worker = one.archiver()
        await upload(one.core, "long", 40)
        await worker.round()
        assert (await one.core.index.waiting(ARCHIVE))[0] == 1
        for _ in range(6):
            await worker.round()
        await one.check("long")
        assert (await one.core.index.waiting(ARCHIVE))[0] == 0


async def test_two_archivers_at_once_write_each_event_once(
    redis_url: str, tmp_path: Path, archive_url: str
) -> None:
    """They look at the same journals while those grow."""
    async with scene(redis_url, tmp_path, archive_url) as one:
        workers = [one.archiver(), one.archiver()]
        names = [f"up{n}" for n in range(20)]
        writing = [asyncio.create_task(upload(one.core, name, 30)) for name in names]
        while not all(task.done() for task in writing):
            await asyncio.gather(*(worker.round() for worker in workers))
        await asyncio.gather(*writing)
        for _ in range(2):
            await asyncio.gather(*(worker.round() for worker in workers))
        for name in names:
            await one.check(name)


async def test_a_copy_on_an_older_basis_is_left_out(
    redis_url: str, tmp_path: Path, archive_url: str
) -> None:
    """Of two that read the same the second one writes nothing."""
    async with scene(redis_url, tmp_path, archive_url) as one:
        await upload(one.core, "up", 5)
        first, second = one.archiver(), one.archiver()
        await first._archive.upgrade()
        for worker in (first, second):
            _, copy = await worker._read("up", None)
            assert copy is not None
            written = await worker._archive.write([copy])
            assert written == (["up"] if worker is first else [])
        await one.check("up")


@pytest.mark.parametrize(("back_to", "late"), [(1, False), (5, False), (3, True)])
async def test_a_journal_that_went_back_is_followed(
    redis_url: str, tmp_path: Path, archive_url: str, back_to: int, late: bool
) -> None:
    """Redis lost the last events and nobody noticed: others have their numbers now. `late`: and
    there are more of them than there were, when the archiver looks again."""
    async with scene(redis_url, tmp_path, archive_url) as one:
        worker = one.archiver()
        answer = await begin(one.core, "up")
        numbers, saved = count(2), {}
        for percent in range(1, 7):
            if percent == back_to:
                for key in (b"sp:{up}:meta", b"sp:{up}:log"):
                    saved[key] = await one.core.redis.dump(key)
            await tell(one.core, "up", answer.fence, numbers, draft("receiving", percent))
        await worker.round()
        for key, value in saved.items():
            await one.core.redis.restore(key, 0, value, replace=True)
        numbers = count(back_to + 1)
        for percent in range(50, 60):
            await tell(one.core, "up", answer.fence, numbers, draft("receiving", percent))
            if percent == 59 or not late:
                await worker.round()
                await one.check("up")


@pytest.mark.parametrize("is_lost", [False, True])
async def test_a_shortened_journal_replaces_nothing(
    redis_url: str, tmp_path: Path, archive_url: str, is_lost: bool
) -> None:
    """An end that is noted again does not cost its events; a database that lost the last ones has
    the end afterwards."""
    async with scene(redis_url, tmp_path, archive_url) as one:
        worker = one.archiver()
        await upload(one.core, "up", 6, end=not is_lost)
        await worker.round()
        _, before = one.kept("up")
        if is_lost:
            await one.core.journal.cancel("up", owner="ann", draft=draft("cancelled"))
        await one.core.journal.shorten(["up"])
        await one.core.index.closed("up")
        await one.archiver().round()
        kept, frames = one.kept("up")
        page = await page_of(one.core, "up")
        assert kept is not None
        assert kept.position == page.end
        assert [f.raw for f in frames] == [f.raw for f in (*before, *page.frames[:is_lost])]


async def test_a_new_epoch_is_followed(redis_url: str, tmp_path: Path, archive_url: str) -> None:
    """The events of the one before stay; the upload stands in the new one."""
    async with scene(redis_url, tmp_path, archive_url) as one:
        worker = one.archiver()
        await upload(one.core, "up", 4, end=False)
        await worker.round()
        _, before = one.kept("up")
        await one.core.redis.delete("sp:{up}:meta", "sp:{up}:log")
        await upload(one.core, "up", 3)
        await worker.round()
        kept, frames = one.kept("up")
        page = await page_of(one.core, "up")
        assert [f.raw for f in frames] == [f.raw for f in (*before, *page.frames)]
        assert kept is not None
        assert kept.position == page.end
        events = await one.core.archive.events(
            "up", after=page.end.__class__(page.end.epoch, 0), limit=9
        )
        assert [f.raw for f in events] == [f.raw for f in page.frames]


@pytest.mark.parametrize("by", ["the one before", "a worker that has not archived yet"])
async def test_ends_that_a_redis_forgot_are_found_on_the_storage(
    redis_url: str, tmp_path: Path, archive_url: str, redis_server: RedisServer, by: str
) -> None:
    """Once for each Redis that is new: what the storage has finished. Nothing else need happen."""
    async with scene(redis_url, tmp_path, archive_url) as one:
        core, worker = one.core, one.archiver()
        await upload(core, "first", 3)
        await worker.round()
        for name in ("done1", "done2"):
            store(core, name)
            core.storage.objects.publish(name, b'{"id":"%b","files":[]}' % name.encode())
        began = time.monotonic()
        redis_server.flush()
        assert await redis_age_s(core.journal.redis) <= time.monotonic() - began + 1
        await asyncio.sleep(0)
        while await redis_age_s(core.journal.redis) < core.settings.lease_s:
            await asyncio.sleep(0.05)
        if by != "the one before":
            worker = one.archiver()
        await worker.round()
        for name in ("done1", "done2"):
            kept, _ = one.kept(name)
            assert kept is not None
            assert kept.stage == "complete"
        assert one.kept("first")[1]


async def test_ends_that_a_redis_lost_which_went_back_are_found_too(
    sure_redis: RedisServer, tmp_path: Path, archive_url: str
) -> None:
    """An upload that began and ended after what Redis has kept stands in none of its lists."""
    async with scene(sure_redis.url, tmp_path, archive_url) as one:
        core, worker = one.core, one.archiver()

        async def old() -> bool:
            return await redis_age_s(core.journal.redis) >= 1

        await upload(core, "first", 3)
        await eventually(old, "Redis is no longer young")
        await worker.round()
        store(core, "done")
        core.storage.objects.publish("done", b'{"id":"done","files":[]}')
        await worker.round()
        assert one.kept("done")[0] is None, "only a journal or a new run of Redis leads to it"
        sure_redis.kill()
        sure_redis.start()
        await eventually(old, "Redis is no longer young")
        await worker.round()
        kept, _ = one.kept("done")
        assert kept is not None
        assert kept.stage == "complete"
        assert one.kept("first")[1]


async def test_what_is_old_is_forgotten(redis_url: str, tmp_path: Path, archive_url: str) -> None:
    """By its last event; with all its events."""
    async with scene(redis_url, tmp_path, archive_url) as one:
        for name in ("a", "b", "c"):
            await upload(one.core, name, 4)
        await one.archiver().round()
        await one.archiver().round()
        assert one.kept("b")[1]
        for name in ("a", "b", "c"):
            await one.core.redis.delete(f"sp:{{{name}}}:meta", f"sp:{{{name}}}:log")
        await upload(one.core, "runs", 2, end=False)
        await one.archiver(history_s=-60).round()
        for name in ("a", "b", "c"):
            assert one.kept(name) == (None, [])


# ---- databases that do not work


async def fails_then_catches_up(
    one: Scene, broken: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database is `broken`, rounds raise Unavailable and lose nothing."""
    monkeypatch.setattr("sse_progress.archive.archive.PAUSE_S", 0.0)
    worker = one.archiver()
    await upload(one.core, "before", 3)
    await worker.round()
    await upload(one.core, "within", 60)
    with broken():
        with pytest.raises(Unavailable):
            await worker.round()
        assert (await one.core.index.waiting(ARCHIVE))[0] == 1
    await worker.round()
    for name in ("before", "within"):
        await one.check(name)
    assert (await one.core.index.waiting(ARCHIVE))[0] == 0


@contextmanager
def locked(path: Path) -> Iterator[None]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield
    connection.close()


@contextmanager
def full(path: Path) -> Iterator[None]:
    """No file of this process may become larger."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 4096, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("fault", [locked, full])
async def test_a_sqlite_file_that_cannot_be_written(
    redis_url: str, tmp_path: Path, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locked by another program, or the disk is full: what waits is written later."""
    monkeypatch.setattr(Database.__init__, "__kwdefaults__", {"writes": False, "statement_s": 0})
    path = tmp_path / "archive.sqlite3"
    async with scene(redis_url, tmp_path, f"sqlite:///{path}") as one:
        await fails_then_catches_up(one, lambda: fault(path), monkeypatch)


async def test_a_sqlite_file_that_may_only_be_read(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounds fail, readers read; what waits is written when it may be written again."""
    monkeypatch.setattr("sse_progress.archive.archive.PAUSE_S", 0.0)
    path = tmp_path / "archive.sqlite3"
    async with scene(redis_url, tmp_path, f"sqlite:///{path}") as one:
        worker = one.archiver()
        await upload(one.core, "up", 3)
        await worker.round()
        await upload(one.core, "later", 3)
        database = worker._archive._asked._opened
        assert database is not None
        # Root may write whatever a file's mode says, so it is opened as on a read-only mount.
        engine, read_only = (
            database._engine,
            create_engine(f"sqlite:///file:{path}?mode=ro&uri=true"),
        )
        monkeypatch.setattr(database, "_engine", read_only)
        with pytest.raises(Unavailable):
            await worker.round()
        found = await one.core.archive.find("up")
        assert found is not None
        assert found.stage == "cancelled"
        monkeypatch.setattr(database, "_engine", engine)
        await worker.round()
        await one.check("later")
        read_only.dispose()


@pytest.mark.faults
async def test_a_postgresql_that_dies_or_hangs(
    redis_url: str, tmp_path: Path, short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two rounds, or saying nothing: no reader and no round waits for ever."""
    server = PostgresServer(short_dir)
    server.start()
    try:
        async with scene(redis_url, tmp_path, server.new_database()) as one:

            @contextmanager
            def killed() -> Iterator[None]:
                server.kill()
                yield
                server.start()

            await fails_then_catches_up(one, killed, monkeypatch)
            worker = one.archiver()
            await upload(one.core, "last", 3)
            await worker._archive.upgrade()
            monkeypatch.setattr(worker._archive, "_wait_s", 0.5)
            monkeypatch.setattr(one.core.archive, "_wait_s", 0.5)
            assert await one.core.archive.find("before") is not None
            server.stop()
            with pytest.raises(Unavailable):
                await one.core.archive.find("before")
            with pytest.raises(Unavailable):
                await worker.round()
            server.cont()
            await worker.round()
            await one.check("last")
    finally:
        server.close()


async def test_batches_are_copied_too(redis_url: str, tmp_path: Path, archive_url: str) -> None:
    """While they run and when they have ended, as `b:<id>`; they are in no list of uploads."""
    async with scene(redis_url, tmp_path, archive_url) as one:
        worker, batches = one.archiver(), Batches(one.core, most=100)
        await upload(one.core, "item", 3)
        await batches.bulk("bulk", owner="ann", work="delete", ids=["item"])
        await worker.round()
        assert one.kept("b:bulk")[1]
        await batches.work_off("bulk")
        await batches.repair()
        await worker.round()
        await one.check("b:bulk")
        assert (await one.core.index.waiting(ARCHIVE))[0] == 0
