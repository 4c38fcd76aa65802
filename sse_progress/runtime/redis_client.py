"""Connections to Redis, made in one place from one URL.

It owns time-outs, retries and keepalive. What is sent over a connection is decided by the callers.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from weakref import WeakSet

import anyio
import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

__all__ = ["ReadOnly", "connect", "dedicated"]

log = structlog.get_logger(__name__)

SOCKET_TIMEOUT_S = 5.0
DROP_EVERY_S = 1.0
POOL_WAIT_S = 10.0
COMMAND_LIMIT_S = 30.0
"""A command or pipeline with all that it takes: a free connection, retries, slow replies."""


@contextmanager
def _limited() -> Iterator[None]:
    # Anyio's scope cancels until the block is left; a single cancellation can get lost in redis-py.
    try:
        with anyio.fail_after(COMMAND_LIMIT_S):
            yield
    except RedisTimeoutError:
        raise
    except TimeoutError as error:
        raise RedisTimeoutError(f"no answer within {COMMAND_LIMIT_S:g} s") from error


class ReadOnly(RedisConnectionError):
    """The server is a replica: a demoted master, or a wrong address. Its connections are dropped,
    so that the next ones lead to whichever server the address means then."""


class _Peers:
    """All connections of one client, so that they can be dropped together."""

    def __init__(self) -> None:
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

    def __init__(self, *, peers: _Peers, **options: Any) -> None:
        super().__init__(**options)
        self._peers = peers
        peers.add(self)

    async def send_packed_command(self, *args: Any, **options: Any) -> None:
        with _gone_is_an_error():
            await super().send_packed_command(*args, **options)

    async def read_response(self, *args: Any, **options: Any) -> Any:
        with _gone_is_an_error():
            try:
                return await super().read_response(*args, **options)
            except ReadOnlyError as error:
                await self._peers.drop()
                await self.disconnect(nowait=True)
                raise ReadOnly("the server is a read-only replica") from error

    async def can_read(self) -> bool:
        with _gone_is_an_error():
            return await super().can_read()


@contextmanager
def _gone_is_an_error() -> Iterator[None]:
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


_GUARDED: dict[type[AbstractConnection], type[AbstractConnection]] = {
    Connection: _Tcp,
    SSLConnection: _Tls,
    UnixDomainSocketConnection: _Unix,
}


def _pool(url: str, peers: _Peers, **options: Any) -> ConnectionPool:
    pool: ConnectionPool = BlockingConnectionPool.from_url(url, peers=peers, **options, **_socket())
    pool.connection_class = _GUARDED[pool.connection_class]
    return pool


class _Client(Redis):
    peers: _Peers

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        with _limited():
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> _Pipeline:
        return _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class _Pipeline(Pipeline):
    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        with _limited():
            return await super().execute(raise_on_error)


def connect(url: str, *, max_connections: int = 16) -> Redis:
    """A client on a pool of its own; nothing is sent before the first command.

    `url`: `redis://`, `rediss://` (TLS) or `unix://`; its query may override any choice made here.
    Replies are bytes in RESP 2 shapes, the same from hiredis and from the parser in Python.

    A command whose connection broke is sent again, twice at most, so that idle connections which
    an outage closed cost no error: every command must bear being run twice. One that timed
    out (5 s) is not: the server may still run it. Against a server that hangs, all that takes 15 s
    at most, and a caller waits up to 10 s for a free connection before that. Whatever happens, a
    command or pipeline ends within 30 s, with `redis.exceptions.TimeoutError`.

    A server that answers READONLY is left: all connections are closed, and the command is sent
    again on a new one; `ReadOnly`, a ConnectionError, where that one is read-only too.
    Raises ValueError on another kind of URL; commands raise `redis.exceptions.RedisError`. The
    caller awaits `aclose()` in the end.
    """
    peers = _Peers()
    pool = _pool(
        url,
        peers,
        max_connections=max_connections,
        timeout=POOL_WAIT_S,
        retry=Retry(
            ExponentialBackoff(cap=0.5, base=0.01), 2, supported_errors=(RedisConnectionError,)
        ),
    )
    client = cast("_Client", _Client.from_pool(pool))
    client.peers = peers
    return client


def dedicated(url: str, *, of: Redis | None = None) -> AbstractConnection:
    """One raw connection outside any pool, for long waits such as pub/sub; not yet connected.

    It has no retries: its user notices every loss. `connect()`, `send_command()` and
    `disconnect()`; `read_response(timeout=math.inf)` waits without end, another `timeout` (seconds)
    answers None when nothing came. It is dropped together with the connections of the client `of`
    when the server turns out to be read-only. Raises like `connect`.
    """
    pool = _pool(url, of.peers if isinstance(of, _Client) else _Peers(), max_connections=1)
    connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
    return connection


def _socket() -> dict[str, Any]:
    # TCP keepalive (30 s idle, 3 probes 5 s apart) is redis-py's default. RESP 2, since RESP 3
    # changes the shape of replies and of pushed messages.
    return {
        "protocol": 2,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
    }
