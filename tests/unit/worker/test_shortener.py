"""Journals that ended a while ago: short in Redis, and whole for whoever reads them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sse_progress.emitter.waiter import Waiter, watching
from sse_progress.journal.frames import Frame, Page
from sse_progress.journal.retelling import WholeJournal
from sse_progress.journal.upload_index import ARCHIVE, SHORTENER
from sse_progress.model.errors import Unavailable
from sse_progress.model.ids import Position
from sse_progress.runtime.redis.keys import journal_keys
from sse_progress.uploads.batches import Batches, BatchKeeper
from sse_progress.uploads.components import Components
from sse_progress.worker.shortener import Shortener
from tests.helpers.components import components, page_of
from tests.unit.worker.test_archiver import Scene, scene, upload

AFTER_S = 600.0


def shortener_of(core: Components, *, later_s: float = AFTER_S) -> Shortener:
    return Shortener(
        core.journal,
        core.index,
        after_s=AFTER_S,
        leads=lambda: True,
        now=lambda: time.time() + later_s + 1,
    )


async def logs(core: Components) -> list[str]:
    """Uploads whose journals are whole."""
    keys = [key async for key in core.redis.scan_iter(match="*:log", _type="stream")]
    return sorted(key.decode().split("{")[1].split("}")[0] for key in keys)


async def dealt_with(one: Scene) -> None:
    """Every other consumer of ends has seen what has ended."""
    await one.archiver().round()
    await BatchKeeper(one.core, Batches(one.core, most=9), repair_s=9).round()


async def shortened(one: Scene, name: str = "up", events: int = 6) -> list[Frame]:
    """An upload that ended, was archived and shortened; its frames as they were."""
    await upload(one.core, name, events)
    frames = (await page_of(one.core, name)).frames
    await dealt_with(one)
    assert await shortener_of(one.core).round() == 1
    assert await logs(one.core) == []
    return list(frames)


@pytest.fixture
def archive_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'archive.sqlite3'}"


async def test_it_waits_for_time_and_for_the_archive(
    redis_url: str, tmp_path: Path, archive_url: str
) -> None:
    """Nothing is taken out of a journal that ended a moment ago, that runs, or that a consumer of
    ends has not dealt with."""
    async with scene(redis_url, tmp_path, archive_url) as one:
        core = one.core
        await upload(core, "ended")
        await upload(core, "runs", end=False)
        shortener = shortener_of(core)
        assert await shortener.round() == 0
        await one.archiver().round()
        assert await shortener.round() == 0
        await dealt_with(one)
        assert await shortener_of(core, later_s=-2).round() == 0
        await upload(core, "not yet archived")
        assert await logs(core) == ["ended", "not yet archived", "runs"]
        assert await shortener.round() == 1
        assert await logs(core) == ["not yet archived", "runs"]
        assert [name for name, _ in await core.index.ended(SHORTENER, limit=9)] == [
            "not yet archived"
        ]
        await core.journal.shorten(["runs", "ended", "unknown"])
        assert await logs(core) == ["not yet archived", "runs"]
        assert await core.index.settled([], but=SHORTENER) == []
        assert (await core.index.waiting(ARCHIVE))[0] == 1


async def test_what_is_left_is_small_and_says_the_same(
    redis_url: str, tmp_path: Path, archive_url: str
) -> None:
    """The head is as it was, with the last event; two hundred events become 2 KB; the life of the
    keys is not changed, and stage results that nobody needs any more are gone."""
    async with scene(redis_url, tmp_path, archive_url) as one:
        await upload(one.core, "up", 100)
        meta, log = journal_keys("up")
        await one.core.redis.hset(meta, "r:analyzing", "x" * 5000)
        await one.core.redis.hset(meta, "about", b'{"size":7}')
        await one.core.redis.expire(meta, 1000)
        await one.core.redis.expire(log, 1000)
        before = await one.core.journal.read("up", owner="ann", about=True)
        assert isinstance(before, Page)
        await dealt_with(one)
        assert await shortener_of(one.core).round() == 1
        after = await one.core.journal.read("up", owner="ann", about=True)
        assert isinstance(after, Page)
        assert before.last is not None
        assert after.last is not None
        assert after.last.raw == before.last.raw
        assert after.last.terminal
        assert (after.end, after.term, after.about) == (before.end, "cancelled", b'{"size":7}')
        used = [await one.core.redis.memory_usage(key, samples=0) for key in (meta, log)]
        assert sum(used) < 1000
        assert 900 < await one.core.redis.ttl(meta) <= 1000
        assert 900 < await one.core.redis.ttl(log) <= 1000
        assert await one.core.journal.results("up") == {}
        answer = await one.core.journal.take("up", owner="ann")
        assert (answer.status, answer.term) == ("ended", "cancelled")


class Recorder(Waiter):
    """Keeps everything that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Frame] = []
        self.resets: list[Frame] = []

    async def write(self, frames: Sequence[Frame]) -> None:
        self.got += frames
        await super().write(frames)

    async def reset(self, frame: Frame) -> None:
        self.resets.append(frame)
        await super().reset(frame)


async def told(core: Components, cursor: Position | None) -> Recorder:
    """What a stream that begins at `cursor` is given."""
    recorder = Recorder()
    with watching(core.emitter, "up", recorder, owner="ann", cursor=cursor):
        await recorder.end()
    return recorder


async def test_streams_are_told_all_of_it(redis_url: str, tmp_path: Path, archive_url: str) -> None:
    """From the beginning, and after every position: the same frames, byte for byte."""
    async with scene(redis_url, tmp_path, archive_url) as one:
        frames = await shortened(one)
        for at, cursor in enumerate((None, *(frame.position for frame in frames[:-1]))):
            recorder = await told(one.core, cursor)
            assert [frame.raw for frame in recorder.got] == [frame.raw for frame in frames[at:]]
            assert recorder.resets == []
        page = await one.core.journal.read("up", after=frames[-1].position, limit=9)
        assert isinstance(page, Page)
        assert (page.frames, page.unknown) == ((), False)


async def test_long_ones_come_in_pages(
    redis_url: str, tmp_path: Path, archive_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More events than one read brings."""
    monkeypatch.setattr("sse_progress.emitter.catching_up.PAGE_FRAMES", 4)
    async with scene(redis_url, tmp_path, archive_url) as one:
        frames = await shortened(one, events=30)
        recorder = await told(one.core, None)
        assert [frame.raw for frame in recorder.got] == [frame.raw for frame in frames]


class Away:
    """An archive that cannot be asked, or lacks some."""

    def __init__(self, frames: Sequence[Frame] | None = None) -> None:
        self.frames = frames

    async def events(self, upload_id: str, **_: Any) -> Sequence[Frame]:
        assert upload_id == "up"
        if self.frames is None:
            raise Unavailable
        return self.frames


async def test_without_the_archive_it_is_a_reset(
    redis_url: str, tmp_path: Path, archive_url: str
) -> None:
    """Whoever has a position begins again with the whole state, whoever has none with the last
    event: never a silent jump. What must be whole is refused."""
    async with scene(redis_url, tmp_path, archive_url) as one:
        frames = await shortened(one)
    async with components(redis_url, tmp_path) as core:
        for past in (Away(), Away(()), Away(frames[3:])):
            core.emitter._reads._journal = WholeJournal(core.journal, past)
            recorder = await told(core, frames[0].position)
            assert [frame.raw for frame in recorder.resets] == [frames[-1].raw]
            assert recorder.got == []
            recorder = await told(core, None)
            assert [frame.raw for frame in recorder.got] == [frames[-1].raw]
            whole = WholeJournal(core.journal, past)
            with pytest.raises(Unavailable):
                await whole.read("up", after=frames[0].position, limit=9, strict=True)
            page = await whole.read("up", after=frames[-2].position, limit=9, strict=True)
            assert isinstance(page, Page)
            assert [frame.raw for frame in page.frames] == [frames[-1].raw]
