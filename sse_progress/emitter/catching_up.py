"""From a follower's cursor to live: what is read of its journal, and given, until none is missing.

Owns when to read, and how long to wait for what is not there. What is heard live is the emitter's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import structlog
from redis.exceptions import RedisError

from sse_progress.emitter.follower import Absent, Following
from sse_progress.emitter.topic import Topic
from sse_progress.journal.frames import Foreign, Frame, Page
from sse_progress.model.ids import Position
from sse_progress.runtime.metrics import Metrics

__all__ = ["PAGE_FRAMES", "CatchingUp"]

log = structlog.get_logger(__name__)

PAGE_FRAMES = 500
LOOK_AGAIN_S = 30.0
"""For an upload that has not begun: its first event is heard, and a subscription that was lost is
known to be, so this is only for unforeseen cases."""

Step = Literal["again", "pause", "none yet"]
"""What follows one read, for a follower that is not live after it: another read at once, in a
moment, or with the first event, since nothing was promised and the upload may still begin."""


class Reads(Protocol):
    """`Emitter.read`."""

    async def __call__(
        self,
        topic: Topic,
        *,
        owner: str,
        after: Position | None,
        claim: bool,
        limit: int = PAGE_FRAMES,
    ) -> tuple[Page | Foreign | None, int]: ...


class CatchingUp:
    """`on_rewound` is called with a topic whose journal holds other frames than were heard."""

    def __init__(
        self,
        read: Reads,
        *,
        absent: Callable[[str], Awaitable[Absent]],
        on_rewound: Callable[[Topic], None],
        metrics: Metrics,
    ) -> None:
        self._read, self._absent, self._on_rewound = read, absent, on_rewound
        self._metrics = metrics

    async def begin(
        self, following: Following, opening: tuple[Page, int] | None, ended_in: int | None
    ) -> None:
        generation = following.topic.generation
        if opening is not None and opening[1] == generation:
            await self._offer(following, opening[0], generation)
        elif ended_in == generation and following.cursor is not None:
            following.presented = False
            await self._join(following, generation)
        if not following.live:
            await self.run(following)

    async def run(self, following: Following) -> None:
        """Read and give until it is live, or is not followed any more."""
        pause_s = 0.05
        while following in following.topic.followers and not following.live:
            await following.topic.subscribed.wait()
            news = following.topic.news()
            try:
                step = await self._step(following)
            except (RedisError, OSError):
                step = "pause"
            except Exception:
                log.exception("a follower could not be brought up to date")
                step = "pause"
            if step == "none yet":
                await self._pause(following, LOOK_AGAIN_S, news)
            elif step == "pause":
                await self._pause(following, pause_s, news)
                pause_s = min(pause_s * 2, 1.0)

    async def _pause(
        self, following: Following, at_most_s: float, news: asyncio.Future[None]
    ) -> None:
        jittered_s = at_most_s * random.uniform(0.5, 1)  # noqa: S311  # jitter
        following.waits = asyncio.get_running_loop().create_future()
        await asyncio.wait(
            (news, following.waits),
            timeout=jittered_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        following.waits = None

    async def _step(self, following: Following) -> Step:
        """One read and what it brings."""
        self._metrics.rereads.inc()
        topic, cursor, held = following.topic, following.cursor, following.last
        after = Position(cursor.epoch, cursor.seq - 1) if cursor and held else cursor
        begins = not following.presented and (cursor is None or cursor.seq == 0)
        page, generation = await self._read(
            topic,
            owner=following.owner,
            after=after,
            claim=begins and following.claims,
            limit=0 if following.reset_next else PAGE_FRAMES,
        )
        if generation != topic.generation or following not in topic.followers:
            return "again"
        return await self._offer(following, page, generation)

    async def _offer(
        self, following: Following, page: Page | Foreign | None, generation: int
    ) -> Step:
        """Give a follower what was read for it in a generation."""
        if isinstance(page, Foreign):
            following.follower.close()
            return "again"
        if page is None:
            return await self._missing(following)
        frames = following.continuation(page)
        if frames is None:
            self._elsewhere(following, page)
            return "again"
        following.presented = False
        if following.cursor is None:
            following.cursor = Position(page.end.epoch, 0)
        await following.give(frames)
        if following.cursor == page.end:
            if page.terminal and following.last is None:
                following.follower.at_end()
            await self._join(following, generation)
        return "again"

    async def _missing(self, following: Following) -> Step:
        match await self._absent(following.topic.upload_id):
            case "gone" if following.cursor is None and not following.claims:
                return "none yet"
            case "gone":
                await following.follower.gone()
            case "wait":
                return "pause"
        return "again"

    def _elsewhere(self, following: Following, page: Page) -> None:
        """The follower's cursor is not in this journal, or not with the frame it was given."""
        last = following.last
        if last is not None and last.position.epoch == page.end.epoch:
            self._on_rewound(following.topic)
        following.restart(page.end.epoch)
        if following.reset_next:
            self._metrics.resets.inc()

    async def _join(self, following: Following, generation: int) -> bool:
        """From the tail to live. No wait lies between the last look at the tail and live.

        Giving takes as long as the client does. If a generation began meanwhile, the tail may lack
        what was published before it, so only another read will do.
        """
        topic = following.topic
        while following in topic.followers and following.cursor is not None:
            if generation != topic.generation:
                return False
            rest: list[Frame] | None = []
            if topic.tail:
                heard = topic.at(following.cursor)
                if heard is not None and following.contradicted_by(heard):
                    self._on_rewound(topic)
                    return False
                rest = topic.after(following.cursor)
            if rest is None:
                return False
            if not rest:
                following.live = True
                topic.live.add(following)
                return True
            await following.give(rest)
        return True

    async def resume(
        self, following: Following, generation: int, rest: Awaitable[None], frame: Frame
    ) -> None:
        """Wait until a slow follower has taken `frame`, and go on from there."""
        await rest
        following.given(frame)
        if not await self._join(following, generation):
            await self.run(following)
