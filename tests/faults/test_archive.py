"""What holds while Redis, the archive's database or both are away, and what is there afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sse_progress.archive.database import Database
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

        def there() -> bool:
            database = Database(self.database)
            try:
                if not database.is_current():
                    return False
                with database.transaction() as archive:
                    found = archive.found(names)
                return len(found) == len(names) and all(one.terminal for one in found.values())
            finally:
                database.close()

        await eventually(there, f"{len(names)} uploads are archived")

    async def whole(self, upload_id: str) -> None:
        """An upload from its first to its last event."""
        sending = await self.sending(upload_id).send_all()
        assert (await sending.answer())[0] == 200

    def forget(self, upload_id: str) -> None:
        """Its journal is a day old."""
        for end in ("meta", "log"):
            self.redis.command("DEL", f"sp:{{{upload_id}}}:{end}")


@pytest.fixture
async def scene(short_dir: Path) -> AsyncIterator[Archived]:
    scene = Archived(short_dir, HASTY)
    try:
        await asyncio.to_thread(scene.start)
        yield scene
    finally:
        scene.hang_up()
        await asyncio.to_thread(scene.close)


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
        assert [one["uploadId"] for one in listed["uploads"]] == ["now", "past"]
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
    await scene.whole("past")
    await scene.archived("past")
    scene.forget("past")
    status, state, _ = await ask(scene, "/upload/past")
    assert (status, state["status"], state["live"]) == (200, "complete", False)
    scene.postgres.kill()
    await scene.whole("within")
    held = await scene.held("now", "analyzing")
    assert (await ask(scene, "/upload/within"))[1]["status"] == "complete"
    assert (await ask(scene, "/upload/within/history"))[1]["live"] is True
    status, listed, _ = await ask(scene, "/uploads")
    assert (status, listed["partial"]) == (200, True)
    status, _, headers = await ask(scene, "/upload/older/history")
    assert (status, "retry-after" in headers) == (503, True)
    scene.redis.kill()
    async with EventStream(f"{scene.url}/upload/now/progress") as stream:
        await comments(stream, 2)
    for path in ("/upload/now", "/upload/within/history", "/uploads"):
        status, _, headers = await ask(scene, path)
        assert status == 503, path
    scene.go("now")
    await eventually(lambda: "analyzing done" in scene.tally("now"), "the stage went on")
    scene.redis.start()
    assert (await held.answer())[0] in (200, 202)
    await scene.journal("now")
    await asyncio.to_thread(scene.postgres.start)
    await scene.archived("within", "now")
    for name in ("within", "now"):
        assert list(scene.rows(name)) == [str(f.id) for f in await scene.journal(name)]
