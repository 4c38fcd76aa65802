"""The fast path to one Redis server: one connection for all commands of a process.

Commands of one turn of the loop leave in one write, and replies come back in their order, so a
command costs about 40 µs of CPU. By redis-py's pool it is 200 µs: taking a connection, two
time-outs, a stream reader. What is sent this way is decided in `client`, whose pool is the
portable way: for a Cluster, for transactions, and whenever this connection is away or full.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sse_progress.runtime.redis.feed import NOTHING, reply_reader, taken_over

__all__ = ["RedisLink", "by_link"]

MOST_WAITING = 1024
"""Requests under way; what comes then takes the pool, which has a queue with a limit of its own."""

SILENCE_S = 5.0
"""Without a byte for so long the connection is given up, where its URL names no socket_timeout."""

LATE_S = 1.0
"""A timer that fires later than this was held up by this process."""

_OPTIONS = frozenset({"keys", "withscores", "score_cast_func"})
"""redis-py's options of commands that are understood here."""


async def by_link(
    link: RedisLink,
    commands: Sequence[tuple[tuple[Any, ...], Mapping[str, Any]]],
    callbacks: Mapping[Any, Any],
) -> list[Any] | None:
    """What commands and their options, as redis-py's pipelines hold them, are answered; errors of
    Redis are among the answers. None: they have to take the pool, which sends them again where they
    were sent. Raises `redis.exceptions.TimeoutError`.
    """
    found = cast("dict[Any, Any]", callbacks)  # names are in upper case, so `dict.get` finds them
    sent = []
    for args, options in commands:
        if options and not _OPTIONS.issuperset(options):
            return None
        # redis-py names commands of two words in one
        sent.append((*args[0].split(" "), *args[1:]) if " " in args[0] else args)
    try:
        answers = await link.ask(sent)
    except (RedisConnectionError, TypeError):
        return None
    for at, ((args, options), reply) in enumerate(zip(commands, answers, strict=True)):
        if isinstance(reply, Exception):
            if isinstance(reply, ReadOnlyError):
                await link.leave()
                return None
            if isinstance(reply, RedisConnectionError):
                return None  # it loads its data
        elif (callback := dict.get(found, args[0])) is not None:
            told = {name: value for name, value in options.items() if name != "keys"}
            answers[at] = callback(reply, **told)
    return answers


class _Request(NamedTuple):
    commands: int
    replies: list[Any]
    future: asyncio.Future[list[Any]]


class RedisLink(asyncio.Protocol):
    """`connection` makes one that is not connected yet; redis-py's own, so it may be TLS, ask
    Sentinels, log in. `drop` closes the client's others, since the server is a replica now. `run`
    has to run; until it has connected `takes` is false."""

    def __init__(
        self, connection: Callable[[], AbstractConnection], *, drop: Callable[[], Awaitable[None]]
    ) -> None:
        self._connection, self._drop = connection, drop
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[_Request] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at, self._silence_s = 0.0, SILENCE_S

    @property
    def takes(self) -> bool:
        """Whether `ask` may be called."""
        return self._transport is not None and len(self._waiting) < MOST_WAITING

    @property
    def idle(self) -> bool:
        """Nothing waits for a reply."""
        return not self._waiting

    def ask(self, commands: Sequence[tuple[Any, ...]]) -> asyncio.Future[list[Any]]:
        """The replies to commands that follow each other; errors of Redis are among them.

        A caller that leaves changes nothing: they are sent. Raises, or the future does,
        ConnectionError where the connection broke, and they may have been run or not; TimeoutError
        where no byte came for too long. Raises TypeError on what is not str, bytes or a number.
        """
        packed = b"".join([hiredis.pack_command(command) for command in commands])
        transport = self._transport
        assert transport is not None, "`takes` was not asked"
        try:
            transport.write(packed)
        except RuntimeError as error:  # of uvloop, once the transport is closed
            self._end(RedisConnectionError("the connection is gone"))
            raise RedisConnectionError(f"the connection is gone: {error}") from error
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        if not self._waiting:
            self._heard_at = loop.time()
            if self._timer is None:
                self._set_timer(self._silence_s)
        self._waiting.append(_Request(len(commands), [], future))
        return future

    async def leave(self) -> None:
        """The server is a replica: what is read there may be old, so connect again, with the
        client's other connections."""
        self._end(RedisConnectionError("the server is a read-only replica"))
        await self._drop()

    async def run(self) -> None:
        """Keep it connected until cancelled."""
        pause_s = 0.05
        while True:
            connection = self._connection()
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
                self._begin(connection)
                pause_s = 0.05
                await self._lost.wait()
            except (RedisError, OSError, TimeoutError):
                pass  # commands take the pool, which reports what is wrong
            finally:
                self._end(RedisConnectionError("the process ends"))
                await connection.disconnect(nowait=True)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  # jitter
            pause_s = min(pause_s * 2, 1.0)

    # ---- one connection

    def _begin(self, connection: AbstractConnection) -> None:
        """Take over the transport of a connection that redis-py has made and logged in."""
        self._reader = reply_reader()
        self._lost = asyncio.Event()
        self._silence_s = connection.socket_timeout or SILENCE_S
        self._transport = taken_over(connection, self)

    def _end(self, error: Exception) -> None:
        """Nothing more is asked; what waits for a reply gets `error`."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        transport.abort()
        self._lost.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, deque()
        for request in waiting:
            if not request.future.done():
                request.future.set_exception(error)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._heard_at = asyncio.get_running_loop().time()
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not NOTHING:
                request = self._waiting[0]
                request.replies.append(reply)
                if len(request.replies) == request.commands:
                    self._waiting.popleft()
                    if not request.future.done():
                        request.future.set_result(request.replies)
        except (RedisError, IndexError) as error:
            self._end(RedisConnectionError(f"the reply cannot be understood: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(RedisConnectionError(f"the connection is lost: {exc or 'closed'}"))

    def _look(self, due: float) -> None:
        """The timer is moved when it fires, not with each command."""
        self._timer = None
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        left_s = self._heard_at + self._silence_s - loop.time()
        if loop.time() - due > LATE_S:  # what came meanwhile is not read yet
            left_s = max(left_s, LATE_S)
        if left_s <= 0:
            self._end(RedisTimeoutError(f"no answer within {self._silence_s:g} s"))
            return
        self._set_timer(left_s)

    def _set_timer(self, after_s: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + after_s
        self._timer = loop.call_at(due, self._look, due)
