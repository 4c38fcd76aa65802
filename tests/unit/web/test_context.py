"""What a web process does for its callers: find, list, cancel, wait, drain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sse_progress.model.errors import (
    AlreadyFinished,
    Cancelled,
    Forbidden,
    NotFound,
    Unavailable,
    UnknownUpload,
)
from sse_progress.model.events import encode_json
from sse_progress.model.stage_table import DEFAULT_TABLE
from sse_progress.runtime.redis.keys import journal_keys, open_key
from sse_progress.settings import load_settings
from sse_progress.uploads import listing as module
from sse_progress.uploads import queries
from sse_progress.uploads.kinds import load_kinds
from sse_progress.uploads.queries import state_of
from sse_progress.web.context import WebContext, ingest_config, serving
from sse_progress.web.routes.metrics import measured
from tests.helpers.components import (
    begin,
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

MEDIA = {"id": "up", "filename": "some.txt", "contentType": "text/plain", "files": []}


@asynccontextmanager
async def service_at(url: str, directory: Path, **settings: Any) -> AsyncIterator[WebContext]:
    given = {"redis_url": url, "data_dir": directory / "data", **settings}
    async with serving(load_settings(**given)) as service:
        yield service


# ---- one upload


async def test_a_state_is_the_latest_event_with_a_status(redis_url: str, tmp_path: Path) -> None:
    """From pending over receiving and processing to the end."""
    async with service_at(redis_url, tmp_path) as service:
        core = service.components
        await core.journal.read("up", owner="ann", claim=True)
        state = state_of("up", await service.uploads.page("up", owner="ann"))
        assert (state["status"], state["progress"]) == ("pending", 0)
        assert state["uploadId"] == "up"
        assert state["timestamp"].endswith("Z")
        answer = await begin(core)
        state = state_of("up", await service.uploads.page("up", owner="ann"))
        assert (state["status"], state["stage"]) == ("receiving", "receiving")
        assert "type" not in state
        await core.journal.operation(
            "next",
            "up",
            owner="ann",
            fence=answer.fence,
            numbers=iter([2]),
            draft=draft("file_received", 100),
        )
        state = state_of("up", await service.uploads.page("up", owner="ann"))
        assert (state["status"], state["progress"]) == ("processing", 10)
        await service.uploads.cancel("up", owner="ann")
        state = state_of("up", await service.uploads.page("up", owner="ann"))
        assert (state["status"], state["progress"]) == ("cancelled", 0)


async def test_others_and_unknown_uploads(redis_url: str, tmp_path: Path) -> None:
    """Somebody else's is forbidden, nobody's is unknown, and asking claims nothing."""
    async with service_at(redis_url, tmp_path) as service:
        await begin(service.components)
        with pytest.raises(Forbidden):
            await service.uploads.page("up", owner="bob")
        with pytest.raises(UnknownUpload):
            await service.uploads.page("nothing", owner="ann")
        assert await service.components.journal.head("nothing") is None


async def test_what_redis_forgot_is_found_on_the_storage(redis_url: str, tmp_path: Path) -> None:
    """A finished upload is told again from its record; one at work is being found again."""
    async with service_at(redis_url, tmp_path) as service:
        core = service.components
        await stored(core)
        await core.redis.delete(*journal_keys("up"))
        with pytest.raises(Unavailable):
            await service.uploads.page("up", owner="ann")
        core.storage.objects.publish("up", encode_json(MEDIA))
        page = await service.uploads.page("up", owner="ann")
        assert (page.status, state_of("up", page)["media"]) == ("complete", MEDIA)
        await core.redis.delete(*journal_keys("up"))
        with pytest.raises(Forbidden):
            await service.uploads.page("up", owner="bob")


# ---- cancel


@pytest.mark.parametrize("state", ["pending", "receiving", "stored"])
async def test_an_upload_is_cancelled_in_any_state(
    state: str, redis_url: str, tmp_path: Path
) -> None:
    """Its journal ends, once, and its bytes go."""
    async with service_at(redis_url, tmp_path) as service:
        core = service.components
        if state == "pending":
            await core.journal.read("up", owner="ann", claim=True)
        elif state == "receiving":
            await begin(core)
        else:
            await stored(core)
        with pytest.raises(Forbidden):
            await service.uploads.cancel("up", owner="bob")
        await service.uploads.cancel("up", owner="ann")
        assert (await story_of(core))[-1] == ("cancelled", 0)
        error = (await events_of(core))[-1]["error"]
        assert (error["code"], error["detail"]) == ("cancelled", Cancelled.sentence)
        assert error["stage"] in DEFAULT_TABLE
        assert left_over(core) == []
        with pytest.raises(AlreadyFinished):
            await service.uploads.cancel("up", owner="ann")


async def test_a_finished_upload_is_not_cancelled(redis_url: str, tmp_path: Path) -> None:
    """Complete is complete, also when only the storage remembers it; unknown is unknown."""
    async with service_at(redis_url, tmp_path) as service:
        core = service.components
        store(core)
        core.storage.objects.publish("up", encode_json(MEDIA))
        with pytest.raises(Forbidden):
            await service.uploads.cancel("up", owner="bob")
        with pytest.raises(AlreadyFinished):
            await service.uploads.cancel("up", owner="ann")
        with pytest.raises(AlreadyFinished):
            await service.uploads.cancel("up", owner="ann")
        assert core.storage.objects.find("up") is not None
        with pytest.raises(UnknownUpload):
            await service.uploads.cancel("nothing", owner="ann")


async def test_without_redis_the_answer_is_unavailable(
    sure_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking, listing and cancelling say so in bounded time, and a cancellation that was refused
    does not happen afterwards."""
    monkeypatch.setattr(queries, "REDIS_WAIT_S", 0.3)
    monkeypatch.setattr(module, "WAIT_S", 0.3)
    async with service_at(sure_redis.url, tmp_path) as service:
        await begin(service.components)
        sure_redis.kill()
        with pytest.raises(Unavailable):
            await service.uploads.page("up", owner="ann")
        with pytest.raises(Unavailable):
            await service.uploads.states("ann", status=None, limit=5, before_us=None)
        with pytest.raises(Unavailable):
            await service.uploads.cancel("up", owner="ann")
        sure_redis.start()
        await eventually(lambda: service.components.journal.appends.connected, "nothing waits")
        assert not (await page_of(service.components)).terminal


# ---- lists


async def test_uploads_are_listed_newest_first_in_pages(redis_url: str, tmp_path: Path) -> None:
    """Each once, whatever the filter leaves out, and the last page says that it is the last."""
    async with service_at(redis_url, tmp_path) as service:
        core = service.components
        for n in range(7):
            await core.index.opened(f"up-{n}", owner="ann", now_s=1_800_000_000 + n)
            await core.journal.begin(f"up-{n}", owner="ann", draft=draft("receiving"), lease_s=9)
        for n in (1, 3, 5):
            await service.uploads.cancel(f"up-{n}", owner="ann")
        await begin(core, "others")

        async def pages(status: str | None, limit: int) -> list[list[str]]:
            found, before = [], None
            while True:
                states, before, _ = await service.uploads.states(
                    "ann", status=status, limit=limit, before_us=before
                )
                found.append([state["uploadId"] for state in states])
                if before is None:
                    return found

        everything = ["up-6", "up-5", "up-4", "up-3", "up-2", "up-1", "up-0", "others"]
        listed = await pages(None, 3)
        assert sum(len(page) for page in listed) == 8
        assert sorted(name for page in listed for name in page) == sorted(everything)
        mine = [name for page in listed for name in page if name.startswith("up-")]
        assert mine == everything[:7]
        assert [name for page in await pages("cancelled", 2) for name in page] == [
            "up-5",
            "up-3",
            "up-1",
        ]
        assert (await service.uploads.states("bob", status=None, limit=5, before_us=None)) == (
            [],
            None,
            False,
        )


async def test_what_nobody_remembers_falls_out_of_the_list(redis_url: str, tmp_path: Path) -> None:
    """An old name without a journal is struck out when it is met."""
    async with service_at(redis_url, tmp_path) as service:
        core = service.components
        await core.index.opened("old", owner="ann", now_s=1_700_000_000)
        await begin(core)
        states, *_ = await service.uploads.states("ann", status=None, limit=5, before_us=None)
        assert [state["uploadId"] for state in states] == ["up"]
        owned = await core.index.owned("ann", before_us=None, limit=9)
        assert [name for name, _ in owned] == ["up"]


async def test_a_rare_status_is_looked_for_in_steps(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request looks at a bounded number of uploads and reads the journals of those that match;
    the cursor goes on to the next ones until all are seen."""
    monkeypatch.setattr(module, "SCAN_ROWS", 10)
    monkeypatch.setattr(module, "SCAN_STEP", 5)
    async with service_at(redis_url, tmp_path) as service:
        core = service.components
        for n in range(23):
            await core.index.opened(f"up-{n}", owner="ann", now_s=1_800_000_000 + n)
            await core.journal.begin(f"up-{n}", owner="ann", draft=draft("receiving"), lease_s=9)
        await service.uploads.cancel("up-1", owner="ann")
        await core.journal.head("up-0")  # the script is known from here on
        before = (await core.redis.info("commandstats"))["cmdstat_evalsha_ro"]["calls"]
        found, cursor, requests = [], None, 0
        while requests == 0 or cursor is not None:
            states, cursor, _ = await service.uploads.states(
                "ann", status="cancelled", limit=50, before_us=cursor
            )
            found += [state["uploadId"] for state in states]
            requests += 1
        assert (found, requests) == (["up-1"], 3)
        after = (await core.redis.info("commandstats"))["cmdstat_evalsha_ro"]["calls"]
        assert after - before == 1


# ---- waiting and draining


async def test_a_change_ends_the_wait(redis_url: str, tmp_path: Path) -> None:
    """The next event, the deadline, or the end of the server."""
    async with service_at(redis_url, tmp_path) as service:
        await begin(service.components)
        end = (await page_of(service.components)).end
        waiting = asyncio.ensure_future(service.changed("up", owner="ann", since=end, wait_s=30))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await service.uploads.cancel("up", owner="ann")
        await asyncio.wait_for(waiting, 60)
        end = (await page_of(service.components)).end
        await asyncio.wait_for(service.changed("up", owner="ann", since=end, wait_s=0.02), 60)
        last = asyncio.ensure_future(service.changed("up", owner="ann", since=end, wait_s=30))
        await asyncio.sleep(0)
        await service.drain()
        await asyncio.wait_for(last, 60)


# ---- files deleted


async def test_only_its_owner_deletes_files_and_only_once_it_has_ended(
    redis_url: str, tmp_path: Path
) -> None:
    """Another user is refused, a running upload keeps its bytes, and room is made by deleting."""
    async with service_at(redis_url, tmp_path, max_bytes_per_user=1000) as service:
        core = service.components
        await stored(core)
        with pytest.raises(Forbidden):
            await service.uploads.delete_files("up", owner="bob")
        with pytest.raises(NotFound):
            await service.uploads.delete_files("up", owner="ann")
        found = core.storage.objects.find("up")
        assert found is not None
        assert core.storage.kept_bytes("ann") == found.manifest.size
        core.storage.objects.publish("up", encode_json(MEDIA))
        await core.redis.delete(*journal_keys("up"))  # its end is told again, from the record
        with pytest.raises(Forbidden):
            await service.uploads.delete_files("up", owner="bob")
        await service.uploads.delete_files("up", owner="ann")
        assert core.storage.kept_bytes("ann") == 0
        assert state_of("up", await service.uploads.page("up", owner="ann"))["deleted"] is True


# ---- settings


def test_limits_come_from_the_settings() -> None:
    """What an operator sets is what a body meets."""
    chosen = load_settings(
        max_upload_bytes=7,
        max_fields_bytes=8,
        receive_stall_s=9,
        receive_min_rate=10,
    )
    limits = ingest_config(chosen, load_kinds(chosen)).limits
    assert (limits.max_upload_bytes, limits.max_fields_bytes) == (7, 8)
    assert (limits.stall_s, limits.min_rate_bytes_s) == (9, 10)


async def test_a_scrape_asks_the_same_of_redis_however_many_uploads_there_are(
    redis_url: str, tmp_path: Path
) -> None:
    """Open uploads are counted there, not listed here."""
    async with service_at(redis_url, tmp_path) as service:
        redis = service.components.redis
        names = {f"up-{n}": n for n in range(10_000)}
        await redis.zadd(open_key(service.components.storage.id), names)  # type: ignore[arg-type]

        async def told_bytes() -> int:
            return int((await redis.info("stats"))["total_net_output_bytes"])

        before = await told_bytes()
        assert (await measured(service))["open_uploads"] == 10_000
        assert await told_bytes() - before < 100_000
