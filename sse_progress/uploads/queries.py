"""What can be asked of an upload, and its cancellation, without HTTP."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, NamedTuple

import anyio
from redis.exceptions import RedisError

from sse_progress.emitter.waiter import Waiter, watching
from sse_progress.journal.frames import Foreign, Page
from sse_progress.journal.glances import Glance, glances
from sse_progress.model.errors import (
    AlreadyFinished,
    Cancelled,
    Forbidden,
    NotFound,
    Unavailable,
    UnknownUpload,
)
from sse_progress.model.events import Draft, Error, decode_json, with_status
from sse_progress.model.ids import Position
from sse_progress.model.labels import NO_LABELS, Labels
from sse_progress.model.messages import END
from sse_progress.model.timestamps import rfc3339
from sse_progress.runtime.concurrency import blocking
from sse_progress.uploads.components import Components

__all__ = ["Uploads", "state_of"]

ABOUT = ("size", "contentType", "fields")
REDIS_WAIT_S = 5.0
SCAN_ROWS = 2000
SCAN_STEP = 200


def state_of(upload_id: str, page: Page) -> dict[str, Any]:
    """An upload's state: `status`, the fields of its latest event, and what the file is.

    That is `size`, `contentType` (as claimed, until it is complete) and `fields`, once stored.
    """
    if page.last is None:
        what = "work" if page.producer else "upload"
        return {
            "status": "pending",
            "uploadId": upload_id,
            "progress": 0,
            "message": f"Waiting for the {what} to begin",
            "timestamp": rfc3339(page.created_ms / 1000),
            **decode_json(b"{%b}" % page.tags),
            **decode_json(page.about or b"{}"),
        }
    state = with_status(page.last.data)
    if media := state.get("media"):
        state |= {name: media[name] for name in ABOUT if name in media}
    elif page.about:
        state |= decode_json(page.about)
    if page.resumable:
        state |= {"offset": page.offset, "expiresAt": rfc3339(page.lease_until_ms / 1000)}
    if page.queue_position is not None:
        state["queuePosition"] = page.queue_position
    return {**state, "deleted": True} if page.deleted else state


class _Wanted(NamedTuple):
    """What a list is narrowed to."""

    status: str | None
    labels: Labels
    after_us: int | None

    @property
    def all(self) -> bool:
        return self.status is None and not self.labels

    def seen(self, glance: Glance) -> bool:
        return self.status in (None, glance.status) and self.labels.match(glance.tags)


class Uploads:
    """Uploads by their owner. Every method raises Unavailable while Redis does not answer."""

    def __init__(self, components: Components) -> None:
        self._components = components

    async def page(self, upload_id: str, *, owner: str) -> Page:
        """The head of the owner's journal. Raises UnknownUpload or Forbidden."""
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                page = await self._components.journal.read(upload_id, owner=owner, about=True)
                if page is None:
                    page = await self._recovered(upload_id, owner=owner)
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable from exc
        if isinstance(page, Foreign):
            raise Forbidden("This upload belongs to another user.")
        if page is None:
            raise UnknownUpload
        return await self._on_storage(upload_id, page)

    async def claimed(self, upload_id: str, *, owner: str) -> bool:
        """Whether the owner has an upload of this id, begun or not. Raises Forbidden."""
        try:
            await self.page(upload_id, owner=owner)
        except UnknownUpload:
            return False
        return True

    async def claim(self, upload_id: str, *, owner: str) -> None:
        """Take an unused id for the owner, for as long as a claim lives. Raises Forbidden."""
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                page = await self._components.journal.read(upload_id, owner=owner, claim=True)
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable from exc
        if isinstance(page, Foreign):
            raise Forbidden("This upload belongs to another user.")

    async def _on_storage(self, upload_id: str, page: Page) -> Page:
        """The same, with what only the storage knows: how far a body is that may rest, and whether
        the files of a finished upload are there. A disk that cannot be asked hides no state."""
        if page.producer:
            return page
        if page.stage == "file_received":
            return replace(page, queue_position=await self._position(upload_id))
        return await self._extent(upload_id, page)

    async def _extent(self, upload_id: str, page: Page) -> Page:
        storage = self._components.storage
        try:
            if page.status == "receiving":
                partial = await blocking(storage.bodies.partial, upload_id)
                if partial is None:
                    return page
                return replace(page, offset=partial.offset, length=partial.announced.length)
            if page.status == "complete":
                found = await blocking(storage.objects.find, upload_id)
                if found is None:
                    return replace(page, deleted=True)
                return replace(page, offset=found.manifest.size, length=found.manifest.size)
        except Unavailable:
            pass
        return page

    async def _position(self, upload_id: str) -> int | None:
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                return await self._components.queue.position(upload_id)
        except (TimeoutError, RedisError, OSError):
            return None

    async def _recovered(self, upload_id: str, *, owner: str) -> Page | Foreign | None:
        storage = self._components.storage
        found = await blocking(storage.objects.find, upload_id)
        if found is None:
            partial = await blocking(storage.bodies.partial, upload_id)
            if partial is None or partial.held:  # who holds it is about to begin its journal
                return None
        if found is None or not found.done:
            raise Unavailable("The state of this upload is being restored.", retry_after_s=2)
        await self._components.recovery.revive(found)
        return await self._components.journal.read(upload_id, owner=owner, about=True)

    async def cancel(self, upload_id: str, *, owner: str) -> None:
        """End it and remove its bytes. Raises AlreadyFinished, UnknownUpload or Forbidden."""
        draft = Draft(
            stage="cancelled",
            stage_progress=0,
            message=END["cancelled"],
            error=Error(Cancelled.code, Cancelled.sentence),
        )
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                answer = await self._components.journal.cancel(upload_id, owner=owner, draft=draft)
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable from exc
        match answer.status:
            case "forbidden":
                raise Forbidden("This upload belongs to another user.")
            case "ended":
                raise AlreadyFinished
            case "unknown":
                await self.page(upload_id, owner=owner)
                raise AlreadyFinished
        self._components.metrics.ended("cancelled")
        await blocking(self._components.storage.remove, upload_id)
        # What is not reached here, the reconciler does.
        with contextlib.suppress(TimeoutError, RedisError, OSError), anyio.fail_after(REDIS_WAIT_S):
            await self._components.queue.drop(upload_id)
            await self._components.index.closed(upload_id)

    async def delete_files(self, upload_id: str, *, owner: str) -> None:
        """Remove a finished upload's bytes; harmless twice. Raises NotFound while it is not."""
        page = await self.page(upload_id, owner=owner)
        if not page.terminal:
            raise NotFound("There are no files of this upload (yet).")
        await blocking(self._components.storage.remove, upload_id)

    async def states(
        self,
        owner: str,
        *,
        status: str | None,
        labels: Labels = NO_LABELS,
        began_after_us: int | None = None,
        limit: int,
        before_us: int | None,
    ) -> tuple[list[dict[str, Any]], int | None]:
        """The owner's uploads, newest first, and the time to continue before (None: no more).

        Only those of a status, with all of `labels`, that began after a time. At most `SCAN_ROWS`
        uploads are looked at, so there may be fewer than `limit` although there are more to come.
        """
        wanted = _Wanted(status, labels, began_after_us)
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                return await self._states(owner, wanted, limit, before_us)
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable from exc

    async def _states(
        self, owner: str, wanted: _Wanted, limit: int, before_us: int | None
    ) -> tuple[list[dict[str, Any]], int | None]:
        states: list[dict[str, Any]] = []
        step = limit if wanted.all else SCAN_STEP
        for _ in range(SCAN_ROWS // step):
            rows = await self._components.index.owned(owner, before_us=before_us, limit=step)
            async for upload_id, began_us, seen in self._seen(rows, owner):
                before_us = began_us
                if wanted.after_us is not None and began_us <= wanted.after_us:
                    return states, None
                if seen.owner != owner or not wanted.seen(seen):
                    continue
                page = await self._components.journal.read(upload_id, owner=owner, about=True)
                if page is None or isinstance(page, Foreign):
                    continue
                state = state_of(upload_id, await self._on_storage(upload_id, page))
                if wanted.status in (None, state["status"]):
                    states.append(state)
                if len(states) == limit:
                    return states, before_us
            if len(rows) < step:
                return states, None
        return states, before_us

    async def _seen(
        self, rows: list[tuple[str, int]], owner: str
    ) -> AsyncIterator[tuple[str, int, Glance]]:
        """Rows of the index that have a journal; those without one are removed."""
        found = await glances(self._components.redis, [upload_id for upload_id, _ in rows])
        for (upload_id, began_us), seen in zip(rows, found, strict=True):
            if seen is None:
                await self._components.index.forget(upload_id, owner=owner)
            else:
                yield upload_id, began_us, seen

    async def changed(self, upload_id: str, *, owner: str, since: Position) -> None:
        """Wait until the journal has something after `since`, or cannot be followed."""
        waiter = Waiter()
        with watching(self._components.emitter, upload_id, waiter, owner=owner, cursor=since):
            await waiter.changed()
