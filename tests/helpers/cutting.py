"""A unix socket in front of Redis that cuts connections in the middle of what they answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import create_task_group

from tests.helpers.redis_server import RedisServer


class Cutting:
    """`cuts`: after how many more bytes of answers each connection that answers is cut, in turn;
    then none is."""

    def __init__(self, server: RedisServer, path: Path) -> None:
        self.url = f"unix://{path}"
        self.cuts: list[int] = []
        self.made = 0
        self._server, self._path = server, path

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left: int | None = None
        inner, outer = await asyncio.open_unix_connection(str(self._server.socket_path))

        async def there() -> None:
            while data := await reader.read(65536):
                outer.write(data)
            outer.close()

        async def back() -> None:
            nonlocal left
            while data := await inner.read(65536):
                if left is None and self.cuts:
                    left = self.cuts.pop(0)
                    self.made += 1
                if left is not None:
                    data, left = data[:left], left - len(data)
                writer.write(data)
                if left is not None and left <= 0:
                    break
            writer.close()
            group.cancel_scope.cancel()

        try:
            async with create_task_group() as group:
                group.start_soon(there)
                group.start_soon(back)
        finally:
            writer.close()
            outer.close()


@asynccontextmanager
async def cutting(server: RedisServer) -> AsyncIterator[Cutting]:
    path = server.socket_path.with_name("cut.sock")
    front = Cutting(server, path)
    async with await asyncio.start_unix_server(front.serve, path):
        yield front
