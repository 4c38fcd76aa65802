"""One WebSocket without a network: clients that read nothing, and clients that are gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocketDisconnect

from sse_progress.access.principal import Principal
from sse_progress.web.context import WebContext
from sse_progress.web.streams.websocket import Socket
from tests.helpers.components import draft
from tests.helpers.waiting import eventually
from tests.unit.uploads.test_recent import begin_many
from tests.unit.web.test_all_uploads import web_at


class Client:
    """The other side. `gate` holds back what is sent; `gone`: sending raises, as ASGI has it."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.gone = False
        self.aborted = False
        self.sent: list[dict[str, Any]] = []
        self.scope = {"extensions": {"sse_progress": {"abort": self.abort}}}

    def abort(self) -> None:
        self.aborted = True

    async def send(self, message: dict[str, Any]) -> None:
        if self.gone:
            raise WebSocketDisconnect(1006)
        await self.gate.wait()
        self.sent.append(message)


@asynccontextmanager
async def opened(context: WebContext) -> AsyncIterator[tuple[Socket, Client]]:
    client = Client()
    core = context.components
    socket = Socket(
        client,  # type: ignore[arg-type]
        Principal("ann"),
        emitter=core.emitter,
        recent=context.recent,
        background=core.background,
        lifetime_s=3600,
        slow_s=30,
    )
    yield socket, client
    socket.left()


async def test_a_client_that_reads_nothing_is_cut_off(redis_url: str, tmp_path: Path) -> None:
    """Not before its time; then at once, since a close frame would wait behind the rest."""
    async with web_at(redis_url, tmp_path) as context, opened(context) as (socket, client):
        client.gate.clear()
        sending = socket.send_raw(b"{}")
        assert sending is not None
        task = asyncio.ensure_future(sending)
        now = asyncio.get_running_loop().time()
        assert socket.tick(now + 29) is not None
        assert not client.aborted
        socket.tick(now + 31)
        assert client.aborted
        assert socket.closed.done()
        client.gate.set()
        await task


async def test_a_client_that_is_gone_harms_no_other(redis_url: str, tmp_path: Path) -> None:
    """An event that comes between its leaving and our noticing reaches everybody else."""
    async with (
        web_at(redis_url, tmp_path) as context,
        opened(context) as (first, gone),
        opened(context) as (second, other),
    ):
        await begin_many(context.components, "up")
        for socket in (first, second):
            socket.subscribe("up", cursor=None)
        await eventually(lambda: gone.sent and other.sent, "both follow")
        gone.gone = True
        await context.components.journal.cancel("up", owner="ann", draft=draft("cancelled"))
        await eventually(lambda: len(other.sent) == 3, "the other one hears of the end")
        assert first.closed.done()
        assert not second.closed.done()
