"""Clients of Redis, made in one place from one URL.

It owns time-outs and retries, and tells the kinds of Redis apart: one server, the master that
Sentinels name, a Cluster. What is sent is decided by the callers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import anyio
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ClusterDownError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sse_progress.runtime.redis.cluster import ClusterClient, sharded
from sse_progress.runtime.redis.connections import Peers, pool_for
from sse_progress.runtime.redis.link import RedisLink, by_link
from sse_progress.runtime.redis.routing import slot_of
from sse_progress.runtime.redis.sentinel import Sentinels
from sse_progress.runtime.redis.topology import Topology
from sse_progress.runtime.redis.url import RedisUrl, parse_redis_url

__all__ = [
    "asked",
    "connect",
    "dedicated",
    "lane_of",
    "linked",
    "one_server",
    "script_for",
    "servers",
    "together",
]

POOL_WAIT_S = 10.0
COMMAND_LIMIT_S = 30.0
"""A command or pipeline with all that it takes: a free connection, retries, slow replies."""
_NO_OPTIONS: Mapping[str, Any] = {}


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
    peers: Peers
    sentinels: Sentinels | None
    link: RedisLink | None = None
    """Taken wherever it can be; else the pool."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        if self.link is not None and self.link.takes:
            answers = await by_link(self.link, [(args, options)], self.response_callbacks)
            if answers is not None:
                [answer] = answers
                if isinstance(answer, Exception):
                    raise answer
                return answer
        with _limited():
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> _Pipeline:
        pipeline = _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipeline.link = self.link
        return pipeline

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        if self.sentinels is not None:
            await self.sentinels.aclose()


class _Pipeline(Pipeline):
    link: RedisLink | None = None

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack = self.command_stack
        plain = stack and not (self.is_transaction or self.explicit_transaction or self.scripts)
        if self.link is not None and self.link.takes and plain and self.connection is None:
            answers = await by_link(self.link, stack, self.response_callbacks)
            if answers is not None:
                self.command_stack = []
                if raise_on_error:
                    self.raise_first_error(stack, answers)
                return answers
        with _limited():
            return await super().execute(raise_on_error)


def connect(url: str, *, max_connections: int = 16) -> Redis:
    """A client on a pool of its own; nothing is sent before the first command.

    `url`: `redis://`, `rediss://` (TLS) or `unix://` for one server, `redis+sentinel://` for the
    master that Sentinels name, `redis+cluster://` for a Cluster, with a pool for each node; its
    query may override any choice made here.
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
    parsed = parse_redis_url(url)
    if parsed.kind == "cluster":
        return _cluster(parsed, max_connections)
    sentinels = Sentinels(parsed) if parsed.kind == "sentinel" else None
    return _client(_server(parsed), Peers(), max_connections, sentinels)


def dedicated(url: str, *, of: Redis | None = None) -> AbstractConnection:
    """One raw connection outside any pool, for long waits such as pub/sub; not yet connected.

    It has no retries: its user notices every loss. `connect()`, `send_command()` and
    `disconnect()`; `read_response(timeout=math.inf)` waits without end, another `timeout` (seconds)
    answers None when nothing came. It is dropped together with the connections of the client `of`
    when the server turns out to be read-only. Not for a Cluster, whose client makes such a
    connection to each node. Raises like `connect`.
    """
    parsed = parse_redis_url(url)
    client = of if isinstance(of, _Client) else None
    sentinels = client.sentinels if client else None
    if parsed.kind == "sentinel" and sentinels is None:
        sentinels = Sentinels(parsed)
    return _raw(_server(parsed), client.peers if client else Peers(), sentinels)


def linked(redis: Redis, url: str) -> RedisLink | None:
    """Give a client a link of its own; the caller runs it. `url` is the client's.

    None for a Cluster, and where replies are to be decoded. While it is not connected, and whenever
    it breaks, commands take the pool as ever. One whose connection broke may have run already, as
    one that is sent again has. A command gets no answer within 5 s at the earliest: other
    commands wait for theirs on the same connection.
    """
    if not isinstance(redis, _Client) or redis.get_encoder().decode_responses:  # type: ignore[no-untyped-call]
        return None
    redis.link = RedisLink(lambda: dedicated(url, of=redis), drop=redis.peers.drop)
    return redis.link


def asked(redis: Redis, commands: Sequence[tuple[Any, ...]]) -> asyncio.Future[list[Any]] | None:
    """What `together` would be answered by the client's link, without a coroutine around it; its
    errors are the link's. None: they have not been sent, and have to take `together`.
    """
    if not isinstance(redis, _Client) or redis.link is None or not redis.link.takes:
        return None
    try:
        return redis.link.ask(commands)
    except (RedisConnectionError, TypeError):
        return None


async def together(
    redis: Redis, commands: Sequence[tuple[Any, ...]], *, raise_on_error: bool = True
) -> list[Any]:
    """What commands that are sent at once are answered, as by a pipeline that is no transaction.

    By the client's link that is half of what redis-py's pipelines cost.
    """
    if isinstance(redis, _Client) and redis.link is not None and redis.link.takes:
        stack = [(command, _NO_OPTIONS) for command in commands]
        answers = await by_link(redis.link, stack, redis.response_callbacks)
        if answers is not None:
            if raise_on_error:
                for answer in answers:
                    if isinstance(answer, Exception):
                        raise answer
            return answers
    async with redis.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return await pipe.execute(raise_on_error)


async def servers(redis: Redis, *, of: str | None = None) -> list[tuple[str, Redis]]:
    """Each server that a client writes to, with a hash tag of keys that are there.

    One, without a tag; or every master of a Cluster, or the one that has the key `of`. Raises
    RedisError.
    """
    if not isinstance(redis, ClusterClient):
        return [("", redis)]
    topology, places = redis.topology, await redis.masters()
    if of is not None:
        place = topology.owner(slot_of(of))
        if place is None:
            raise ClusterDownError("no master has this slot")
        places = [place]
    return [(topology.tag(place), topology.client(place)) for place in places]


def lane_of(redis: Redis, key: str) -> Hashable:
    """Keys with the same answer are on the same server, as far as is known at present."""
    if isinstance(redis, _Client):  # asked first: of a class that it is not, redis-py asks ABCs
        return None
    return redis.topology.owner(slot_of(key)) if isinstance(redis, ClusterClient) else None


def one_server(redis: Redis) -> bool:
    """Whether one script may touch all keys: they are on one server, whatever their hash tags."""
    return isinstance(redis, _Client)


def script_for(redis: Redis, source: str) -> str:
    """A Lua script as this kind of Redis has to be given it."""
    return sharded(source) if isinstance(redis, ClusterClient) else source


def _server(url: RedisUrl) -> str:
    """The URL that says all about a server but, with Sentinels, where it is."""
    return url.server(*url.places[0]) if url.kind == "sentinel" else url.url


def _client(
    url: str, peers: Peers, max_connections: int, sentinels: Sentinels | None = None
) -> _Client:
    pool = pool_for(
        url,
        peers,
        find=sentinels.master if sentinels else None,
        max_connections=max_connections,
        timeout=POOL_WAIT_S,
        retry=Retry(
            ExponentialBackoff(cap=0.5, base=0.01), 2, supported_errors=(RedisConnectionError,)
        ),
    )
    client = cast("_Client", _Client.from_pool(pool))
    client.peers, client.sentinels = peers, sentinels
    return client


def _raw(url: str, peers: Peers, sentinels: Sentinels | None = None) -> AbstractConnection:
    pool = pool_for(url, peers, find=sentinels.master if sentinels else None, max_connections=1)
    connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
    return connection


def _cluster(url: RedisUrl, max_connections: int) -> ClusterClient:
    topology = Topology(
        url.places, lambda place: _client(url.server(*place), peers, max_connections)
    )
    peers = Peers(topology.moved)
    return ClusterClient(
        topology,
        pool=pool_for(url.server(*url.places[0]), peers),
        limited=_limited,
        dedicated=lambda place: _raw(url.server(*place), peers),
    )
