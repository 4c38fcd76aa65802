"""What this process hears of uploads whose bodies come in parts: newer requests, and their ends.

Owns the subscriptions, which outlive a request for a while: the next one of the same upload then
asks Redis for none. What follows from what is heard is decided in `turns`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sse_progress.emitter.emitter import Emitter
from sse_progress.ingest.resumable.told_progress import Pace
from sse_progress.runtime.redis.keys import turn_channel

__all__ = ["Channel", "Channels"]

LINGER_S = 5.0


class Channel:
    """One upload's channels, for the requests that send it: of its turns, and of its journal."""

    def __init__(self, emitter: Emitter, upload_id: str) -> None:
        self.upload_id = upload_id
        self.pace = Pace()
        """When the next progress may be told, whichever request that is of."""
        self.topic = emitter.open(upload_id)
        self.listeners: set[Callable[[bytes], None]] = set()
        self.left_at = 0.0
        emitter.listen(turn_channel(upload_id), self.heard)

    @property
    def generation(self) -> int | None:
        """The topic's, if everything that is published from now on is heard in it."""
        return self.topic.generation if self.topic.subscribed.is_set() else None

    def heard(self, message: bytes) -> None:
        for listener in tuple(self.listeners):
            listener(message)

    def close(self, emitter: Emitter) -> None:
        emitter.unlisten(turn_channel(self.upload_id), self.heard)
        emitter.release(self.topic)


class Channels:
    """Those of all uploads that are sent to this process, or were within `linger_s`."""

    def __init__(self, emitter: Emitter, *, linger_s: float = LINGER_S) -> None:
        self._emitter, self._linger_s = emitter, linger_s
        self._open: dict[str, Channel] = {}

    def join(self, upload_id: str, listener: Callable[[bytes], None]) -> Channel:
        """Give `listener` each fence that is raised from now on, and b"" when one may have been
        missed, until `leave`."""
        channel = self._open.get(upload_id)
        if channel is None:
            channel = self._open[upload_id] = Channel(self._emitter, upload_id)
        channel.listeners.add(listener)
        return channel

    def leave(self, channel: Channel, listener: Callable[[bytes], None]) -> None:
        channel.listeners.discard(listener)
        if not channel.listeners:
            loop = asyncio.get_running_loop()
            if not channel.left_at:
                loop.call_later(self._linger_s, self._close_if_idle, channel)
            channel.left_at = loop.time()

    def _close_if_idle(self, channel: Channel) -> None:
        loop = asyncio.get_running_loop()
        left_s = channel.left_at + self._linger_s - loop.time()
        if channel.listeners:
            channel.left_at = 0.0  # `leave` will set a timer again
        elif left_s > 0:
            loop.call_later(left_s, self._close_if_idle, channel)
        else:
            del self._open[channel.upload_id]
            channel.close(self._emitter)
