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
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from sse_progress.emitter.pubsub import Subscription
from sse_progress.journal.journal import Foreign, Frame, Journal, Page, channel_of
from sse_progress.model.events import Position
from sse_progress.runtime.concurrency import BackgroundTasks
from sse_progress.runtime.metrics import Metrics

__all__ = ["Absent", "Emitter", "Follower", "Following", "Topic"]

log = structlog.get_logger(__name__)

PAGE_FRAMES = 500
TAIL_FRAMES = 64
LINGER_S = 5.0
PROBE_S = 5.0

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

    def close(self) -> None:
        """The journal belongs to another owner."""


@dataclass(eq=False, slots=True)
class Following:
    """Where one follower stands in one journal. Only the emitter changes it.

    `cursor` is the position it was given last, and `last` the frame there, so that a journal that
    was rewound is noticed by what it holds. `presented`: the cursor came from outside, so it may
    belong to another journal. `reset_next`: the next frame is announced as a reset. `live`: it is
    given each frame as it is published.
    """

    topic: Topic
    follower: Follower
    owner: str
    cursor: Position | None
    presented: bool
    reset_next: bool
    last: Frame | None = None
    live: bool = False

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


ReadKey: TypeAlias = tuple[int, str, Position | None, bool, int]
"""Generation, owner, after, claim, limit: reads that agree in all of them are one read."""


class Topic:
    """One upload's followers here, and the last frames that were heard.

    `generation` counts what makes earlier reads unusable: every subscription, and every rewind of
    the journal. `tail` is what was heard in this generation, in one unbroken run. So an empty tail
    says that nothing was published since a read of this generation began; after anything is
    dropped from it for another reason, a new generation has to begin.
    """

    def __init__(self, upload_id: str) -> None:
        self.upload_id = upload_id
        self.channel = channel_of(upload_id).encode()
        self.followers: set[Following] = set()
        self.live: set[Following] = set()
        self.opening = 0
        self.generation = 0
        self.subscribed = asyncio.Event()
        self.tail: deque[Frame] = deque(maxlen=TAIL_FRAMES)
        self.reads: dict[ReadKey, asyncio.Task[Page | Foreign | Exception | None]] = {}

    @property
    def idle(self) -> bool:
        return not (self.followers or self.opening)

    def renew(self) -> None:
        """Begin a generation, in which nothing was heard yet."""
        self.generation += 1
        self.tail.clear()

    def keep(self, frame: Frame) -> bool:
        """Add a frame to the tail. False: it begins a generation, since the journal was rewound."""
        continues = True
        if self.tail:
            last = self.tail[-1].position
            if frame.position.epoch == last.epoch and frame.position.seq <= last.seq:
                continues = False
                self.renew()
            elif frame.position != Position(last.epoch, last.seq + 1):
                self.tail.clear()  # what comes before `frame` is a gap, and `after` will say so
        self.tail.append(frame)
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
        background: BackgroundTasks,
        metrics: Metrics,
        probe_s: float = PROBE_S,
        linger_s: float = LINGER_S,
    ) -> None:
        self._journal, self._absent, self._held = journal, absent, held
        self._background, self._metrics, self._linger_s = background, metrics, linger_s
        self._topics: dict[bytes, Topic] = {}
        self._notices: dict[bytes, set[Callable[[bytes], None]]] = {}
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
                topic.renew()
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
            task = self._background.start(self._read_page(topic, key))
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
        self,
        topic: Topic,
        follower: Follower,
        *,
        owner: str,
        cursor: Position | None = None,
        from_latest: bool = False,
        opening: tuple[Page, int] | None = None,
    ) -> Following:
        """Bring `follower` everything after `cursor`, from now on, until `leave`.

        `from_latest`: it begins with the latest frame, as a reset, and claims no id. `opening` is
        a page that was read for just this cursor, with its generation.
        """
        following = Following(
            topic,
            follower,
            owner,
            cursor,
            presented=cursor is not None or from_latest,
            reset_next=from_latest,
        )
        topic.followers.add(following)
        self._background.spawn(self._begin(following, opening))
        return following

    def leave(self, following: Following) -> None:
        topic = following.topic
        topic.followers.discard(following)
        topic.live.discard(following)
        following.live = False
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

    async def _begin(self, following: Following, opening: tuple[Page, int] | None) -> None:
        if opening is not None and opening[1] == following.topic.generation:
            await self._offer(following, opening[0], opening[1])
        if not following.live:
            await self._catch_up(following)

    async def _catch_up(self, following: Following) -> None:
        pause_s = 0.05
        while following in following.topic.followers and not following.live:
            try:
                caught_up = await self._step(following)
            except (RedisError, OSError):
                caught_up = None
            except Exception:
                log.exception("a follower could not be brought up to date")
                caught_up = None
            if caught_up is None:
                await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  # jitter
                pause_s = min(pause_s * 2, 1.0)

    async def _step(self, following: Following) -> bool | None:
        """One read and what it brings; None asks for a pause before the next."""
        self._metrics.rereads.inc()
        topic, cursor, held = following.topic, following.cursor, following.last
        after = Position(cursor.epoch, cursor.seq - 1) if cursor and held else cursor
        claim = not following.presented and (cursor is None or cursor.seq == 0)
        page, generation = await self.read(
            topic,
            owner=following.owner,
            after=after,
            claim=claim,
            limit=0 if following.reset_next else PAGE_FRAMES,
        )
        if generation != topic.generation or following not in topic.followers:
            return False
        return await self._offer(following, page, generation)

    async def _offer(
        self, following: Following, page: Page | Foreign | None, generation: int
    ) -> bool | None:
        """Give a follower what was read for it in a generation. True: it is live now."""
        if isinstance(page, Foreign):
            following.follower.close()
            return False
        if page is None:
            return await self._missing(following)
        frames = _continuation(page, following)
        if frames is None:
            self._elsewhere(following, page)
            return False
        following.presented = False
        if following.cursor is None:
            following.cursor = Position(page.end.epoch, 0)
        await following.give(frames)
        if following.cursor != page.end:
            return False
        return await self._join(following, generation)

    async def _missing(self, following: Following) -> bool | None:
        match await self._absent(following.topic.upload_id):
            case "gone":
                await following.follower.gone()
            case "wait":
                return None
        return False

    def _elsewhere(self, following: Following, page: Page) -> None:
        """The follower's cursor is not in this journal, or not with the frame it was given."""
        last = following.last
        if last is not None and last.position.epoch == page.end.epoch:
            self._rewound(following.topic)
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
            heard = topic.at(following.cursor)
            if heard is not None and following.contradicted_by(heard):
                self._rewound(topic)
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

    # ---- live

    def _publish(self, topic: Topic, frame: Frame) -> None:
        if not topic.keep(frame):
            self._reread(topic)
            return
        position = frame.position
        epoch, before = position.epoch, position.seq - 1
        for following in tuple(topic.live):
            cursor = following.cursor
            assert cursor is not None
            if cursor.epoch == epoch and cursor.seq > before:
                if following.contradicted_by(frame):
                    self._behind(following, self._catch_up(following))
                continue
            if cursor.epoch != epoch or cursor.seq != before or following.reset_next:
                self._behind(following, self._catch_up(following))
                continue
            rest = following.follower.push(frame)
            if rest is None:
                following.given(frame)
            else:
                self._behind(following, self._resume(following, topic.generation, rest, frame))

    def _behind(self, following: Following, work: Awaitable[None]) -> None:
        following.live = False
        following.topic.live.discard(following)
        self._background.spawn(work)

    async def _resume(
        self, following: Following, generation: int, rest: Awaitable[None], frame: Frame
    ) -> None:
        """Wait until a slow follower has taken `frame`, and go on from there."""
        await rest
        following.given(frame)
        if not await self._join(following, generation):
            await self._catch_up(following)

    def _rewound(self, topic: Topic) -> None:
        """The journal holds other frames than were heard: forget those, and read again."""
        topic.renew()
        self._reread(topic)

    def _reread(self, topic: Topic) -> None:
        """Only another read can tell the live followers what they lack."""
        for following in tuple(topic.live):
            self._behind(following, self._catch_up(following))

    # ---- the subscription

    async def run(self) -> None:
        """Feed the topics until cancelled."""
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
        topic.renew()
        topic.subscribed.set()
        self._reread(topic)

    def _lost(self) -> None:
        for topic in self._topics.values():
            topic.subscribed.clear()

    def _notify(self, channel: bytes, data: bytes) -> None:
        for callback in tuple(self._notices.get(channel, ())):
            callback(data)

    # ---- housekeeping

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


def _continuation(page: Page, following: Following) -> list[Frame] | None:
    """What to give next; None where the journal does not lead on from the follower's cursor.

    A failover can rewind a log under the same epoch, so where it is known what the follower was
    given, the page begins with that frame and has to agree.
    """
    cursor, held = following.cursor, following.last
    if page.unknown or (cursor is not None and cursor.epoch != page.end.epoch):
        return None
    if following.reset_next and page.last is not None:
        return [page.last]
    if held is None:
        return list(page.frames)
    if not page.frames or page.frames[0].raw != held.raw:
        return None
    return list(page.frames[1:])
