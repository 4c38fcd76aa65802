"""The stream of all uploads: how it begins to follow them, and when it stops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sse_progress.settings import load_settings
from sse_progress.web.context import WebContext, serving
from sse_progress.web.streams.all_uploads import UserStream
from tests.helpers.waiting import eventually
from tests.unit.uploads.test_recent import begin_many
from tests.unit.web.test_streams import PACE, Server


def events(server: Server) -> list[dict[str, Any]]:
    lines = server.body.decode().split("\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


@asynccontextmanager
async def streaming(
    context: WebContext, *, only: frozenset[str] = frozenset()
) -> AsyncIterator[tuple[UserStream, Server]]:
    stream = UserStream(
        context.components,
        context.recent,
        owner="ann",
        only=only,
        on_left=lambda: None,
        pace=PACE,
        parts=context.streams,
    )
    server = Server()
    task = asyncio.ensure_future(
        stream({"type": "http", "method": "GET"}, server.receive, server.send)
    )
    yield stream, server
    server.gone.set()
    await task


@asynccontextmanager
async def web_at(url: str, directory: Path) -> AsyncIterator[WebContext]:
    async with serving(load_settings(redis_url=url, data_dir=directory / "data")) as context:
        yield context


async def test_it_begins_with_the_state_of_each(redis_url: str, tmp_path: Path) -> None:
    """One reset for each open upload, oldest first, however many there are; `only` narrows it."""
    async with web_at(redis_url, tmp_path) as context:
        names = [f"up-{n}" for n in range(50)]
        await begin_many(context.components, *names)
        async with streaming(context) as (_, server):
            await eventually(lambda: len(events(server)) == 51, "all states are sent")
            assert {event["type"] for event in events(server)[1:]} == {"reset"}
            assert sorted(event["uploadId"] for event in events(server)[1:]) == sorted(names)
        async with streaming(context, only=frozenset({"up-7", "up-9"})) as (_, server):
            await eventually(lambda: len(events(server)) == 3, "two states are sent")


async def test_it_waits_its_turn_and_stops_when_the_client_leaves(
    redis_url: str, tmp_path: Path
) -> None:
    """While other streams begin, none of its uploads is followed; if it leaves meanwhile, none ever
    is."""
    async with web_at(redis_url, tmp_path) as context:
        emitter = context.components.emitter
        await begin_many(context.components, *[f"up-{n}" for n in range(30)])
        async with context.recent.opening, streaming(context) as (stream, server):
            await eventually(lambda: context.recent.opening._waiters, "it waits for its turn")
            assert not emitter._topics
            assert len(events(server)) == 1
        assert stream.ended
        assert stream._look is not None
        await asyncio.wait([stream._look], timeout=60)
        assert stream._look.cancelled()
        assert not emitter._topics


async def test_new_uploads_need_no_look(redis_url: str, tmp_path: Path) -> None:
    """An upload that begins is announced and followed, also while the look waits."""
    async with web_at(redis_url, tmp_path) as context:
        core = context.components
        async with context.recent.opening, streaming(context) as (_, server):
            await eventually(lambda: len(events(server)) == 1, "the stream is open")
            await begin_many(core, "new")
            await core.index.announce("new", owner="ann")
            await eventually(lambda: len(events(server)) == 2, "the new one is told")
            assert events(server)[1]["uploadId"] == "new"
