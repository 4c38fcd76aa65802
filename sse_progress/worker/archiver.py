"""Copies journals into the archive: those that are open now and then, each one after its end.

Nothing waits for it. The list of ended uploads keeps each end until its events are committed, so it
catches up after any outage that is shorter than a journal's life. One worker does it at a time;
two at once are harmless, since a copy is written only onto the revision that it was read from.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from itertools import islice

import anyio
import structlog
from redis.exceptions import RedisError

from sse_progress.archive.archive import ArchiveWriter
from sse_progress.archive.records import ArchivedUpload, Copy
from sse_progress.journal.frames import Foreign, Frame, Page
from sse_progress.journal.heads import heads
from sse_progress.journal.redis_age import redis_run
from sse_progress.journal.upload_index import ARCHIVE
from sse_progress.model.errors import Problem
from sse_progress.model.ids import Position
from sse_progress.runtime.concurrency import blocking
from sse_progress.uploads.batches import Batches
from sse_progress.uploads.components import Components

__all__ = ["Archiver"]

log = structlog.get_logger(__name__)

EVERY_S = 1.0
PAUSE = 20
"""Between two looks at open journals, times what a look takes: they take a twentieth of a core
at most, but come every `LOOK_EVERY_S` at the latest."""
LOOK_EVERY_S = 10.0
LOOK_AT_ALL_EVERY_S = 3600.0
"""Looks between them are at journals that may have new events: those that wait have none."""
AT_ONCE = 100
"""Journals of one transaction, or fewer with `EVENTS` events in all."""
EVENTS = 2000
FORGET_EVERY_S = 3600.0
FORGET_AT_ONCE = 200
RUN = "redis_birth"
"""Note: the data of Redis that the storage was compared for, and the run of its server."""


class Archiver:
    """`history_s`: how long uploads are kept after their last event. `pause`: `PAUSE`. `leads`:
    whether it is this worker's turn. `now`: Unix time."""

    def __init__(
        self,
        components: Components,
        archive: ArchiveWriter,
        batches: Batches,
        *,
        history_s: float,
        pause: float = PAUSE,
        leads: Callable[[], bool] = lambda: True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._components, self._archive, self._batches = components, archive, batches
        self._history_s, self._pause, self._now = history_s, pause, now
        self._leads = leads
        self._ready = False
        self._archived: dict[str, Position] = {}
        self._active, self._seen_ms, self._all_at = set[str](), 0, 0.0
        self._forgotten_at = 0.0
        self._asked_for = ""
        self._began_at, self._look_at = now(), 0.0

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    if self._leads():
                        await self.round()
                    else:
                        self._archived.clear()
                        self._all_at = 0.0
                except (RedisError, OSError, Problem) as exc:
                    log.warning("archive waits", error=type(exc).__name__)
                except Exception:
                    log.exception("archive failed")
                await asyncio.sleep(EVERY_S)
        finally:
            with anyio.CancelScope(shield=True):
                await self._archive.aclose()

    async def round(self) -> None:
        """Copy what there is to copy. Raises Unavailable, `redis.RedisError` or OSError.

        The database is not opened before there is something.
        """
        if not self._ready and not await self._begins():
            return
        while await self._copy_ended():
            pass
        await self._copy_open()
        await self._compare()
        if self._now() - self._forgotten_at > FORGET_EVERY_S:
            self._forgotten_at = self._now()
            before_ms = int((self._now() - self._history_s) * 1000)
            while await self._archive.forget(before_ms=before_ms, limit=FORGET_AT_ONCE):
                pass

    async def _begins(self) -> bool:
        index = self._components.index
        waits = (
            await index.open_count()
            or await self._batches.open_journals()
            or await index.ended(ARCHIVE, limit=1)
            or await self._may_compare()
        )
        if not waits and self._now() - self._began_at < FORGET_EVERY_S:
            return False
        if await self._archive.upgrade():
            log.info("archive upgraded")
        self._ready = True
        return True

    # ---- journals

    async def _copy_ended(self) -> bool:
        """The journals of some that have ended; whether there may be more."""
        index = self._components.index
        names = [name for name, _ in await index.ended(ARCHIVE, limit=AT_ONCE)]
        found = await heads(self._components.redis, names)
        await self._revive([name for name in names if name not in found and ":" not in name])
        copied = await self._copy(names)
        await index.done(ARCHIVE, copied)
        for name in copied:
            self._archived.pop(name, None)
        return bool(copied)

    async def _copy_open(self) -> None:
        """What is new in the journals of open uploads and batches.

        An upload that has come to rest is looked at once more, for what it had to tell before.
        """
        began = time.monotonic()
        if began < self._look_at:
            return
        index, looks_at_all = self._components.index, began >= self._all_at
        active, arrived, at_ms = await index.changing(since_ms=self._seen_ms)
        uploads: Iterable[str] = {*active, *arrived, *self._active}
        if looks_at_all:
            uploads = [name for name, _ in await index.open_uploads()]
            self._archived = {n: self._archived[n] for n in uploads if n in self._archived}
        names = [*uploads, *await self._batches.open_journals()]
        found = await heads(self._components.redis, names)
        ended = time.monotonic()
        self._look_at = ended + min(self._pause * (ended - began), LOOK_EVERY_S)
        archived = {name: self._archived.get(name) for name in names}
        behind = [name for name, head in found.items() if head.seq and head != archived[name]]
        whole = set[str]()
        for start in range(0, len(behind), AT_ONCE):
            whole.update(await self._copy(behind[start : start + AT_ONCE]))
        self._active = {*active, *(name for name in behind if name not in whole)}
        self._seen_ms = at_ms
        if looks_at_all:
            self._all_at = began + LOOK_AT_ALL_EVERY_S

    async def _copy(self, names: Iterable[str]) -> list[str]:
        """Write what the archive lacks of these journals; those of which it lacks nothing now.

        Others have a long way to go, or were written by another archiver just now.
        """
        left, whole = list(names), []
        kept = await self._archive.found(left) if left else {}
        while left:
            copies: dict[str, tuple[Copy, bool]] = {}
            while left and sum(len(copy.events) for copy, _ in copies.values()) < EVENTS:
                name = left.pop(0)
                page, copy = await self._read(name, kept.get(name))
                if copy is not None and page is not None:
                    copies[name] = copy, copy.upload.position == page.end
                else:
                    whole.append(name)
            for name in await self._archive.write([copy for copy, _ in copies.values()]):
                copy, is_whole = copies[name]
                self._archived[name] = copy.upload.position
                if is_whole:
                    whole.append(name)
        return whole

    async def _read(
        self, name: str, kept: ArchivedUpload | None
    ) -> tuple[Page | None, Copy | None]:
        """The head of a journal, and what the archive lacks of it (None: nothing)."""
        page = await self._page(name, after=None if kept is None else kept.position)
        if page is None or page.end.seq == 0 or page.partial:
            return page, None
        frames, whole = page.frames, False
        if kept is not None:
            if frames and frames[0].position == kept.position and frames[0].data == kept.last:
                frames = frames[1:]
            else:  # another epoch, or a Redis that went back in time: all of it again
                page, whole = await self._page(name, after=None), True
                frames = () if page is None else page.frames
                if frames and frames[0].position.seq > 1:  # shortened: it replaces nothing
                    whole, frames = False, _beyond(kept.position, frames)
        if page is None or not frames:
            self._archived[name] = page.end if page else Position("", 0)
            return page, None
        upload = await self._upload(name, page, frames[-1], kept)
        basis = 0 if kept is None else kept.revision
        return page, Copy(upload=upload, events=frames, basis=basis, whole=whole)

    async def _page(self, name: str, *, after: Position | None) -> Page | None:
        """The journal from an event on, that one with it."""
        if after is not None:
            after = Position(after.epoch, after.seq - 1)
        journal = self._components.journal
        page = await journal.read(name, after=after, limit=EVENTS, about=True)
        assert not isinstance(page, Foreign), "read without an owner"
        return page

    async def _upload(
        self, name: str, page: Page, last: Frame, kept: ArchivedUpload | None
    ) -> ArchivedUpload:
        index, began_us = self._components.index, None
        if kept is not None:
            began_us = kept.began_us
        elif ":" not in name:
            began_us = await index.began_us(name, owner=page.owner)
        return ArchivedUpload(
            upload_id=name,
            owner=page.owner,
            position=last.position,
            stage=last.stage,
            producer=page.producer,
            tags=page.tags,
            about=page.about,
            last=last.data,
            began_us=page.created_ms * 1000 if began_us is None else began_us,
            created_ms=page.created_ms,
            changed_ms=round((last.at or 0) * 1000),
            archived_ms=round(self._now() * 1000),
        )

    # ---- after a Redis that lost something

    async def _may_compare(self) -> bool:
        """Whether the storage has anything finished; asked once for each run of Redis."""
        run = await self._redis_run()
        if run is None or run == self._asked_for:
            return False
        objects = self._components.storage.objects
        found = await blocking(lambda: next(iter(objects.expired(0)), None))
        self._asked_for = run
        return found is not None

    async def _compare(self) -> None:
        """Once for each run of Redis: copy what the storage has finished and no journal says.

        Also where Redis has its data: some uploads may have begun and ended in the time it lost.
        """
        run = await self._redis_run()
        if run is None or await self._archive.noted(RUN) == run:
            return
        objects = self._components.storage.objects
        finished = objects.expired(0, younger_than_s=self._history_s)
        while names := await blocking(lambda: list(islice(finished, AT_ONCE))):
            await self._copy(await self._revive(names))
        await self._archive.note(RUN, run)

    async def _redis_run(self) -> str | None:
        """Names what Redis has; None while it is young, and what it lost may come back."""
        age_s, run = await redis_run(self._components.redis)
        return None if age_s < self._components.settings.lease_s else run

    async def _revive(self, names: list[str]) -> list[str]:
        """Those of `names` whose end the archive lacks. What the storage has of them is in their
        journals again."""
        kept = await self._archive.found(names) if names else {}
        lacking = [name for name in names if name not in kept or not kept[name].terminal]
        for name in lacking:
            if await self._components.journal.head(name) is None:
                found = await blocking(self._components.storage.objects.find, name)
                if found is not None and found.done:
                    await self._components.recovery.revive(found)
        return lacking


def _beyond(position: Position, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """Those that are not before `position` in its epoch."""
    return tuple(
        frame
        for frame in frames
        if frame.position.epoch != position.epoch or frame.position.seq > position.seq
    )
