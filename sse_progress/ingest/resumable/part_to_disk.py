"""From the chunks of one request to the end of a body that is kept between requests."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import anyio

from sse_progress.ingest.checksums import DIGEST_ALGORITHMS, Checked
from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.ingest.resumable.parts import Part, ensure_within
from sse_progress.ingest.slow_clients import SlowClientLimit
from sse_progress.ingest.to_disk import DiskWriter
from sse_progress.model.errors import ChecksumMismatch, DigestMismatch, Unavailable
from sse_progress.runtime.concurrency import blocking
from sse_progress.storage.body_port import ResumableBody

__all__ = ["receive_part"]

TELL_EVERY_BYTES = 1024 * 1024


class _End:
    """The end of a body, as a place to write to. After a failure nothing more may follow."""

    def __init__(self, body: ResumableBody, checked: Checked) -> None:
        self._body, self._checked = body, checked
        self._start = body.offset
        self._broken = False

    @property
    def settled(self) -> int:
        return self._body.settled - self._start

    def settle(self) -> None:
        self._body.sync()

    def write(self, data: bytes) -> None:
        if self._broken:
            raise Unavailable
        self._broken = True
        self._body.append(data, offset=self._body.offset)
        self._checked.update(data)
        self._broken = False

    def discard(self) -> None:
        """What arrived stays."""


async def receive_part(
    part: Part,
    body: ResumableBody,
    *,
    length: int | None,
    limits: ReceiveLimits,
    progress: Callable[[int], None],
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Append a request's bytes as they arrive; returns the offset, durable with the next `sync`.

    `progress` gets the body's bytes. Raises BodyEnds beyond `length` or the limit, ReceiveTimeout,
    InsufficientStorage, Unavailable, and what `part.chunks` raises: what arrived before that stays.
    Raises ChecksumMismatch or DigestMismatch, and nothing of the part stays.
    """
    start = body.offset
    if part.size is not None:
        ensure_within(start + part.size, length=length, limits=limits)
    checked = Checked(part.checksum)
    if checked:
        await blocking(body.hold)
    end = _End(body, checked)
    writer = DiskWriter(lambda: end, lambda count: progress(start + count), clock)
    count = 0
    told = start
    try:
        with SlowClientLimit(limits, clock) as slow_client:
            slow_client.wait()
            async for chunk in part.chunks:
                if not chunk:
                    continue
                slow_client.arrived(len(chunk))
                ensure_within(start + count + len(chunk), length=length, limits=limits)
                count += len(chunk)
                await writer.write([chunk], count)
                if part.on_offset is not None and start + count - told >= TELL_EVERY_BYTES:
                    await writer.finish(count)
                    told = await blocking(body.sync)
                    part.on_offset(told)
                slow_client.wait()
        await writer.finish(count)
    except BaseException:
        with anyio.CancelScope(shield=True), contextlib.suppress(Exception):
            await writer.finish(count)  # as much as has come
        raise
    if (algorithm := checked.wrong()) is not None:
        await blocking(body.drop)
        wrong = DigestMismatch if algorithm in DIGEST_ALGORITHMS else ChecksumMismatch
        raise wrong
    if checked:
        await blocking(body.accept)
    return body.offset
