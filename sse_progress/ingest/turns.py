"""Whose turn it is to send a body that may rest: the journal's head, its fences, and taking over.

Owns what is asked of the journal before a byte is taken, and how a request hears that a newer one
took over. Does not own the body.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from redis.exceptions import RedisError

from sse_progress.emitter.waiter import Waiter, watching
from sse_progress.ingest.body import OpenBody
from sse_progress.ingest.journaling import RETRY_AFTER_S, Journaling, Parts
from sse_progress.ingest.parts import Extent
from sse_progress.ingest.told_progress import arriving
from sse_progress.journal.frames import Foreign, Frame, Page
from sse_progress.journal.writer import JournalWriter, WriterLost
from sse_progress.model.errors import (
    Cancelled,
    Forbidden,
    Problem,
    Replaced,
    Unavailable,
    UnknownUpload,
    UploadGone,
    UploadIdInUse,
)
from sse_progress.model.events import decode_json
from sse_progress.model.kinds import Kinds
from sse_progress.model.messages import RESUMED
from sse_progress.runtime.concurrency import blocking
from sse_progress.runtime.redis_keys import turn_channel
from sse_progress.storage.announced import Announced
from sse_progress.storage.body_port import ResumableBody

__all__ = ["Turns"]

REDIS_WAIT_S = 5.0


class Turns:
    """`resume_s`: how long a body may rest. Its first lease is a receiver's, `lease_s`: where the
    answer to its beginning was lost there is no body, and the claim ends as any other does."""

    def __init__(
        self,
        parts: Parts,
        journaling: Journaling,
        *,
        lease_s: float,
        resume_s: float,
        kinds: Kinds,
    ) -> None:
        self._journal, self._storage, self._emitter = parts.journal, parts.storage, parts.emitter
        self._background, self._index = parts.background, parts.index
        self._journaling, self._kinds = journaling, kinds
        self._lease_s, self._resume_s = lease_s, resume_s

    async def begin(self, announced: Announced, under_way: OpenBody) -> JournalWriter:
        """Claim the id for a new body. Raises Forbidden, UploadIdInUse or Unavailable."""
        return await self._journaling.begin(
            announced.upload_id,
            owner=announced.owner,
            total=announced.length,
            lease_s=min(self._lease_s, self._resume_s),
            then_s=self._resume_s,
            under_way=under_way,
            tags=announced.tags,
            table=self._kinds.of(announced.labels).table,
            listed=not announced.partial,
        )

    async def page(self, upload_id: str, *, owner: str) -> Page:
        """The upload's journal; begun again where Redis lost it and its body rests here.

        Raises UnknownUpload, Forbidden or Unavailable.
        """
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                page = await self._journal.read(upload_id, owner=owner)
                if page is None or (isinstance(page, Page) and not page.stage):
                    page = await self._begun_again(upload_id, owner)
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable(retry_after_s=RETRY_AFTER_S) from exc
        if isinstance(page, Foreign):
            raise Forbidden("This upload belongs to another user.")
        if page is None:
            raise UnknownUpload
        return page

    async def _begun_again(self, upload_id: str, owner: str) -> Page | Foreign | None:
        found = await blocking(self._storage.bodies.partial, upload_id)
        if found is None or found.held:
            return None
        if found.announced.owner != owner:
            return Foreign()
        with contextlib.suppress(UploadIdInUse):
            (await self.begin(found.announced, OpenBody())).close()
        return await self._journal.read(upload_id, owner=owner)

    async def stored(self, upload_id: str, page: Page) -> Extent | None:
        """Its extent, if it is whole. Raises UploadGone where it never will be."""
        if page.term in ("error", "cancelled"):
            raise UploadGone
        found = await blocking(self._storage.objects.find, upload_id)
        if found is not None:
            size = found.manifest.size
            concat = found.manifest.concat
            return Extent(offset=size, length=size, complete=True, concat=concat)
        if page.stage != "receiving":
            raise UploadGone("The files of this upload are deleted.")
        return None

    async def take_over(self, upload_id: str, *, owner: str, under_way: OpenBody) -> JournalWriter:
        """Be the one who writes from now on; who wrote until now hears of it, on any process."""
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                answer = await self._journal.resume(upload_id, owner=owner, lease_s=self._resume_s)
                await self._index.look_at(upload_id)
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable(retry_after_s=RETRY_AFTER_S) from exc
        match answer.status:
            case "ok":
                pass
            case "forbidden":
                raise Forbidden("This upload belongs to another user.")
            case "unknown":
                raise Unavailable(retry_after_s=1)  # Redis lost it since it was read
            case _:
                raise UploadGone if answer.term else Replaced
        return JournalWriter(
            self._journal,
            upload_id,
            owner=owner,
            answer=answer,
            written=0,
            lease_s=self._resume_s,
            on_lost=lambda lost: under_way.stop(lost_to(lost)),
            on_new_epoch=lambda: self._background.spawn(
                self._journaling.list_again(upload_id, owner=owner)
            ),
        )

    async def confirm(self, body: ResumableBody, writer: JournalWriter, page: Page) -> None:
        """With the body in hand: is it still this request's turn? Says so if the body was paused.

        Raises Replaced, UploadGone, Cancelled or Unavailable.
        """
        writer.tags = body.announced.tags
        writer.table = self._kinds.of(body.announced.labels).table
        resumed = arriving(body.offset, body.announced.length, message=RESUMED)
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                await (writer.last(resumed) if _is_paused(page) else writer.renew())
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable(retry_after_s=RETRY_AFTER_S) from exc
        except WriterLost as lost:
            raise lost_to(lost) from None

    @asynccontextmanager
    async def kept(self, writer: JournalWriter, under_way: OpenBody) -> AsyncIterator[None]:
        """A block that ends, with the reason raised, when the turn is over.

        That is a newer request of this upload, its journal's end, or a drain.
        """

        def heard(message: bytes) -> None:
            if not message:  # subscribed just now: what was said before has to be asked for
                self._background.spawn(_renewed(writer))
            elif int(message) > writer.fence:
                under_way.stop(Replaced())

        channel = turn_channel(writer.upload_id)
        waiter = Waiter(on_end=lambda frame: under_way.stop(_ended_by(frame)))
        self._emitter.listen(channel, heard)
        try:
            with (
                watching(self._emitter, writer.upload_id, waiter, owner=writer.owner),
                under_way.scope,
            ):
                yield
        finally:
            self._emitter.unlisten(channel, heard)
        if under_way.why is not None:
            raise under_way.why


def lost_to(lost: WriterLost) -> Problem:
    """Why a request whose writes the journal refuses has to stop."""
    if lost.term == "cancelled":
        return Cancelled()
    return UploadGone() if lost.term else Replaced()


def _ended_by(frame: Frame) -> Problem:
    return Cancelled() if frame.stage == "cancelled" else UploadGone()


def _is_paused(page: Page) -> bool:
    return page.last is not None and decode_json(page.last.data).get("paused") is True


async def _renewed(writer: JournalWriter) -> None:
    with contextlib.suppress(WriterLost, RedisError, OSError):
        await writer.renew()
