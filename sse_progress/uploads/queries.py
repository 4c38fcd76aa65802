"""What can be asked of an upload, and its cancellation, without HTTP."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import anyio
from redis.exceptions import RedisError

from sse_progress.archive.records import Wanted
from sse_progress.emitter.waiter import Waiter, watching
from sse_progress.journal.frames import Foreign, Page
from sse_progress.journal.upload_index import WEBHOOKS
from sse_progress.model.errors import (
    AlreadyFinished,
    Cancelled,
    Forbidden,
    NotFound,
    Problem,
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
from sse_progress.uploads.listing import Listed, Listing
from sse_progress.uploads.looks import Looks
from sse_progress.uploads.past import Past

__all__ = ["Uploads", "state_of"]

ABOUT = ("size", "contentType", "fields")
REDIS_WAIT_S = 5.0


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
    state |= page.when
    return {**state, "deleted": True} if page.deleted else state


class Uploads:
    """Uploads by their owner. Every method but `known` and `states` raises Unavailable while Redis
    does not answer."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self.past = Past(components.archive)

    async def known(self, upload_id: str, *, owner: str) -> Page:
        """The head of the owner's journal; where that is gone or Redis away, what was archived.

        Raises UnknownUpload, Forbidden, or Unavailable where what could know does not answer.
        """
        away: Unavailable | None = None
        try:
            page = await self._head(upload_id, owner=owner)
            if page is not None:
                return await self._on_storage(upload_id, page)
        except Unavailable as problem:
            away = problem
        try:
            kept = await self.past.page(upload_id, owner=owner)
            missing: Problem = away or UnknownUpload()
        except Unavailable as problem:
            kept, missing = None, problem
        if kept is not None and (away or kept.terminal):
            return await self._on_storage(upload_id, kept)
        if away:
            raise missing
        try:
            return await self.page(upload_id, owner=owner)
        except UnknownUpload:
            if kept is None:
                raise missing from None
        return await self._on_storage(upload_id, kept)

    async def _head(self, upload_id: str, *, owner: str) -> Page | None:
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                page = await self._components.journal.read(upload_id, owner=owner, about=True)
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable from exc
        if isinstance(page, Foreign):
            raise Forbidden("This upload belongs to another user.")
        return page

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

    async def _on_storage(self, upload_id: str, page: Page, looks: Looks | None = None) -> Page:
        """The same, with what only the storage knows: how far a body is that may rest, and whether
        the files of a finished upload are there. A disk that cannot be asked hides no state."""
        if page.producer:
            return page
        if page.stage == "file_received" and page.live:
            return replace(page, queue_position=await self._position(upload_id))
        return await self._extent(upload_id, page, looks or Looks())

    async def _extent(self, upload_id: str, page: Page, looks: Looks) -> Page:
        storage = self._components.storage
        try:
            if page.status == "receiving":
                partial = await looks.at(storage.bodies.partial, upload_id)
                if partial is None:
                    return page
                return replace(page, offset=partial.offset, length=partial.announced.length)
            if page.status == "complete":
                found = await looks.at(storage.objects.find, upload_id)
                if found is None:
                    return replace(page, deleted=True)
                return replace(page, offset=found.manifest.size, length=found.manifest.size)
        except Unavailable:
            pass
        return page

    async def _position(self, upload_id: str) -> int | None:
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                return (await self._components.queue.positions([upload_id])).get(upload_id)
        except (TimeoutError, RedisError, OSError):
            return None

    async def _recovered(self, upload_id: str, *, owner: str) -> Page | Foreign | None:
        if self._components.settings.web_role == "streams":
            return None
        storage = self._components.storage
        partial = await blocking(storage.bodies.partial, upload_id)  # stored in the next moment
        found = await blocking(storage.objects.find, upload_id)
        # Who holds a body is about to begin its journal.
        if found is None and (partial is None or partial.held):
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
        if page.status == "complete" and not page.deleted:
            try:
                with anyio.fail_after(REDIS_WAIT_S):
                    await self._components.index.note("deleted", upload_id, consumer=WEBHOOKS)
            except (TimeoutError, RedisError, OSError) as exc:
                raise Unavailable from exc
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
    ) -> Listed:
        """The owner's uploads, of the past too: only those of a status, with all of `labels`, that
        began after a time."""
        wanted = Wanted(
            owner=owner,
            status=status,
            labels=labels,
            after_us=began_after_us,
            before_us=before_us,
        )
        looks = Looks()

        async def described(upload_id: str, page: Page) -> dict[str, Any]:
            return state_of(upload_id, await self._on_storage(upload_id, page, looks))

        async def live(upload_id: str, owner: str) -> dict[str, Any]:
            page = await self._components.journal.read(upload_id, owner=owner, about=True)
            if page is None or isinstance(page, Foreign):
                raise UnknownUpload
            return await described(upload_id, page)

        return await Listing(self._components, live=live, archived=described).read(
            wanted, limit=limit
        )

    async def changed(self, upload_id: str, *, owner: str, since: Position) -> None:
        """Wait until the journal has something after `since`, or cannot be followed."""
        waiter = Waiter()
        with watching(self._components.emitter, upload_id, waiter, owner=owner, cursor=since):
            await waiter.changed()
