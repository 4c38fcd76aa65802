"""One pub/sub connection for a whole process, kept alive, and known to be alive.

Owns which channels are subscribed and the probing of a silent connection. What messages mean, and
what to do about those that were missed while it was down, is decided by the emitter.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import anyio
import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, RedisError

from sse_progress.runtime.concurrency import first_of
from sse_progress.runtime.redis.connections import tell_moved
from sse_progress.runtime.redis.feed import RedisFeed
from sse_progress.runtime.redis.keys import MOVING

__all__ = ["Subscription"]

log = structlog.get_logger(__name__)


class Subscription:
    """Channels that are wanted, over one connection that is made again whenever it breaks.

    `connection` makes a fresh raw one; `publish` sends to a channel on another. `on_message` is
    called with channel and data; `on_subscribed` with each channel that the server acknowledged;
    `on_lost` with those that are not listened to any more, and when a connection could not be made.
    A connection that says nothing for `probe_s` has to carry a message to itself, on the channel
    that `probe` names.

    `sharded`: the channels are those of one node of a Cluster, and it says when it has lost one;
    such a channel is asked for again, and the answer tells where it is. What is published on
    `MOVING` is heard as well.
    """

    def __init__(
        self,
        *,
        connection: Callable[[], AbstractConnection],
        publish: Callable[[bytes, bytes], Awaitable[object]],
        on_message: Callable[[bytes, bytes], None],
        on_subscribed: Callable[[bytes], None],
        on_lost: Callable[[Iterable[bytes]], None],
        probe_s: float,
        probe: Callable[[], str],
        sharded: bool = False,
    ) -> None:
        self._connection, self._publish, self._probe_s = connection, publish, probe_s
        self._on_message, self._on_subscribed, self._on_lost = on_message, on_subscribed, on_lost
        self._probe_name, self._sharded = probe, sharded
        self._probe_channel = b""
        self._wanted: set[bytes] = set()
        self._sent: set[bytes] = set()
        self._changed: set[bytes] = set()
        self._steer = asyncio.Event()
        self._heard_at = 0.0
        self.connected = False

    def want(self, channel: bytes) -> None:
        self._wanted.add(channel)
        self._change(channel)

    def drop(self, channel: bytes) -> None:
        self._wanted.discard(channel)
        self._change(channel)

    def asked(self, channel: bytes) -> bool:
        """It was subscribed on this connection, acknowledged or not, and not unsubscribed yet."""
        return channel in self._sent

    async def run(self) -> None:
        """Keep it alive until cancelled."""
        pause_s = 0.05
        while True:
            try:
                await self._live()
            except (RedisError, OSError, TimeoutError) as error:
                if self.connected:
                    log.warning("subscription lost", error=type(error).__name__)
                    pause_s = 0.05
            except Exception:
                log.exception("subscription failed")
            self.connected = False
            lost, self._sent = self._sent, set()
            self._on_lost(lost)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  # jitter
            pause_s = min(pause_s * 2, 1.0)

    # ---- one connection

    async def _live(self) -> None:
        connection = self._connection()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            feed = RedisFeed(connection, partial(self._hear, connection))
            self._probe_elsewhere()
            self._changed = set(self._wanted)
            # Not a TaskGroup: it cancels once, and on Python 3.11 that can be lost.
            await first_of(feed.over, self._subscribe(feed), self._probe())
        finally:
            await connection.disconnect(nowait=True)

    async def _subscribe(self, feed: RedisFeed) -> None:
        """The only place that subscribes and unsubscribes."""
        if self._sharded:
            feed.send([("SUBSCRIBE", MOVING)])
        while True:
            self._steer.clear()
            changed, self._changed = self._changed, set()
            if new := (changed & self._wanted) - self._sent:
                self._sent |= new
                self._send(feed, "SUBSCRIBE", new)
            if old := (changed & self._sent) - self._wanted:
                self._sent -= old
                self._send(feed, "UNSUBSCRIBE", old)
            await self._steer.wait()

    def _send(self, feed: RedisFeed, command: str, names: set[bytes]) -> None:
        if self._sharded:  # one command may name channels of one slot only
            feed.send([(f"S{command}", name) for name in names])
        else:
            feed.send([(command, *names)])

    def _hear(self, connection: AbstractConnection, reply: Any) -> None:
        if isinstance(reply, Exception):
            if not isinstance(reply, MovedError):
                raise reply
            tell_moved(connection, reply)  # the channel is subscribed to again where it is now
            return
        kind, channel, data = reply
        self._heard_at = asyncio.get_running_loop().time()
        if kind in (b"message", b"smessage"):
            self._on_message(channel, data)
        elif kind == (b"ssubscribe" if self._sharded else b"subscribe"):
            if channel == self._probe_channel:
                self.connected = True
            self._on_subscribed(channel)
        elif kind == b"sunsubscribe" and channel in self._sent:
            self._taken_away(channel)

    def _taken_away(self, channel: bytes) -> None:
        """The node has lost the channel's slot."""
        self._sent.discard(channel)
        if channel == self._probe_channel:
            self._probe_elsewhere()
        else:
            self._on_lost([channel])
            self._change(channel)

    def _probe_elsewhere(self) -> None:
        self._wanted.discard(self._probe_channel)
        self._probe_channel = self._probe_name().encode()
        self.want(self._probe_channel)

    async def _probe(self) -> None:
        """A silent connection has to carry a message to ourselves; one that does not is dead."""
        now = asyncio.get_running_loop().time
        while True:
            heard_at = self._heard_at
            await asyncio.sleep(self._probe_s)
            if self._heard_at != heard_at:
                continue
            asked_at = now()
            with anyio.fail_after(self._probe_s):
                await self._publish(self._probe_channel, b"")
            while self._heard_at < asked_at:
                if now() - asked_at > self._probe_s:
                    raise RedisConnectionError("the subscription has fallen silent")
                await asyncio.sleep(self._probe_s / 10)

    def _change(self, channel: bytes) -> None:
        self._changed.add(channel)
        self._steer.set()
