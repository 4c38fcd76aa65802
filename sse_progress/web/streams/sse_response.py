"""A progress stream as an HTTP response: the first frame, then whatever the emitter brings.

The connection's only task waits in `receive()`, so a client that leaves is noticed at once.
Frames are pushed: the emitter drives the ASGI `send()` itself, and only where that suspends does a
task go on with it.
"""

from __future__ import annotations

import asyncio
import random
import time
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.types import Receive, Scope, Send

from sse_progress.emitter.emitter import Emitter
from sse_progress.emitter.follower import Following
from sse_progress.emitter.topic import Topic
from sse_progress.journal.frames import Frame, Page
from sse_progress.model.events import as_reset, encode_json
from sse_progress.model.ids import GONE, Position
from sse_progress.model.sse import COMMENT, connected, frame, retry
from sse_progress.runtime.metrics import Metrics
from sse_progress.web.streams.timer_wheel import Wheel

__all__ = ["Pace", "Stream", "UploadStream", "gone_frame", "retry_ms"]

RETRY_MS = 2000
HEARTBEAT = b"event: heartbeat\ndata: {}\n\n"


def retry_ms() -> int:
    """How soon to come back: about 2 s, spread so that a thousand readers do not come at once."""
    return int(RETRY_MS * random.uniform(0.75, 1.25))  # noqa: S311  # jitter


def gone_frame(upload_id: str, timestamp: str) -> bytes:
    """The one frame for a position in an upload that nobody remembers."""
    text = "Nobody remembers this upload."
    data = encode_json(
        {
            "type": "reset",
            "uploadId": upload_id,
            "progress": 0,
            "stage": "error",
            "message": text,
            "timestamp": timestamp,
            "stageProgress": 0,
            "error": {"code": "unknown_upload", "detail": text, "stage": "error"},
        }
    )
    return frame(data, id=str(GONE))


@dataclass(frozen=True, slots=True)
class Pace:
    """When a stream speaks or ends by itself, seconds; `expires_at` is Unix time."""

    heartbeat_s: float
    lifetime_s: float
    slow_s: float
    claim_s: float
    expires_at: float | None = None
    named: bool = False
    """Heartbeats that scripts can see, instead of comments."""


class _Nothing:
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


_NOTHING = _Nothing()


@types.coroutine
def _rest_of(coroutine: Coroutine[Any, Any, None], waiting_for: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that was started by hand and yielded `waiting_for`."""
    while True:
        try:
            value = yield waiting_for
        except BaseException as exc:
            step: Callable[[Any], Any] = coroutine.throw
            argument: Any = exc
        else:
            step, argument = coroutine.send, value
        try:
            waiting_for = step(argument)
        except StopIteration:
            return


class Stream(EventSourceResponse):
    """One SSE connection: drives `send()`, keeps it alive, ends it with a whole chunk.

    Replaces the run loop of sse-starlette's response (five tasks a connection) by one wait.
    `spawn` runs what cannot be finished at once; `wheel` asks for heartbeats and ends;
    `streams` contains this stream for as long as it is open.
    """

    def __init__(
        self,
        first: bytes,
        *,
        pace: Pace,
        wheel: Wheel,
        streams: set[Stream],
        spawn: Callable[[Awaitable[None]], None],
        metrics: Metrics,
    ) -> None:
        super().__init__(_NOTHING, ping=0, sep="\n", headers={"Vary": "Accept"})
        self._first, self._pace, self._wheel, self._spawn = first, pace, wheel, spawn
        self._streams, self._metrics, self._why = streams, metrics, "client_left"
        self._now = asyncio.get_running_loop().time
        self._send: Send | None = None
        self._free: asyncio.Event | None = None
        self._busy_since: float | None = None
        self._written_at = self._now()
        lifetime = pace.lifetime_s * random.uniform(0.8, 1)  # noqa: S311  # jitter
        if pace.expires_at is not None:
            lifetime = min(lifetime, pace.expires_at - time.time())
        self._ends_at = self._now() + max(lifetime, 0)
        self._abort: Callable[[], None] = lambda: None
        self.ended = False
        self._closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        self._send = send
        ours = scope.get("extensions", {}).get("sse_progress", {})
        self._abort = ours.get("abort", self._abort)
        self._metrics.streams.inc()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            # The head went through every middleware; frames need none of them.
            self._send = send = ours.get("send", send)
            await send({"type": "http.response.body", "body": self._first, "more_body": True})
            self._wheel.put(self, self._due())
            self._streams.add(self)
            self.began()
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self.ended = True
            self._metrics.streams.dec()
            self._metrics.stream_ends.labels(self._why).inc()
            self._wheel.drop(self)
            self._streams.discard(self)
            self.left()

    def began(self) -> None:
        """The first frame is out: follow."""

    def left(self) -> None:
        """The connection is over: leave."""

    # ---- writing

    def emit(self, body: bytes, *, final: bool = False) -> Awaitable[None] | None:
        """Send whole frames now; an awaitable says that they are sent once that is done."""
        if self.ended:
            return None
        if self._busy_since is not None:
            return self._emit_later(body, final)
        assert self._send is not None
        if final:
            self.ended, self._why = True, self._why if self._closing else "upload_ended"
        sending = self._send({"type": "http.response.body", "body": body, "more_body": not final})
        assert isinstance(sending, Coroutine)
        try:
            waiting_for = sending.send(None)
        except StopIteration:
            self._written_at = self._now()
            return None
        self._busy_since = self._now()
        return self._finish(sending, waiting_for)

    async def _finish(self, sending: Coroutine[Any, Any, None], waiting_for: Any) -> None:
        try:
            await _rest_of(sending, waiting_for)
        finally:
            self._busy_since = None
            self._written_at = self._now()
            if self._free is not None:
                self._free.set()

    async def _emit_later(self, body: bytes, final: bool) -> None:
        while self._busy_since is not None:
            if self._free is None:
                self._free = asyncio.Event()
            self._free.clear()
            await self._free.wait()
        if (rest := self.emit(body, final=final)) is not None:
            await rest

    async def deliver(self, body: bytes, *, final: bool = False) -> None:
        if (rest := self.emit(body, final=final)) is not None:
            await rest

    def finish(self) -> None:
        """End with a whole frame and a whole chunk; the client's reconnect resumes."""
        if not self.ended and self._send is not None:
            self._closing, self._why = True, "server_closed"
            self._later(self.emit(retry(retry_ms()), final=True))

    def _later(self, rest: Awaitable[None] | None) -> None:
        if rest is not None:
            self._spawn(rest)

    # ---- time

    def tick(self, now: float) -> float | None:
        if self.ended and self._busy_since is None:
            return None
        if self._busy_since is not None and now - self._busy_since >= self._pace.slow_s:
            self.ended, self._why = True, "too_slow"
            self._abort()
            return None
        if now >= self._ends_at:
            self.finish()
            return now + self._pace.slow_s
        if now - self._written_at >= self._pace.heartbeat_s * 0.95 and self._busy_since is None:
            self._later(self.emit(HEARTBEAT if self._pace.named else COMMENT))
        self.on_tick(now)
        return self._due()

    def on_tick(self, now: float) -> None:
        """Whatever else is due from time to time."""

    def _due(self) -> float:
        """The next moment to be ticked at."""
        return min(self._written_at + self._pace.heartbeat_s, self._ends_at)


class UploadStream(Stream):
    """The stream of one upload: a follower of its journal."""

    def __init__(
        self,
        upload_id: str,
        *,
        owner: str,
        cursor: Position | None,
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
        self._following: Following | None = None
        self._opening, self._topic, self._emitter = opening, topic, emitter
        self._keep_claim, self._on_left, self._timestamp = keep_claim, on_left, timestamp
        self._claim_at = self._now() + self._pace.claim_s

    def began(self) -> None:
        opening, self._opening = self._opening, None
        self._following = self._emitter.follow(
            self._topic, self, owner=self._owner, cursor=self._presented, opening=opening
        )

    def left(self) -> None:
        if self._following is not None:
            self._emitter.leave(self._following)
        self._emitter.release(self._topic)
        self._on_left()

    def on_tick(self, now: float) -> None:
        if now >= self._claim_at and self._claims():
            self._claim_at = now + self._pace.claim_s
            self._spawn(self._keep_claim(self.upload_id))

    def _due(self) -> float:
        return min(super()._due(), self._claim_at) if self._claims() else super()._due()

    def _claims(self) -> bool:
        """Nothing has come of the upload yet: this stream is what keeps its id."""
        cursor = self._following.cursor if self._following else self._presented
        return cursor is None or cursor.seq == 0

    # ---- Follower

    def push(self, frame: Frame) -> Awaitable[None] | None:
        return self.emit(frame.raw, final=frame.terminal)

    async def write(self, frames: Sequence[Frame]) -> None:
        await self.deliver(b"".join(f.raw for f in frames), final=frames[-1].terminal)

    async def reset(self, frame: Frame) -> None:
        raw = b"id: %b\ndata: %b\n\n" % (str(frame.position).encode(), as_reset(frame.data))
        await self.deliver(raw, final=frame.terminal)

    async def gone(self) -> None:
        await self.deliver(gone_frame(self.upload_id, self._timestamp()), final=True)

    def close(self) -> None:
        self.finish()
