"""A TCP relay in front of a real service that cuts progress streams, or holds them back."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from urllib.parse import urlsplit


class CuttingProxy:
    """Relays every connection: `with CuttingProxy(url) as proxy:`, and `proxy.url` for clients.

    The answer to a request for a progress stream is cut after so many bytes as chance says
    (`least` to `most`), in turn with FIN and RST; with `hold` it never comes through. `times` is
    how many streams are cut (None: all), `whole_frames` cuts between two frames. `cuts` counts
    what was done to streams.
    """

    def __init__(
        self,
        url: str,
        *,
        least: int = 300,
        most: int = 1500,
        hold: bool = False,
        seed: int = 1,
        times: int | None = None,
        whole_frames: bool = False,
    ) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._path = parts.path
        self._least, self._most, self._hold = least, most, hold
        self._times, self.whole_frames = times, whole_frames
        self._chance = random.Random(seed)
        self._ready = threading.Event()
        self.cuts = 0

    def __enter__(self) -> CuttingProxy:
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
        self._relays: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{self._path}"
        self._ready.set()
        await self._over.wait()
        server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        try:
            await self._relay(reader, writer)
        except (asyncio.CancelledError, OSError):
            pass  # the proxy ends; a handler that ends as cancelled is logged as an error
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)  # the transport closes its socket in the next turn of the loop
            self._relays.discard(task)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, to_service = await asyncio.open_connection(*self._target)
        relay = _Relay(self)
        ways = [
            asyncio.create_task(relay.ask(reader, to_service)),
            asyncio.create_task(relay.answer(upstream, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for side in (writer, to_service):
                side.transport.abort() if relay.reset else side.close()
                await asyncio.gather(side.wait_closed(), return_exceptions=True)

    def _budget(self) -> int | None:
        if self._times is not None and self.cuts >= self._times:
            return None
        return 0 if self._hold else self._chance.randint(self._least, self._most)

    def _cut(self, writer: asyncio.StreamWriter) -> bool:
        """Count it; every other one resets the connection."""
        self.cuts += 1
        if self.cuts % 2:
            linger = struct.pack("ii", 1, 0)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return bool(self.cuts % 2)


class _Relay:
    def __init__(self, proxy: CuttingProxy) -> None:
        self._proxy = proxy
        self._left: int | None = None
        self.reset = False

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            head = data.partition(b"\r\n\r\n")[0].lower()
            if head.startswith(b"get "):
                streams = b"accept: text/event-stream" in head
                self._left = self._proxy._budget() if streams else None
            writer.write(data)
            await writer.drain()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self._left is not None:
                if self._proxy._hold:
                    continue
                if self._proxy.whole_frames and len(data) >= self._left:
                    end = data.find(b"\n\n", self._left)
                    self._left = end + 2 if end >= 0 else len(data) + 1
                writer.write(data[: self._left])
                await writer.drain()
                self._left -= len(data)
                if self._left <= 0:
                    self.reset = self._proxy._cut(writer)
                    return
            else:
                writer.write(data)
                await writer.drain()
