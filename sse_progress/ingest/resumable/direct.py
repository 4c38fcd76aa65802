"""Bodies whose sender puts the bytes on the storage itself: begun, looked at, completed.

Such a body is one that rests from its beginning to its end. Knows no HTTP types.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from functools import partial

import anyio
from redis.exceptions import RedisError

from sse_progress.ingest.journaling import RETRY_AFTER_S
from sse_progress.ingest.resumable.parts import Part
from sse_progress.ingest.resumable.resumable import Resumable
from sse_progress.ingest.resumable.told_progress import TELL_WAIT_S, arriving
from sse_progress.journal.frames import Page
from sse_progress.model.errors import (
    AlreadyFinished,
    BadRequest,
    MismatchingOffset,
    Unavailable,
    UnknownUpload,
    UnsupportedMediaType,
)
from sse_progress.runtime.concurrency import blocking
from sse_progress.storage.announced import Announced, Partial
from sse_progress.storage.body_port import DirectPart, DirectParts, SignedPart

__all__ = ["Direct"]

MOST_NAMED = 10


class Direct:
    """What a web process does with direct bodies. Every method but `begin` raises what
    `Resumable.append` does before it takes a byte."""

    def __init__(self, resumable: Resumable) -> None:
        self._resumable = resumable
        self._parts = resumable.parts
        self._storage = resumable.parts.storage

    async def begin(self, announced: Announced) -> list[DirectPart]:
        """The parts that are to be put. Raises as `Resumable.create` does, and
        UnsupportedMediaType where the storage has nothing that others could put to."""
        direct = self._direct()
        await self._resumable.create(announced, Part(chunks=_no_bytes()))
        return direct.parts(announced)

    async def sign(
        self, upload_id: str, numbers: Sequence[int], sha256: Sequence[bytes], *, owner: str
    ) -> list[SignedPart]:
        """URLs to put these parts to, each with its checksum if there are any."""
        _, found = await self._found(upload_id, owner)
        parts = [self._part(found.announced, number) for number in numbers]
        return self._direct().signed(found.announced, parts, sha256)

    async def done(self, upload_id: str, number: int, *, owner: str) -> Partial:
        """A part is said to be there: looked for, and told. Raises MismatchingOffset where it is
        not."""
        page, found = await self._found(upload_id, owner)
        part = self._part(found.announced, number)
        if not await blocking(self._direct().is_there, found.announced, part):
            raise MismatchingOffset(
                f"Part {number} is not in the bucket.", expected=found.offset, provided=part.offset
            )
        try:
            with anyio.fail_after(TELL_WAIT_S):
                await self._parts.journal.tell(
                    upload_id,
                    fence=page.fence,
                    nonce=secrets.token_hex(8),
                    draft=arriving(found.arrived, found.announced.length),
                    lease_s=self._resumable.resume_s,
                )
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable(retry_after_s=RETRY_AFTER_S) from exc
        return found

    async def complete(self, upload_id: str, *, owner: str) -> None:
        """All parts are there: the body is stored, and queued. Harmless again.

        Raises MismatchingOffset where some are missing.
        """
        try:
            _, found = await self._found(upload_id, owner)
        except AlreadyFinished:
            return
        length = found.announced.length or 0
        if found.offset < length:
            missing = await blocking(
                partial(self._direct().missing, found.announced, most=MOST_NAMED)
            )
            raise MismatchingOffset(
                f"Not in the bucket: part {', '.join(map(str, missing))}.",
                expected=found.offset,
                provided=length,
            )
        part = Part(chunks=_no_bytes(), offset=length, size=0, last=True)
        await self._resumable.append(upload_id, part, owner=owner)

    # ---- within

    async def _found(self, upload_id: str, owner: str) -> tuple[Page, Partial]:
        """Raises AlreadyFinished for one that is stored."""
        turns = self._resumable.turns
        page = await turns.page(upload_id, owner=owner)
        if await turns.stored(upload_id, page) is not None:
            raise AlreadyFinished("All of this upload is stored already.")
        found = await blocking(self._storage.bodies.partial, upload_id)
        if found is None:
            raise UnknownUpload
        if not found.announced.direct:
            raise BadRequest("This upload's bytes come through the service.")
        return page, found

    def _direct(self) -> DirectParts:
        if (direct := self._storage.direct) is None:
            raise UnsupportedMediaType("There is no bucket here: send the file itself.")
        return direct

    def _part(self, announced: Announced, number: int) -> DirectPart:
        parts = self._direct().parts(announced)
        if not 1 <= number <= len(parts):
            raise BadRequest(f"There is no part {number}, only 1 to {len(parts)}.")
        return parts[number - 1]


async def _no_bytes() -> AsyncIterator[bytes]:
    return
    yield
