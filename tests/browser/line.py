"""A line to the service that a test can slow down and cut: a TCP relay in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType
from urllib.parse import urlsplit

CHUNK = 16 * 1024


class Line:
    """Relays a free port of 127.0.0.1 to the service at `url`; open it as a context manager.

    `url` is the address to give to the browser. `rate` is bytes per second upwards, for all
    connections together (None: as fast as it goes).
    """

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._target = (target.hostname, target.port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._whole = True
        self.rate: int | None = None
        self.url = ""

    def cut(self) -> None:
        """Break every connection, and refuse new ones until `mend`."""
        self._whole = False
        self._loop.call_soon_threadsafe(self._break)

    def mend(self) -> None:
        self._whole = True

    def __enter__(self) -> Line:
        self._thread.start()
        start = asyncio.start_server(self._relay, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(start, self._loop).result(10)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._server = server
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        self._whole = False
        self._break()
        # Not cancelled: they end by themselves, and asyncio logs a cancelled stream handler.
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    def _break(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._writers |= ends
        try:
            await asyncio.gather(
                self._pump(reader, far_writer, slow=True), self._pump(far_reader, writer)
            )
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool = False
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
                if slow and self.rate:
                    await asyncio.sleep(len(data) / self.rate)
            writer.close()
