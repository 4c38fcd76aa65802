"""A progress stream as an HTTP response: the first frame, then whatever the emitter brings.

An open stream has no task: the server says when its client has left (see `protocol/rest`). Where it
does not offer to, the request's task waits in `receive()`.
Frames are pushed by the emitter (see `outlet`).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sse_progress.journal.frames import chunk_of
from sse_progress.runtime.metrics import Metrics
from sse_progress.uploads.places import Places
from sse_progress.web.content_coding import BlockGzip, takes_blocks
from sse_progress.web.streams.frames import heartbeat, retry_frame
from sse_progress.web.streams.outlet import Outlet
from sse_progress.web.streams.timer_wheel import Wheel

__all__ = ["Pace", "Stream", "StreamParts", "busy_stream"]

HEADERS = {
    "Cache-Control": "no-store, no-transform",  # a proxy that compresses would hold frames back
    "X-Accel-Buffering": "no",
    "Vary": "Accept",
}

_RAW_HEADERS = [
    *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
    (b"content-type", b"text/event-stream; charset=utf-8"),
]
"""As Starlette makes them; there is no body yet, so no Content-Length."""


def busy_stream() -> Response:
    """A stream that ends at once, and asks to come back in about 10 s.

    An EventSource gives up for good on any status but 200 (WHATWG HTML §9.2.2). The connection is
    closed, since its descriptor is what is short.
    """
    milliseconds = int(10_000 * random.uniform(0.75, 1.25))  # noqa: S311  # jitter
    return Response(
        b"retry: %d\n: busy\n\n" % milliseconds,
        headers={**HEADERS, "Connection": "close"},
        media_type="text/event-stream",
    )


class Pace(NamedTuple):
    """When a stream speaks or ends by itself, seconds; `expires_at` is Unix time."""

    heartbeat_s: float
    lifetime_s: float
    slow_s: float
    claim_s: float
    expires_at: float | None = None
    named: bool = False
    """Heartbeats that scripts can see, instead of comments."""


class Finishing(Protocol):
    """A connection that can be asked to end."""

    def finish(self) -> None: ...


@dataclass(frozen=True, slots=True)
class StreamParts:
    """What the streams of one process share.

    `wheel` asks each for heartbeats and its end; `spawn` runs what cannot be finished at once;
    `places` of uploads that wait; `open` holds the streams that are open; `compress` is the
    setting.
    """

    wheel: Wheel
    spawn: Callable[[Awaitable[None]], None]
    metrics: Metrics
    places: Places
    open: set[Finishing] = field(default_factory=set)
    compress: str = "off"


class Stream(Response):
    """One SSE connection: drives `send()`, keeps it alive, ends it with a whole chunk."""

    media_type = "text/event-stream"

    def __init__(
        self,
        first: bytes,
        *,
        pace: Pace,
        parts: StreamParts,
    ) -> None:
        self.status_code, self.background = 200, None
        self.raw_headers = [*_RAW_HEADERS]
        self._first, self._pace, self._parts = first, pace, parts
        self._why = "client_left"
        self._now = asyncio.get_running_loop().time
        now = self._now()
        self._send: Send | None = None
        self._outlet = Outlet(self._now, now)
        self._encode: BlockGzip | None = None
        lifetime = pace.lifetime_s * (0.8 + random.random() / 5)  # noqa: S311  # jitter
        if pace.expires_at is not None:
            lifetime = max(min(lifetime, pace.expires_at - time.time()), 0)
        self._ends_at, self._told_at = now + lifetime, now
        self._abort: Callable[[], None] = lambda: None
        self._write: Callable[[bytes], bool] | None = None
        self.ended = False
        self._closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if takes_blocks(scope, compress=self._parts.compress):
            self.headers["Content-Encoding"] = "gzip"
            self.headers["Vary"] = "Accept, Accept-Encoding"
            self._encode = BlockGzip()
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        if scope["method"] == "HEAD":
            await send(start)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        self._send = send
        ours = scope.get("extensions", {}).get("sse_progress", {})
        self._abort = ours.get("abort", self._abort)
        self._parts.metrics.streams.inc()
        try:
            await send(start)
            self.raw_headers = []  # a stream lives long
            # The head went through every middleware; frames need none of them.
            self._send = ours.get("send", send)
            if self._encode is None:  # else each reader's bytes are its own
                self._write = ours.get("write")
            self._parts.wheel.put(self, self._due())
            self._parts.open.add(self)
            self.began()
            if self._first:
                await self.deliver(b"")
        except BaseException:
            self._over()
            raise
        if (rest := ours.get("rest")) is not None:
            rest.goes_on(self._over)
        else:
            await self._live(receive)

    async def _live(self, receive: Receive) -> None:
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self._over()

    def _over(self) -> None:
        self.ended = True
        self._parts.metrics.streams.inc(-1)
        self._parts.metrics.stream_ended(self._why)
        self._parts.wheel.drop(self)
        self._parts.open.discard(self)
        self.left()

    def began(self) -> None:
        """The head is out: follow. The first frame goes before all that is emitted."""

    def left(self) -> None:
        """The connection is over: leave."""

    # ---- writing

    def emit(self, body: bytes, *, final: bool = False) -> Awaitable[None] | None:
        """Send whole frames now; if an awaitable is returned, they are sent once it is done."""
        if self.ended:
            return None
        if self._outlet.busy_since is not None:
            return self._emit_later(body, final)
        if self._first:
            body, self._first = self._first + body, b""
        if not (final or self._write is None) and self.emit_chunk(chunk_of(body)):
            return None
        assert self._send is not None
        if final:
            self.ended, self._why = True, self._why if self._closing else "upload_ended"
        if self._encode is not None:
            body = self._encode(body, final=final)
        return self._outlet.drive(
            self._send({"type": "http.response.body", "body": body, "more_body": not final})
        )

    def emit_chunk(self, chunk: bytes) -> bool:
        """Send whole frames, made into a chunk, past ASGI; False: they have to be emitted."""
        write = self._write
        if write is None or self.ended or self._outlet.busy_since is not None or not write(chunk):
            return False
        self._outlet.written_at = self._now()
        return True

    async def _emit_later(self, body: bytes, final: bool) -> None:
        await self._outlet.free()
        if (rest := self.emit(body, final=final)) is not None:
            await rest

    async def deliver(self, body: bytes, *, final: bool = False) -> None:
        if (rest := self.emit(body, final=final)) is not None:
            await rest

    def finish(self) -> None:
        """End with a whole frame and a whole chunk; the client's reconnect resumes."""
        if not self.ended and self._send is not None:
            self._closing, self._why = True, "server_closed"
            self._later(self.emit(retry_frame(), final=True))

    def _later(self, rest: Awaitable[None] | None) -> None:
        if rest is not None:
            self._parts.spawn(rest)

    # ---- time

    def tick(self, now: float) -> float | None:
        if self.ended and self._outlet.busy_since is None:
            return None
        if (
            self._outlet.busy_since is not None
            and now - self._outlet.busy_since >= self._pace.slow_s
        ):
            self.ended, self._why = True, "too_slow"
            self._abort()
            return None
        if now >= self._ends_at:
            self.finish()
            return now + self._pace.slow_s
        if self._outlet.busy_since is None:
            self._beat(now)
        self.on_tick(now)
        return self._due()

    def _beat(self, now: float) -> None:
        """A heartbeat where nothing else was sent, or where there are places to tell."""
        since = now - self._pace.heartbeat_s * 0.95
        if self._told_at <= since and (waiting := self.waiting()):
            self._told_at = now
            self._parts.spawn(self._tell_places(waiting))
        elif self._outlet.written_at <= since:
            self._later(self.emit(heartbeat(named=self._pace.named)))

    async def _tell_places(self, upload_ids: Sequence[str]) -> None:
        places = await self._parts.places.of(upload_ids)
        await self.deliver(heartbeat(named=self._pace.named, waiting=places))

    def waiting(self) -> Sequence[str]:
        """Uploads that wait for a worker: their places are told by heartbeats."""
        return ()

    def on_tick(self, now: float) -> None:
        """Whatever else is due from time to time."""

    def _due(self) -> float:
        """The next moment to be ticked at."""
        return min(self._outlet.written_at + self._pace.heartbeat_s, self._ends_at)
