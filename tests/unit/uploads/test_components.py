"""What storage and Redis know together: uploads without a journal, and the health of the parts."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path

import pytest

from sse_progress.journal.format import NewerFormat, watch_format
from sse_progress.journal.redis_age import redis_age_s
from sse_progress.model.events import encode_json
from sse_progress.queue.queue import Job
from sse_progress.runtime.concurrency import beside, blocking
from sse_progress.runtime.redis.client import connect
from sse_progress.runtime.redis.keys import FORMAT_KEY, journal_keys
from sse_progress.settings import Settings, SettingsError, load_settings
from sse_progress.storage.opening import open_storage
from sse_progress.storage.presence import Presence
from sse_progress.uploads import components as module
from sse_progress.uploads.components import check, opened
from sse_progress.uploads.health import health
from tests.helpers.components import begin, components, draft, events_of, page_of, store, stored
from tests.helpers.redis_server import RedisServer
from tests.helpers.s3_server import S3Server
from tests.helpers.waiting import eventually
from tests.unit.storage.bucket_place import Place

MEDIA = {"id": "up", "filename": "some.txt", "contentType": "text/plain", "files": []}


async def test_a_part_needs_to_know_its_redis(tmp_path: Path) -> None:
    """Without a URL the refusal names the setting and what brings a Redis along."""
    with pytest.raises(SettingsError, match=r"SSE_PROGRESS_REDIS_URL: is not set.*serve"):
        async with opened(load_settings(data_dir=tmp_path)):
            pass


async def test_what_a_newer_release_has_used_is_refused(redis_url: str, tmp_path: Path) -> None:
    """By name and with both numbers, before anything is touched; what this one knows is taken."""
    settings = load_settings(data_dir=tmp_path, redis_url=redis_url, archive_url="off")
    (tmp_path / "format").write_text("3\n")
    with pytest.raises(SettingsError, match=r"DATA_DIR: .* newer release .*: format 3, .* knows 2"):
        async with opened(settings):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["format"]
    (tmp_path / "format").write_text("two")
    with pytest.raises(SettingsError, match="`format` that is no number"):
        open_storage(settings)
    (tmp_path / "format").write_text("1\n")
    redis = connect(redis_url)
    await redis.set(FORMAT_KEY, 2, ex=1000)
    with pytest.raises(SettingsError, match=r"REDIS_URL: a newer release .*: format 2, .* knows 1"):
        async with opened(settings):
            pass
    with pytest.raises(NewerFormat):
        await watch_format(redis, every_s=0)
    await redis.set(FORMAT_KEY, 1, ex=1000)
    async with opened(settings):
        pass
    await redis.aclose()


async def test_a_process_goes_on_looking_who_else_is_there(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows other hosts that it lives, and ends once a newer release has changed Redis."""
    monkeypatch.setattr(module, "BEAT_S", 0.01)
    monkeypatch.setattr(module, "watch_format", partial(watch_format, every_s=0.01))
    async with components(redis_url, tmp_path) as core:
        (host,) = (tmp_path / "data" / "hosts").iterdir()
        os.utime(host, (0, 0))
        await eventually(lambda: host.stat().st_mtime > 0, "it has shown that it lives")
        assert not core.tasks.failed.is_set()
        await core.redis.set(FORMAT_KEY, 2, ex=1000)
        await eventually(core.tasks.failed.is_set, "it has seen the newer release")
        assert core.tasks.dead() == ["format"]


async def test_a_directory_without_shared_locks_is_refused(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything starts and by each process again: bodies of other hosts would be deleted."""
    monkeypatch.setattr(module, "Presence", partial(Presence, lock=lambda *_: None))
    settings = load_settings(data_dir=tmp_path, redis_url=redis_url, archive_url="off")
    with pytest.raises(SettingsError, match="Mount it with locks that all hosts share"):
        await blocking(check, settings)
    with pytest.raises(SettingsError, match="Mount it with locks that all hosts share"):
        async with opened(settings):
            pass


def test_a_bucket_that_a_newer_release_has_used_is_refused(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same by an object below its prefix, which nothing removes; one that cannot be reached is
    waited for."""
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    place = Place(s3_server, tmp_path)

    def settings(endpoint: str | None = None) -> Settings:
        url = s3_server.setting("media", prefix=place.prefix, endpoint=endpoint)
        return load_settings(data_dir=tmp_path, storage=url)

    place.request("PUT", "format", b"3\n")
    with pytest.raises(SettingsError, match=r"STORAGE: .* newer release .*: format 3, .* knows 2"):
        open_storage(settings())
    open_storage(settings("http://127.0.0.1:1"))
    place.request("PUT", "format", b"1\n")
    open_storage(settings()).sweep()
    assert place.listed().count("format") == 1


# ---- journals that are not there


async def test_what_nobody_remembers_is_gone(redis_url: str, tmp_path: Path) -> None:
    """Neither a file nor a young Redis could make it come back."""
    async with components(redis_url, tmp_path, lease_s=0.001) as core:
        await redis_age_s(core.journal.redis)
        await eventually(lambda: _answers(core, "gone"), "it is judged")


async def test_a_young_redis_is_given_time(redis_url: str, tmp_path: Path) -> None:
    """It may have lost what others are about to tell it again."""
    async with components(redis_url, tmp_path, lease_s=3600) as core:
        assert await core.recovery.absent("up") == "wait"


async def test_what_is_stored_or_arriving_is_waited_for(redis_url: str, tmp_path: Path) -> None:
    """Its worker or receiver begins a new epoch, however old Redis is."""
    async with components(redis_url, tmp_path, lease_s=0.001) as core:
        await redis_age_s(core.journal.redis)
        await eventually(lambda: _answers(core, "gone"), "Redis is old enough")
        incoming = core.storage.bodies.incoming("up")
        assert await core.recovery.absent("up") == "wait"
        incoming.discard()
        assert await core.recovery.absent("up") == "gone"
        store(core)
        assert await core.recovery.absent("up") == "wait"


async def test_a_finished_upload_is_told_again_from_its_record(
    redis_url: str, tmp_path: Path
) -> None:
    """Its journal is long gone: one `complete` with the media of old, in a new epoch, once."""
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        core.storage.objects.publish("up", encode_json(MEDIA))
        old = (await page_of(core)).end
        await core.redis.delete(*journal_keys("up"))
        assert await core.recovery.absent("up") == "revived"
        assert await core.recovery.absent("up") == "revived"
        (event,) = await events_of(core)
        assert (event["stage"], event["progress"], event["media"]) == ("complete", 100, MEDIA)
        page = await page_of(core)
        assert (page.end.seq, page.owner, page.term) == (1, "ann", "complete")
        assert page.end.epoch != old.epoch


async def _answers(core: object, answer: str) -> bool:
    return await core.recovery.absent("up") == answer  # type: ignore[attr-defined]


# ---- health


async def no_job(_: Job) -> None:
    raise AssertionError("there is none")


async def test_health_is_ok_when_all_answer(redis_url: str, tmp_path: Path) -> None:
    """Each part that uploads need is asked."""
    async with components(redis_url, tmp_path) as core:
        assert (await health(core))["queue"] == "no_worker"
        async with beside(core.queue.run(no_job, concurrency=1)):
            await eventually(lambda: core.emitter.connected, "the emitter listens")
            await eventually(core.queue.workers_alive, "a worker has reported")
            assert await health(core) == {
                "redis": "ok",
                "journal": "ok",
                "queue": "ok",
                "storage": "ok",
                "tasks": "ok",
            }


async def test_a_lost_redis_is_told_and_so_is_its_return(
    sure_redis: RedisServer, tmp_path: Path
) -> None:
    """Also after requests that gave up meanwhile: nothing waits any more, so all is well again."""

    async def all_ok() -> bool:
        return set((await health(core)).values()) == {"ok"}

    async with (
        components(sure_redis.url, tmp_path) as core,
        beside(core.queue.run(no_job, concurrency=1)),
    ):
        await eventually(all_ok, "all is well")
        sure_redis.kill()
        beginning = core.journal.begin("up", owner="ann", draft=draft("receiving"), lease_s=1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(beginning, 0.2)
        told = await health(core)
        assert (told["redis"], told["queue"], told["storage"]) == (
            "unreachable",
            "unreachable",
            "ok",
        )
        assert told["journal"] == "disconnected"
        sure_redis.start()
        await eventually(all_ok, "all is well again")
        assert await core.journal.head("up") is None


async def test_a_full_or_lost_disk_is_told(redis_url: str, tmp_path: Path) -> None:
    """`full` or `out_of_inodes` within the reserve, `unusable` when it cannot be asked."""
    async with components(redis_url, tmp_path, disk_reserve_bytes=2**60) as core:
        assert (await health(core))["storage"] == "full"
    async with components(redis_url, tmp_path, disk_reserve_inodes=2**60) as core:
        counted = core.storage.free_inodes() is not None
        assert (await health(core))["storage"] == ("out_of_inodes" if counted else "ok")
    async with components(redis_url, tmp_path) as core:
        core.settings.data_dir.rename(tmp_path / "elsewhere")
        assert (await health(core))["storage"] == "unusable"


async def test_parts_end_with_the_block(redis_url: str, tmp_path: Path) -> None:
    """No task and no connection is left."""
    before = asyncio.all_tasks()
    async with components(redis_url, tmp_path) as core:
        await begin(core)
    await eventually(lambda: asyncio.all_tasks() == before, "no task is left")
    async with connect(redis_url) as redis:
        assert len(await redis.client_list()) == 1
