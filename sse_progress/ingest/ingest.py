"""One body from its first byte to *stored and queued*, its progress in the upload's journal.

Owns the order in which journal, storage and queue are touched. Knows no HTTP types; what a body
looks like is decided in `to_disk` and below.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace

import anyio
import structlog

from sse_progress.emitter.waiter import Waiter, watching
from sse_progress.ingest.body import Body, OpenBody, Receivers
from sse_progress.ingest.journaling import Journaling, Parts, ended_by
from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.ingest.plain import Form
from sse_progress.ingest.progress import receiving_progress
from sse_progress.ingest.to_disk import BATCH_BYTES, Received, receive
from sse_progress.journal.writer import JournalWriter, WriterLost
from sse_progress.model.errors import Internal, Problem, Unavailable, UploadIdInUse
from sse_progress.model.events import tags_of
from sse_progress.model.kinds import Kinds
from sse_progress.model.labels import Labels
from sse_progress.model.timestamps import rfc3339
from sse_progress.runtime.concurrency import blocking, later
from sse_progress.runtime.traces import current_traceparent
from sse_progress.storage.manifest import Manifest

__all__ = ["Ingest", "IngestConfig", "Parts"]

log = structlog.get_logger(__name__)

KEPT_AFTER_S = 0.25
"""Most bodies are stored by then: to follow a journal is a subscription, a read and three tasks."""


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """`redis_wait_s`: how long a stored file waits for Redis; then its bytes are removed.

    `resume_s`: how long a body may rest; `max_paused`: bodies of one user that are not whole yet
    and may rest, None: any number.
    """

    limits: ReceiveLimits
    kinds: Kinds
    lease_s: float
    redis_wait_s: float
    resume_s: float = 24 * 3600
    max_paused: int | None = None

    def limits_of(self, labels: Labels) -> ReceiveLimits:
        """The limits of an upload with these labels. Raises UnknownKind."""
        most = self.kinds.of(labels).max_bytes or self.limits.max_upload_bytes
        return replace(self.limits, max_upload_bytes=most)


class Ingest:
    """Takes bodies in, each from its first byte to stored and queued."""

    def __init__(self, parts: Parts, config: IngestConfig) -> None:
        self._storage, self._emitter = parts.storage, parts.emitter
        self._config = config
        self.receivers = Receivers(parts.metrics)
        self.journaling = Journaling(parts, redis_wait_s=config.redis_wait_s)

    @property
    def limits(self) -> ReceiveLimits:
        return self._config.limits

    async def take_in(self, upload_id: str, body: Body, *, owner: str) -> None:
        """Claim, receive, store, queue. Returns once the upload survives any crash.

        The journal of a body that takes longer than a moment is followed meanwhile, so that a
        cancellation from anywhere stops it; one that is over sooner learns of it from its writes.
        Headers that tell enough end the upload as soon as it has begun. Raises a Problem; the
        journal, if it is ours, then has ended with the same code and no byte is left.
        """
        with self.receivers.one() as under_way:
            await self._take_in(upload_id, body, owner, under_way)

    async def _take_in(self, upload_id: str, body: Body, owner: str, under_way: OpenBody) -> None:
        writer = await self._begin(upload_id, body, owner=owner, under_way=under_way)
        try:
            form = body.form(self._config.limits)
            if refusal := body.refused_by_headers(self._config.limits):
                raise refusal
            with under_way.scope:
                async with later(KEPT_AFTER_S, lambda: self._keep(writer, under_way)):
                    await self._to_disk(upload_id, body, form, writer, under_way)
            if under_way.why is not None:
                raise under_way.why
        except Problem as problem:
            await self.journaling.fail(upload_id, writer, problem)
            raise
        except Exception:
            log.exception("an upload could not be taken in", upload_id=upload_id)
            await self.journaling.fail(upload_id, writer, Internal())
            raise Internal from None
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.journaling.fail(upload_id, writer, Unavailable())
            raise
        finally:
            writer.close()

    async def drain(self, grace_s: float) -> None:
        """Bodies under way may go on for `grace_s`; then they end with `unavailable`."""
        await self.receivers.drain(grace_s)

    # ---- the steps

    async def _begin(
        self, upload_id: str, body: Body, *, owner: str, under_way: OpenBody
    ) -> JournalWriter:
        await blocking(self._ensure_takeable, upload_id, body, owner)
        return await self.journaling.begin(
            upload_id,
            owner=owner,
            total=body.total,
            lease_s=self._config.lease_s,
            under_way=under_way,
            tags=tags_of(filename=body.known_name, labels=body.labelling.labels),
            table=body.labelling.kind.table,
        )

    def _ensure_takeable(self, upload_id: str, body: Body, owner: str) -> None:
        """The storage has no such upload yet, and room for it. Asked in one thread: it blocks."""
        if self._storage.objects.find(upload_id) is not None:
            raise UploadIdInUse
        self._storage.ensure_room(body.total or 0)
        self._storage.ensure_quota(owner, body.least_file_bytes(self._config.limits))

    async def _to_disk(
        self, upload_id: str, body: Body, form: Form, writer: JournalWriter, under_way: OpenBody
    ) -> None:
        created_at, manifest = time.time(), None
        traceparent = current_traceparent()  # a thread does not see it

        def whole() -> None:
            # From the rename on the upload survives any crash: it is not to be torn in the middle,
            # and what ends it from now on finds it on the storage.
            if under_way.why is not None:
                raise under_way.why
            under_way.stored = under_way.scope.shield = True
            writer.close()  # the last event overtakes what waits to be told

        def store(received: Received) -> None:
            nonlocal manifest
            manifest = _manifest(
                upload_id, received, writer, body, created_at=created_at, traceparent=traceparent
            )
            received.incoming.store(manifest)

        received = await receive(
            body.chunks,
            form=form,
            incoming=lambda: self._storage.bodies.incoming(upload_id),
            limits=self._config.limits,
            progress=receiving_progress(
                writer, body.total, body.labelling, whole=lambda: under_way.stored
            ),
            small=body.total is not None and body.total <= BATCH_BYTES,
            whole=whole,
            store=store,
        )
        assert manifest is not None
        await self.journaling.tell_stored(
            upload_id, writer, manifest=manifest, arrived=received.body_bytes, total=body.total
        )

    async def _keep(self, writer: JournalWriter, under_way: OpenBody) -> None:
        """A slow body lives, even if it has nothing to tell; what ends its journal stops it."""
        waiter = Waiter(on_end=lambda frame: under_way.stop(ended_by(frame)))
        with watching(self._emitter, writer.upload_id, waiter, owner=writer.owner):
            while True:
                await asyncio.sleep(self._config.lease_s / 3)
                with contextlib.suppress(WriterLost):
                    await writer.renew()


def _manifest(
    upload_id: str,
    received: Received,
    writer: JournalWriter,
    body: Body,
    *,
    created_at: float,
    traceparent: str,
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
        labels=body.labelling.labels,
        priority=body.labelling.priority,
        concat=body.concat,
        traceparent=traceparent,
        storage_prefix=body.labelling.kind.storage_prefix,
        retention_days=body.labelling.kind.retention_days,
    )
