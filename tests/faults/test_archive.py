"""What holds while Redis, the archive's database or both are away, and what is there afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sse_progress.archive.database import Database
from sse_progress.storage.layout import digest_of
from tests.faults.scene import HASTY, Scene
from tests.helpers.postgres import PostgresServer
from tests.helpers.sse import EventStream
from tests.helpers.waiting import eventually

pytestmark = pytest.mark.faults


class Archived(Scene):
    """A scene whose archive is in a PostgreSQL of its own."""

    def __init__(self, directory: Path, env: dict[str, str] | None = None) -> None:
        self.postgres = PostgresServer(directory)
        self.postgres.start()
        self.database = self.postgres.new_database()
        super().__init__(directory, {"SSE_PROGRESS_ARCHIVE_URL": self.database, **(env or {})})

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.postgres.close()

    def rows(self, upload_id: str) -> dict[str, Any]:
        """Every event that the archive has, by its id."""
        database = Database(self.database)
        try:
            with database.transaction() as archive:
                frames = archive.all_events(upload_id)
            return {str(frame.position): json.loads(frame.data) for frame in frames}
        finally:
            database.close()

    async def archived(self, *names: str) -> None:
        """Wait until the ends of these are in the archive."""
        left = set(names)

        def there() -> bool:
            database = Database(self.database)
            try:
                if not database.is_current():
                    return False
                with database.transaction() as archive:
                    found = archive.found(names)
            finally:
                database.close()
            left.difference_update(name for name, one in found.items() if one.terminal)
            return not left

        with self.explaining(left):
            await eventually(there, f"{len(names)} uploads are archived")

    @contextmanager
    def explaining(self, names: Iterable[str]) -> Iterator[None]:
        """A failure within comes with what there is of these."""
        try:
            yield
        except AssertionError as error:
            for name in names:
                files = [path for path in self.service.files() if digest_of(name) in path]
                keys = self.redis.command("KEYS", f"*{name}*")
                lines = [line for line in self.service.log.splitlines() if f"={name}" in line]
                error.add_note("\n".join([f"{name}: files {files}, keys {keys!r}", *lines]))
            raise

    async def whole(self, upload_id: str) -> None:
        """An upload from its first to its last event."""
        sending = await self.sending(upload_id).send_all()
        assert (await sending.answer())[0] == 200

    def forget(self, upload_id: str) -> None:
        """Its journal is a day old."""
        for end in ("meta", "log"):
            self.redis.command("DEL", f"sp:{{{upload_id}}}:{end}")


@pytest.fixture(scope="module")
def running() -> Iterator[Archived]:
    directory = Path(tempfile.mkdtemp(prefix="sp-"))
    scene = Archived(directory, HASTY)
    try:
        scene.start()
        yield scene
    finally:
        scene.close()
        shutil.rmtree(directory)


@pytest.fixture
def scene(running: Archived) -> Iterator[Archived]:
    """One for the tests that leave it whole."""
    yield running
    running.hang_up()


async def ask(scene: Archived, path: str) -> tuple[int, dict[str, Any], httpx.Headers]:
    async with httpx.AsyncClient(base_url=scene.url, timeout=60) as client:
        answer = await client.get(path)
    return answer.status_code, answer.json(), answer.headers


async def comments(stream: EventStream, count: int) -> None:
    """So many heartbeats."""
    async for frame in stream:
        count -= frame.comment
        if count <= 0:
            return


async def test_redis_away(scene: Archived) -> None:
    """Streams stay open and go on by themselves; states, lists and histories come from the archive;
    a new upload is refused; the stage that runs goes on, and its events follow."""
    await scene.whole("past")
    _, live, _ = await ask(scene, "/upload/past/history")
    held = await scene.held("now", "analyzing")
    await scene.archived("past")
    await eventually(lambda: len(scene.rows("now")) > 3, "what runs is archived too")
    async with EventStream(f"{scene.url}/upload/now/progress") as stream:
        seen = [await anext(aiter(stream)) for _ in range(3)]
        assert seen
        scene.redis.kill()
        async with EventStream(f"{scene.url}/upload/past/progress") as other:
            assert other.status == 200
            await comments(other, 2)
        for path in ("/upload/past", "/upload/now"):
            status, state, headers = await ask(scene, path)
            assert (status, state.get("live")) == (200, False), (state, scene.service.log[-3000:])
            assert state["asOf"]
            assert headers["etag"].endswith('-archived"')
        assert (await ask(scene, "/upload/past"))[1]["status"] == "complete"
        assert (await ask(scene, "/upload/now"))[1]["stage"] == "analyzing"
        status, history, _ = await ask(scene, "/upload/past/history")
        assert (status, history["live"]) == (200, False)
        assert history["events"] == live["events"]
        status, listed, _ = await ask(scene, "/uploads")
        names = [one["uploadId"] for one in listed["uploads"]]
        assert [name for name in names if name in ("now", "past")] == ["now", "past"]
        assert not any(one["live"] for one in listed["uploads"])
        assert (await ask(scene, "/upload/never/history"))[0] == 503
        refused = await scene.sending("new").send_all()
        assert (await refused.answer())[0] == 503
        scene.go("now")
        await eventually(lambda: "analyzing done" in scene.tally("now"), "the stage went on")
        scene.redis.start()
        async for frame in stream:
            if frame.terminal:
                break
        assert frame.json["stage"] == "complete"
    assert (await held.answer())[0] in (200, 202)
    await scene.archived("now")
    assert list(scene.rows("now")) == [str(f.id) for f in await scene.journal("now")]


async def test_the_database_away_and_then_both(scene: Archived) -> None:
    """Nothing but the past is missed while the database is away, and the archive catches up; with
    Redis away too, states are unavailable, streams stay open and work goes on."""
    await scene.whole("earlier")
    await scene.archived("earlier")
    scene.forget("earlier")
    status, state, _ = await ask(scene, "/upload/earlier")
    assert (status, state["status"], state["live"]) == (200, "complete", False)
    scene.postgres.kill()
    await scene.whole("within")
    held = await scene.held("later", "analyzing")
    assert (await ask(scene, "/upload/within"))[1]["status"] == "complete"
    assert (await ask(scene, "/upload/within/history"))[1]["live"] is True
    status, listed, _ = await ask(scene, "/uploads")
    assert (status, listed["partial"]) == (200, True)
    status, _, headers = await ask(scene, "/upload/older/history")
    assert (status, "retry-after" in headers) == (503, True)
    scene.redis.kill()
    async with EventStream(f"{scene.url}/upload/later/progress") as stream:
        await comments(stream, 2)
    for path in ("/upload/later", "/upload/within/history", "/uploads"):
        status, _, headers = await ask(scene, path)
        assert status == 503, path
    scene.go("later")
    await eventually(lambda: "analyzing done" in scene.tally("later"), "the stage went on")
    scene.redis.start()
    assert (await held.answer())[0] in (200, 202)
    await scene.journal("later")
    await asyncio.to_thread(scene.postgres.start)
    await scene.archived("within", "later")
    for name in ("within", "later"):
        assert list(scene.rows(name)) == [str(f.id) for f in await scene.journal(name)]


# ---- many uploads

MANY = 60


@pytest.fixture
async def many(short_dir: Path) -> AsyncIterator[Archived]:
    """Two workers, so that one of them archives and the other may have to go on with it."""
    env = {"SSE_PROGRESS_WORKER_PROCESSES": "2", "SSE_PROGRESS_WEB_PROCESSES": "1"}
    scene = Archived(short_dir, env)
    try:
        await asyncio.to_thread(scene.start)
        yield scene
    finally:
        scene.hang_up()
        await asyncio.to_thread(scene.close)


class Reader:
    """Follows one upload over any number of connections; `seen` has every event by its id."""

    def __init__(self, scene: Archived, upload_id: str) -> None:
        self.url, self.seen = f"{scene.url}/upload/{upload_id}/progress", dict[str, Any]()

    async def run(self) -> None:
        position = ""
        while True:
            try:
                async with EventStream(self.url, headers={"Last-Event-ID": position}) as stream:
                    if stream.status == 204:
                        return
                    async for frame in stream:
                        if frame.id is not None:
                            position = frame.id
                            self.seen[position] = {**frame.json, "type": "progress"}
            except (OSError, EOFError):
                await asyncio.sleep(0.05)

    @property
    def ended(self) -> str | None:
        """The id of the last event, if that is an end."""
        last = list(self.seen)[-1] if self.seen else None
        return last if last and self.seen[last]["stage"] == "complete" else None


async def test_many_uploads_while_everything_fails(many: Archived) -> None:
    """PostgreSQL hangs and dies, Redis goes back in time and loses everything, the worker that
    archives is killed: every event in the archive is the one that a reader got under its id, and
    each upload's last telling is there from its first event to its last, once."""
    names = [f"up{n}" for n in range(MANY)]
    readers, stored = {name: Reader(many, name) for name in names}, list[str]()
    reading = [asyncio.create_task(reader.run()) for reader in readers.values()]

    async def send(name: str) -> None:
        sending = await many.sending(name, respond_async=True).send_all()
        status, _ = await sending.answer()
        if status == 202:  # else Redis was away just then
            stored.append(name)

    def ended() -> int:
        return sum(reader.ended is not None for reader in readers.values())

    async def some(count: int) -> None:
        await eventually(lambda: ended() >= count, f"{count} have ended")

    turn = asyncio.Semaphore(4)

    async def in_turn(name: str) -> None:
        async with turn:
            await send(name)

    sending = [asyncio.create_task(in_turn(name)) for name in names]
    await some(5)
    many.postgres.stop()
    await some(12)
    many.postgres.cont()
    many.postgres.kill()
    saved = many.redis.data_dir.with_name("saved")
    many.redis.kill()
    shutil.copytree(many.redis.data_dir, saved)
    many.redis.start()
    await some(20)
    many.redis.kill()
    shutil.rmtree(many.redis.data_dir)
    saved.rename(many.redis.data_dir)  # what the last eight or so told is lost
    many.redis.start()
    await asyncio.to_thread(many.postgres.start)
    await some(30)
    os.kill(many.service.pids()["worker"][0], 9)
    many.empty_redis()
    await asyncio.gather(*sending)
    assert len(stored) > MANY / 2
    left = set(stored)

    def have_ended() -> bool:
        left.difference_update(name for name in stored if readers[name].ended)
        return not left

    with many.explaining(left):
        await eventually(have_ended, "all have ended")
    await many.archived(*stored)
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    for name in stored:
        rows, reader = many.rows(name), readers[name]
        different = {at for at in rows.keys() & reader.seen.keys() if rows[at] != reader.seen[at]}
        assert not different, name
        epochs = dict.fromkeys(at.rpartition("-")[0] for at in rows)
        last = [at for at in rows if at.startswith(f"{list(epochs)[-1]}-")]
        numbers = [int(at.rpartition("-")[2]) for at in last]
        assert numbers == list(range(1, len(numbers) + 1)), name
        assert rows[last[-1]]["stage"] == "complete", name
