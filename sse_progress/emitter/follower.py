"""What follows a journal, and where it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from sse_progress.journal.frames import Frame, Page
from sse_progress.model.ids import Position

if TYPE_CHECKING:
    from sse_progress.emitter.topic import Topic

__all__ = ["Absent", "Follower", "Following"]

Absent = Literal["wait", "gone", "revived"]
"""What to make of a position in a journal that is not there: see `Emitter`."""


class Follower(Protocol):
    """Takes every frame of one journal after a cursor, once and in order.

    It says what it makes of the frames it is given; where it stands is kept in a `Following`.
    """

    def push(self, frame: Frame) -> Awaitable[None] | None:
        """Take one live frame now; an awaitable says that it is taken once that is done."""

    async def write(self, frames: Sequence[Frame]) -> None:
        """Take frames in one piece, waiting as long as it takes."""

    async def reset(self, frame: Frame) -> None:
        """Take the latest frame as the whole state: what came before does not lead here."""

    async def gone(self) -> None:
        """The upload is unknown."""

    def at_end(self) -> None:
        """The cursor that it came with is that of the last frame: there is nothing to give."""

    def close(self) -> None:
        """The journal belongs to another owner."""


@dataclass(eq=False, slots=True)
class Following:
    """Where one follower stands in one journal. Only the emitter changes it.

    `cursor` is the position it was given last, and `last` the frame there, so that a journal that
    was rewound is noticed by what it holds. `presented`: the cursor came from outside, so it may
    belong to another journal. `reset_next`: the next frame is announced as a reset. `live`: it is
    given each frame as it is published. `claims`: an unused id becomes the owner's; without it, the
    follower waits until another client begins the upload. `waits` is done when it is not followed
    any more, while there is nothing to be given.
    """

    topic: Topic
    follower: Follower
    owner: str
    cursor: Position | None
    presented: bool
    reset_next: bool
    claims: bool = True
    last: Frame | None = None
    live: bool = False
    waits: asyncio.Future[None] | None = None

    async def give(self, frames: Sequence[Frame]) -> None:
        if not frames:
            return
        if self.reset_next:
            self.reset_next = False
            await self.follower.reset(frames[-1])
        else:
            await self.follower.write(frames)
        self.given(frames[-1])

    def given(self, frame: Frame) -> None:
        self.cursor, self.last = frame.position, frame

    def restart(self, epoch: str) -> None:
        """The journal does not lead on from the cursor; begin with its latest frame, as a reset."""
        # To one that was given nothing, this is the beginning.
        self.reset_next |= self.presented or (self.cursor is not None and self.cursor.seq > 0)
        self.presented, self.last = False, None
        self.cursor = Position(epoch, 0)

    def contradicted_by(self, frame: Frame) -> bool:
        """A frame that this follower is past cannot be of the journal that it was given."""
        if frame.position == self.cursor:
            return self.last is not None and self.last.raw != frame.raw
        return frame.terminal

    def continuation(self, page: Page) -> list[Frame] | None:
        """What to give next; None where the journal does not lead on from the cursor.

        A failover can rewind a log under the same epoch, so where it is known what the follower was
        given, the page begins with that frame and has to agree.
        """
        if page.unknown or (self.cursor is not None and self.cursor.epoch != page.end.epoch):
            return None
        if self.reset_next and page.last is not None:
            return [page.last]
        if self.last is None:
            return list(page.frames)
        if not page.frames or page.frames[0].raw != self.last.raw:
            return None
        return list(page.frames[1:])
