"""Whose turn it is to send a body that may rest: the journal's head, its fences, and taking over.

Owns what is asked of the journal before a byte is taken. Does not own the body, nor what a request
hears while it has its turn (`turn`).
"""

from __future__ import annotations

import contextlib

import anyio
from redis.exceptions import RedisError

from sse_progress.ingest.body import OpenBody
from sse_progress.ingest.journaling import RETRY_AFTER_S, Journaling, Parts
from sse_progress.ingest.resumable.channels import Channels
from sse_progress.ingest.resumable.parts import Extent
from sse_progress.ingest.resumable.turn import Turn, lost_to, said
from sse_progress.journal.append_batcher import Answer
from sse_progress.journal.frames import Foreign, Page
from sse_progress.journal.writer import JournalWriter
from sse_progress.model.errors import (
    Forbidden,
    Replaced,
    Unavailable,
    UnknownUpload,
    UploadGone,
    UploadIdInUse,
)
from sse_progress.model.kinds import Kinds
from sse_progress.runtime.concurrency import blocking
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
        self._channels = Channels(self._emitter)

    async def begin(self, announced: Announced, under_way: OpenBody) -> Turn:
        """Claim the id for a new body. Raises Forbidden, UploadIdInUse or Unavailable."""
        turn = self._turn(announced.upload_id, under_way)
        try:
            writer = await self._journaling.begin(
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
        except BaseException:
            turn.close()
            raise
        turn.given(writer)
        return turn

    def _turn(self, upload_id: str, under_way: OpenBody) -> Turn:
        return Turn(upload_id, self._channels, self._emitter, self._background, under_way)

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

    async def take_over(self, upload_id: str, *, owner: str, under_way: OpenBody) -> Turn:
        """Be the one who writes from now on; who wrote until now hears of it, on any process.

        Raises Forbidden, UploadGone, Replaced or Unavailable.
        """
        turn, answer = await self._ask(upload_id, owner, under_way)
        if turn is not None:
            return turn
        match answer.status:
            case "forbidden":
                raise Forbidden("This upload belongs to another user.")
            case "unknown":
                raise Unavailable(retry_after_s=1)  # Redis lost it since it was read
            case _:
                raise UploadGone if answer.term else Replaced

    async def take(self, body: ResumableBody, under_way: OpenBody) -> Turn | None:
        """`take_over` for a request that already holds the body, so there is none to wait for.

        None: the journal does not give it now, and `page` may say why. Raises Unavailable.
        """
        announced = body.announced
        turn, _ = await self._ask(announced.upload_id, announced.owner, under_way)
        if turn is not None:
            self._describe(turn.writer, announced)
        return turn

    async def _ask(
        self, upload_id: str, owner: str, under_way: OpenBody
    ) -> tuple[Turn | None, Answer]:
        turn = self._turn(upload_id, under_way)
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                answer = await self._journal.resume(upload_id, owner=owner, lease_s=self._resume_s)
                if answer.status == "paused":
                    await self._index.look_at(upload_id)
            if answer.status not in ("ok", "paused", "dup"):
                turn.close()
                return None, answer
            writer = JournalWriter(
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
            turn.given(writer, paused=answer.status == "paused")
        except (TimeoutError, RedisError, OSError) as exc:
            turn.close()
            raise Unavailable(retry_after_s=RETRY_AFTER_S) from exc
        except BaseException:
            turn.close()
            raise
        return turn, answer

    def _describe(self, writer: JournalWriter, announced: Announced) -> None:
        writer.tags = announced.tags
        writer.table = self._kinds.of(announced.labels).table

    async def confirm(self, body: ResumableBody, turn: Turn) -> None:
        """With the body in hand: is it still this request's turn?

        Raises Replaced, UploadGone, Cancelled or Unavailable.
        """
        self._describe(turn.writer, body.announced)
        await said(turn.writer.renew())
