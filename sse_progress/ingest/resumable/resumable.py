"""Bodies that come in several requests, on any process: begun, continued, looked at.

Owns who may begin one, and the order of the steps of each request. Knows no HTTP types.
"""

from __future__ import annotations

from collections.abc import Callable

from sse_progress.ingest.body import Receivers
from sse_progress.ingest.ingest import IngestConfig
from sse_progress.ingest.journaling import RETRY_AFTER_S, Journaling, Parts
from sse_progress.ingest.resumable.one_part import PartReceiver, shielded, synced_and_closed
from sse_progress.ingest.resumable.openings import NotResumable, Openings
from sse_progress.ingest.resumable.parts import Extent, Part, whole_length
from sse_progress.ingest.resumable.turns import Turns
from sse_progress.model.errors import (
    Forbidden,
    InconsistentLength,
    Problem,
    TooLarge,
    TooManyUploads,
    UploadIdInUse,
)
from sse_progress.runtime.concurrency import blocking
from sse_progress.storage.announced import Announced
from sse_progress.storage.body_port import ResumableBody

__all__ = ["Resumable"]


def _nothing() -> None:
    return None


class Resumable:
    """All that a web process does with bodies that may rest."""

    def __init__(
        self, parts: Parts, config: IngestConfig, *, receivers: Receivers, journaling: Journaling
    ) -> None:
        self.parts, self._storage, self._config = parts, parts.storage, config
        self._receivers = receivers
        self.turns = Turns(
            parts, journaling, lease_s=config.lease_s, resume_s=config.resume_s, kinds=config.kinds
        )
        self._openings = Openings(parts, self.turns, journaling)
        self._receiver = PartReceiver(parts, config, journaling)

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
            body = await blocking(self._admitted, announced)
            try:
                turn = await self.turns.begin(announced, under_way)
            except BaseException:
                await shielded(body.discard)
                raise
            begun()
            return await self._receiver.receive(body, turn, part, under_way)

    async def append(self, upload_id: str, part: Part, *, owner: str) -> Extent:
        """Go on with a body; who sent it until now stops.

        Raises UnknownUpload, Forbidden, UploadGone, Cancelled, MismatchingOffset,
        InconsistentLength, TooLarge, ReceiveTimeout, Replaced, ChecksumMismatch, DigestMismatch,
        InsufficientStorage, Unavailable, and what `part.chunks` raises. Bytes beyond the length
        that was announced, or beyond the limit, end the upload.
        """
        with self._receivers.one() as under_way:
            opened = await self._openings.open(upload_id, owner=owner, under_way=under_way)
            if isinstance(opened, Extent):
                if opened.concat:  # tus: nothing can be added to a final upload
                    raise Forbidden("This upload was made of others, and is whole.")
                _ensure_nothing_to_add(part, opened)
                return opened
            body, turn = opened
            return await self._receiver.receive(body, turn, part, under_way)

    async def extent(self, upload_id: str, *, owner: str) -> Extent | None:
        """Where a body stands once nobody sends it any more; None: it is none that may rest.

        Raises UnknownUpload, Forbidden, UploadGone or Unavailable.
        """
        with self._receivers.one() as under_way:
            try:
                opened = await self._openings.open(upload_id, owner=owner, under_way=under_way)
            except NotResumable:
                return None
            if isinstance(opened, Extent):
                return opened
            body, turn = opened
            turn.close()
            try:
                return self._receiver.extent_of(body, await blocking(synced_and_closed, body))
            except BaseException:
                await shielded(body.close)
                raise

    # ---- steps before the first byte

    def _admitted(self, announced: Announced) -> ResumableBody:
        """A new body, if there may be one. Blocks."""
        limits = self._config.limits_of(announced.labels)
        owner, size = announced.owner, announced.length or 0
        if size > limits.max_upload_bytes:
            raise TooLarge(f"The file is {size} bytes, limit {limits.max_upload_bytes}.")
        if self._storage.objects.find(announced.upload_id) is not None:
            raise UploadIdInUse
        self._storage.ensure_room(size)
        self._storage.ensure_quota(owner, size)
        if (limit := self._config.max_paused) is not None:
            partials = self._storage.bodies.partials()
            if sum(found.announced.owner == owner for found in partials) >= limit:
                raise TooManyUploads(
                    f"Too many uploads are not finished (limit {limit}). Resume or cancel some.",
                    retry_after_s=RETRY_AFTER_S,
                )
        return self._storage.bodies.begin(announced)


def _ensure_nothing_to_add(part: Part, stored: Extent) -> None:
    try:
        whole_length(part, offset=stored.offset, length=stored.length)
        if part.size:
            raise InconsistentLength(f"The upload is whole with {stored.offset} bytes.")
    except Problem as problem:
        problem.whole = True
        raise
