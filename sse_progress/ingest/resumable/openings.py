"""How a request gets a body that was begun: its lock, and the right to write its journal.

Owns the order of the two. The file is the truth about its bytes (`storage`), the journal about who
sends them (`turns`). Knows no HTTP types.
"""

from __future__ import annotations

import asyncio
import time

from sse_progress.ingest.body import OpenBody
from sse_progress.ingest.journaling import RETRY_AFTER_S, Journaling, Parts
from sse_progress.ingest.resumable.one_part import shielded
from sse_progress.ingest.resumable.parts import Extent
from sse_progress.ingest.resumable.turn import Turn
from sse_progress.ingest.resumable.turns import Turns
from sse_progress.model.errors import Unavailable, UnknownUpload, UploadGone
from sse_progress.runtime.concurrency import blocking
from sse_progress.storage.body_port import BodyHeld, ResumableBody

__all__ = ["NotResumable", "Openings"]

LET_GO_S = 10.0
"""How long an older request may take to end."""


class NotResumable(UnknownUpload):
    sentence = "This upload's body comes in one request."


class Openings:
    def __init__(self, parts: Parts, turns: Turns, journaling: Journaling) -> None:
        self._storage, self._turns, self._journaling = parts.storage, turns, journaling

    async def open(
        self, upload_id: str, *, owner: str, under_way: OpenBody
    ) -> tuple[ResumableBody, Turn] | Extent:
        """The body in this request's hands, with the right to write; or its end, if it is stored.

        Raises UnknownUpload, Forbidden, UploadGone, Cancelled, Replaced or Unavailable.
        """
        if self._storage.bodies.exclusive:
            found = await self._open_free(upload_id, owner, under_way)
            if found is not None:
                return found
        return await self._open_held(upload_id, owner, under_way)

    async def _open_free(
        self, upload_id: str, owner: str, under_way: OpenBody
    ) -> tuple[ResumableBody, Turn] | None:
        """A body that no request holds, as between two parts: first the lock, then the right. A
        newer request waits for the lock, so the turn is this one's until it hears of that.

        None: there is more to be looked at.
        """
        try:
            body = await blocking(self._storage.bodies.resumable, upload_id)
        except (BodyHeld, UnknownUpload):
            return None
        turn = None
        try:
            if body.announced.owner == owner:
                turn = await self._turns.take(body, under_way)
        finally:
            if turn is None:
                await shielded(body.close)
        return None if turn is None else (body, turn)

    async def _open_held(
        self, upload_id: str, owner: str, under_way: OpenBody
    ) -> tuple[ResumableBody, Turn] | Extent:
        """First the right, so that an older request hears of it, syncs and lets go; then the body;
        and then, since a still newer request may have come, whether it is its turn."""
        page = await self._turns.page(upload_id, owner=owner)
        if (stored := await self._turns.stored(upload_id, page)) is not None:
            return stored
        if await blocking(self._storage.bodies.partial, upload_id) is None:
            raise NotResumable
        turn = await self._turns.take_over(upload_id, owner=owner, under_way=under_way)
        try:
            body = await self._let_go_by_older(upload_id)
        except UnknownUpload:
            return await self._stored_meanwhile(upload_id, turn)
        except BaseException:
            turn.close()
            raise
        try:
            await self._turns.confirm(body, turn)
        except BaseException:
            turn.close()
            await shielded(body.close)
            raise
        return body, turn

    async def _let_go_by_older(self, upload_id: str) -> ResumableBody:
        """The body, once the older request has synced and closed it. Raises UnknownUpload."""
        deadline = time.monotonic() + LET_GO_S
        while True:
            try:
                return await blocking(self._storage.bodies.resumable, upload_id)
            except BodyHeld:
                if time.monotonic() > deadline:
                    raise Unavailable(retry_after_s=RETRY_AFTER_S) from None
            await asyncio.sleep(0.005)

    async def _stored_meanwhile(self, upload_id: str, turn: Turn) -> Extent:
        """The older request stored it in the moment in which it lost its turn: say so for it."""
        try:
            found = await blocking(self._storage.objects.find, upload_id)
            if found is None:
                raise UploadGone
            size = found.manifest.size
            await self._journaling.tell_stored(
                upload_id, turn.writer, manifest=found.manifest, arrived=size, total=size, keep=True
            )
        finally:
            turn.close()
        return Extent(offset=size, length=size, complete=True)
