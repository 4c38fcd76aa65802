"""One request's right to send a body that may rest, and how it hears that it has lost it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import anyio
from redis.exceptions import RedisError

from sse_progress.emitter.emitter import Emitter
from sse_progress.emitter.waiter import Waiter
from sse_progress.ingest.body import OpenBody
from sse_progress.ingest.journaling import RETRY_AFTER_S
from sse_progress.ingest.resumable.channels import Channels
from sse_progress.ingest.resumable.told_progress import Pace, arriving
from sse_progress.journal.frames import Frame
from sse_progress.journal.writer import JournalWriter, WriterLost
from sse_progress.model.errors import Cancelled, Problem, Replaced, Unavailable, UploadGone
from sse_progress.model.messages import RESUMED
from sse_progress.runtime.concurrency import BackgroundTasks
from sse_progress.storage.body_port import ResumableBody

__all__ = ["Turn", "lost_to", "said"]

REDIS_WAIT_S = 5.0


class Turn:
    """A request's right to write an upload's journal, with what it hears of losing it.

    It listens from before the right is asked for, so nothing that is said later is missed.
    `paused`: to its followers the body rests.
    """

    def __init__(
        self,
        upload_id: str,
        channels: Channels,
        emitter: Emitter,
        background: BackgroundTasks,
        under_way: OpenBody,
    ) -> None:
        self.paused = False
        self._writer: JournalWriter | None = None
        self._emitter, self._background, self._under_way = emitter, background, under_way
        self._raised, self._unsure, self._keeping = 0, False, False
        self._channels = channels
        self._channel = channels.join(upload_id, self._heard)
        self._ended_in = self._channel.generation

    @property
    def writer(self) -> JournalWriter:
        assert self._writer is not None, "the turn was not given"
        return self._writer

    def given(self, writer: JournalWriter, *, paused: bool = False) -> None:
        self._writer, self.paused = writer, paused

    @property
    def pace(self) -> Pace:
        return self._channel.pace

    async def say_resumed(self, body: ResumableBody) -> None:
        """Of a body that was said to rest: it does not any more. Raises as `said` does."""
        if self.paused:
            resumed = arriving(body.offset, body.announced.length, message=RESUMED)
            await said(self.writer.last(resumed))

    def close(self) -> None:
        self._channels.leave(self._channel, self._heard)
        if self._writer is not None:
            self._writer.close()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """A block that ends, with the reason raised, when the turn is over.

        That is a newer request of this upload, its journal's end, or a drain.
        """
        under_way, writer = self._under_way, self.writer
        waiter = Waiter(on_end=lambda frame: under_way.stop(_ended_by(frame)))
        following = self._emitter.follow(
            self._channel.topic,
            waiter,
            owner=writer.owner,
            cursor=writer.position,
            ended_in=self._ended_in,
        )
        self._keeping = True
        self._judge()
        try:
            with under_way.scope:
                yield
        finally:
            self._keeping = False
            self._emitter.leave(following)
        if under_way.why is not None:
            raise under_way.why

    def _heard(self, message: bytes) -> None:
        if message:
            self._raised = max(self._raised, int(message))
        else:
            self._unsure = True  # subscribed just now: what was said before has to be asked for
        if self._keeping:
            self._judge()

    def _judge(self) -> None:
        if self._raised > self.writer.fence:
            self._under_way.stop(Replaced())
        if self._unsure:
            self._unsure = False
            self._background.spawn(_renewed(self.writer))


def lost_to(lost: WriterLost) -> Problem:
    """Why a request whose writes the journal refuses has to stop."""
    if lost.term == "cancelled":
        return Cancelled()
    return UploadGone() if lost.term else Replaced()


def _ended_by(frame: Frame) -> Problem:
    return Cancelled() if frame.stage == "cancelled" else UploadGone()


async def _renewed(writer: JournalWriter) -> None:
    with contextlib.suppress(WriterLost, RedisError, OSError):
        await writer.renew()


async def said(saying: Awaitable[None]) -> None:
    """Wait for Redis, not for long. Raises Replaced, UploadGone, Cancelled or Unavailable."""
    try:
        with anyio.fail_after(REDIS_WAIT_S):
            await saying
    except (TimeoutError, RedisError, OSError) as exc:
        raise Unavailable(retry_after_s=RETRY_AFTER_S) from exc
    except WriterLost as lost:
        raise lost_to(lost) from None
