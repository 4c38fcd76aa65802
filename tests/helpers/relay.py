"""The frame of a TCP relay in front of a real server: connections, their two ways, and its end."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self

from sse_progress.runtime.concurrency import end_tasks

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """Listens on `port` of 127.0.0.1, in a thread of its own, while the block lasts.

    A subclass says where a connection leads (`_connect`) and what is done on its two ways
    (`_ways`). Once one of these is over, or the block is, the connection ends.
    """

    def __init__(self) -> None:
        self.port = 0
        self._ready = threading.Event()

    async def _connect(self) -> Streams:
        raise NotImplementedError

    def _ways(self, client: Streams, server: Streams) -> list[Coroutine[Any, Any, None]]:
        return [pump(client[0], server[1]), pump(server[0], client[1])]

    async def _close(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        server.transport.abort()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        run = asyncio.current_task()
        relays: set[asyncio.Task[None]] = set()

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            def ended(task: asyncio.Task[None]) -> None:
                writer.transport.abort()
                relays.discard(task)

            relay = self._loop.create_task(self._relay((reader, writer)))
            relays.add(relay)
            relay.add_done_callback(ended)  # also where it is cancelled before its first step

        listening = await asyncio.start_server(accepted, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        while others := asyncio.all_tasks() - {run}:
            await end_tasks(*relays)
            await asyncio.wait(others)
        listening.close()  # no connection is half accepted: asyncio would leave its socket open
        await asyncio.sleep(0)  # transports close their sockets a turn after they are aborted

    async def _relay(self, client: Streams) -> None:
        try:
            server = await self._connect()
        except OSError:
            return  # no server is there
        ways = [asyncio.create_task(way) for way in self._ways(client, server)]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            try:  # the end of the block may cut this short
                await end_tasks(*ways)
            finally:
                with suppress(OSError):
                    await self._close(client[1], server[1])


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()


def reset_on_close(writer: asyncio.StreamWriter) -> None:
    """Its closing sends RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
