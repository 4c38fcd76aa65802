"""Reads of journals, many in one pipeline: those that are asked for in one turn of the loop.

A command of its own costs redis-py 0.2 to 0.3 ms of CPU, one in a pipeline a quarter of that; after
an outage thousands of streams read at once. A read that is alone goes as a plain command, and so
does again whichever a pipeline brings no reply for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from functools import partial
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from sse_progress.journal.scripts import Script
from sse_progress.runtime.concurrency import BackgroundTasks
from sse_progress.runtime.redis.client import asked, lane_of, together
from sse_progress.runtime.redis.scripts import run_script

__all__ = ["ReadBatcher"]

BATCH = 32
"""Reads of one pipeline: each may bring a page of frames, and other commands wait behind it."""

Reply = list[Any]


class _Read(NamedTuple):
    keys: tuple[str, str]
    arguments: list[Any]
    writes: bool
    future: asyncio.Future[Reply]


class ReadBatcher:
    """Calls one script, which has two keys and may be run twice.

    On a Cluster a pipeline is for one master, so that one that is away holds up no other's reads.
    """

    def __init__(self, redis: Redis, script: Script) -> None:
        self._redis, self._script = redis, script
        self._waiting: list[_Read] = []
        self._tasks = BackgroundTasks()

    async def read(self, keys: tuple[str, str], arguments: list[Any], *, writes: bool) -> Reply:
        """The script's reply; `writes`: it may change something. Raises `redis.RedisError`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._send)
        self._waiting.append(_Read(keys, arguments, writes, future))
        return await future

    async def call(
        self, script: Script, keys: tuple[str, str], arguments: list[Any], *, writes: bool = True
    ) -> Reply:
        """A script's reply, by a command of its own. Raises `redis.RedisError`."""
        reply: Reply = await run_script(
            self._redis, script.sha, script.source, keys, arguments, writes=writes
        )
        return reply

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        lanes: dict[Hashable, list[_Read]] = {}
        for read in waiting:
            if not read.future.done():  # else its caller has left
                lanes.setdefault(lane_of(self._redis, read.keys[0]), []).append(read)
        for reads in lanes.values():
            for at in range(0, len(reads), BATCH):
                self._ask(reads[at : at + BATCH])

    def _ask(self, reads: list[_Read]) -> None:
        """By the client's link without a task; whatever it does not answer is a task's."""
        future = asked(self._redis, self._commands(reads))
        if future is None:
            self._tasks.start(self._answer(reads))
        else:
            future.add_done_callback(partial(self._answered, reads))

    def _answered(self, reads: list[_Read], future: asyncio.Future[list[Any]]) -> None:
        error = future.exception()
        if isinstance(error, RedisConnectionError):  # of the link alone, it may be
            self._tasks.start(self._answer(reads))
        elif error is not None:
            for read in reads:
                _settle(read, error)
        else:
            refused = []
            for read, reply in zip(reads, future.result(), strict=True):
                if isinstance(reply, Exception):
                    refused.append(read)
                else:
                    _settle(read, reply)
            if refused:
                self._tasks.start(self._answer(refused))

    def _commands(self, reads: list[_Read]) -> list[tuple[Any, ...]]:
        sha = self._script.sha
        return [
            ("EVALSHA" if read.writes else "EVALSHA_RO", sha, 2, *read.keys, *read.arguments)
            for read in reads
        ]

    async def _answer(self, reads: list[_Read]) -> None:
        try:
            replies = await self._replies(reads)
        except Exception as error:  # raised again in each caller
            replies = [error] * len(reads)
        except BaseException:
            for read in reads:
                read.future.cancel()
            raise
        for read, reply in zip(reads, replies, strict=True):
            _settle(read, reply)

    async def _replies(self, reads: list[_Read]) -> list[Reply | Exception]:
        if len(reads) == 1:
            return [await self._alone(reads[0])]
        replies: list[Reply | Exception]
        replies = await together(self._redis, self._commands(reads), raise_on_error=False)
        for at, reply in enumerate(replies):
            if isinstance(reply, Exception):  # the script is not known, or a slot has moved
                try:
                    replies[at] = await self._alone(reads[at])
                except (RedisError, OSError) as error:
                    replies[at] = error
        return replies

    async def _alone(self, read: _Read) -> Reply:
        return await self.call(self._script, read.keys, read.arguments, writes=read.writes)


def _settle(read: _Read, reply: Reply | BaseException) -> None:
    if read.future.done():  # its caller has left
        return
    if isinstance(reply, BaseException):
        read.future.set_exception(reply)
    else:
        read.future.set_result(reply)
