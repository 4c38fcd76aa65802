"""Connections to Redis, made in one place from one URL.

It owns time-outs, retries and keepalive. What is said over a connection is the callers' business.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

__all__ = ["connect", "dedicated"]

SOCKET_TIMEOUT_S = 5.0
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


class _Client(Redis):
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
    an outage closed cost nobody an error: every command must bear being run twice. One that timed
    out (5 s) is not: the server may still run it. Against a server that hangs, all that takes 15 s
    at most, and a caller waits up to 10 s for a free connection before that. Whatever happens, a
    command or pipeline ends within 30 s, with `redis.exceptions.TimeoutError`.
    Raises ValueError on another kind of URL; commands raise `redis.exceptions.RedisError`. The
    caller awaits `aclose()` in the end.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=POOL_WAIT_S,
        retry=Retry(
            ExponentialBackoff(cap=0.5, base=0.01), 2, supported_errors=(RedisConnectionError,)
        ),
        **_socket(),
    )
    return _Client.from_pool(pool)


def dedicated(url: str) -> AbstractConnection:
    """One raw connection outside any pool, for long waits such as pub/sub; not yet connected.

    It has no retries: its user notices every loss. `connect()`, `send_command()` and
    `disconnect()`; `read_response(timeout=math.inf)` waits without end, another `timeout` (seconds)
    answers None when nothing came. Raises like `connect`.
    """
    pool = BlockingConnectionPool.from_url(url, max_connections=1, **_socket())
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
