"""The fast path of pub/sub: every reply of one connection, as it comes.

By redis-py's `read_response` each message is a task's turn, a time-out, a stream reader and guards
around it; here it is a call of a parser in C.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis
from redis._parsers.base import BaseParser
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse

__all__ = ["NOTHING", "RedisFeed", "reply_reader", "taken_over"]

NOTHING: Any = object()
"""What a reader returns where there is no whole reply yet."""


def reply_reader() -> hiredis.Reader:
    """A parser whose errors are redis-py's; a reply that is an error is returned, not raised."""
    return hiredis.Reader(
        protocolError=InvalidResponse, replyError=BaseParser.parse_error, notEnoughData=NOTHING
    )


def taken_over(connection: AbstractConnection, protocol: asyncio.Protocol) -> asyncio.Transport:
    """The transport of a connection that redis-py has made and logged in, now with this protocol.

    Raises ConnectionError if it is gone already.
    """
    writer = connection._writer
    if writer is None or writer.transport.is_closing():
        raise RedisConnectionError("the connection is gone")
    transport = cast("asyncio.Transport", writer.transport)
    transport.set_protocol(protocol)
    return transport


class RedisFeed(asyncio.Protocol):
    """Takes a connection over; its owner disconnects it in the end.

    `on_reply` is called with each reply, an error among them; what it raises ends the feed. `over`
    raises why it has ended: `redis.exceptions.RedisError`, or what `on_reply` has raised.
    """

    def __init__(self, connection: AbstractConnection, on_reply: Callable[[Any], None]) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_reply = on_reply
        self._reader = reply_reader()
        self._transport = taken_over(connection, self)

    def send(self, commands: Sequence[tuple[Any, ...]]) -> None:
        """Raises ConnectionError if the connection is gone."""
        try:
            self._transport.write(b"".join([hiredis.pack_command(each) for each in commands]))
        except RuntimeError as error:  # of uvloop, once the transport is closed
            raise RedisConnectionError(f"the connection is gone: {error}") from error

    def data_received(self, data: bytes) -> None:
        if self.over.done():
            return
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not NOTHING:
                self._on_reply(reply)
        except Exception as error:
            self._end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(RedisConnectionError(f"the connection is lost: {exc or 'closed'}"))

    def _end(self, error: Exception) -> None:
        if not self.over.done():
            self.over.set_exception(error)
