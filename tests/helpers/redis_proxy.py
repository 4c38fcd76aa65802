"""A TCP proxy in front of a Redis' unix socket that resets its connections, or moves elsewhere."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from pathlib import Path
from typing import Self

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class RedisProxy:
    """`url` leads to the server whose socket is `target`; both stay while the block lasts.

    `target` may be changed: connections that are open stay where they are, new ones go to the new
    server. `reset_all()` ends every connection with a TCP reset (RST) towards the client.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.resets = 0
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)
        assert not self._thread.is_alive()

    def reset_all(self) -> int:
        """Reset every connection that is open now; how many there were."""
        return asyncio.run_coroutine_threadsafe(self._reset_all(), self._loop).result(60)

    def connections(self) -> int:
        return len(self._open)

    async def _reset_all(self) -> int:
        found = [writer for writer in self._open if not writer.transport.is_closing()]
        for writer in found:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()
        self.resets += len(found)
        return len(found)

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        relays: set[asyncio.Task[None]] = set()

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            relays.add(task)
            try:
                await self._relay(reader, writer)
            except (asyncio.CancelledError, OSError):
                pass  # the proxy ends, or no server is there
            finally:
                self._open.discard(writer)
                writer.transport.abort()
                await asyncio.sleep(0)  # the transport closes its socket in the next turn
                relays.discard(task)

        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        for relay in relays:
            relay.cancel()
        await asyncio.gather(*relays, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_redis, to_redis = await asyncio.open_unix_connection(str(self.target))
        self._open.add(writer)
        ways = [
            asyncio.ensure_future(_pump(reader, to_redis)),
            asyncio.ensure_future(_pump(from_redis, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            to_redis.transport.abort()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
