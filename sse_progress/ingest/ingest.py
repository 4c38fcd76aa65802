"""One body from its first byte to *stored and queued*, its progress in the upload's journal.

Owns the order in which journal, storage and queue are touched. Knows no HTTP types; what a body
looks like is decided in `to_disk` and below.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Protocol

import anyio
import structlog
from redis.exceptions import RedisError

from sse_progress.emitter.emitter import Emitter
from sse_progress.emitter.waiter import Waiter, watching
from sse_progress.ingest.body import Body, OpenBody
from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.ingest.progress import receiving_progress
from sse_progress.ingest.to_disk import Received, receive
from sse_progress.journal.frames import Frame
from sse_progress.journal.journal import Journal
from sse_progress.journal.upload_index import Index
from sse_progress.journal.writer import JournalWriter, WriterLost
from sse_progress.model.errors import (
    Cancelled,
    Forbidden,
    Internal,
    Problem,
    ServerLost,
    Unavailable,
    UploadIdInUse,
)
from sse_progress.model.events import Draft, tags_of
from sse_progress.model.messages import BEGIN, END, failure, size_text
from sse_progress.model.timestamps import rfc3339
from sse_progress.runtime.concurrency import BackgroundTasks, beside, blocking
from sse_progress.runtime.metrics import Metrics
from sse_progress.storage.manifest import Manifest
from sse_progress.storage.port import Storage

__all__ = ["Ingest", "IngestConfig", "Parts"]

log = structlog.get_logger(__name__)

REDIS_WAIT_S = 5.0
RETRY_AFTER_S = 5


class Enqueues(Protocol):
    async def enqueue(self, upload_id: str) -> None: ...


class Parts(Protocol):
    """What `Ingest` works with: the shared parts of a web process."""

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


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """`redis_wait_s`: how long a stored file waits for Redis; then its bytes are removed."""

    limits: ReceiveLimits
    lease_s: float
    redis_wait_s: float


class Ingest:
    """Takes bodies in, each from its first byte to stored and queued."""

    def __init__(self, parts: Parts, config: IngestConfig) -> None:
        self._journal, self._storage = parts.journal, parts.storage
        self._queue, self._index = parts.queue, parts.index
        self._emitter, self._background = parts.emitter, parts.background
        self._metrics = parts.metrics
        self._config = config
        self._open: set[OpenBody] = set()
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._draining = False

    async def take_in(self, upload_id: str, body: Body, *, owner: str) -> None:
        """Claim, receive, store, queue. Returns once the upload survives any crash.

        The journal is followed meanwhile, so that a cancellation from anywhere stops the body.
        Headers that tell enough end the upload as soon as it has begun. Raises a Problem; the
        journal, if it is ours, then has ended with the same code and no byte is left.
        """
        under_way = OpenBody()
        writer = await self._begin(upload_id, body, owner=owner, under_way=under_way)
        self._background.spawn(self._announce(upload_id, owner=owner))
        waiter = Waiter(on_end=lambda frame: under_way.stop(_ended(frame)))
        self._open.add(under_way)
        self._metrics.bodies.inc()
        self._none_open.clear()
        try:
            if refusal := body.refused_by_headers(self._config.limits):
                raise refusal
            with watching(self._emitter, upload_id, waiter, owner=owner), under_way.scope:
                async with beside(self._renew(writer)):
                    await self._to_disk(upload_id, body, writer, under_way)
            if under_way.why is not None:
                raise under_way.why
        except Problem as problem:
            await self._fail(upload_id, writer, problem)
            raise
        except Exception:
            log.exception("an upload could not be taken in", upload_id=upload_id)
            await self._fail(upload_id, writer, Internal())
            raise Internal from None
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._fail(upload_id, writer, Unavailable())
            raise
        finally:
            writer.close()
            self._metrics.bodies.dec()
            self._open.discard(under_way)
            if not self._open:
                self._none_open.set()

    async def drain(self, grace_s: float) -> None:
        """Bodies under way may go on for `grace_s`; then they end with `unavailable`."""
        self._draining = True
        with anyio.move_on_after(grace_s):
            await self._none_open.wait()
        for under_way in tuple(self._open):
            under_way.stop(Unavailable("The server is restarting. Please send the file again."))
        await self._none_open.wait()

    # ---- the steps

    async def _begin(
        self, upload_id: str, body: Body, *, owner: str, under_way: OpenBody
    ) -> JournalWriter:
        if self._draining:
            raise Unavailable("The server is restarting.", retry_after_s=1)
        if await blocking(self._storage.objects.find, upload_id) is not None:
            raise UploadIdInUse
        await blocking(self._storage.ensure_room, body.total or 0)
        least = body.least_file_bytes(self._config.limits)
        await blocking(self._storage.ensure_quota, owner, least)
        draft = Draft(
            stage="receiving",
            stage_progress=0,
            message=BEGIN["receiving"],
            bytes=0,
            total=body.total,
        )
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                await self._index.opened(upload_id, owner=owner, now_s=time.time())
                answer = await self._journal.begin(
                    upload_id, owner=owner, draft=draft, lease_s=self._config.lease_s
                )
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable(retry_after_s=RETRY_AFTER_S) from exc
        if answer.status == "forbidden":
            raise Forbidden("This upload id belongs to another user.")
        if answer.status == "in_use":
            raise UploadIdInUse
        return JournalWriter(
            self._journal,
            upload_id,
            owner=owner,
            answer=answer,
            written=1,
            lease_s=self._config.lease_s,
            said=draft,
            on_lost=lambda lost: under_way.stop(_lost(lost)),
            on_new_epoch=lambda: self._background.spawn(self._list(upload_id, owner=owner)),
        )

    async def _announce(self, upload_id: str, *, owner: str) -> None:
        with contextlib.suppress(RedisError, OSError):  # who misses it sees it in the index
            await self._index.announce(upload_id, owner=owner)

    async def _list(self, upload_id: str, *, owner: str) -> None:
        """Redis lost its lists as well: list the upload again, so that the reconciler finds it."""
        with contextlib.suppress(RedisError, OSError):
            await self._index.opened(upload_id, owner=owner, now_s=time.time())
            await self._index.announce(upload_id, owner=owner)

    async def _to_disk(
        self, upload_id: str, body: Body, writer: JournalWriter, under_way: OpenBody
    ) -> None:
        created_at = time.time()
        received = await receive(
            body.chunks,
            form=body.form(self._config.limits),
            incoming=lambda: self._storage.bodies.incoming(upload_id),
            limits=self._config.limits,
            progress=receiving_progress(writer, body.total),
        )
        # From the rename on the upload survives any crash: it is not to be torn in the middle,
        # and what ends it from now on finds it on the storage.
        under_way.stored = True
        with anyio.CancelScope(shield=True):
            await blocking(
                received.incoming.store, _manifest(upload_id, received, writer, created_at)
            )
            await self._tell_stored(upload_id, received, writer, body.total)

    async def _tell_stored(
        self, upload_id: str, received: Received, writer: JournalWriter, total: int | None
    ) -> None:
        size = size_text(received.size)
        writer.tags = tags_of(filename=received.filename)
        self._metrics.received_bytes.inc(received.size)
        arrived = Draft(
            stage="receiving",
            stage_progress=100,
            message=END["receiving"],
            bytes=total or received.size,
            total=total,
        )
        stored = Draft(
            stage="file_received", stage_progress=100, message=f"{size} stored; its work is queued"
        )
        try:
            with anyio.fail_after(self._config.redis_wait_s):
                await writer.last(arrived)
                await writer.last(stored)
                await blocking(self._storage.objects.mark, upload_id, writer.position)
        except TimeoutError:
            await blocking(self._storage.remove, upload_id)
            raise Unavailable(retry_after_s=RETRY_AFTER_S) from None
        except WriterLost as lost:
            # Cancelled in the last moment; or a worker has the upload already, and all is well.
            if lost.term in ("cancelled", "error"):
                await blocking(self._storage.remove, upload_id)
            return
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                await self._queue.enqueue(upload_id)
        except (TimeoutError, RedisError, OSError):
            log.warning("not queued; the reconciler will", upload_id=upload_id)

    async def _renew(self, writer: JournalWriter) -> None:
        """A slow body lives, even if it has nothing to tell."""
        while True:
            await asyncio.sleep(self._config.lease_s / 3)
            with contextlib.suppress(WriterLost):
                await writer.renew()

    async def _fail(self, upload_id: str, writer: JournalWriter, problem: Problem) -> None:
        """End the journal; where Redis is away its event follows when it is back."""
        self._metrics.ended(problem.code)
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                await writer.end(failure(problem, "receiving"))
                await self._index.closed(upload_id)
        except (WriterLost, TimeoutError, RedisError, OSError):
            log.warning("upload end not yet in the journal", upload_id=upload_id)


def _manifest(
    upload_id: str, received: Received, writer: JournalWriter, created_at: float
) -> Manifest:
    return Manifest(
        upload_id=upload_id,
        owner=writer.owner,
        filename=received.filename,
        claimed_type=received.claimed_type,
        fields=received.fields,
        size=received.size,
        sha256=received.sha256,
        epoch=writer.position.epoch,
        created_at=rfc3339(created_at),
    )


def _lost(lost: WriterLost) -> Problem:
    if lost.term == "cancelled":
        return Cancelled()
    return ServerLost() if lost.term else Unavailable()


def _ended(frame: Frame) -> Problem:
    return Cancelled() if frame.stage == "cancelled" else ServerLost()
