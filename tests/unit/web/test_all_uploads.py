"""The stream of all uploads: how it begins to follow them, and when it stops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sse_progress.model.events import Draft
from sse_progress.model.labels import NO_LABELS, Labels
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
    context: WebContext, *, only: frozenset[str] = frozenset(), labels: Labels = NO_LABELS
) -> AsyncIterator[tuple[UserStream, Server]]:
    stream = UserStream(
        context.components,
        context.recent,
        owner="ann",
        only=only,
        labels=labels,
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
        assert stream._uploads._look is not None
        await asyncio.wait([stream._uploads._look], timeout=60)
        assert stream._uploads._look.cancelled()
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


async def test_labels_narrow_it(redis_url: str, tmp_path: Path) -> None:
    """States and events of uploads with all of the labels, also of those that begin later."""
    mine = Labels(kind="lesson", context={"course": "c1", "week": "2"})
    other = Labels(kind="lesson", context={"course": "c2"})
    async with web_at(redis_url, tmp_path) as context:
        core = context.components
        await begin_many(core, "mine-1", labels=mine)
        await begin_many(core, "other-1", labels=other)
        await begin_many(core, "plain")
        wanted = Labels(context={"course": "c1"})
        async with streaming(context, labels=wanted) as (_, server):
            await eventually(lambda: len(events(server)) == 2, "the state is sent")
            for name, labels in (("other-2", other), ("mine-2", mine)):
                await begin_many(core, name, labels=labels)
                await core.index.announce(name, owner="ann")
            await eventually(lambda: len(events(server)) == 3, "the new one's state is sent")
            for name in ("plain", "other-1", "mine-1"):
                draft = Draft(stage="cancelled", stage_progress=0, message="Over")
                await core.journal.cancel(name, owner="ann", draft=draft)
            await eventually(lambda: len(events(server)) == 4, "the end is sent")
            assert [event.get("uploadId") for event in events(server)[1:]] == [
                "mine-1",
                "mine-2",
                "mine-1",
            ]
            assert events(server)[-1]["context"] == {"course": "c1", "week": "2"}


async def test_lists_are_narrowed_by_labels_and_time(redis_url: str, tmp_path: Path) -> None:
    """By kind, context, batch, and when uploads began; `upload` is the kind of the rest."""
    async with web_at(redis_url, tmp_path) as context:
        core = context.components
        await begin_many(core, "a", "b", "c", labels=Labels(kind="lesson", batch_id="b1"))
        await begin_many(core, "d", labels=Labels(context={"course": "c1"}))

        async def listed(**how: Any) -> list[str]:
            given = {"status": None, "limit": 50, "before_us": None, **how}
            states, *_ = await context.uploads.states("ann", **given)
            return sorted(state["uploadId"] for state in states)

        assert await listed(labels=Labels(kind="lesson")) == ["a", "b", "c"]
        assert await listed(labels=Labels(batch_id="b1"), status="receiving") == ["a", "b", "c"]
        assert await listed(labels=Labels(batch_id="b2")) == []
        assert await listed(labels=Labels(kind="upload")) == ["d"]
        assert await listed(labels=Labels(context={"course": "c1"})) == ["d"]
        assert await listed(began_after_us=1_800_000_000_000_000) == ["b", "c"]
