"""An upload's journal while its body arrives: begun, told that it is stored, ended.

Owns what is said to Redis and in which order. Does not own the body or the storage of its bytes.
"""

from __future__ import annotations

import contextlib
import time
from typing import Protocol

import structlog
from redis.exceptions import RedisError

from sse_progress.emitter.emitter import Emitter
from sse_progress.ingest.body import OpenBody
from sse_progress.journal.append_batcher import Queued
from sse_progress.journal.frames import Frame
from sse_progress.journal.journal import Journal
from sse_progress.journal.upload_index import WEBHOOKS, Index
from sse_progress.journal.writer import JournalWriter, WriterLost
from sse_progress.model.errors import (
    Cancelled,
    Forbidden,
    Problem,
    ServerLost,
    Unavailable,
    UploadIdInUse,
)
from sse_progress.model.events import Draft
from sse_progress.model.kinds import Priority
from sse_progress.model.messages import BEGIN, END, failure, stored_text
from sse_progress.model.stage_table import DEFAULT_TABLE, StageTable
from sse_progress.queue.queue import QueueEntry
from sse_progress.runtime.concurrency import BackgroundTasks, blocking, within
from sse_progress.runtime.metrics import Metrics
from sse_progress.storage.manifest import Manifest
from sse_progress.storage.port import Storage

__all__ = ["RETRY_AFTER_S", "Journaling", "Parts", "ended_by", "lost_to"]

log = structlog.get_logger(__name__)

REDIS_WAIT_S = 5.0
RETRY_AFTER_S = 5


class Enqueues(Protocol):
    async def enqueue(self, upload_id: str, *, owner: str, priority: Priority) -> None: ...
    def entry(self, upload_id: str, *, owner: str, priority: Priority) -> QueueEntry | None: ...
    @property
    def served(self) -> bool | None: ...
    async def is_served(self) -> bool: ...


class Parts(Protocol):
    """What ingest works with: the shared parts of a web process."""

    @property
    def journal(self) -> Journal: ...
    @property
    def storage(self) -> Storage: ...
    @property
    def queue(self) -> Enqueues: ...
    @property
    def index(self) -> Index: ...
    @property
    def emitter(self) -> Emitter: ...
    @property
    def background(self) -> BackgroundTasks: ...
    @property
    def metrics(self) -> Metrics: ...


class Journaling:
    """`redis_wait_s`: how long a stored file waits for Redis."""

    def __init__(self, parts: Parts, *, redis_wait_s: float) -> None:
        self._journal, self._storage = parts.journal, parts.storage
        self._queue, self._index = parts.queue, parts.index
        self._background, self._metrics = parts.background, parts.metrics
        self._redis_wait_s = redis_wait_s

    async def begin(
        self,
        upload_id: str,
        *,
        owner: str,
        total: int | None,
        lease_s: float,
        then_s: float | None = None,
        under_way: OpenBody,
        tags: bytes = b"",
        table: StageTable = DEFAULT_TABLE,
        listed: bool = True,
    ) -> JournalWriter:
        """The first event. `listed`: its owner finds it among all uploads.

        Raises Forbidden, UploadIdInUse or Unavailable.
        """
        listed_for = owner if listed else None
        listing = self._index.listing(upload_id, owner=listed_for, now_s=time.time())
        draft = Draft(
            stage="receiving", stage_progress=0, message=BEGIN["receiving"], bytes=0, total=total
        )
        try:
            with within(REDIS_WAIT_S):
                if listing is None:
                    await self._index.opened(upload_id, owner=listed_for, now_s=time.time())
                answer = await self._journal.begin(
                    upload_id,
                    owner=owner,
                    draft=draft,
                    lease_s=lease_s,
                    tags=tags,
                    table=table,
                    listing=listing,
                )
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable(retry_after_s=RETRY_AFTER_S) from exc
        if answer.status == "forbidden":
            raise Forbidden("This upload id belongs to another user.")
        if answer.status == "in_use":
            raise UploadIdInUse
        if listed and listing is None:
            self._background.spawn(self._announce(upload_id, owner=owner))
        return JournalWriter(
            self._journal,
            upload_id,
            owner=owner,
            answer=answer,
            written=1,
            lease_s=then_s or lease_s,
            said=draft,
            tags=tags,
            table=table,
            on_lost=lambda lost: under_way.stop(lost_to(lost)),
            on_new_epoch=lambda: self._background.spawn(
                self.list_again(upload_id, owner=listed_for)
            ),
        )

    async def _announce(self, upload_id: str, *, owner: str) -> None:
        with contextlib.suppress(RedisError, OSError):  # who misses it sees it in the index
            await self._index.announce(upload_id, owner=owner)

    async def list_again(self, upload_id: str, *, owner: str | None) -> None:
        """Redis lost its lists as well: list the upload again, so that the reconciler finds it."""
        with contextlib.suppress(RedisError, OSError):
            await self._index.opened(upload_id, owner=owner, now_s=time.time())
            if owner is not None:
                await self._index.announce(upload_id, owner=owner)

    async def tell_stored(
        self,
        upload_id: str,
        writer: JournalWriter,
        *,
        manifest: Manifest,
        arrived: int,
        total: int | None,
        keep: bool = False,
    ) -> None:
        """Of a file that is stored: its last event of `receiving`, `file_received`, the queue.

        `arrived` are the bytes of the body that it came in.

        Where Redis does not come back in time, it is removed and Unavailable is raised; but if
        Redis was reached after all, and a worker has published it since, it stays. With `keep` it
        stays in any case, and the reconciler goes on with it.
        """
        size, owner, priority = manifest.size, manifest.owner, manifest.priority
        entry = self._queue.entry(upload_id, owner=owner, priority=priority)
        queued = Queued(*entry) if entry is not None else None
        writer.tags = manifest.tags
        self._metrics.received_bytes.inc(size)
        whole = Draft(
            stage="receiving",
            stage_progress=100,
            message=END["receiving"],
            bytes=arrived,
            total=total,
        )
        stored = Draft(
            stage="file_received",
            stage_progress=100,
            message=stored_text(size, served=await self._is_served()),
        )
        try:
            with within(self._redis_wait_s):
                await writer.last(whole, then=stored, about=manifest.about, queued=queued)
            # A worker may have it already, and have got further.
            await blocking(self._storage.objects.mark, upload_id, writer.position, first=True)
        except TimeoutError:
            if not keep:
                if queued is not None:
                    queued.withdraw()
                await blocking(self._storage.take_back, upload_id)
            raise Unavailable(retry_after_s=RETRY_AFTER_S) from None
        except WriterLost as lost:
            # Cancelled while it came; or a worker has the upload already, and all is well.
            if lost.term in ("cancelled", "error"):
                await blocking(self._storage.remove, upload_id)
            if lost.term == "cancelled":
                raise Cancelled from None
            return
        if queued is not None and not self._index.heard_by(WEBHOOKS):
            return
        try:
            with within(REDIS_WAIT_S):
                if queued is None:
                    await self._queue.enqueue(upload_id, owner=owner, priority=priority)
                await self._index.note("stored", upload_id, consumer=WEBHOOKS)
        except (TimeoutError, RedisError, OSError):
            log.warning("not queued; the reconciler will", upload_id=upload_id)

    async def _is_served(self) -> bool:
        if (known := self._queue.served) is not None:
            return known
        try:
            with within(REDIS_WAIT_S):
                return await self._queue.is_served()
        except (TimeoutError, RedisError, OSError):
            return True  # not known to be otherwise

    async def fail(self, upload_id: str, writer: JournalWriter, problem: Problem) -> None:
        """End the journal; where Redis is away its event follows when it is back."""
        self._metrics.ended(problem.code)
        try:
            with within(REDIS_WAIT_S):
                await writer.end(failure(problem, "receiving"))
                await self._index.closed(upload_id)
        except (WriterLost, TimeoutError, RedisError, OSError):
            log.warning("upload end not yet in the journal", upload_id=upload_id)


def lost_to(lost: WriterLost) -> Problem:
    """Why a body whose journal refuses its writer is stopped."""
    if lost.term == "cancelled":
        return Cancelled()
    return ServerLost() if lost.term else Unavailable()


def ended_by(frame: Frame) -> Problem:
    """Why a body whose journal has ended is stopped."""
    return Cancelled() if frame.stage == "cancelled" else ServerLost()
