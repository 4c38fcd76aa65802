"""A client of a Redis Cluster that looks like one of a single server.

It owns what differs for a caller: pipelines over several nodes, scripts, subscriptions. Routing is
`Routing`'s. redis-py's own cluster client was not taken (docs/decisions/redis-cluster.md says why);
the client, pool and parser of each node are redis-py's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline, PubSub
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.commands.core import AsyncScript

from sse_progress.runtime.redis.routing import Routing, slot_of
from sse_progress.runtime.redis.scripts import run_script
from sse_progress.runtime.redis.topology import Place, Topology

__all__ = ["ClusterClient", "sharded"]

Limited = Callable[[], AbstractContextManager[None]]


def sharded(script: str) -> str:
    """A Lua script that publishes to channels of its keys' shard."""
    return script.replace("redis.call('PUBLISH'", "redis.call('SPUBLISH'")


class ClusterClient(Redis):
    """`limited` bounds what a caller waits for; `dedicated` makes a connection outside any pool."""

    def __init__(
        self,
        topology: Topology,
        *,
        pool: ConnectionPool,
        limited: Limited,
        dedicated: Callable[[Place], AbstractConnection],
    ) -> None:
        super().__init__(connection_pool=pool)  # it only encodes
        self.topology, self.dedicated = topology, dedicated
        self._routing, self._limited = Routing(topology), limited

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        with self._limited():
            [result] = await self._routing.send([(args, options)])
        if isinstance(result, Exception):
            raise result
        return result

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return _ClusterPipeline(self, self._routing, self._limited, transaction, shard_hint)

    def pubsub(self, **options: Any) -> PubSub:
        return _ShardPubSub(self, **options)

    def register_script(self, script: Any) -> AsyncScript:  # type: ignore[override]
        source = script if isinstance(script, str) else bytes(script).decode()
        return _Script(self, sharded(source))

    async def masters(self) -> list[Place]:
        """By the present map. Raises RedisError where none could be read."""
        await self._routing.ready()
        return self.topology.masters()

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await self.topology.aclose()
        await super().aclose(close_connection_pool)


class _ClusterPipeline(Pipeline):
    def __init__(
        self,
        client: ClusterClient,
        routing: Routing,
        limited: Limited,
        transaction: bool,
        shard_hint: str | None,
    ) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._routing, self._limited = routing, limited

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        commands: Any = self.command_stack
        if not commands:
            return []
        try:
            with self._limited():
                if self.is_transaction:
                    results = await self._routing.send_as_one(commands)
                else:
                    results = await self._routing.send(commands)
        finally:
            await self.reset()  # type: ignore[no-untyped-call]
        if raise_on_error:
            self.raise_first_error(commands, results)
        return results


class _Script(AsyncScript):
    """Goes to the node of its first key, which may not know it."""

    async def __call__(self, keys: Any = None, args: Any = None, client: Any = None) -> Any:
        client = client or self.registered_client
        return await run_script(client, self.sha, self.script, keys, args or ())


_PLAIN = {"ssubscribe": "subscribe", "smessage": "message"}


class _ShardPubSub(PubSub):
    """A subscription to channels of one slot, on the node that has it at first.

    Messages are of the types that plain channels have. `listen` ends when that node has lost the
    slot.
    """

    def __init__(self, client: ClusterClient, **options: Any) -> None:
        super().__init__(client.connection_pool, **options)
        self._client = client

    async def subscribe(self, *channels: Any, **_: Any) -> None:
        await self._client.masters()
        place = self._client.topology.owner(slot_of(channels[0]))
        if place is not None and self.connection is None:
            self.connection_pool = self._client.topology.client(place).connection_pool
        await self.ssubscribe(*channels)

    async def listen(self) -> AsyncIterator[Any]:
        async for message in super().listen():
            if message["type"] == "sunsubscribe":
                return
            yield {**message, "type": _PLAIN.get(message["type"], message["type"])}
