"""Writers of uploads, each with a follower that remembers what it was given."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from sse_progress.emitter.waiter import Waiter, watching
from sse_progress.journal.append_batcher import Answer
from sse_progress.journal.frames import Frame
from sse_progress.uploads.components import Components
from tests.helpers.components import begin, components, draft
from tests.helpers.waiting import eventually

__all__ = ["Teller", "Told", "following", "telling"]


class Told(Waiter):
    """Every frame that a follower was given."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.resets = 0

    def push(self, frame: Frame) -> None:
        self.frames.append(frame)
        super().push(frame)

    async def write(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self.push(frame)

    async def reset(self, frame: Frame) -> None:
        self.resets += 1
        self.push(frame)

    @property
    def numbers(self) -> list[int]:
        return [frame.position.seq for frame in self.frames]


class Teller:
    """An upload's writer, with a follower of its own."""

    def __init__(self, core: Components, upload_id: str, answer: Answer) -> None:
        self.core, self.upload_id, self.answer = core, upload_id, answer
        self.told = Told()
        self._numbers: Iterator[int] = itertools.count(2)
        self._shown = itertools.count(1)

    def say(self, stage: str = "receiving") -> asyncio.Future[Answer]:
        return self.core.journal.operation(
            "next",
            self.upload_id,
            owner="ann",
            fence=self.answer.fence,
            numbers=self._numbers,
            draft=draft(stage, next(self._shown) % 99),
        )


@asynccontextmanager
async def telling(core: Components, *upload_ids: str) -> AsyncIterator[list[Teller]]:
    tellers = [Teller(core, name, await begin(core, name)) for name in upload_ids]
    with ExitStack() as stack:
        for one in tellers:
            stack.enter_context(watching(core.emitter, one.upload_id, one.told))
        for one in tellers:
            await eventually(lambda one=one: one.told.frames, f"{one.upload_id} is followed")  # type: ignore[misc]
        yield tellers


@asynccontextmanager
async def following(url: str, directory: Path, upload_id: str) -> AsyncIterator[Told]:
    """A follower beside nothing else, so that nothing but its own connections tell of a loss."""
    told = Told()
    async with components(url, directory) as core:
        with watching(core.emitter, upload_id, told):
            yield told
