"""A TCP relay in front of a real service that cuts progress streams, or holds them back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit

from tests.helpers.relay import Relay, Streams, reset_on_close


class CuttingProxy(Relay):
    """Relays every connection: `with CuttingProxy(url) as proxy:`, and `proxy.url` for clients.

    The answer to a request for a progress stream is cut after so many bytes as chance says
    (`least` to `most`), in turn with FIN and RST; with `hold` it never comes through. `times` is
    how many streams are cut (None: all), `whole_frames` cuts between two frames. With `sockets`
    WebSockets are cut in place of streams, with `hold_sockets` they never come through. `cuts`
    counts what was cut, `opened` what was asked for.
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
        sockets: bool = False,
        hold_sockets: bool = False,
    ) -> None:
        super().__init__()
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._path = parts.path
        self._least, self._most, self._hold = least, most, hold
        self._times, self.whole_frames, self._sockets = times, whole_frames, sockets
        self._hold_sockets = hold_sockets
        self._chance = random.Random(seed)
        self._flows: dict[asyncio.StreamWriter, _Flow] = {}
        self.cuts = 0
        self.opened = {"stream": 0, "socket": 0}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self._path}"

    async def _connect(self) -> Streams:
        return await asyncio.open_connection(*self._target)

    def _ways(self, client: Streams, server: Streams) -> list[Coroutine[Any, Any, None]]:
        flow = self._flows[client[1]] = _Flow(self)
        return [flow.ask(client[0], server[1]), flow.answer(server[0], client[1])]

    async def _close(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        reset = self._flows.pop(client).reset
        try:
            for side in (client, server):
                side.transport.abort() if reset else side.close()
                await asyncio.gather(side.wait_closed(), return_exceptions=True)
        finally:
            server.transport.abort()  # the relay may end before a client has read everything

    def _asked(self, head: bytes) -> int | None:
        """After how many bytes the answer is cut; 0 for never letting any through."""
        streams = b"accept: text/event-stream" in head
        sockets = b"upgrade: websocket" in head
        if streams or sockets:
            self.opened["stream" if streams else "socket"] += 1
        if (streams and self._hold) or (sockets and self._hold_sockets):
            return 0
        if not (sockets if self._sockets else streams):
            return None
        if self._times is not None and self.cuts >= self._times:
            return None
        return self._chance.randint(self._least, self._most)

    def _cut(self, writer: asyncio.StreamWriter) -> bool:
        """Count it; every other one resets the connection."""
        self.cuts += 1
        if self.cuts % 2:
            reset_on_close(writer)
        return bool(self.cuts % 2)


class _Flow:
    def __init__(self, proxy: CuttingProxy) -> None:
        self._proxy = proxy
        self._left: int | None = None
        self.reset = False

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            head = data.partition(b"\r\n\r\n")[0].lower()
            if head.startswith(b"get "):
                self._left = self._proxy._asked(head)
            writer.write(data)
            await writer.drain()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self._left is not None:
                if self._left == 0:
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
