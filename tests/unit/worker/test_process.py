"""A worker process: how it refuses to start, and that it ends when it is told to."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from sse_progress.sandbox import pool
from sse_progress.settings import Settings, SettingsError, load_settings
from sse_progress.web import server as web
from sse_progress.worker import process as worker
from tests.helpers.redis_server import RedisServer


def settings_for(directory: Path, **more: Any) -> Settings:
    given = {"redis_url": "unix:///nowhere.sock", "data_dir": directory / "data", **more}
    return load_settings(**given)


@pytest.fixture(autouse=True)
def _unhardened(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process does to itself for good must not be done to the tests' own."""
    for module in (web, worker):
        monkeypatch.setattr(module, "harden_this_process", lambda: None)
        monkeypatch.setattr(module, "keep_file_capabilities", lambda: None)
        monkeypatch.setattr(module, "configure", lambda *_, **__: None)


@pytest.mark.parametrize("part", [web, worker])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"redis_url": None}, "SSE_PROGRESS_REDIS_URL: is not set"),
        (
            {"redis_url": "redis://localhost:99999"},
            "SSE_PROGRESS_REDIS_URL: its port is not a number",
        ),
    ],
)
def test_a_redis_that_cannot_be_meant_is_named(
    part: Any, wrong: dict[str, Any], said: str, tmp_path: Path
) -> None:
    """One line, before anything is started."""
    with pytest.raises(SettingsError) as caught:
        part.run(settings_for(tmp_path, **wrong))
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", [web, worker])
def test_a_data_directory_that_cannot_be_used_is_named(part: Any, tmp_path: Path) -> None:
    """With the reason that the system gives."""
    (tmp_path / "data").write_text("a file")
    with pytest.raises(SettingsError) as caught:
        part.run(settings_for(tmp_path))
    assert str(caught.value) == (
        f"SSE_PROGRESS_DATA_DIR: {tmp_path / 'data'} cannot be used (File exists)."
    )


def test_a_pipeline_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    """The setting, its value and the reason."""
    with pytest.raises(SettingsError, match=r"^SSE_PROGRESS_PIPELINE=no\.such:one: "):
        worker.run(settings_for(tmp_path, pipeline="no.such:one"))


def test_stage_children_that_do_not_start_are_named(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system says about it, in one line; and all that was begun is closed again."""

    def refuse(*_: Any) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(pool.StageProcess, "start", refuse)
    with pytest.raises(SettingsError) as caught:
        worker.run(settings_for(tmp_path, redis_url=redis_url))
    told = str(caught.value)
    assert told.startswith("This worker can run no stage: ")
    assert "no more processes" in told
    assert "\n" not in told


async def test_a_told_worker_ends_though_a_cancellation_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM once is enough, whatever a library in the middle of it swallows."""
    begun = asyncio.Event()
    swallowed = 0

    async def work(_: Settings) -> None:
        nonlocal swallowed
        begun.set()
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            swallowed += 1
        await anyio.sleep_forever()

    monkeypatch.setattr(worker, "_work", work)
    monkeypatch.setattr(worker, "CANCEL_AGAIN_S", 0.01)
    running = asyncio.ensure_future(worker._main(settings_for(tmp_path)))
    await begun.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    done, _ = await asyncio.wait([running], timeout=60)  # wait_for would cancel it once more
    running.cancel()
    assert done
    assert swallowed == 1
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)


async def test_a_worker_waits_for_a_redis_that_is_not_there_yet(
    sure_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started before its Redis, as in a fleet: it is ready once Redis is, and ends when told."""
    ready, watches = asyncio.Event(), asyncio.Event()

    async def watch(_: Redis) -> None:
        watches.set()
        await anyio.sleep_forever()

    monkeypatch.setattr(worker, "tell_ready", ready.set)
    monkeypatch.setattr(worker, "watch_policy", watch)
    sure_redis.kill()
    running = asyncio.ensure_future(
        worker._main(settings_for(tmp_path, redis_url=sure_redis.url, lease_s=0.4))
    )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ready.wait(), 0.5)
    sure_redis.start()
    await asyncio.wait_for(ready.wait(), 60)
    assert watches.is_set()  # whether it may evict journals
    os.kill(os.getpid(), signal.SIGTERM)
    done, _ = await asyncio.wait([running], timeout=60)
    assert done
