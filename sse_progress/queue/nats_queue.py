"""The queue on NATS JetStream: it has the jobs, and gives each to one worker.

Redis says whose turn it is and knows what waits, runs and is parked, as with the queue of its own;
a job begins where both agree. What NATS has lost or never got is published by the worker whose
turn it is, so nothing waits for ever.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sse_progress.queue.jetstream import JetStream, Message
from sse_progress.queue.job_store import PAUSE_S, Answer, JobStore, JobUpdate
from sse_progress.queue.redis_queue import RedisQueue
from sse_progress.runtime.nats_url import NatsUrl
from sse_progress.runtime.redis.keys import digest

__all__ = ["NatsQueue", "NatsStore"]

log = structlog.get_logger(__name__)

LANES = 256
"""Of owners: two in one lane do not take turns."""
SPARE = 8
"""Jobs that are looked at besides those there is room for: others may be taking the first."""
AWAY_S = 5.0
"""How long a server that did not answer is not asked to take a new job."""


@dataclass(slots=True)
class _Hands:
    """What one worker has of NATS: messages by upload id, and what became of others, untold."""

    messages: dict[str, Message] = field(default_factory=dict)
    untold: list[tuple[JobUpdate, Message]] = field(default_factory=list)


class NatsStore(JobStore):
    """JobStore whose jobs are messages in lanes: by priority, and by the owner's digest."""

    def __init__(
        self, redis: Redis, url: NatsUrl, *, name: str, lease_s: float, lanes: int = LANES
    ) -> None:
        super().__init__(redis, name=name, lease_s=lease_s, gives=False)
        self.jetstream = JetStream(url, name=name, lease_s=lease_s)
        self._lanes = lanes
        self._hands: defaultdict[str, _Hands] = defaultdict(_Hands)
        self._away_until = 0.0
        self._reached = True

    async def add(
        self,
        upload_id: str,
        *,
        owner: str = "",
        head_start: int = 0,
        again: bool = False,
        lane: str = "",
    ) -> str:
        lane = lane or self._lane(owner, head_start)
        was = await super().add(
            upload_id, owner=owner, head_start=head_start, again=again, lane=lane
        )
        if (was and not again) or was in ("waiting", "running"):
            return was
        if time.monotonic() < self._away_until:
            return was
        try:
            if was == "delayed":
                await self.jetstream.forget(upload_id)
            await self.jetstream.publish(upload_id, lane)
        except OSError as error:
            self._away_until = time.monotonic() + AWAY_S
            log.warning("NATS has not got a job; a worker will tell it", error=repr(error))
        return was

    async def drop(self, upload_ids: Iterable[str]) -> None:
        names = list(upload_ids)
        await super().drop(names)
        for upload_id in names:
            try:
                await self.jetstream.forget(upload_id)
            except OSError as error:  # the worker that gets it finds that its upload has ended
                log.debug("message not removed", upload_id=upload_id, error=repr(error))
                return

    async def report(
        self,
        worker: str,
        number: int,
        updates: Sequence[JobUpdate],
        *,
        room: int,
        unsure: bool,
        leaving: bool = False,
    ) -> Answer:
        """As JobStore's, with new jobs from NATS."""
        hands = self._hands[worker]
        await self._guard(self._keep(hands, updates))
        answer = await super().report(
            worker, number, updates, room=room, unsure=unsure, leaving=leaving
        )
        for upload_id, _ in answer.lost:
            hands.messages.pop(upload_id, None)
        for update in updates:
            if update.verb != "held" and update.upload_id in hands.messages:
                hands.untold.append((update, hands.messages.pop(update.upload_id)))
        reached = await self._guard(self._tell(hands, leaving=leaving))
        if room == 0:
            return answer
        drawn: list[str] = []
        reached = reached and await self._guard(self._draw(hands, room, drawn))
        if drawn:
            takes = [JobUpdate("take", upload_id, number) for upload_id in drawn]
            given = await super().report(
                worker, number, takes, room=room - len(drawn), unsure=False
            )
            await self._guard(self._dismiss(hands, [name for name, _ in given.lost]))
            answer = Answer(answer.lost, given.taken, given.lapse_s)
        if len(answer.taken) < room and (not reached or await self.next_in_turn(1)):
            return answer._replace(lapse_s=min(answer.lapse_s, PAUSE_S))
        return answer

    # ---- what NATS is told

    async def _keep(self, hands: _Hands, updates: Sequence[JobUpdate]) -> None:
        """The leases of what the worker holds begin again; what it was not told of goes back."""
        verbs = {update.upload_id: update.verb for update in updates}
        for upload_id, message in list(hands.messages.items()):
            if upload_id not in verbs:
                del hands.messages[upload_id]
                await self.jetstream.give_back(message)
            elif verbs[upload_id] == "held":
                await self.jetstream.keep(message)

    async def _tell(self, hands: _Hands, *, leaving: bool) -> None:
        """What became of jobs; it stays to be told until it can be."""
        while hands.untold:
            update, message = hands.untold[0]
            if update.verb in ("done", "park"):
                await self.jetstream.settle(message)
            else:
                await self.jetstream.give_back(message, delay_s=update.delay_ms / 1000)
            del hands.untold[0]
        if leaving:
            await self.jetstream.flush()

    # ---- what NATS gives

    async def _draw(self, hands: _Hands, room: int, drawn: list[str]) -> None:
        """Into `drawn`, jobs whose turn it is, and that NATS gives to this worker."""
        for upload_id, lane in await self.next_in_turn(room + SPARE):
            if len(drawn) == room:
                return
            message = await self._message(upload_id, lane)
            if message is not None and message.upload_id not in hands.messages:
                hands.messages[message.upload_id] = message
                drawn.append(message.upload_id)

    async def _message(self, upload_id: str, lane: str) -> Message | None:
        """The next of its lane, most often itself; None: another worker has it."""
        lane = lane or self._lane("", 0)
        if (message := await self.jetstream.next(lane)) is not None:
            return message
        where = await self.jetstream.lane_of(upload_id)
        if where is None:
            await self.jetstream.publish(upload_id, lane)
        elif where == lane:
            return None
        return await self.jetstream.next(where or lane)

    async def _dismiss(self, hands: _Hands, upload_ids: list[str]) -> None:
        """Jobs that NATS gave and Redis did not. Those that no worker has are over."""
        for upload_id in upload_ids:
            message = hands.messages.pop(upload_id)
            if (await self.place(upload_id))[0] in ("", "parked"):
                await self.jetstream.settle(message)

    async def _guard(self, asking: Awaitable[None]) -> bool:
        """Whether NATS was reached; said once while it is not."""
        try:
            await asking
        except RedisError:
            raise
        except OSError as error:
            if self._reached:
                log.warning("NATS cannot be reached", error=repr(error))
            self._reached = False
            return False
        if not self._reached:
            log.info("NATS is reached again")
        self._reached = True
        return True

    def _lane(self, owner: str, head_start: int) -> str:
        priority = "normal" if head_start == 0 else "high" if head_start > 0 else "low"
        return f"{priority}-{int(digest(owner), 16) % self._lanes}"


class NatsQueue(RedisQueue):
    """`name` is the storage's id, as RedisQueue's. To be closed."""

    def __init__(
        self, redis: Redis, url: NatsUrl, *, name: str, lease_s: float = 5.0, lanes: int = LANES
    ) -> None:
        self.store = NatsStore(redis, url, name=name, lease_s=lease_s, lanes=lanes)
        super().__init__(redis, name=name, lease_s=lease_s, store=self.store)

    async def workers_alive(self) -> int:
        await self.store.jetstream.check()
        return await super().workers_alive()

    async def aclose(self) -> None:
        await self.store.jetstream.aclose()
