"""Bodies that rest between two requests: told that they are paused, ended when their time is over.

Owns what becomes of a body that nobody sends now. Who sends one, and all that its requests say, is
decided in ingest.
"""

from __future__ import annotations

import secrets

import structlog

from sse_progress.ingest.resumable.told_progress import arriving
from sse_progress.journal.frames import Page
from sse_progress.journal.journal import Journal
from sse_progress.journal.upload_index import Index
from sse_progress.model.errors import UploadExpired
from sse_progress.model.events import Draft, decode_json
from sse_progress.model.messages import PAUSED, failure
from sse_progress.runtime.concurrency import blocking
from sse_progress.storage.announced import Partial
from sse_progress.storage.port import Storage

__all__ = ["RestingBodies"]

LOOK_S = 5.0
"""Between two looks for what the sender of a direct body has put."""

log = structlog.get_logger(__name__)


class RestingBodies:
    """`lease_s`: how quiet a body is that was left; `resume_s`: how long it may rest."""

    def __init__(
        self,
        *,
        journal: Journal,
        storage: Storage,
        index: Index,
        lease_s: float,
        resume_s: float,
    ) -> None:
        self._journal, self._storage, self._index = journal, storage, index
        self._lease_s, self._resume_s = lease_s, resume_s

    async def list_again(self, known: set[str], *, now_s: float) -> None:
        """Bodies that Redis has lost stand among the open uploads again."""
        for found in await blocking(lambda: list(self._storage.bodies.partials())):
            announced = found.announced
            if not found.held and announced.upload_id not in known:
                await self._index.opened(
                    announced.upload_id, owner=announced.listed_for, now_s=now_s
                )

    async def judge(self, upload_id: str, page: Page | None, found: Partial) -> float:
        """A body that nobody holds, of an upload that has not ended. For how many seconds it rests
        from now on, if nobody goes on with it; 0: it does not, or not yet."""
        if page is None or not page.stage:
            await self._begin_again(found)
            return self._resume_s
        paused, left_ms = _is_paused(page), page.lease_until_ms - page.now_ms
        if found.announced.direct and left_ms > 0:
            await self._look(upload_id, page, found)
            return LOOK_S
        if left_ms <= 0 and not paused and page.lease_ms <= self._lease_s * 1000:
            # It was begun, and whoever did died before it could make the lease longer.
            await self._pause(upload_id, page, found, lease_s=self._resume_s)
            return self._resume_s
        if left_ms <= 0:
            await self._expire(upload_id, page)
            return 0
        if page.now_ms - page.changed_ms > self._lease_s * 1000 and not paused:
            await self._pause(upload_id, page, found, lease_s=left_ms / 1000)
            paused = True
        return left_ms / 1000 if paused else 0

    async def _look(self, upload_id: str, page: Page, found: Partial) -> None:
        """Bytes that come past the service are told although nobody says so."""
        if page.last is not None and decode_json(page.last.data).get("bytes") == found.arrived:
            return
        await self._journal.tell(
            upload_id,
            fence=page.fence,
            nonce=secrets.token_hex(8),
            draft=arriving(found.arrived, found.announced.length),
            lease_s=self._resume_s,
        )

    async def _pause(self, upload_id: str, page: Page, found: Partial, *, lease_s: float) -> None:
        await self._journal.tell(
            upload_id,
            fence=page.fence,
            nonce=secrets.token_hex(8),
            draft=_paused(found),
            lease_s=lease_s,
        )

    async def _begin_again(self, found: Partial) -> None:
        announced = found.announced
        await self._journal.begin(
            announced.upload_id,
            owner=announced.owner,
            draft=_paused(found),
            lease_s=self._resume_s,
            tags=announced.tags,
        )

    async def _expire(self, upload_id: str, page: Page) -> None:
        draft = failure(UploadExpired(), page.stage)
        answer = await self._journal.sweep(
            upload_id, fence=page.fence, draft=draft, lease_s=self._lease_s
        )
        if answer.status in ("ok", "ended"):
            await blocking(self._storage.remove, upload_id)
            await self._index.closed(upload_id)
            log.info("a paused upload expired", upload_id=upload_id)


def _paused(found: Partial) -> Draft:
    return arriving(found.offset, found.announced.length, message=PAUSED, paused=True)


def _is_paused(page: Page) -> bool:
    return page.last is not None and decode_json(page.last.data).get("paused") is True
