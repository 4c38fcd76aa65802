"""The stream of one upload: a follower of its journal, with ids, that a reconnect resumes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from sse_progress.emitter.emitter import Emitter
from sse_progress.emitter.follower import Following
from sse_progress.emitter.topic import Topic
from sse_progress.journal.frames import Frame, Page
from sse_progress.model.ids import Position
from sse_progress.model.sse import connected
from sse_progress.model.timestamps import rfc3339
from sse_progress.web.streams.frames import gone_frame, reset_frame, retry_ms
from sse_progress.web.streams.sse_response import Pace, Stream, StreamParts

__all__ = ["Start", "UploadStream"]


class Start(NamedTuple):
    """Where a stream starts: the upload's topic, whose reader it is, after which position.

    `claims`: an unused id becomes the owner's.
    """

    topic: Topic
    owner: str
    cursor: Position | None
    claims: bool


class UploadStream(Stream):
    """One connection that follows one upload.

    `opening` is a page that was read from just where it starts, with its generation. `keep_claim`
    renews the claim on an id whose upload has not begun; `on_left` is called once the
    connection has ended. `batch_id`: it is of a batch, whose journal has a name of its own.
    """

    def __init__(
        self,
        start: Start,
        *,
        opening: tuple[Page, int] | None,
        emitter: Emitter,
        keep_claim: Callable[[str], Awaitable[None]],
        on_left: Callable[[], None],
        pace: Pace,
        parts: StreamParts,
        batch_id: str | None = None,
    ) -> None:
        self.upload_id = start.topic.upload_id
        self._subject = self.upload_id if batch_id is None else batch_id
        self._member = "uploadId" if batch_id is None else "batchId"
        what = "upload" if batch_id is None else "batch"
        first = connected(
            self._subject,
            f"Connected to {what} progress stream",
            retry_ms=retry_ms(),
            member=self._member,
        )
        super().__init__(first, pace=pace, parts=parts)
        self._start, self._opening, self._emitter = start, opening, emitter
        self._keep_claim, self._on_left = keep_claim, on_left
        self._following: Following | None = None
        self._claim_at = self._told_at + pace.claim_s
        self._read_waits = False

    def began(self) -> None:
        start = self._start
        if start.cursor is not None:
            self._parts.metrics.resumes.inc()
        opening, self._opening = self._opening, None  # not kept while the stream lives
        self._following = self._emitter.follow(
            start.topic,
            self,
            owner=start.owner,
            cursor=start.cursor,
            claims=start.claims,
            opening=opening,
        )

    def left(self) -> None:
        if self._following is not None:
            self._emitter.leave(self._following)
            self._following = None  # the two lead to each other
        self._emitter.release(self._start.topic)
        self._on_left()

    def on_tick(self, now: float) -> None:
        if now >= self._claim_at and self._claims():
            self._claim_at = now + self._pace.claim_s
            self._parts.spawn(self._keep_claim(self.upload_id))

    def _due(self) -> float:
        due = super()._due()
        return min(due, self._claim_at) if self._start.claims and self._claims() else due

    def _claims(self) -> bool:
        """Nothing has come of the upload yet: this stream is what keeps its id."""
        cursor = self._following.cursor if self._following else self._start.cursor
        return self._start.claims and (cursor is None or cursor.seq == 0)

    # ---- Follower

    def push(self, frame: Frame) -> Awaitable[None] | None:
        if not frame.terminal and self.emit_chunk(frame.chunk):
            return None
        return self.emit(frame.raw, final=frame.terminal)

    def waiting(self) -> Sequence[str]:
        heard = self._start.topic.tail
        return (self.upload_id,) if (heard[-1].waits if heard else self._read_waits) else ()

    async def write(self, frames: Sequence[Frame]) -> None:
        last = frames[-1]
        self._read_waits = last.waits
        body = last.raw if len(frames) == 1 else b"".join([frame.raw for frame in frames])
        if (rest := self.emit(body, final=last.terminal)) is not None:
            await rest

    async def reset(self, frame: Frame) -> None:
        self._read_waits = frame.waits
        body = reset_frame(frame.data, id=str(frame.position))
        await self.deliver(body, final=frame.terminal)

    async def gone(self) -> None:
        frame = gone_frame(self._subject, rfc3339(time.time()), member=self._member)
        await self.deliver(frame, final=True)

    def at_end(self) -> None:
        self.finish()

    def close(self) -> None:
        self.finish()
