"""The service behind a Sentinel: its master dies in the middle of uploads."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from sse_progress.runtime.redis.client import connect
from sse_progress.settings import load_settings
from sse_progress.uploads.components import check
from sse_progress.uploads.health import health
from tests.cluster.telling import telling
from tests.faults.scene import Scene, reading
from tests.helpers.components import components, page_of
from tests.helpers.redis_sentinel import Sentinelled
from tests.helpers.waiting import eventually

pytestmark = pytest.mark.faults


@pytest.fixture
def watched() -> Iterator[Sentinelled]:
    directory = Path(tempfile.mkdtemp(prefix="sp-"))
    servers = Sentinelled(directory, password="word/%@")
    try:
        servers.start()
        yield servers
    finally:
        servers.close()
        shutil.rmtree(directory)


def test_it_is_asked_for_at_start(watched: Sentinelled, tmp_path: Path) -> None:
    """A Sentinel's own address as a plain URL is refused, with the form that it needs, and so is
    the name of a master that no Sentinel has."""
    check(load_settings(redis_url=watched.url, data_dir=tmp_path))
    other = watched.url.removesuffix("/mine") + "/other"
    with pytest.raises(Exception, match=r"knows a master named 'other'$"):
        check(load_settings(redis_url=other, data_dir=tmp_path))
    plain = f"redis://127.0.0.1:{watched.sentinel}"
    with pytest.raises(Exception, match=r"is a Sentinel: write redis\+sentinel://.*/name"):
        check(load_settings(redis_url=plain, data_dir=tmp_path))


async def test_its_master_dies_in_a_body_and_in_a_stage(
    watched: Sentinelled, short_dir: Path
) -> None:
    """Both uploads complete; readers see every event once. The old master comes back as a replica,
    and nobody writes to it."""
    scene = Scene(short_dir, {"SSE_PROGRESS_REDIS_URL": watched.url})
    try:
        scene.start()
        at_work = await scene.held("at-work", "analyzing")
        arriving = await scene.sending("arriving").send_half()
        async with reading(scene.url, "at-work", "arriving") as readers:
            await eventually(lambda: all(one.raw for one in readers), "both have been told of")
            watched.wait()
            old = watched.kill_master()
            scene.go("at-work")
            await arriving.send_all()
            watched.wait_failed_over(old)
            assert (await at_work.answer())[0] == 200
            assert (await arriving.answer())[0] == 200
        for name, reader in zip(("at-work", "arriving"), readers, strict=True):
            assert reader.raw == [frame.raw for frame in await scene.journal(name)]
            assert reader.resets == 0
        watched.bring_back(old)
        await scene.ready()
        last = await scene.sending("last").send_all()
        assert (await last.answer())[0] == 200
    finally:
        scene.hang_up()
        scene.close()


async def test_a_failover_that_loses_events_gives_a_reset(
    watched: Sentinelled, tmp_path: Path
) -> None:
    """The replica never got the last ones: the journal goes on in another epoch, told as such."""
    async with components(watched.url, tmp_path) as core, telling(core, "up") as [one]:
        watched.wait()
        with watched.cut_off():
            for _ in range(4):
                answer = await one.say()
            await eventually(lambda: one.told.numbers[-1] == answer.seq, "they are heard")
            seen = one.told.frames[-1].position
            old = watched.kill_master()
        await asyncio.to_thread(watched.wait_failed_over, old)
        answer = await asyncio.wait_for(one.say(), 60)
        end = (await page_of(core)).end
        await eventually(lambda: one.told.frames[-1].position == end, "the follower is told")
        assert end.epoch == answer.epoch != seen.epoch
        assert one.told.resets >= 1
        assert (await health(core))["redis"] == "ok"


async def test_nobody_there_is_an_error(watched: Sentinelled) -> None:
    """A name that no Sentinel knows, and Sentinels that are all away: redis' ConnectionError."""
    async with connect(watched.url.replace("/mine", "/other")) as redis:
        with pytest.raises(RedisConnectionError, match="other"):
            await redis.ping()
