"""Brings journals to their followers, live: one per process, one pub/sub connection for all (on a
Cluster: one to each master).

To follow an upload is: subscribe and wait for the acknowledgment, then read after the cursor, then
go live. A follower gets from the journal what pub/sub lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from sse_progress.emitter.catching_up import PAGE_FRAMES, CatchingUp
from sse_progress.emitter.follower import Absent, Follower, Following
from sse_progress.emitter.shared_reads import SharedReads
from sse_progress.emitter.topic import ReadKey, Topic
from sse_progress.emitter.topics import Topics
from sse_progress.journal.frames import Foreign, Frame, Page
from sse_progress.journal.journal import Journal
from sse_progress.journal.retelling import NoPast, Past, WholeJournal
from sse_progress.model.ids import Position
from sse_progress.runtime.concurrency import BackgroundTasks
from sse_progress.runtime.metrics import Metrics
from sse_progress.runtime.redis.cluster import ClusterClient

__all__ = ["Emitter"]

LINGER_S = 5.0
PROBE_S = 5.0


async def _nothing(_upload_id: str) -> None:
    return None


class Emitter:
    """Topics with followers, fed by one subscription.

    `connection` makes a fresh raw connection (a Cluster's client makes its own). `absent` is asked
    about a journal that a follower has a position in and that Redis does not have: `wait` a little,
    it is `gone`, or it was `revived` just now. `held` is asked before an id is claimed: what there
    is of it elsewhere, if anything. `past` has the events that were taken out of journals.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        connection: Callable[[], AbstractConnection],
        absent: Callable[[str], Awaitable[Absent]],
        held: Callable[[str], Awaitable[Absent | None]] = _nothing,
        past: Past | None = None,
        background: BackgroundTasks,
        metrics: Metrics,
        probe_s: float = PROBE_S,
        linger_s: float = LINGER_S,
    ) -> None:
        self._reads = SharedReads(WholeJournal(journal, past or NoPast()), held, background)
        self._background, self._metrics = background, metrics
        self._catching_up = CatchingUp(
            self.read, absent=absent, on_rewound=self._rewound, metrics=metrics
        )
        self._topics = Topics(
            connection=connection,
            publish=journal.redis.publish,
            on_frame=self._publish,
            on_renewed=self._reread,
            on_missed=self._rewound,
            probe_s=probe_s,
            linger_s=linger_s,
            cluster=journal.redis if isinstance(journal.redis, ClusterClient) else None,
        )

    @property
    def connected(self) -> bool:
        """The subscription is established and was heard from lately."""
        return self._topics.connected

    async def run(self) -> None:
        """Feed the topics until cancelled."""
        await self._topics.run()

    # ---- following

    def open(self, upload_id: str) -> Topic:
        """The topic to read and follow; `release` it when done with opening."""
        return self._topics.open(upload_id)

    def release(self, topic: Topic) -> None:
        self._topics.release(topic)

    def kept_page(
        self, topic: Topic, *, owner: str, after: Position | None
    ) -> tuple[Page, int] | None:
        """What `read` has just returned to another reader of the same, with its generation; None if
        it is not kept. Whatever it lacks was heard since."""
        if topic.page is None or not topic.subscribed.is_set() or topic not in self._topics:
            return None
        key = ReadKey(topic.generation, owner, after, claim=False, limit=PAGE_FRAMES, missing=False)
        return (topic.page[1], key.generation) if topic.page[0] == key else None

    async def read(
        self,
        topic: Topic,
        *,
        owner: str,
        after: Position | None,
        claim: bool,
        limit: int = PAGE_FRAMES,
        missing: bool = False,
    ) -> tuple[Page | Foreign | None, int]:
        """A page read while subscribed, and the generation that it was read in.

        `missing`: a read has just found nothing, so this one is only to claim the id. Followers
        that ask for the same at once share one read. Raises `redis.RedisError`.
        """
        await topic.subscribed.wait()
        if topic not in self._topics:
            raise RedisConnectionError("the topic was dropped")
        key = ReadKey(topic.generation, owner, after, claim, limit, missing)
        return await self._reads.read(topic, key), key.generation

    def follow(
        self,
        topic: Topic,
        follower: Follower,
        *,
        owner: str,
        cursor: Position | None = None,
        from_latest: bool = False,
        claims: bool = True,
        opening: tuple[Page, int] | None = None,
        ended_in: int | None = None,
    ) -> Following:
        """Bring `follower` everything after `cursor`, from now on, until `leave`.

        `from_latest`: it begins with the latest frame, as a reset, and claims no id. `opening` is
        a page that was read for just this cursor, with its generation: `follower` may be given
        it before this returns. `ended_in`: a generation
        of the topic, subscribed, in which the journal was seen to end at `cursor`: nothing is read
        then. `claims`: see `Following`.
        """
        following = Following(
            topic,
            follower,
            owner,
            cursor,
            presented=cursor is not None or from_latest,
            reset_next=from_latest,
            claims=claims,
        )
        topic.followers.add(following)
        work = self._catching_up.begin(following, opening, ended_in)
        if opening is None:
            self._background.spawn(work)
        else:  # the page is given at once, so that it leaves in one write with the stream's head
            self._background.begin(work)
        return following

    def leave(self, following: Following) -> None:
        topic = following.topic
        topic.followers.discard(following)
        topic.live.discard(following)
        following.live = False
        if following.waits is not None and not following.waits.done():
            following.waits.set_result(None)
        self._topics.drop_if_idle(topic)

    # ---- notices: plain messages on other channels

    def listen(self, channel: str, callback: Callable[[bytes], None]) -> None:
        """Call back with each message of `channel`, and with b"" after every (re)subscription."""
        self._topics.listen(channel, callback)

    def unlisten(self, channel: str, callback: Callable[[bytes], None]) -> None:
        self._topics.unlisten(channel, callback)

    # ---- live

    def _publish(self, topic: Topic, frame: Frame) -> None:
        if not topic.keep(frame):
            self._reread(topic)
            return
        position = frame.position
        epoch, before = position.epoch, position.seq - 1
        if topic.live:
            self._metrics.delivered(len(topic.live), frame.at)
        for following in tuple(topic.live):
            cursor = following.cursor
            assert cursor is not None
            if cursor.epoch == epoch and cursor.seq > before:
                if following.contradicted_by(frame):
                    self._behind(following, self._catching_up.run(following))
                continue
            if cursor.epoch != epoch or cursor.seq != before or following.reset_next:
                self._behind(following, self._catching_up.run(following))
                continue
            rest = following.follower.push(frame)
            if rest is None:
                following.given(frame)
            else:
                self._behind(
                    following,
                    self._catching_up.resume(following, topic.generation, rest, frame),
                )

    def _behind(self, following: Following, work: Awaitable[None]) -> None:
        following.live = False
        following.topic.live.discard(following)
        self._background.spawn(work)

    def _rewound(self, topic: Topic) -> None:
        """The journal holds other frames than were heard, or more: forget those, and read again."""
        topic.renew()
        self._reread(topic)

    def _reread(self, topic: Topic) -> None:
        """Only another read can tell the live followers what they lack."""
        for following in tuple(topic.live):
            self._behind(following, self._catching_up.run(following))
