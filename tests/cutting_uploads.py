"""A TCP relay in front of a real service that cuts uploads in their middle."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from urllib.parse import urlsplit


class CuttingUploads:
    """Relays every connection: `with CuttingUploads(url, cuts=[…]) as proxy:`, then `proxy.url`.

    The connections with a body are cut, one after the other, when so many bytes of them went to the
    service as `cuts` says; then none is. `passed` is called with all the bytes that have gone
    there, after each piece of 64 KiB.
    """

    def __init__(
        self, url: str, *, cuts: list[int], passed: Callable[[int], None] = lambda _: None
    ) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._cuts, self._passed = list(cuts), passed
        self._ready = threading.Event()
        self._bytes = 0
        self.made = 0

    def __enter__(self) -> CuttingUploads:
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
        relays: set[asyncio.Task[None]] = set()

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            relays.add(task)
            try:
                await self._relay(reader, writer)
            except (asyncio.CancelledError, OSError):
                pass  # a handler that ends as cancelled is logged as an error
            finally:
                writer.transport.abort()
                await asyncio.sleep(0)
                relays.discard(task)

        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._over.wait()
        server.close()
        for relay in relays:
            relay.cancel()
        await asyncio.gather(*relays, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, to_service = await asyncio.open_connection(*self._target)
        ways = [
            asyncio.create_task(self._there(reader, to_service)),
            asyncio.create_task(_back(upstream, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            to_service.transport.abort()

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = 0
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
            sent += len(data)
            self._bytes += len(data)
            self._passed(self._bytes)
            if self._cuts and sent >= self._cuts[0]:
                self._cuts.pop(0)
                self.made += 1
                return


async def _back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
