"""One WebSocket: its subscriptions, each a follower of a journal, and what is sent of them.

Owns messages, their bounds, and when the connection ends. Who may open one is decided in the route;
pings and the size of messages are the server's.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from sse_progress.access.principal import Principal
from sse_progress.emitter.emitter import Emitter
from sse_progress.emitter.follower import Following
from sse_progress.journal.frames import Frame
from sse_progress.model.errors import Unauthenticated
from sse_progress.model.events import as_reset, decode_json, encode_json
from sse_progress.model.ids import GONE, Position
from sse_progress.model.labels import Labels
from sse_progress.model.timestamps import rfc3339
from sse_progress.runtime.concurrency import BackgroundTasks
from sse_progress.uploads.places import Places
from sse_progress.uploads.recent import RecentUploads
from sse_progress.web.streams.frames import gone_event, places_told
from sse_progress.web.streams.outlet import Outlet
from sse_progress.web.streams.user_uploads import UserUploads

__all__ = ["Socket"]

SUBSCRIPTIONS = 100

AWAY, POLICY = 1001, 1008


class _Subscription:
    """The follower of one upload. `labels`: it was found by a subscription to all of them."""

    def __init__(
        self,
        socket: Socket,
        upload_id: str,
        *,
        cursor: Position | None = None,
        labels: Labels | None = None,
    ) -> None:
        self._socket, self.upload_id, self.labels = socket, upload_id, labels
        self.begun = asyncio.Event()
        self._read_waits = False
        emitter = socket.emitter
        self._topic = emitter.open(upload_id)
        self._following: Following = emitter.follow(
            self._topic,
            self,
            owner=socket.principal.sub,
            cursor=cursor,
            from_latest=labels is not None,
            claims=False,
        )

    def leave(self) -> None:
        self.begun.set()
        emitter = self._socket.emitter
        emitter.leave(self._following)
        emitter.release(self._topic)

    @property
    def waits(self) -> bool:
        """For a worker."""
        heard = self._topic.tail
        return self._shown_waits(heard[-1]) if heard else self._read_waits

    def _shown_waits(self, frame: Frame) -> bool:
        return frame.waits and self._shows(frame)

    def _shows(self, frame: Frame) -> bool:
        return not self.labels or self.labels.match(decode_json(frame.data))

    # ---- Follower

    def push(self, frame: Frame) -> Awaitable[None] | None:
        sent = self._socket.send_raw(frame.message) if self._shows(frame) else None
        if not frame.terminal:
            return sent
        if sent is not None:
            return self._last(sent)
        self._socket.over(self, "ended")
        return None

    async def _last(self, sent: Awaitable[None]) -> None:
        await sent
        self._socket.over(self, "ended")

    async def write(self, frames: Sequence[Frame]) -> None:
        self._read_waits = self._shown_waits(frames[-1])
        for frame in frames:
            if self._shows(frame):
                await self._socket.deliver_raw(frame.message)
        if frames[-1].terminal:
            self._socket.over(self, "ended")

    async def reset(self, frame: Frame) -> None:
        self.begun.set()
        self._read_waits = self._shown_waits(frame)
        if self._shows(frame):
            event = as_reset(frame.data)
            id_member = b'{"id":"%b",' % str(frame.position).encode()
            await self._socket.deliver_raw(id_member + event[1:])
        if frame.terminal:
            self._socket.over(self, "ended")

    async def gone(self) -> None:
        if self.labels is None:
            event = gone_event(self.upload_id, rfc3339(time.time()))
            await self._socket.deliver({"id": str(GONE), **event})
        self._socket.over(self, "unknown_upload")

    def at_end(self) -> None:
        self._socket.over(self, "ended")

    def close(self) -> None:
        self._socket.over(self, "forbidden")


class Socket:
    """The server's side of one WebSocket, from its first message to its last.

    It lives for `lifetime_s`, and as long as its token. `slow_s`: a client that reads nothing for
    so long is disconnected, and can resume. `heartbeat_s`: how often the places of uploads that
    wait for a worker are told.
    """

    def __init__(
        self,
        websocket: WebSocket,
        principal: Principal,
        *,
        emitter: Emitter,
        recent: RecentUploads,
        background: BackgroundTasks,
        places: Places,
        lifetime_s: float,
        slow_s: float,
        heartbeat_s: float,
    ) -> None:
        self.principal, self.emitter = principal, emitter
        self._recent, self._background, self._places = recent, background, places
        self._websocket, self._slow_s = websocket, slow_s
        ours = websocket.scope.get("extensions", {}).get("sse_progress", {})
        self._abort: Callable[[], None] = ours.get("abort", lambda: None)
        self._now = asyncio.get_running_loop().time
        self._outlet = Outlet(self._now, self._now())
        self._heartbeat_s, self._told_at = heartbeat_s, self._now()
        self._ends_at = self._now() + lifetime_s * random.uniform(0.8, 1)  # noqa: S311  # jitter
        self._subscribed: dict[str, _Subscription] = {}
        self._all: UserUploads[_Subscription] | None = None
        self._closing = False
        self.closed: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    # ---- sending

    def send_raw(self, text: bytes) -> Awaitable[None] | None:
        if self.closed.done():
            return None
        if self._outlet.busy_since is not None:
            return self.deliver_raw(text)
        return self._outlet.drive(self._send({"type": "websocket.send", "text": text.decode()}))

    async def _send(self, message: dict[str, Any]) -> None:
        """A client that has left is no failure of the sender."""
        try:
            await self._websocket.send(message)
        except (WebSocketDisconnect, OSError):
            self._closing = True
            self.end(AWAY, "")

    async def deliver_raw(self, text: bytes) -> None:
        await self._outlet.free()
        if (rest := self.send_raw(text)) is not None:
            await rest

    async def deliver(self, message: dict[str, Any]) -> None:
        await self.deliver_raw(encode_json(message))

    # ---- ending

    def end(self, code: int, reason: str) -> None:
        """Close it: `closed` says so to the route, which does."""
        if not self.closed.done():
            self.closed.set_result((code, reason))

    def finish(self) -> None:
        """The process drains; the client's reconnect resumes. Said at once, before it ends."""
        if self.closed.done():
            return
        self.end(AWAY, "The server is restarting.")
        if self._outlet.busy_since is None:
            self._close()

    def _close(self) -> None:
        code, reason = self.closed.result()
        message = {"type": "websocket.close", "code": code, "reason": reason}
        self._closing = True
        if (rest := self._outlet.drive(self._send(message))) is not None:
            self._background.spawn(rest)

    async def close(self) -> None:
        """Send the close frame with what `closed` says, unless that is done."""
        if not self._closing:
            await self._outlet.free()
            self._close()

    def left(self) -> None:
        """The connection is over: follow nothing any more."""
        self.end(AWAY, "")
        self.unsubscribe_all()
        for subscription in self._subscribed.values():
            subscription.leave()
        self._subscribed.clear()

    def tick(self, now: float) -> float | None:
        """What is due at `now`: its end by age, by its token's, or because no client reads."""
        if self.closed.done():
            return None
        busy = self._outlet.busy_since
        if busy is not None and now - busy >= self._slow_s:
            self._closing = True
            self.end(AWAY, "too slow")
            self._abort()  # a close frame would wait behind all that was not read
        elif now >= self._ends_at:
            self.end(AWAY, "This connection is old. Please connect again.")
        elif (expires_at := self.principal.expires_at) is not None and time.time() >= expires_at:
            self.end(POLICY, "The token has expired.")
        elif busy is None and now - self._told_at >= self._heartbeat_s * 0.95:
            self._told_at = now
            if waiting := [one.upload_id for one in self._followed() if one.waits]:
                self._background.spawn(self._tell_places(waiting))
        return now + 1

    def _followed(self) -> Iterator[_Subscription]:
        yield from self._subscribed.values()
        if self._all is not None:
            yield from self._all.members

    async def _tell_places(self, upload_ids: Sequence[str]) -> None:
        if places := await self._places.of(upload_ids):
            await self.deliver({"type": "heartbeat", **places_told(places)})

    def renew(self, principal: Principal) -> None:
        """A newer token of the same user. Raises Unauthenticated for another's."""
        if principal.sub != self.principal.sub:
            raise Unauthenticated("The token is another user's.")
        self.principal = principal

    # ---- subscriptions

    @property
    def full(self) -> bool:
        return len(self._subscribed) >= SUBSCRIPTIONS

    def subscribe(self, upload_id: str, *, cursor: Position | None) -> None:
        """Follow one upload after `cursor`; again from there if it is followed already."""
        if (before := self._subscribed.pop(upload_id, None)) is not None:
            before.leave()
        if self._all is not None:
            self._all.leave(upload_id)
        self._subscribed[upload_id] = _Subscription(self, upload_id, cursor=cursor)

    def unsubscribe(self, upload_id: str) -> bool:
        """Whether it was subscribed to."""
        subscription = self._subscribed.pop(upload_id, None)
        if subscription is not None:
            subscription.leave()
        return subscription is not None

    def over(self, subscription: _Subscription, reason: str) -> None:
        """Nothing more comes of one; this is said after what was sent before."""
        if subscription.labels is not None:
            if self._all is not None:
                self._all.drop(subscription)
            return
        upload_id = subscription.upload_id
        if self._subscribed.get(upload_id) is not subscription:
            return
        del self._subscribed[upload_id]
        subscription.leave()
        said = {"type": "unsubscribed", "uploadId": upload_id, "reason": reason}
        self._background.spawn(self.deliver(said))

    # ---- all uploads of the user

    def subscribe_all(self, labels: Labels) -> None:
        """Follow every open upload of the user with these labels, and each new one."""
        self.unsubscribe_all()
        self._all = UserUploads(
            self.principal.sub,
            lambda upload_id: _Subscription(self, upload_id, labels=labels),
            emitter=self.emitter,
            recent=self._recent,
            background=self._background,
            wants=lambda upload_id: upload_id not in self._subscribed,
            taken=self._outlet.free,
        )
        self._all.begin()

    def unsubscribe_all(self) -> None:
        if self._all is not None:
            self._all.end()
            self._all = None
