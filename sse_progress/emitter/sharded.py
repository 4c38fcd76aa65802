"""A subscription to the channels of a Redis Cluster: one connection to each master.

It owns which master a channel is listened to on, and follows slots that move. Looks like a
`Subscription`. What was missed on the way is read again by the emitter, which hears of every
channel that was lost and of every one that is acknowledged.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable

import anyio
from anyio.abc import TaskGroup
from redis.exceptions import RedisError

from sse_progress.emitter.pubsub import Subscription
from sse_progress.runtime.redis.cluster import ClusterClient
from sse_progress.runtime.redis.keys import MOVING, probe_channel
from sse_progress.runtime.redis.routing import slot_of
from sse_progress.runtime.redis.topology import Place

__all__ = ["ShardedSubscription"]

PAUSE_S = 0.5


class _Node(Subscription):
    """The channels of one master."""

    scope: anyio.CancelScope | None = None


class ShardedSubscription:
    def __init__(
        self,
        cluster: ClusterClient,
        *,
        publish: Callable[[bytes, bytes], Awaitable[object]],
        on_message: Callable[[bytes, bytes], None],
        on_subscribed: Callable[[bytes], None],
        on_lost: Callable[[Iterable[bytes]], None],
        probe_s: float,
    ) -> None:
        self._cluster, self._topology = cluster, cluster.topology
        self._publish, self._probe_s = publish, probe_s
        self._on_message, self._on_subscribed, self._on_lost = on_message, on_subscribed, on_lost
        self._token = secrets.token_hex(8)
        self._by_slot: dict[int, set[bytes]] = {}
        self._at: dict[bytes, Place | None] = {}
        self._nodes: dict[Place, _Node] = {}
        self._group: TaskGroup | None = None
        self._masters_changed = asyncio.Event()

    @property
    def connected(self) -> bool:
        """To every master."""
        masters = self._topology.masters()
        return bool(masters) and all(
            place in self._nodes and self._nodes[place].connected for place in masters
        )

    def want(self, channel: bytes) -> None:
        slot = slot_of(channel)
        self._by_slot.setdefault(slot, set()).add(channel)
        self._put(channel, self._topology.owner(slot))

    def drop(self, channel: bytes) -> None:
        slot = slot_of(channel)
        channels = self._by_slot.get(slot, set())
        channels.discard(channel)
        if not channels:
            self._by_slot.pop(slot, None)
        if (node := self._node_of(channel)) is not None:
            node.drop(channel)
        self._at.pop(channel, None)

    def asked(self, channel: bytes) -> bool:
        node = self._node_of(channel)
        return node is not None and node.asked(channel)

    async def run(self) -> None:
        """Keep them alive until cancelled."""
        unlisten = self._topology.listen(self._moved)
        try:
            async with anyio.create_task_group() as self._group:
                await self._first_map()
                while True:
                    self._masters_changed.clear()
                    self._arrange()
                    await self._masters_changed.wait()
        finally:
            unlisten()

    # ---- within

    async def _first_map(self) -> None:
        while True:
            try:
                await self._cluster.masters()
            except (RedisError, OSError):
                await asyncio.sleep(PAUSE_S)
            else:
                break
        self._moved(self._by_slot)

    def _arrange(self) -> None:
        """A connection to each master, and to nobody else."""
        masters = self._topology.masters()
        for place in masters:
            self._node(place)
        for place in set(self._nodes).difference(masters):
            node = self._nodes.pop(place)
            if node.scope is not None:
                node.scope.cancel()

    def _moved(self, slots: Iterable[int]) -> None:
        for slot in slots:
            for channel in tuple(self._by_slot.get(slot, ())):
                self._put(channel, self._topology.owner(slot))
        self._masters_changed.set()

    def _put(self, channel: bytes, place: Place | None) -> None:
        """Listen to a channel there, and no longer where it was."""
        node = self._node_of(channel)
        if place is not None and self._at.get(channel) == place and node is not None:
            return
        if node is not None:
            was_asked = node.asked(channel)
            node.drop(channel)
            if was_asked:
                self._on_lost([channel])
        self._at[channel] = place
        if place is not None:
            self._node(place).want(channel)

    def _node_of(self, channel: bytes) -> _Node | None:
        place = self._at.get(channel)
        return None if place is None else self._nodes.get(place)

    def _node(self, place: Place) -> _Node:
        node = self._nodes.get(place)
        if node is None:
            node = self._nodes[place] = self._make(place)
            if self._group is not None:
                self._group.start_soon(self._keep, node)
        return node

    def _make(self, place: Place) -> _Node:
        def heard(channel: bytes, data: bytes) -> None:
            if self._at.get(channel) == place or channel == MOVING.encode():
                self._on_message(channel, data)

        def subscribed(channel: bytes) -> None:
            if self._at.get(channel) == place:
                self._on_subscribed(channel)

        def lost(channels: Iterable[bytes]) -> None:
            self._topology.failed(place)  # it may have been replaced, and nobody else asks
            self._on_lost([channel for channel in channels if self._at.get(channel) == place])

        return _Node(
            connection=lambda: self._cluster.dedicated(place),
            publish=self._publish,
            on_message=heard,
            on_subscribed=subscribed,
            on_lost=lost,
            probe_s=self._probe_s,
            probe=lambda: probe_channel(self._token, self._topology.tag(place)),
            sharded=True,
        )

    async def _keep(self, node: _Node) -> None:
        with anyio.CancelScope() as node.scope:
            await node.run()
