"""States, lists and histories of uploads whose journals are gone, or whose Redis is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from sse_progress.archive.archive import ArchiveWriter, NoArchive
from sse_progress.journal.frames import Page
from sse_progress.model.errors import Forbidden, Unavailable, UnknownUpload
from sse_progress.model.events import tags_of
from sse_progress.model.ids import Position
from sse_progress.model.labels import Labels
from sse_progress.runtime.redis.keys import owned_key
from sse_progress.uploads import listing
from sse_progress.uploads.batches import Batches
from sse_progress.uploads.components import Components
from sse_progress.uploads.history import pages, part_of, source_of
from sse_progress.uploads.queries import Uploads, state_of
from sse_progress.worker.archiver import Archiver
from tests.helpers.components import components, draft, page_of, store
from tests.helpers.redis_server import RedisServer


@asynccontextmanager
async def parts(redis_url: str, directory: Path, url: str) -> AsyncIterator[Components]:
    async with components(redis_url, directory, archive_url=url) as core:
        yield core


async def archive(core: Components) -> None:
    """What there is, once."""
    writer = ArchiveWriter(str(core.settings.archive))
    await Archiver(core, writer, Batches(core, most=9), history_s=1e9, pause=0).round()
    await writer.aclose()


async def upload(
    core: Components, name: str, began_s: float, *, term: str = "error", **labels: Any
) -> None:
    """One that began at a time and has ended (an empty `term`: it has not)."""
    await core.index.opened(name, owner="ann", now_s=began_s)
    tags = tags_of(filename="", labels=Labels(**labels))
    answer = await core.journal.begin(
        name, owner="ann", draft=draft("receiving"), lease_s=60, tags=tags
    )
    numbers = count(2)
    for percent in (10, 20, 30):
        await core.journal.operation(
            "next",
            name,
            owner="ann",
            fence=answer.fence,
            numbers=numbers,
            draft=draft("receiving", percent),
        )
    if term:
        await core.journal.cancel(name, owner="ann", draft=draft(term))
        await core.index.closed(name)


async def forget(core: Components, *names: str) -> None:
    """Their journals are a day old."""
    for name in names:
        await core.redis.delete(f"sp:{{{name}}}:meta", f"sp:{{{name}}}:log")


async def told(core: Components, name: str, page: Page, **asked: Any) -> list[bytes]:
    source = source_of(core, page)
    given = {"since": None, "before": None, "limit": None, "descending": False, **asked}
    part = await part_of(source, name, page, **given)
    return [frame.raw async for frames in pages(source, name, part) for frame in frames]


async def test_what_is_gone_is_told_from_the_archive(
    redis_url: str, tmp_path: Path, archive_url: str
) -> None:
    """The same state with `live` and `asOf`, and the same events, in any part of them."""
    async with parts(redis_url, tmp_path, archive_url) as core:
        uploads = Uploads(core)
        await upload(core, "up", 1)
        live = await uploads.known("up", owner="ann")
        raw = [frame.raw for frame in (await page_of(core, "up")).frames]
        await archive(core)
        await forget(core, "up")
        page = await uploads.known("up", owner="ann")
        state = state_of("up", page)
        assert state.pop("live") is False
        assert state.pop("asOf") > state["timestamp"]
        assert state == state_of("up", live)
        assert await told(core, "up", page) == raw
        assert await told(core, "up", page, descending=True) == raw[::-1]
        assert await told(core, "up", page, limit=2, since=Position(page.end.epoch, 1)) == raw[1:3]
        assert await told(core, "up", page, since=Position(page.end.epoch, 99)) == raw
        assert await told(core, "up", page, since=Position("other", 2)) == raw
        assert await told(core, "up", page, since=0.0) == raw
        assert await told(core, "up", page, since=4e9) == []
        with pytest.raises(Forbidden):
            await uploads.known("up", owner="bob")
        with pytest.raises(UnknownUpload):
            await uploads.known("other", owner="ann")


async def test_while_redis_is_away_the_archive_answers_whom_it_belongs_to(
    own_redis: RedisServer, tmp_path: Path, archive_url: str
) -> None:
    """Also of an upload that runs; what it does not know is unavailable, not unknown."""
    async with parts(own_redis.url, tmp_path, archive_url) as core:
        uploads = Uploads(core)
        await upload(core, "runs", 1, term="")
        await upload(core, "ended", 2)
        await archive(core)
        own_redis.kill()
        page = await uploads.known("runs", owner="ann")
        assert (page.live, page.status, page.resumable) == (False, "receiving", False)
        assert len(await told(core, "runs", page)) == 4
        for name in ("runs", "ended"):
            with pytest.raises(Forbidden):
                await uploads.known(name, owner="bob")
        with pytest.raises(Unavailable):
            await uploads.known("other", owner="ann")
        found = await uploads.states("ann", status=None, limit=1, before_us=None)
        assert [state["uploadId"] for state in found.states] == ["ended"]
        found = await uploads.states("ann", status=None, limit=1, before_us=found.before_us)
        assert [(s["uploadId"], s["live"]) for s in found.states] == [("runs", False)]
        with pytest.raises(Unavailable):
            await uploads.states("bob", status=None, limit=1, before_us=None)


async def test_a_journal_of_the_end_alone_does_not_hide_the_others(
    redis_url: str, tmp_path: Path, archive_url: str
) -> None:
    """A stream had the end of a finished upload written again; its history is whole all the same,
    and the archive keeps what it had."""
    async with parts(redis_url, tmp_path, archive_url) as core:
        uploads = Uploads(core)
        await upload(core, "up", 1, term="complete")
        raw = [frame.raw for frame in (await page_of(core, "up")).frames]
        store(core, "up")
        core.storage.objects.publish("up", b'{"id":"up","files":[]}')
        await archive(core)
        await forget(core, "up")
        found = core.storage.objects.find("up")
        assert found is not None
        await core.recovery.revive(found)
        page = await uploads.known("up", owner="ann")
        assert (page.live, page.end.seq) == (True, 1)
        page = await uploads.past.whole("up", page)
        assert await told(core, "up", page) == raw
        await archive(core)
        page = await uploads.past.whole("up", await uploads.known("up", owner="ann"))
        assert await told(core, "up", page) == raw


async def everything(uploads: Uploads, limit: int, **asked: Any) -> list[str]:
    """All parts of a list."""
    names: list[str] = []
    before: int | None = None
    while True:
        found = await uploads.states(
            "ann", **{"status": None, **asked}, limit=limit, before_us=before
        )
        names += [state["uploadId"] for state in found.states]
        before = found.before_us
        if before is None:
            return names


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
async def test_a_list_goes_on_into_the_archive(
    redis_url: str,
    tmp_path: Path,
    archive_url: str,
    limit: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each upload once and newest first, whether its journal is there or not, in parts of any
    size and whatever is asked for; what is live is told as it is now."""
    monkeypatch.setattr(listing, "SCAN_STEP", 3)
    async with parts(redis_url, tmp_path, archive_url) as core:
        uploads = Uploads(core)
        for n in range(9):
            more = {"context": {"courseId": f"c{n % 2}"}, "batch_id": "b1" if n < 3 else None}
            await upload(core, f"up{n}", n + 1, term="error" if n % 3 else "", **more)
        await archive(core)
        await forget(core, "up1", "up4", "up5", "up7")
        await core.journal.cancel("up6", owner="ann", draft=draft("cancelled"))
        await core.redis.zrem(owned_key("ann"), "up2")
        names = [f"up{n}" for n in range(8, -1, -1)]
        for _ in range(2):  # the second time without what the first one has forgotten
            assert await everything(uploads, limit) == names
        errors = ["up8", "up7", "up5", "up4", "up2", "up1"]
        assert await everything(uploads, limit, status="error") == errors
        assert await everything(uploads, limit, status="cancelled") == ["up6"]
        odd = Labels(context={"courseId": "c1"})
        assert await everything(uploads, limit, labels=odd) == ["up7", "up5", "up3", "up1"]
        batch = Labels(batch_id="b1")
        assert await everything(uploads, limit, labels=batch) == ["up2", "up1", "up0"]
        late = await everything(uploads, limit, began_after_us=5_000_000)
        assert late == ["up8", "up7", "up6", "up5"]


class Away(NoArchive):
    """An archive that does not answer."""

    async def find(self, *_: Any, **__: Any) -> Any:
        raise Unavailable

    listed = events = find


async def test_without_the_archive_the_journals_are_told(redis_url: str, tmp_path: Path) -> None:
    """The list says that it is not all; what has no journal is unavailable."""
    async with components(redis_url, tmp_path) as core:
        uploads = Uploads(core)
        await upload(core, "a", 1)
        await upload(core, "b", 2)
        object.__setattr__(core, "archive", Away())
        uploads = Uploads(core)
        found = await uploads.states("ann", status=None, limit=1, before_us=None)
        assert ([s["uploadId"] for s in found.states], found.partial) == (["b"], True)
        found = await uploads.states("ann", status=None, limit=5, before_us=found.before_us)
        assert ([s["uploadId"] for s in found.states], found.partial) == (["a"], True)
        with pytest.raises(Unavailable):
            await uploads.states("ann", status=None, limit=5, before_us=1_000_000)
        assert (await uploads.known("a", owner="ann")).live
        with pytest.raises(Unavailable):
            await uploads.known("older", owner="ann")


async def test_a_batch_is_told_from_the_archive(
    own_redis: RedisServer, tmp_path: Path, archive_url: str
) -> None:
    """While Redis is away, to its owner."""
    async with parts(own_redis.url, tmp_path, archive_url) as core:
        batches = Batches(core, most=9)
        await batches.open("b1", owner="ann", labels=Labels(), title="Holidays")
        await archive(core)
        own_redis.kill()
        page = await batches.page("b1", owner="ann")
        assert (page.live, b"Holidays" in page.about) == (False, True)
        with pytest.raises(Forbidden):
            await batches.page("b1", owner="bob")
        with pytest.raises(Unavailable):
            await batches.page("b2", owner="ann")
