"""Raw connections to Redis that fail in one way, whatever the event loop and the library raise.

It owns what every connection is made with, and what one error means for all connections of a
client. Which server a connection leads to is in its options, or asked of Sentinels each time.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from weakref import WeakSet

import structlog
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.driver_info import DriverInfo
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, ReadOnlyError

__all__ = ["ClusterNode", "Peers", "ReadOnly", "gone_is_an_error", "pool_for", "tell_moved"]

log = structlog.get_logger(__name__)

SOCKET_TIMEOUT_S = 5.0
DROP_EVERY_S = 1.0

Find = Callable[[], Awaitable[tuple[str, int]]]


class ReadOnly(RedisConnectionError):
    """The server is a replica: a demoted master, or a wrong address. Its connections are dropped,
    so that the next ones lead to whichever server the address means then."""


class ClusterNode(RedisConnectionError):
    """The server is a node of a Redis Cluster, and was not addressed as one."""


def _not_a_cluster(error: MovedError, host: str) -> None:  # noqa: ARG001
    raise ClusterNode(
        "the server is a node of a Redis Cluster: write redis+cluster://host:port,host:port"
    ) from error


class Peers:
    """All connections of one client, so that they can be dropped together.

    `on_moved` hears of each MOVED that one of them reads, with the host of its server.
    """

    def __init__(self, on_moved: Callable[[MovedError, str], None] = _not_a_cluster) -> None:
        self.on_moved = on_moved
        self._connections: WeakSet[AbstractConnection] = WeakSet()
        self._dropped_at = -math.inf

    def add(self, connection: AbstractConnection) -> None:
        self._connections.add(connection)

    async def drop(self) -> None:
        """Close every one, at most once in `DROP_EVERY_S`; commands under way are sent again."""
        now = asyncio.get_running_loop().time()
        if now - self._dropped_at < DROP_EVERY_S:
            return
        self._dropped_at = now
        log.warning("Redis is read-only, reconnecting")
        for connection in tuple(self._connections):
            await connection.disconnect(nowait=True)


class _Guarded(AbstractConnection):
    """Raises `ConnectionError` when a connection is gone, whatever the event loop raises.

    uvloop raises RuntimeError on a transport that a TCP reset has closed, and a connection that
    another task has dropped meanwhile has no writer (AttributeError). redis-py passes both on as
    they are (redis-py #4287).
    """

    def __init__(self, *, peers: Peers, **options: Any) -> None:
        super().__init__(**options)
        self._peers = peers
        peers.add(self)

    async def send_packed_command(self, *args: Any, **options: Any) -> None:
        with gone_is_an_error():
            await super().send_packed_command(*args, **options)

    async def read_response(self, *args: Any, **options: Any) -> Any:
        with gone_is_an_error():
            try:
                return await super().read_response(*args, **options)
            except ReadOnlyError as error:
                await self._peers.drop()
                await self.disconnect(nowait=True)
                raise ReadOnly("the server is a read-only replica") from error
            except MovedError as error:
                tell_moved(self, error)
                raise

    async def can_read(self) -> bool:
        with gone_is_an_error():
            return await super().can_read()


def tell_moved(connection: AbstractConnection, error: MovedError) -> None:
    """What a server has answered to this connection is known to the whole client."""
    if isinstance(connection, _Guarded):
        connection._peers.on_moved(error, getattr(connection, "host", ""))


@contextmanager
def gone_is_an_error() -> Iterator[None]:
    # redis-py has dropped the connection by then, or drops it on ConnectionError.
    try:
        yield
    except (RuntimeError, AttributeError) as error:
        raise RedisConnectionError(f"the connection is gone: {error}") from error


class _Tcp(_Guarded, Connection):
    pass


class _Tls(_Guarded, SSLConnection):
    pass


class _Unix(_Guarded, UnixDomainSocketConnection):
    pass


class _FindsItsServer(_Guarded):
    """Asks for the address anew whenever it connects."""

    def __init__(self, *, find: Find, **options: Any) -> None:
        super().__init__(**options)
        self._find = find

    async def _connect(self) -> None:
        with gone_is_an_error():
            self.host, self.port = await self._find()
        await super()._connect()  # type: ignore[no-untyped-call,safe-super]


class _FoundTcp(_FindsItsServer, Connection):
    pass


class _FoundTls(_FindsItsServer, SSLConnection):
    pass


_GUARDED: dict[type[AbstractConnection], type[AbstractConnection]] = {
    Connection: _Tcp,
    SSLConnection: _Tls,
    UnixDomainSocketConnection: _Unix,
}
_FINDING: dict[type[AbstractConnection], type[AbstractConnection]] = {
    Connection: _FoundTcp,
    SSLConnection: _FoundTls,
}


def pool_for(url: str, peers: Peers, *, find: Find | None = None, **options: Any) -> ConnectionPool:
    """Connections to the server of a `redis://`, `rediss://` or `unix://` URL.

    `find`: they go to the address that it answers, and only the rest of the URL counts. The URL's
    query may override every other option. Raises ValueError on another kind of URL.
    """
    given = {**_socket(), **options, **({"find": find} if find else {})}
    pool: ConnectionPool = BlockingConnectionPool.from_url(url, peers=peers, **given)
    pool.connection_class = (_FINDING if find else _GUARDED)[pool.connection_class]
    return pool


@cache
def _driver() -> DriverInfo:
    """What redis-py says of itself to the server, looked up once: it would be for each connection,
    in the files of the installed package."""
    return DriverInfo()


def _socket() -> dict[str, Any]:
    # TCP keepalive (30 s idle, 3 probes 5 s apart) is redis-py's default. RESP 2, since RESP 3
    # changes the shape of replies and of pushed messages.
    return {
        "driver_info": _driver(),
        "protocol": 2,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
    }
