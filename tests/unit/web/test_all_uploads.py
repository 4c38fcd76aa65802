"""The stream of all uploads: how it begins to follow them, and when it stops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sse_progress.model.labels import NO_LABELS, Labels
from sse_progress.settings import load_settings
from sse_progress.web.context import WebContext, serving
from sse_progress.web.streams import user_uploads
from sse_progress.web.streams.all_uploads import UserStream
from tests.helpers.components import draft
from tests.helpers.waiting import eventually
from tests.unit.uploads.test_recent import begin_many, cancel
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

            async def told() -> bool:  # its subscription may not have reached Redis yet
                await core.index.announce("new", owner="ann")
                return len(events(server)) == 2

            await eventually(told, "the new one is told")
            assert events(server)[1]["uploadId"] == "new"


async def test_what_it_has_no_room_for_is_told_and_its_end_too(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten that run three are followed; of the others the state is told, one that began later
    included, and their ends."""
    monkeypatch.setattr(user_uploads, "FOLLOWED", 3)
    monkeypatch.setattr(user_uploads, "LOOK_AGAIN_S", 0.1)
    async with web_at(redis_url, tmp_path) as context:
        core = context.components
        names = [f"up-{n}" for n in range(9)]
        await begin_many(core, *names)
        async with streaming(context) as (stream, server):

            def told(*stages: str) -> set[str]:
                return {
                    event["uploadId"] for event in events(server)[1:] if event["stage"] in stages
                }

            await eventually(lambda: told("receiving") == set(names), "all states are told")
            members = stream._uploads._members
            await eventually(lambda: len(members) == 3, "the others are not followed")
            await begin_many(core, "late")
            await core.index.announce("late", owner="ann")
            await eventually(lambda: "late" in told("receiving"), "the new one is told")
            for name in names:
                await cancel(core, name)
            await eventually(lambda: told("cancelled") == set(names), "all ends are told")
            await eventually(lambda: set(members) == {"late"}, "there is room")
            assert not stream._uploads._left_open


def follows_only(stream: UserStream, name: str) -> bool:
    """Once its state is read: what comes before belongs to the state, and is not told live."""
    members = stream._uploads._members
    return set(members) == {name} and members[name].begun.is_set()


def ends_with(server: Server, event: dict[str, Any]) -> bool:
    return event.items() <= events(server)[-1].items()


async def test_it_follows_those_in_which_something_happens(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that moves on takes the place of one that rests, and is told live from then on."""
    monkeypatch.setattr(user_uploads, "FOLLOWED", 1)
    monkeypatch.setattr(user_uploads, "LOOK_AGAIN_S", 0.1)
    async with web_at(redis_url, tmp_path) as context:
        core = context.components
        await begin_many(core, "one", "two", "three")
        async with streaming(context) as (stream, server):
            await eventually(lambda: len(events(server)) == 4, "all states are told")

            async def goes_on(name: str, stage_progress: int) -> None:
                event = draft("receiving", stage_progress)
                await core.journal.resume(name, owner="ann", lease_s=60, draft=event)

            for name in ("two", "one"):
                await goes_on(name, 30)
                await eventually(partial(follows_only, stream, name), "it is followed")
                await goes_on(name, 60)
                last = {"uploadId": name, "type": "progress", "stageProgress": 60}
                await eventually(partial(ends_with, server, last), "it is told live")


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
                await cancel(core, name)
            await eventually(lambda: len(events(server)) == 4, "the end is sent")
            assert [event.get("uploadId") for event in events(server)[1:]] == [
                "mine-1",
                "mine-2",
                "mine-1",
            ]
            assert events(server)[-1]["context"] == {"course": "c1", "week": "2"}


async def test_places_are_told_of_what_is_shown(redis_url: str, tmp_path: Path) -> None:
    """Of uploads with the labels, once they wait for a worker."""
    mine = Labels(context={"course": "c1"})
    async with web_at(redis_url, tmp_path) as context:
        core = context.components
        await begin_many(core, "other")
        await begin_many(core, "mine", labels=mine)
        async with streaming(context, labels=mine) as (stream, _):
            members = stream._uploads.members
            await eventually(lambda: len(members) == 2, "both are followed")
            await eventually(lambda: all(one.begun.is_set() for one in members), "they are told")
            assert stream.waiting() == []
            for name in ("other", "mine"):
                stored = draft("file_received", 100)
                await core.journal.resume(name, owner="ann", lease_s=60, draft=stored)
            await eventually(stream.waiting, "one waits")
            assert stream.waiting() == ["mine"]


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
