"""The stream of one upload: a follower of its journal, with ids, that a reconnect resumes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sse_progress.emitter.emitter import Emitter
from sse_progress.emitter.follower import Following
from sse_progress.emitter.topic import Topic
from sse_progress.journal.frames import Frame, Page
from sse_progress.model.ids import Position
from sse_progress.model.sse import connected
from sse_progress.web.streams.frames import gone_frame, reset_frame, retry_ms
from sse_progress.web.streams.sse_response import Stream

__all__ = ["UploadStream"]


class UploadStream(Stream):
    """One connection that follows one upload."""

    def __init__(
        self,
        upload_id: str,
        *,
        owner: str,
        cursor: Position | None,
        claims: bool,
        opening: tuple[Page, int] | None,
        topic: Topic,
        emitter: Emitter,
        keep_claim: Callable[[str], Awaitable[None]],
        on_left: Callable[[], None],
        timestamp: Callable[[], str],
        **how: Any,
    ) -> None:
        first = connected(upload_id, "Connected to upload progress stream", retry_ms=retry_ms())
        super().__init__(first, **how)
        self.upload_id, self._owner, self._presented = upload_id, owner, cursor
        self._may_claim = claims
        self._following: Following | None = None
        self._opening, self._topic, self._emitter = opening, topic, emitter
        self._keep_claim, self._on_left, self._timestamp = keep_claim, on_left, timestamp
        self._claim_at = self._now() + self._pace.claim_s

    def began(self) -> None:
        opening, self._opening = self._opening, None
        self._following = self._emitter.follow(
            self._topic,
            self,
            owner=self._owner,
            cursor=self._presented,
            claims=self._may_claim,
            opening=opening,
        )

    def left(self) -> None:
        if self._following is not None:
            self._emitter.leave(self._following)
        self._emitter.release(self._topic)
        self._on_left()

    def on_tick(self, now: float) -> None:
        if now >= self._claim_at and self._claims():
            self._claim_at = now + self._pace.claim_s
            self._parts.spawn(self._keep_claim(self.upload_id))

    def _due(self) -> float:
        return min(super()._due(), self._claim_at) if self._claims() else super()._due()

    def _claims(self) -> bool:
        """Nothing has come of the upload yet: this stream is what keeps its id."""
        cursor = self._following.cursor if self._following else self._presented
        return self._may_claim and (cursor is None or cursor.seq == 0)

    # ---- Follower

    def push(self, frame: Frame) -> Awaitable[None] | None:
        return self.emit(frame.raw, final=frame.terminal)

    async def write(self, frames: Sequence[Frame]) -> None:
        await self.deliver(b"".join(f.raw for f in frames), final=frames[-1].terminal)

    async def reset(self, frame: Frame) -> None:
        body = reset_frame(frame.data, id=str(frame.position))
        await self.deliver(body, final=frame.terminal)

    async def gone(self) -> None:
        await self.deliver(gone_frame(self.upload_id, self._timestamp()), final=True)

    def close(self) -> None:
        self.finish()
