"""Brings journals to their followers, live: one per process, one pub/sub connection for all.

A topic is an upload with followers here. To follow is: subscribed and acknowledged, then read
after the cursor, then live. What a follower lacks it gets from the journal, so pub/sub may lose
anything.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol, TypeAlias

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from sse_progress.events import Position
from sse_progress.journal import Foreign, Frame, Journal, Page, channel_of
from sse_progress.metrics import Metrics
from sse_progress.subscription import Subscription

__all__ = ["Absent", "Emitter", "Follower", "Topic"]

log = structlog.get_logger(__name__)

PAGE_FRAMES = 500
TAIL_FRAMES = 64
LINGER_S = 5.0
PROBE_S = 5.0

Absent = Literal["wait", "gone", "revived"]
"""What to make of a position in a journal that is not there: see `Emitter`."""


class Follower(Protocol):
    """Somebody who wants every frame of one journal after `cursor`, once and in order.

    `presented` says that the cursor came from outside, so it may be foreign to the journal;
    `anew` that the next frame has to be announced as a reset. `live` and the cursor are the
    emitter's to change; the follower says what it made of the frames it was given.
    """

    owner: str
    cursor: Position | None
    presented: bool
    anew: bool
    live: bool

    def push(self, frame: Frame) -> Awaitable[None] | None:
        """Take one live frame now; an awaitable says that it is taken once that is done."""

    async def write(self, frames: Sequence[Frame]) -> None:
        """Take frames in one piece, waiting as long as it takes."""

    async def reset(self, frame: Frame) -> None:
        """Take the latest frame as the whole state: what came before does not lead here."""

    async def gone(self) -> None:
        """Nobody remembers this upload."""

    def close(self) -> None:
        """The journal is not yours (any more)."""


ReadKey: TypeAlias = tuple[int, str, Position | None, bool, int]
"""Generation, owner, after, claim, limit: reads that agree in all of them are one read."""


class Topic:
    """One upload's followers here, and the last frames that came by."""

    def __init__(self, upload_id: str) -> None:
        self.upload_id = upload_id
        self.channel = channel_of(upload_id).encode()
        self.followers: set[Follower] = set()
        self.live: set[Follower] = set()
        self.opening = 0
        self.generation = 0
        self.subscribed = asyncio.Event()
        self.tail: deque[Frame] = deque(maxlen=TAIL_FRAMES)
        self.reads: dict[ReadKey, asyncio.Task[Page | Foreign | Exception | None]] = {}

    @property
    def idle(self) -> bool:
        return not (self.followers or self.opening)

    def keep(self, frame: Frame) -> None:
        """The tail is always one unbroken run of one epoch."""
        if self.tail:
            last = self.tail[-1].position
            if frame.position != Position(last.epoch, last.seq + 1):
                self.tail.clear()
        self.tail.append(frame)

    def at(self, position: Position | None) -> Frame | None:
        if position is None or not self.tail:
            return None
        first = self.tail[0].position
        index = position.seq - first.seq
        if position.epoch != first.epoch or not 0 <= index < len(self.tail):
            return None
        return self.tail[index]

    def after(self, cursor: Position) -> list[Frame] | None:
        """What the tail holds after `cursor`; None where it does not lead on from there."""
        if not self.tail:
            return []
        first, last = self.tail[0].position, self.tail[-1].position
        if cursor.epoch != last.epoch or not first.seq - 1 <= cursor.seq <= last.seq:
            # Frames that the cursor is already past are of no interest; anything else is a gap.
            past = cursor.epoch == last.epoch and cursor.seq > last.seq
            return [] if past else None
        return [frame for frame in self.tail if frame.position.seq > cursor.seq]


async def _nothing(_upload_id: str) -> None:
    return None


class Emitter:
    """Topics with followers, fed by one subscription.

    `connection` makes a fresh raw connection. `absent` is asked about a journal that a follower
    has a position in and that Redis does not have: `wait` a little, it is `gone`, or it was
    `revived` just now. `held` is asked before an id is claimed: what there is of it elsewhere, if
    anything.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        connection: Callable[[], AbstractConnection],
        absent: Callable[[str], Awaitable[Absent]],
        held: Callable[[str], Awaitable[Absent | None]] = _nothing,
        metrics: Metrics,
        probe_s: float = PROBE_S,
        linger_s: float = LINGER_S,
    ) -> None:
        self._journal, self._absent, self._held = journal, absent, held
        self._metrics, self._linger_s = metrics, linger_s
        self._topics: dict[bytes, Topic] = {}
        self._notices: dict[bytes, set[Callable[[bytes], None]]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._subscription = Subscription(
            connection=connection,
            publish=journal.redis.publish,
            on_message=self._heard,
            on_subscribed=self._subscribed,
            on_lost=self._lost,
            probe_s=probe_s,
        )

    @property
    def connected(self) -> bool:
        """The subscription is there, and was heard of."""
        return self._subscription.connected

    # ---- following

    def open(self, upload_id: str) -> Topic:
        """The topic to read and follow; `release` it when done with opening."""
        channel = channel_of(upload_id).encode()
        topic = self._topics.get(channel)
        if topic is None:
            topic = self._topics[channel] = Topic(upload_id)
            if self._subscription.asked(channel):
                # Dropped just now and not unsubscribed yet: it never stopped listening.
                topic.generation = self._subscription.generation
                topic.subscribed.set()
            self._subscription.want(channel)
        topic.opening += 1
        return topic

    def release(self, topic: Topic) -> None:
        topic.opening -= 1
        self._maybe_idle(topic)

    async def read(
        self,
        topic: Topic,
        *,
        owner: str,
        after: Position | None,
        claim: bool,
        limit: int = PAGE_FRAMES,
    ) -> tuple[Page | Foreign | None, int]:
        """A page read while subscribed, and the generation of the subscription it was read in.

        Followers that ask for the same at once share one read. Raises `redis.RedisError`.
        """
        await topic.subscribed.wait()
        if self._topics.get(topic.channel) is not topic:
            raise RedisConnectionError("nobody follows this topic any more")
        generation = topic.generation
        key = (generation, owner, after, claim, limit)
        task = topic.reads.get(key)
        if task is None:
            assert self._tasks is not None, "the emitter is not running"
            task = self._tasks.create_task(self._read_page(topic, key))
            topic.reads[key] = task
        page = await asyncio.shield(task)
        if isinstance(page, Exception):
            raise page
        return page, generation

    async def _read_page(self, topic: Topic, key: ReadKey) -> Page | Foreign | Exception | None:
        try:
            return await self._page(topic.upload_id, key)
        except Exception as exc:  # handed on to whoever asked; it is not to end the others
            return exc
        finally:
            del topic.reads[key]

    async def _page(self, upload_id: str, key: ReadKey) -> Page | Foreign | None:
        _, owner, after, claim, limit = key
        page = await self._journal.read(upload_id, owner=owner, after=after, limit=limit)
        if page is not None or not claim:
            return page
        # A journal may be forgotten, or lost, before its upload is: such an id has an owner.
        held = await self._held(upload_id)
        if held == "wait":
            return None
        return await self._journal.read(
            upload_id, owner=owner, after=after, claim=held is None, limit=limit
        )

    def follow(
        self, topic: Topic, follower: Follower, opening: tuple[Page, int] | None = None
    ) -> None:
        """Bring `follower` everything after its cursor, from now on, until `leave`.

        `opening` is a page that was read for just this cursor, with its generation.
        """
        topic.followers.add(follower)
        follower.live = False
        self.spawn(self._begin(topic, follower, opening))

    def leave(self, topic: Topic, follower: Follower) -> None:
        topic.followers.discard(follower)
        topic.live.discard(follower)
        follower.live = False
        self._maybe_idle(topic)

    def topics(self) -> tuple[Topic, ...]:
        return tuple(self._topics.values())

    # ---- notices: plain messages on other channels, for whoever keeps an index

    def listen(self, channel: str, callback: Callable[[bytes], None]) -> None:
        """Call back with each message of `channel`, and with b"" after every (re)subscription."""
        name = channel.encode()
        self._notices.setdefault(name, set()).add(callback)
        self._subscription.want(name)
        if self._subscription.asked(name):
            callback(b"")

    def unlisten(self, channel: str, callback: Callable[[bytes], None]) -> None:
        name = channel.encode()
        callbacks = self._notices.get(name, set())
        callbacks.discard(callback)
        if not callbacks:
            self._notices.pop(name, None)
            self._subscription.drop(name)

    # ---- catching up

    async def _begin(
        self, topic: Topic, follower: Follower, opening: tuple[Page, int] | None
    ) -> None:
        if opening is not None and opening[1] == topic.generation:
            await self.offer(topic, follower, opening[0], opening[1])
        if not follower.live:
            await self._catch_up(topic, follower)

    async def _catch_up(self, topic: Topic, follower: Follower) -> None:
        pause_s = 0.05
        while follower in topic.followers and not follower.live:
            try:
                caught_up = await self._step(topic, follower)
            except (RedisError, OSError):
                caught_up = None
            except Exception:
                log.exception("a follower could not be brought up to date")
                caught_up = None
            if caught_up is None:
                await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  # jitter
                pause_s = min(pause_s * 2, 1.0)

    async def _step(self, topic: Topic, follower: Follower) -> bool | None:
        """One read and what it brings; None asks for a pause before the next."""
        self._metrics.rereads.inc()
        cursor = follower.cursor
        held = topic.at(cursor)
        after = Position(cursor.epoch, cursor.seq - 1) if cursor and held else cursor
        claim = not follower.presented and (cursor is None or cursor.seq == 0)
        page, generation = await self.read(
            topic,
            owner=follower.owner,
            after=after,
            claim=claim,
            limit=0 if follower.anew else PAGE_FRAMES,
        )
        if generation != topic.generation or follower not in topic.followers:
            return False
        return await self.offer(topic, follower, page, generation, held=held)

    async def offer(
        self,
        topic: Topic,
        follower: Follower,
        page: Page | Foreign | None,
        generation: int,
        *,
        held: Frame | None = None,
    ) -> bool | None:
        """Give a follower what was read for it in a generation. True: it is live now."""
        if isinstance(page, Foreign):
            follower.close()
            return False
        if page is None:
            return await self._missing(topic, follower)
        frames = _continuation(page, follower.cursor, held)
        if follower.anew and page.last is not None:
            frames = [page.last]
        if frames is None:
            if held is not None:
                topic.tail.clear()
            return await self._elsewhere(topic, follower, page, generation)
        follower.presented = False
        if follower.cursor is None:
            follower.cursor = Position(page.end.epoch, 0)
        await _give(follower, frames)
        if follower.cursor != page.end:
            return False
        return await self._join(topic, follower, generation)

    async def _missing(self, topic: Topic, follower: Follower) -> bool | None:
        match await self._absent(topic.upload_id):
            case "gone":
                await follower.gone()
            case "wait":
                return None
        return False

    async def _elsewhere(
        self, topic: Topic, follower: Follower, page: Page, generation: int
    ) -> bool:
        """The follower's cursor is in another telling of this upload than the journal."""
        cursor = follower.cursor
        if cursor is not None and cursor.seq == 0 and not follower.presented:
            follower.cursor = Position(page.end.epoch, 0)
            return False
        self._metrics.resets.inc()
        follower.presented = False
        follower.anew = True
        follower.cursor = Position(page.end.epoch, 0)
        if page.last is not None:
            await _give(follower, [page.last])
        return await self._join(topic, follower, generation)

    async def _join(self, topic: Topic, follower: Follower, generation: int) -> bool:
        """From the tail to live. No wait lies between the last look at the tail and live.

        Giving takes as long as the client does. If the subscription was made anew meanwhile, the
        tail may lack what nobody heard, so only another read will do.
        """
        while follower in topic.followers and follower.cursor is not None:
            if generation != topic.generation:
                return False
            rest = topic.after(follower.cursor)
            if rest is None:
                return False
            if not rest:
                follower.live = True
                topic.live.add(follower)
                return True
            await _give(follower, rest)
        return True

    # ---- live

    def _publish(self, topic: Topic, frame: Frame) -> None:
        topic.keep(frame)
        position = frame.position
        epoch, before = position.epoch, position.seq - 1
        for follower in tuple(topic.live):
            cursor = follower.cursor
            assert cursor is not None
            if cursor.epoch == epoch and cursor.seq > before:
                continue
            if cursor.epoch != epoch or cursor.seq != before or follower.anew:
                self._behind(topic, follower, None)
                continue
            rest = follower.push(frame)
            if rest is None:
                follower.cursor = position
            else:
                self._behind(topic, follower, (rest, position))

    def _behind(
        self, topic: Topic, follower: Follower, rest: tuple[Awaitable[None], Position] | None
    ) -> None:
        follower.live = False
        topic.live.discard(follower)
        self.spawn(self._resume(topic, follower, topic.generation, rest))

    async def _resume(
        self,
        topic: Topic,
        follower: Follower,
        generation: int,
        rest: tuple[Awaitable[None], Position] | None,
    ) -> None:
        if rest is not None:
            await rest[0]
            follower.cursor = rest[1]
        if not await self._join(topic, follower, generation):
            await self._catch_up(topic, follower)

    # ---- the subscription

    async def run(self) -> None:
        """Feed the topics until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            await self._subscription.run()

    def _heard(self, channel: bytes, data: bytes) -> None:
        topic = self._topics.get(channel)
        if topic is not None:
            self._publish(topic, Frame.published(data))
        else:
            self._notify(channel, data)

    def _subscribed(self, channel: bytes) -> None:
        self._notify(channel, b"")
        topic = self._topics.get(channel)
        if topic is None:
            return
        again = topic.generation != 0
        topic.generation = self._subscription.generation
        topic.subscribed.set()
        if again:
            # Whatever was published while nobody listened is in the journal alone.
            for follower in tuple(topic.live):
                follower.live = False
                topic.live.discard(follower)
                self.spawn(self._catch_up(topic, follower))

    def _lost(self) -> None:
        for topic in self._topics.values():
            topic.subscribed.clear()

    def _notify(self, channel: bytes, data: bytes) -> None:
        for callback in tuple(self._notices.get(channel, ())):
            callback(data)

    # ---- housekeeping

    def spawn(self, work: Awaitable[None]) -> None:
        """Finish `work` beside everything else; what it raises is logged."""
        assert self._tasks is not None, "the emitter is not running"
        self._tasks.create_task(_guarded(work))

    def _maybe_idle(self, topic: Topic) -> None:
        if topic.idle:
            asyncio.get_running_loop().call_later(self._linger_s, self._drop_idle, topic)

    def _drop_idle(self, topic: Topic) -> None:
        # Unsubscribing before the acknowledgement would make the next one ambiguous.
        if not topic.idle or self._topics.get(topic.channel) is not topic:
            return
        if self._subscription.asked(topic.channel) and not topic.subscribed.is_set():
            self._maybe_idle(topic)
            return
        del self._topics[topic.channel]
        topic.subscribed.set()  # who waited during an outage, and left, goes on to the end
        self._subscription.drop(topic.channel)


def _continuation(page: Page, cursor: Position | None, held: Frame | None) -> list[Frame] | None:
    """What follows `cursor` in the journal; None where the journal does not lead on from there.

    A failover can rewind a log under the same epoch, so where it is known what the follower was
    given (`held`), the page begins with that frame and has to agree.
    """
    if page.unknown or (cursor is not None and cursor.epoch != page.end.epoch):
        return None
    if held is None:
        return list(page.frames)
    if not page.frames or page.frames[0].raw != held.raw:
        return None
    return list(page.frames[1:])


async def _give(follower: Follower, frames: Sequence[Frame]) -> None:
    if not frames:
        return
    if follower.anew:
        follower.anew = False
        await follower.reset(frames[-1])
    else:
        await follower.write(frames)
    follower.cursor = frames[-1].position


async def _guarded(work: Awaitable[None]) -> None:
    """One follower's failure is its own; the others go on."""
    try:
        await work
    except Exception:
        log.exception("a follower failed")
