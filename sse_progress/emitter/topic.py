"""One upload's followers in this process, and the last frames that were heard."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

from sse_progress.emitter.follower import Following
from sse_progress.journal.frames import Foreign, Frame, Page
from sse_progress.model.ids import Position
from sse_progress.runtime.redis.keys import journal_channel

__all__ = ["ReadKey", "Topic"]

TAIL_FRAMES = 64
KEPT_PAGE_S = 0.25
"""Seconds. Readers that reconnect together come within milliseconds of each other; a page takes
memory."""


class ReadKey(NamedTuple):
    """Reads of a topic that agree in all of this are one read."""

    generation: int
    owner: str
    after: Position | None
    claim: bool
    limit: int
    missing: bool


class Topic:
    """One upload's followers here, and the last frames that were heard.

    `generation` counts what makes earlier reads unusable: every subscription, and every rewind of
    the journal. `tail` is what was heard in this generation, in one unbroken run. So an empty tail
    says that nothing was published since a read of this generation began; after anything is
    dropped from it for another reason, a new generation has to begin.
    """

    def __init__(self, upload_id: str) -> None:
        self.upload_id = upload_id
        self.channel = journal_channel(upload_id).encode()
        self.followers: set[Following] = set()
        self.live: set[Following] = set()
        self.opening = 0
        self.generation = 0
        self.subscribed = asyncio.Event()
        self.tail: deque[Frame] = deque(maxlen=TAIL_FRAMES)
        self.reads: dict[ReadKey, asyncio.Task[Page | Foreign | Exception | None]] = {}
        self.page: tuple[ReadKey, Page] | None = None
        self._news: asyncio.Future[None] | None = None

    @property
    def idle(self) -> bool:
        return not (self.followers or self.opening)

    def renew(self) -> None:
        """Begin a generation, in which nothing was heard yet."""
        self.generation += 1
        self.tail.clear()
        self.page = None
        self._tell_news()

    # ---- the page that was read last, for other readers of the same

    def keep_page(self, key: ReadKey, page: Page) -> None:
        """Keep a page for a moment, if this upload has other readers."""
        if self.opening > 1 and len(page.frames) <= TAIL_FRAMES:
            if self.page is None:
                asyncio.get_running_loop().call_later(KEPT_PAGE_S, self._forget_page)
            self.page = key, page

    def _forget_page(self) -> None:
        self.page = None

    # ---- what is heard

    def news(self) -> asyncio.Future[None]:
        """Done with the next frame, or when there may be one that was missed."""
        if self._news is None:
            self._news = asyncio.get_running_loop().create_future()
        return self._news

    def _tell_news(self) -> None:
        if self._news is not None:
            self._news.set_result(None)
            self._news = None

    def keep(self, frame: Frame) -> bool:
        """Add a frame to the tail. False: it begins a generation, since the journal was rewound."""
        continues = True
        if self.tail:
            last, position = self.tail[-1].position, frame.position
            if position.epoch == last.epoch and position.seq <= last.seq:
                continues = False
                self.renew()
            elif position.epoch != last.epoch or position.seq != last.seq + 1:
                self.tail.clear()  # what comes before `frame` is a gap, and `after` will say so
        self.tail.append(frame)
        self._tell_news()
        return continues

    def at(self, position: Position) -> Frame | None:
        if not self.tail or position.epoch != self.tail[0].position.epoch:
            return None
        index = position.seq - self.tail[0].position.seq
        return self.tail[index] if 0 <= index < len(self.tail) else None

    def after(self, cursor: Position) -> list[Frame] | None:
        """What the tail holds after `cursor`; None where it does not lead on from there."""
        if not self.tail:
            return []
        first, last = self.tail[0].position, self.tail[-1].position
        if cursor.epoch != last.epoch or cursor.seq < first.seq - 1:
            return None
        # A read may be ahead of what was heard.
        return [frame for frame in self.tail if frame.position.seq > cursor.seq]
