"""A TCP relay in front of a real service that cuts uploads in their middle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from tests.helpers.relay import Relay, Streams, pump


class CuttingUploads(Relay):
    """Relays every connection: `with CuttingUploads(url, cuts=[…]) as proxy:`, then `proxy.url`.

    The connections with a body are cut, one after the other, when so many bytes of them went to the
    service as `cuts` says; then none is. `passed` is called with all the bytes that have gone
    there, after each piece of 64 KiB.
    """

    def __init__(
        self, url: str, *, cuts: list[int], passed: Callable[[int], None] = lambda _: None
    ) -> None:
        super().__init__()
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._cuts, self._passed = list(cuts), passed
        self._bytes = 0
        self.made = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _connect(self) -> Streams:
        return await asyncio.open_connection(*self._target)

    def _ways(self, client: Streams, server: Streams) -> list[Coroutine[Any, Any, None]]:
        return [self._there(client[0], server[1]), pump(server[0], client[1])]

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
