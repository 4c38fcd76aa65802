"""Looks at the storage for states: they hold up no answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sse_progress.model.errors import Unavailable
from sse_progress.uploads.looks import Looks
from sse_progress.uploads.queries import Uploads
from tests.helpers.components import components, draft, stored

Look = Callable[[str], str]


async def test_one_that_failed_is_the_last() -> None:
    """Whatever is away is asked once for an answer."""
    asked = []

    def away(name: str) -> str:
        asked.append(name)
        raise Unavailable

    looks = Looks()
    assert await looks.at(lambda name: name * 2, "a") == "aa"
    for name in "bcd":
        with pytest.raises(Unavailable):
            await looks.at(away, name)
    assert asked == ["b"]


async def test_one_that_hangs_is_left_behind() -> None:
    """Its thread ends when it may; no other look is taken for this answer."""
    hanging, asked = threading.Event(), []

    def hang(name: str) -> bool:
        asked.append(name)
        return hanging.wait()

    looks = Looks(patience_s=0.05)
    try:
        for name in "ab":
            with pytest.raises(Unavailable):
                await looks.at(hang, name)
        assert asked == ["a"]
    finally:
        hanging.set()


async def test_a_list_asks_a_storage_that_is_away_once(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many finished uploads it has; each is told all the same."""
    async with components(redis_url, tmp_path) as core:
        asked = []

        def away(name: str) -> None:
            asked.append(name)
            raise Unavailable

        for name in ("one", "two", "three"):
            answer = await stored(core, name)
            await core.journal.operation(
                "next",
                name,
                owner="ann",
                fence=answer.fence,
                numbers=iter([4]),
                draft=draft("complete"),
            )
            await core.index.opened(name, owner="ann", now_s=time.time())
        monkeypatch.setattr(core.storage.objects, "find", away)
        listed = await Uploads(core).states("ann", status=None, limit=50, before_us=None)
        assert {state["uploadId"] for state in listed.states} == {"one", "two", "three"}
        assert {state["status"] for state in listed.states} == {"complete"}
        assert len(asked) == 1
