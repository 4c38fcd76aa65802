"""A TCP proxy in front of a Redis' unix socket that resets its connections, or moves elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from tests.helpers.relay import Relay, Streams, reset_on_close


class RedisProxy(Relay):
    """`url` leads to the server whose socket is `target`; both stay while the block lasts.

    `target` may be changed: connections that are open stay where they are, new ones go to the new
    server. `reset_all()` ends every connection with a TCP reset (RST) towards the client.
    """

    def __init__(self, target: Path) -> None:
        super().__init__()
        self.target = target
        self.resets = 0
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def reset_all(self) -> int:
        """Reset every connection that is open now; how many there were."""
        return asyncio.run_coroutine_threadsafe(self._reset_all(), self._loop).result(60)

    def connections(self) -> int:
        return len(self._open)

    async def _reset_all(self) -> int:
        found = [writer for writer in self._open if not writer.transport.is_closing()]
        for writer in found:
            reset_on_close(writer)
            writer.transport.abort()
        self.resets += len(found)
        return len(found)

    async def _connect(self) -> Streams:
        return await asyncio.open_unix_connection(str(self.target))

    def _ways(self, client: Streams, server: Streams) -> list[Coroutine[Any, Any, None]]:
        self._open.add(client[1])
        return super()._ways(client, server)

    async def _close(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._open.discard(client)
        await super()._close(client, server)
