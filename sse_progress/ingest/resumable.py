"""Bodies that come in several requests, on any process: begun, continued, looked at.

Owns the order of the steps, and what of a body stays when a request ends. The file is the truth
about its bytes (`storage`), the journal about who sends them (`turns`). Knows no HTTP types.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import anyio
import structlog
from redis.exceptions import RedisError

from sse_progress.ingest.body import OpenBody, Receivers
from sse_progress.ingest.ingest import IngestConfig
from sse_progress.ingest.journaling import RETRY_AFTER_S, Journaling, Parts
from sse_progress.ingest.part_to_disk import receive_part
from sse_progress.ingest.parts import BodyEnds, Extent, Part, whole_length
from sse_progress.ingest.told_progress import TELL_WAIT_S, ToldProgress, arriving
from sse_progress.ingest.turns import Turns
from sse_progress.journal.writer import JournalWriter, WriterLost
from sse_progress.model.errors import (
    Cancelled,
    DigestMismatch,
    Forbidden,
    InconsistentLength,
    Internal,
    Problem,
    QuotaExceeded,
    Replaced,
    TooLarge,
    TooManyUploads,
    Unavailable,
    UnknownUpload,
    UploadGone,
    UploadIdInUse,
)
from sse_progress.model.messages import CHECKING, PAUSED
from sse_progress.runtime.concurrency import blocking
from sse_progress.runtime.traces import current_traceparent
from sse_progress.storage.announced import Announced
from sse_progress.storage.body_port import BodyHeld, ResumableBody
from sse_progress.storage.manifest import Manifest

__all__ = ["Resumable"]

log = structlog.get_logger(__name__)

LET_GO_S = 10.0
"""How long an older request may take to end."""

READ_AGAIN_BYTES = 64 * 1024**2
"""Between two looks at whether to go on."""


def _nothing() -> None:
    return None


class Resumable:
    """All that a web process does with bodies that may rest."""

    def __init__(
        self, parts: Parts, config: IngestConfig, *, receivers: Receivers, journaling: Journaling
    ) -> None:
        self.parts, self._storage, self._config = parts, parts.storage, config
        self._receivers, self._journaling = receivers, journaling
        self.turns = Turns(
            parts, journaling, lease_s=config.lease_s, resume_s=config.resume_s, kinds=config.kinds
        )

    @property
    def resume_s(self) -> float:
        return self._config.resume_s

    # ---- requests

    async def create(
        self, announced: Announced, part: Part, *, begun: Callable[[], None] = _nothing
    ) -> Extent:
        """Begin a body, with the first of its bytes if there are any. `begun` is called once it can
        be resumed, before a byte is taken.

        Raises what `append` raises, Forbidden and UploadIdInUse for an id that has an owner or an
        upload, TooManyUploads, and TooLarge, InsufficientStorage or QuotaExceeded by its length.
        """
        with self._receivers.one() as under_way:
            await self._admit(announced)
            body = await blocking(self._storage.bodies.begin, announced)
            try:
                writer = await self.turns.begin(announced, under_way)
            except BaseException:
                await _shielded(body.discard)
                raise
            begun()
            return await self._receive(body, writer, part, under_way)

    async def append(self, upload_id: str, part: Part, *, owner: str) -> Extent:
        """Go on with a body; who sent it until now stops.

        Raises UnknownUpload, Forbidden, UploadGone, Cancelled, MismatchingOffset,
        InconsistentLength, TooLarge, ReceiveTimeout, Replaced, ChecksumMismatch, DigestMismatch,
        InsufficientStorage, Unavailable, and what `part.chunks` raises. Bytes beyond the length
        that was announced, or beyond the limit, end the upload.
        """
        with self._receivers.one() as under_way:
            opened = await self._opened(upload_id, owner, under_way)
            if isinstance(opened, Extent):
                if opened.concat:  # tus: nothing can be added to a final upload
                    raise Forbidden("This upload was made of others, and is whole.")
                _ensure_nothing_to_add(part, opened)
                return opened
            return await self._receive(*opened, part, under_way)

    async def extent(self, upload_id: str, *, owner: str) -> Extent | None:
        """Where a body stands once nobody sends it any more; None: it is none that may rest.

        Raises UnknownUpload, Forbidden, UploadGone or Unavailable.
        """
        with self._receivers.one() as under_way:
            try:
                opened = await self._opened(upload_id, owner, under_way)
            except _NotResumable:
                return None
            if isinstance(opened, Extent):
                return opened
            body, writer = opened
            try:
                return self._extent_of(body, await blocking(body.sync))
            finally:
                writer.close()
                await _shielded(body.close)

    # ---- steps before the first byte

    async def _admit(self, announced: Announced) -> None:
        limits = self._config.limits_of(announced.labels)
        owner, size = announced.owner, announced.length or 0
        if size > limits.max_upload_bytes:
            raise TooLarge(f"The file is {size} bytes, limit {limits.max_upload_bytes}.")
        if await blocking(self._storage.objects.find, announced.upload_id) is not None:
            raise UploadIdInUse
        await blocking(self._storage.ensure_room, size)
        await blocking(self._storage.ensure_quota, owner, size)
        if (limit := self._config.max_paused) is None:
            return
        partials = await blocking(lambda: list(self._storage.bodies.partials()))
        if sum(found.announced.owner == owner for found in partials) >= limit:
            raise TooManyUploads(
                f"Too many uploads are not finished (limit {limit}). Resume or cancel some.",
                retry_after_s=RETRY_AFTER_S,
            )

    async def _opened(
        self, upload_id: str, owner: str, under_way: OpenBody
    ) -> tuple[ResumableBody, JournalWriter] | Extent:
        """The body in this request's hands, with the right to write; or its end, if it is stored.

        The older request is told first, and waited for: it lets go of the file when it has synced.
        """
        page = await self.turns.page(upload_id, owner=owner)
        if (stored := await self.turns.stored(upload_id, page)) is not None:
            return stored
        if await blocking(self._storage.bodies.partial, upload_id) is None:
            raise _NotResumable
        writer = await self.turns.take_over(upload_id, owner=owner, under_way=under_way)
        try:
            body = await self._let_go_by_older(upload_id)
        except UnknownUpload:
            return await self._stored_meanwhile(upload_id, writer)
        try:
            await self.turns.confirm(body, writer, page)
        except BaseException:
            writer.close()
            await _shielded(body.close)
            raise
        return body, writer

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

    async def _stored_meanwhile(self, upload_id: str, writer: JournalWriter) -> Extent:
        """The older request stored it in the moment in which it lost its turn: say so for it."""
        found = await blocking(self._storage.objects.find, upload_id)
        if found is None:
            raise UploadGone
        size = found.manifest.size
        await self._journaling.tell_stored(
            upload_id, writer, manifest=found.manifest, arrived=size, total=size, keep=True
        )
        return Extent(offset=size, length=size, complete=True)

    # ---- the body

    async def _receive(
        self, body: ResumableBody, writer: JournalWriter, part: Part, under_way: OpenBody
    ) -> Extent:
        """Take the part, and store the body if it is whole. Whatever happens, let it go."""
        try:
            length = whole_length(part, offset=body.offset, length=body.announced.length)
        except Problem:  # not a byte was taken: to its followers nothing has happened
            writer.close()
            await _shielded(body.close)
            raise
        try:
            async with self.turns.kept(writer, under_way):
                extent = await self._taken(body, writer, part, length, under_way)
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
            writer.close()
        return extent

    async def _taken(
        self,
        body: ResumableBody,
        writer: JournalWriter,
        part: Part,
        length: int | None,
        under_way: OpenBody,
    ) -> Extent:
        if length is not None and body.announced.length is None:
            await blocking(body.announce, length)
        resume_s = self._config.resume_s
        told = ToldProgress(self.parts.journal, writer, total=length, lease_s=resume_s)
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
                await told.last(offset)
                extent = self._extent_of(body, offset)
                await blocking(body.close)
                return extent
        finally:
            await told.close()
        if length not in (None, offset):
            raise InconsistentLength(f"The body ends at {offset} bytes, its length is {length}.")
        await self._read_again(body, writer)
        await self._check_digests(body, {**body.announced.digests, **part.digests})
        await self._store(body, writer, under_way)
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

    def _extent_of(self, body: ResumableBody, offset: int) -> Extent:
        return Extent(
            offset=offset,
            length=body.announced.length,
            metadata=body.announced.metadata,
            concat="partial" if body.announced.partial else "",
            expires_s=self._config.resume_s,
        )


class _NotResumable(UnknownUpload):
    sentence = "This upload's body comes in one request."


async def _shielded(closing: Callable[[], None]) -> None:
    with anyio.CancelScope(shield=True):
        await blocking(closing)


def _ensure_nothing_to_add(part: Part, stored: Extent) -> None:
    try:
        whole_length(part, offset=stored.offset, length=stored.length)
        if part.size:
            raise InconsistentLength(f"The upload is whole with {stored.offset} bytes.")
    except Problem as problem:
        problem.whole = True
        raise
