"""One request's share of a body that may rest: taken in, stored if it makes the whole, let go.

Owns what of the body and its journal is left when the request ends, however that is. The request
has its turn and the body already (`openings`). Knows no HTTP types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import anyio
import structlog
from redis.exceptions import RedisError

from sse_progress.ingest.body import OpenBody
from sse_progress.ingest.ingest import IngestConfig
from sse_progress.ingest.journaling import Journaling, Parts
from sse_progress.ingest.resumable.part_to_disk import receive_part
from sse_progress.ingest.resumable.parts import BodyEnds, Extent, Part, whole_length
from sse_progress.ingest.resumable.told_progress import TELL_WAIT_S, ToldProgress, arriving
from sse_progress.ingest.resumable.turn import Turn
from sse_progress.journal.writer import JournalWriter, WriterLost
from sse_progress.model.errors import (
    Cancelled,
    DigestMismatch,
    InconsistentLength,
    Internal,
    Problem,
    QuotaExceeded,
    Replaced,
    Unavailable,
    UploadGone,
    UploadIdInUse,
)
from sse_progress.model.messages import CHECKING, PAUSED
from sse_progress.runtime.concurrency import blocking
from sse_progress.runtime.traces import current_traceparent
from sse_progress.storage.body_port import ResumableBody
from sse_progress.storage.manifest import Manifest

__all__ = ["PartReceiver", "shielded", "synced_and_closed"]

log = structlog.get_logger(__name__)

READ_AGAIN_BYTES = 64 * 1024**2
"""Between two looks at whether to go on."""


class PartReceiver:
    """Takes parts in, each once it is its turn."""

    def __init__(self, parts: Parts, config: IngestConfig, journaling: Journaling) -> None:
        self._journal, self._storage = parts.journal, parts.storage
        self._config, self._journaling = config, journaling

    async def receive(
        self, body: ResumableBody, turn: Turn, part: Part, under_way: OpenBody
    ) -> Extent:
        """Take the part, and store the body if it is whole. Whatever happens, let it go."""
        writer = turn.writer
        try:
            length = whole_length(part, offset=body.offset, length=body.announced.length)
        except Problem:  # not a byte was taken: to its followers nothing has happened
            turn.close()
            await shielded(body.close)
            raise
        try:
            async with turn.kept():
                await turn.say_resumed(body)
                extent = await self._taken(body, turn, part, length, under_way)
        except BodyEnds as ends:
            await self._end(body, writer, ends.problem)
            raise ends.problem from None
        except Problem as problem:
            await self._let_go(body, writer, under_way.why or problem)
            raise under_way.why or problem from None
        except Exception:
            log.exception("a part could not be taken in", upload_id=writer.upload_id)
            await self._let_go(body, writer, Internal())
            raise Internal from None
        except BaseException:
            await self._let_go(body, writer, Unavailable())
            raise
        finally:
            turn.close()
        return extent

    def extent_of(self, body: ResumableBody, offset: int) -> Extent:
        return Extent(
            offset=offset,
            length=body.announced.length,
            metadata=body.announced.metadata,
            concat="partial" if body.announced.partial else "",
            expires_s=self._config.resume_s,
        )

    # ---- a part that is taken

    async def _taken(
        self,
        body: ResumableBody,
        turn: Turn,
        part: Part,
        length: int | None,
        under_way: OpenBody,
    ) -> Extent:
        if length is not None and body.announced.length is None:
            await blocking(body.announce, length)
        told = ToldProgress(
            self._journal,
            turn.writer,
            total=length,
            lease_s=self._config.resume_s,
            pace=turn.pace,
        )
        told.begin(body.offset)
        try:
            offset = await receive_part(
                part,
                body,
                length=length,
                limits=self._config.limits_of(body.announced.labels),
                progress=told,
            )
            if body.announced.partial or not part.completes(offset=offset, length=length):
                durable = await blocking(synced_and_closed, body)
                await told.last(durable)
                return self.extent_of(body, durable)
        finally:
            await told.close()
        if length not in (None, offset):
            raise InconsistentLength(f"The body ends at {offset} bytes, its length is {length}.")
        await self._read_again(body, turn.writer)
        await self._check_digests(body, {**body.announced.digests, **part.digests})
        await self._store(body, turn.writer, under_way)
        return Extent(offset=offset, length=offset, complete=True)

    async def _read_again(self, body: ResumableBody, writer: JournalWriter) -> None:
        """The digest of bytes that other processes received; the last part of `receiving`."""
        while (done := await blocking(body.read_again, READ_AGAIN_BYTES)) < body.offset:
            writer.progress(arriving(body.offset, body.offset, message=CHECKING, checked=done))

    async def _check_digests(self, body: ResumableBody, digests: Mapping[str, bytes]) -> None:
        for algorithm, announced in digests.items():
            if await blocking(body.digest, algorithm) != announced:
                raise BodyEnds(DigestMismatch(f"The file does not have the {algorithm} announced."))

    async def _store(self, body: ResumableBody, writer: JournalWriter, under_way: OpenBody) -> None:
        """From its rename on the upload survives any crash, and is a worker's."""
        announced = body.announced
        kind = self._config.kinds.of(announced.labels)
        manifest = Manifest(
            upload_id=announced.upload_id,
            owner=announced.owner,
            filename=announced.filename,
            claimed_type=announced.claimed_type,
            fields=announced.fields,
            size=body.offset,
            sha256=await blocking(lambda: body.sha256),
            epoch=writer.position.epoch,
            created_at=announced.created_at,
            labels=announced.labels,
            priority=announced.priority,
            traceparent=current_traceparent(),
            storage_prefix=kind.storage_prefix,
            retention_days=kind.retention_days,
        )
        under_way.stored = True
        with anyio.CancelScope(shield=True):
            try:
                await blocking(body.store, manifest)
            except (UploadIdInUse, QuotaExceeded) as problem:
                raise BodyEnds(problem) from None
            await self._journaling.tell_stored(
                announced.upload_id,
                writer,
                manifest=manifest,
                arrived=manifest.size,
                total=manifest.size,
                keep=True,
            )

    # ---- how a request ends that did not end well

    async def _end(self, body: ResumableBody, writer: JournalWriter, problem: Problem) -> None:
        """The upload has failed: nothing of it stays."""
        with anyio.CancelScope(shield=True):
            await blocking(body.discard)
            await self._journaling.fail(writer.upload_id, writer, problem)

    async def _let_go(self, body: ResumableBody, writer: JournalWriter, why: Problem) -> None:
        """The body rests, and its followers hear of it; unless its journal has ended."""
        with anyio.CancelScope(shield=True):
            if isinstance(why, Cancelled | UploadGone):
                await blocking(body.discard)
                return
            announced = body.announced
            await blocking(body.close)
            if isinstance(why, Replaced):
                return
            offset = body.offset
            paused = arriving(offset, announced.length, message=PAUSED, paused=True)
            try:
                with anyio.fail_after(TELL_WAIT_S):
                    await writer.last(paused)
            except WriterLost as lost:
                if lost.term:
                    await blocking(self._storage.remove, announced.upload_id)
            except (TimeoutError, RedisError, OSError):
                log.info("a pause is not in the journal", upload_id=announced.upload_id)


def synced_and_closed(body: ResumableBody) -> int:
    """Let the body go; its offset, which is durable then. Blocks."""
    offset = body.sync()
    body.close()
    return offset


async def shielded(closing: Callable[[], None]) -> None:
    """Do what blocks, also in a request that is cancelled."""
    with anyio.CancelScope(shield=True):
        await blocking(closing)
