"""Which channels of Redis this process listens to: the topics of uploads, and plain notices.

It owns topics from their first opening until they have lingered unused, and one subscription for
all of them. What a frame means to the followers of a topic is decided by the emitter.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from redis.asyncio.connection import AbstractConnection

from sse_progress.emitter.pubsub import Subscription
from sse_progress.emitter.sharded import ShardedSubscription
from sse_progress.emitter.topic import Topic
from sse_progress.journal.frames import Frame
from sse_progress.runtime.redis.cluster import ClusterClient
from sse_progress.runtime.redis.keys import MOVING, journal_channel, journal_of, probe_channel

__all__ = ["Topics"]


class Topics:
    """`on_frame` is called with each published frame of an open topic, `on_renewed` after each
    (re)subscription to one; `linger_s` is how long a topic without followers is kept.

    On a `cluster`, `on_missed` is called with a topic whose frames are not heard for a while, since
    its journal is on its way from one node to another: each time that something was written.
    """

    def __init__(
        self,
        *,
        connection: Callable[[], AbstractConnection],
        publish: Callable[[bytes, bytes], Awaitable[object]],
        on_frame: Callable[[Topic, Frame], None],
        on_renewed: Callable[[Topic], None],
        on_missed: Callable[[Topic], None],
        probe_s: float,
        linger_s: float,
        cluster: ClusterClient | None = None,
    ) -> None:
        self._on_frame, self._on_renewed, self._on_missed = on_frame, on_renewed, on_missed
        self._linger_s = linger_s
        self._topics: dict[bytes, Topic] = {}
        self._notices: dict[bytes, set[Callable[[bytes], None]]] = {}
        heard: Any = {
            "publish": publish,
            "on_message": self._heard,
            "on_subscribed": self._subscribed,
            "on_lost": self._lost,
            "probe_s": probe_s,
        }
        self._subscription: Subscription | ShardedSubscription
        if cluster is not None:
            self._subscription = ShardedSubscription(cluster, **heard)
        else:
            probe = probe_channel(secrets.token_hex(8))
            self._subscription = Subscription(connection=connection, probe=lambda: probe, **heard)

    def __len__(self) -> int:
        return len(self._topics)

    def __iter__(self) -> Iterator[Topic]:
        return iter(self._topics.values())

    def __contains__(self, topic: Topic) -> bool:
        """False once `topic` was dropped, even if its upload has a newer one."""
        return self._topics.get(topic.channel) is topic

    @property
    def connected(self) -> bool:
        return self._subscription.connected

    async def run(self) -> None:
        """Keep subscribed until cancelled."""
        await self._subscription.run()

    # ---- topics

    def open(self, upload_id: str) -> Topic:
        channel = journal_channel(upload_id).encode()
        topic = self._topics.get(channel)
        if topic is None:
            topic = self._topics[channel] = Topic(upload_id)
            if self._subscription.asked(channel):
                # Dropped just now and not unsubscribed yet: it never stopped listening.
                topic.renew()
                topic.subscribed.set()
            self._subscription.want(channel)
        topic.opening += 1
        return topic

    def release(self, topic: Topic) -> None:
        topic.opening -= 1
        self.drop_if_idle(topic)

    def drop_if_idle(self, topic: Topic) -> None:
        """Drop `topic` if it has no followers, and still has none after a while."""
        if topic.idle:
            asyncio.get_running_loop().call_later(self._linger_s, self._drop, topic)

    def _drop(self, topic: Topic) -> None:
        if not topic.idle or topic not in self:
            return
        # Unsubscribing before the acknowledgment would make the next one ambiguous.
        if self._subscription.asked(topic.channel) and not topic.subscribed.is_set():
            self.drop_if_idle(topic)
            return
        del self._topics[topic.channel]
        topic.subscribed.set()  # who waited during an outage, and left, goes on to the end
        self._subscription.drop(topic.channel)

    # ---- notices

    def listen(self, channel: str, callback: Callable[[bytes], None]) -> None:
        name = channel.encode()
        self._notices.setdefault(name, set()).add(callback)
        self._subscription.want(name)
        if self._subscription.asked(name):
            callback(b"")

    def unlisten(self, channel: str, callback: Callable[[bytes], None]) -> None:
        name = channel.encode()
        callbacks = self._notices.get(name, set())
        callbacks.discard(callback)
        if not callbacks:
            self._notices.pop(name, None)
            self._subscription.drop(name)

    def _notify(self, channel: bytes, data: bytes) -> None:
        for callback in tuple(self._notices.get(channel, ())):
            callback(data)

    # ---- the subscription

    def _heard(self, channel: bytes, data: bytes) -> None:
        if channel == MOVING.encode():
            if (missed := self._topics.get(journal_of(data))) is not None:
                self._on_missed(missed)
            return
        topic = self._topics.get(channel)
        if topic is not None:
            self._on_frame(topic, Frame.published(data))
        else:
            self._notify(channel, data)

    def _subscribed(self, channel: bytes) -> None:
        self._notify(channel, b"")
        topic = self._topics.get(channel)
        if topic is None:
            return
        topic.renew()
        topic.subscribed.set()
        self._on_renewed(topic)

    def _lost(self, channels: Iterable[bytes]) -> None:
        for channel in channels:
            if (topic := self._topics.get(channel)) is not None:
                topic.subscribed.clear()
