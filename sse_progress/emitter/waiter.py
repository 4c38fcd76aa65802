"""A follower inside the process: waits for an upload's next event, or for its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sse_progress.emitter.emitter import Emitter
from sse_progress.journal.frames import Frame
from sse_progress.model.ids import Position

__all__ = ["Waiter", "watching"]


def _ignored(_: Frame) -> None:
    return None


class Waiter:
    """Keeps the latest frame of one journal. `on_end` is called once, with the terminal frame."""

    def __init__(self, *, on_end: Callable[[Frame], None] = _ignored) -> None:
        self.latest: Frame | None = None
        self.lost = False
        self._on_end = on_end
        self._changed = asyncio.Event()
        self._ended: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()

    @property
    def ended(self) -> bool:
        return self._ended.done()

    async def end(self) -> Frame | None:
        """Wait for the terminal frame; None if the upload is unknown."""
        return await asyncio.shield(self._ended)

    async def changed(self) -> None:
        """Wait until something came after the cursor, or nothing more can."""
        await self._changed.wait()

    def push(self, frame: Frame) -> None:
        self.latest = frame
        self._changed.set()
        if frame.terminal and not self._ended.done():
            self._ended.set_result(frame)
            self._on_end(frame)

    async def write(self, frames: Sequence[Frame]) -> None:
        self.push(frames[-1])

    async def reset(self, frame: Frame) -> None:
        self.push(frame)

    async def gone(self) -> None:
        self.close()

    def at_end(self) -> None:
        self.close()

    def close(self) -> None:
        self.lost = True
        self._changed.set()
        if not self._ended.done():
            self._ended.set_result(None)


@contextmanager
def watching(
    emitter: Emitter,
    upload_id: str,
    waiter: Waiter,
    *,
    owner: str = "",
    cursor: Position | None = None,
) -> Iterator[Waiter]:
    """Follow `upload_id` with `waiter`, after `cursor`, for the length of the block."""
    topic = emitter.open(upload_id)
    following = emitter.follow(topic, waiter, owner=owner, cursor=cursor)
    try:
        yield waiter
    finally:
        emitter.leave(following)
        emitter.release(topic)
