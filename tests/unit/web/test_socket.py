"""One WebSocket without a network: clients that read nothing, and clients that are gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocketDisconnect

from sse_progress.access.principal import Principal
from sse_progress.model.labels import Labels
from sse_progress.uploads.places import Place
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
        places=context.streams.places,
        lifetime_s=3600,
        slow_s=30,
        heartbeat_s=15,
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


async def test_it_tells_places_of_what_waits_for_a_worker(redis_url: str, tmp_path: Path) -> None:
    """After a heartbeat's time, and as often as that; of all uploads only those with the labels."""
    mine = Labels(context={"course": "c1"})
    asked: list[list[str]] = []

    class Places:
        async def of(self, upload_ids: list[str]) -> list[Place]:
            asked.append(sorted(upload_ids))
            return [Place(one, 3, 40) for one in asked[-1]]

    async with web_at(redis_url, tmp_path) as context, opened(context) as (socket, client):
        core = context.components
        await begin_many(core, "other", "one")
        await begin_many(core, "mine", labels=mine)
        socket._places = Places()  # type: ignore[assignment]
        socket.subscribe("one", cursor=None)
        socket.subscribe_all(mine)
        now = asyncio.get_running_loop().time()
        for name in ("other", "one", "mine"):
            stored = draft("file_received", 100)
            await core.journal.resume(name, owner="ann", lease_s=60, draft=stored)
        await eventually(lambda: sum(one.waits for one in socket._followed()) == 2, "two wait")
        for seconds in (5, 16, 17):
            socket.tick(now + seconds)
        await eventually(lambda: asked, "places are asked for")
        assert asked == [["mine", "one"]]

        def told() -> list[dict[str, Any]]:
            said = [json.loads(message["text"]) for message in client.sent]
            return [one for one in said if one["type"] == "heartbeat"]

        await eventually(told, "they are told")
        place = {"uploadId": "mine", "queuePosition": 3, "startsInSeconds": 40}
        (beat,) = told()
        assert beat == {"type": "heartbeat", "waiting": [place, {**place, "uploadId": "one"}]}


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
