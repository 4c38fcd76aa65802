"""From the chunks of a body to a complete file that only waits to be stored.

Owns the hand-over to the disk and the order of the steps. What a body may look like is decided in
`multipart`, how slowly it may come in `slow_clients`, where bytes are kept in `storage`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import anyio

from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.ingest.plain import Form
from sse_progress.ingest.slow_clients import SlowClientLimit
from sse_progress.runtime.threads import Job, Threads
from sse_progress.storage.body_port import Body

__all__ = ["BATCH_BYTES", "DiskWriter", "Received", "receive"]

BATCH_BYTES = 1024 * 1024
_BATCH_PIECES = 1024
_BATCH_S = 0.25

BODIES = Threads(min(32, (os.cpu_count() or 1) + 4))
"""Bodies have threads of their own: a disk that hangs holds up nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A whole body. `incoming` holds the file: `store` it or `discard` it (both block).

    `filename` is cleaned, `claimed_type` a media type without parameters; `size` bytes, `sha256`
    hex. `body_bytes` is the length of what it came in.
    """

    incoming: Body
    filename: str
    claimed_type: str
    fields: dict[str, str | list[str]]
    size: int
    sha256: str
    body_bytes: int


async def receive(
    chunks: AsyncIterator[bytes],
    *,
    form: Form,
    incoming: Callable[[], Body],
    limits: ReceiveLimits,
    progress: Callable[[int, str], None],
    small: bool = False,
    whole: Callable[[], None] = lambda: None,
    store: Callable[[Received], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    threads: Threads = BODIES,
) -> Received:
    """Take a body to the storage as it arrives; memory stays at about 3 MiB, and what
    is on its way.

    `chunks` ends when the body does, and raises (ClientDisconnected, say) if it is cut off; after
    any failure nothing more is taken from it. `form` takes them apart. `incoming` is called once,
    in a thread: first of all; for a `small` body with its first batch, 0.25 s later at the latest.
    `progress` gets the number of body bytes, the form around the file included, that are on disk or
    accounted for, and the file's name: as soon as that is known, at least every 1 MiB and, while
    bytes arrive, about every 0.25 s; last the whole. `whole` is called once the body is whole, and
    then `store`, in the thread that has written the last batch: so a small file is begun, written
    and stored in one, since handing it from thread to thread was a fifth of its CPU. `clock` counts
    seconds. It has one of `threads` at a time.

    Raises ReceiveTimeout, InsufficientStorage, Unavailable and what `form`, `chunks`, `progress`
    and `store` raise. Then, or when cancelled, everything written is removed before this returns.
    """
    told = 0

    def tell(count: int) -> None:
        nonlocal told
        told = count
        progress(count, form.filename)

    def received(held: Body) -> Received:
        return Received(
            incoming=held,
            filename=form.filename,
            claimed_type=form.claimed_type,
            fields=form.fields,
            size=held.size,
            sha256=held.sha256,
            body_bytes=form.body_bytes,
        )

    writer: DiskWriter[Body] = DiskWriter(incoming, tell, clock, threads)
    try:
        if small:
            writer.begin_soon()
        else:
            await writer.begin()
        with SlowClientLimit(limits, clock) as slow_client:
            slow_client.wait()
            async for chunk in chunks:
                if chunk:
                    slow_client.arrived(len(chunk))
                    named = form.filename
                    pieces = form.feed(chunk)
                    if form.filename != named:
                        tell(told)
                    await writer.write(pieces, form.body_bytes)
                    slow_client.wait()
        form.finish()
        whole()
        held = await writer.finish(form.body_bytes, lambda held: store(received(held)))
    except BaseException:
        with anyio.CancelScope(shield=True):
            await writer.discard()
        raise
    return received(held)


class Place(Protocol):
    """Where bytes go. All but `settled`, the number that are there, block."""

    @property
    def settled(self) -> int: ...
    def write(self, data: bytes) -> None: ...
    def settle(self) -> None: ...
    def discard(self) -> None: ...


P = TypeVar("P", bound=Place)


class DiskWriter(Generic[P]):
    """One body's way to the disk: while a thread writes a batch, the next one is collected.

    `make` is called with the first of them, if not before. Never more than one job in a thread, so
    order is kept and `write` waits when the disk is slow.
    """

    def __init__(
        self,
        make: Callable[[], P],
        progress: Callable[[int], None],
        clock: Callable[[], float],
        threads: Threads = BODIES,
    ) -> None:
        self._make = make
        self._progress = progress
        self._clock = clock
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._job: Job | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._written = 0
        self._marks: deque[tuple[int, int]] = deque()
        self._place: P | None = None
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0
        self._handed_over_at = clock()

    async def begin(self) -> None:
        """Make the place now."""
        self._begin()
        await self._settle()

    def begin_soon(self) -> None:
        """Make it with the first batch, or in a moment if that is late."""
        self._timer = self._loop.call_later(_BATCH_S, self._begin)

    def _begin(self) -> None:
        def work() -> None:
            self._place = self._make()

        if self._job is None and self._place is None:
            self._start(work)

    async def write(self, pieces: list[bytes], body_bytes: int) -> None:
        """Take the file's next bytes; `body_bytes` of the body have been read with them."""
        self._pieces += pieces
        self._pieces_bytes += sum(map(len, pieces))
        if self._pieces_bytes >= BATCH_BYTES or len(self._pieces) >= _BATCH_PIECES:
            await self._hand_over(body_bytes)
        elif self._clock() - self._handed_over_at >= _BATCH_S:
            # A slow client: nothing is gained by collecting, and a client may be watching.
            await self._hand_over(body_bytes)
            await self._account()

    async def finish(self, body_bytes: int, then: Callable[[P], None] | None = None) -> P:
        """Wait until all is on the storage; `then` is called in a thread as soon as it is."""
        await self._hand_over(body_bytes, last=then)
        await self._account()
        place = self._place
        assert place is not None
        if self._marks:
            self._start(place.settle)
            await self._account()
        return place

    async def discard(self) -> None:
        """Let the job in flight end, then remove everything."""
        self._stop_timer()
        if self._job is not None:
            await self._job.over()  # whatever it says, something else failed before it
        if self._place is not None:
            self._start(self._place.discard)
            await self._settle()

    async def _hand_over(self, body_bytes: int, *, last: Callable[[P], None] | None = None) -> None:
        await self._account()
        self._handed_over_at = self._clock()
        pieces, self._pieces, count = self._pieces, [], self._pieces_bytes
        self._pieces_bytes = 0
        self._written += count
        self._marks.append((self._written, body_bytes))
        if not pieces and last is None and self._place is not None:
            self._tell(self._place)
            return

        def work() -> None:
            place = self._place = self._place or self._make()
            if pieces:
                place.write(b"".join(pieces))
            if last is not None:
                place.settle()
                last(place)

        self._start(work)

    async def _account(self) -> None:
        """Wait for the batch in flight, if any, and say how much is on the storage."""
        if self._job is not None:
            await self._settle()
            assert self._place is not None
            self._tell(self._place)

    def _tell(self, place: P) -> None:
        settled, body_bytes = place.settled, None
        while self._marks and self._marks[0][0] <= settled:
            _, body_bytes = self._marks.popleft()
        if body_bytes is not None:
            self._progress(body_bytes)

    def _start(self, work: Callable[[], None]) -> None:
        self._stop_timer()
        self._job = self._threads.submit(work)

    async def _settle(self) -> None:
        assert self._job is not None
        await self._job.over()
        job, self._job = self._job, None
        job.result()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
