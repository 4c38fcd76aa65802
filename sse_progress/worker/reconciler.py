"""The guarantee behind the queue: every upload that is open is being worked on, or is ended.

One worker at a time sees to it. It looks at open uploads that have no job: Redis finds those, so
what waits for a worker costs nothing. It compares with the storage when Redis may have lost
something, and now and then. It judges nothing by a Redis that has only just come (back), and no
body whose receiver still holds its file.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Mapping
from typing import Literal

import structlog
from redis.exceptions import RedisError

from sse_progress.journal.frames import Page
from sse_progress.journal.journal import Journal
from sse_progress.journal.redis_age import redis_age_s
from sse_progress.journal.upload_index import WEBHOOKS, Index
from sse_progress.model.errors import (
    AlreadyFinished,
    Problem,
    ProducerLost,
    ServerLost,
    UnknownUpload,
)
from sse_progress.model.kinds import DEFAULT_KIND
from sse_progress.model.messages import failure
from sse_progress.queue.queue import Queue
from sse_progress.runtime.concurrency import blocking
from sse_progress.storage.manifest import Manifest
from sse_progress.storage.port import Storage
from sse_progress.uploads.reviews import Answered, Decision, Reviews, WaitsFor, waits_for
from sse_progress.worker.leader import Leader
from sse_progress.worker.resting import RestingBodies

__all__ = ["DAY_S", "Reconciler"]

log = structlog.get_logger(__name__)

COMPARE_EVERY_S = 60.0
COMPARE_PAUSE = 20
"""Between two comparisons with the storage, times what one takes: a twentieth of a core at most."""
PUT_OFF_S = 60.0
"""How long at most what rests is not looked at."""
ASK_AFTER = 100
"""Uploads that are looked at before this worker asks whether it still leads."""
RENEW_EVERY_S = 12 * 3600
RENEW_AFTER_S = 24 * 3600
"""How old an upload is before its keys are renewed here: its events renew them as well."""
RENEW_AT_ONCE = 500
EXPIRE_EVERY_S = 3600
DAY_S = 86400.0


class Reconciler:
    """`lease_s` is how long a receiver or a young Redis is given before it is judged.

    `retention_s`: how long finished uploads are kept, by their kind (None: forever). Those of a
    kind that is not there are kept as long as it promised when they were stored, without a promise
    `default_retention_s`. After `review_s` what waits for a person is decided as
    `on_review_timeout` says, after `hook_wait_s` what waits for the moderation hook as
    `on_hook_timeout` does.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        storage: Storage,
        index: Index,
        queue: Queue,
        leader: Leader,
        lease_s: float,
        retention_s: Mapping[str, float | None],
        default_retention_s: float | None = None,
        resume_s: float = 24 * 3600,
        reviews: Reviews | None = None,
        review_s: float = 7 * DAY_S,
        on_review_timeout: Literal["refuse", "approve"] = "refuse",
        hook_wait_s: float = 3600,
        on_hook_timeout: Literal["refuse", "review"] = "review",
        now: Callable[[], float] = time.time,
    ) -> None:
        self._journal, self._storage, self._index, self._queue = journal, storage, index, queue
        self._leader, self._lease_s, self._now = leader, lease_s, now
        self._retention_s, self._default_retention_s = retention_s, default_retention_s
        self._unknown_kinds: set[str] = set()
        self._reviews, self._review_s = reviews, review_s
        self._on_review_timeout = on_review_timeout
        self._hook_wait_s, self._on_hook_timeout = hook_wait_s, on_hook_timeout
        self._renewed_at = self._expired_at = 0.0
        self._age_s, self._compare_at = math.inf, 0.0
        self._resting = RestingBodies(
            journal=journal, storage=storage, index=index, lease_s=lease_s, resume_s=resume_s
        )

    async def run(self, *, every_s: float) -> None:
        """While this worker leads, a round now and one every `every_s`, until cancelled."""
        try:
            while True:
                try:
                    if await self._leader.leads():
                        await self.round()
                except (RedisError, OSError, Problem) as exc:
                    log.warning("reconcile skipped", error=type(exc).__name__)
                except Exception:
                    log.exception("reconcile failed")
                await asyncio.sleep(every_s)
        finally:
            await self._leader.resign()

    async def round(self) -> None:
        if await self._compared():
            return
        for number, (upload_id, began_ms) in enumerate(
            await self._index.unattended(now_s=self._now()), 1
        ):
            await self._judge(upload_id, began_ms)
            if number % ASK_AFTER == 0 and not await self._leader.leads():
                return
        await blocking(self._storage.sweep)
        await self._queue.drop_parked()
        await self._renew()
        await self._expire()

    async def _compared(self) -> bool:
        """Whether Redis is too young for judgements. What the storage has is listed where Redis
        may have lost it, and now and then."""
        age_s = await redis_age_s(self._journal.redis)
        young, lost = age_s < self._lease_s, age_s < self._age_s
        self._age_s = age_s
        if young or lost or time.monotonic() >= self._compare_at:
            began = time.monotonic()
            await self._list_stored()
            if not young:
                known = {upload_id for upload_id, _ in await self._index.open_uploads()}
                await self._resting.list_again(known, now_s=self._now())
            ended = time.monotonic()
            pause_s = max(COMPARE_EVERY_S, COMPARE_PAUSE * (ended - began))
            self._compare_at = ended if young else ended + pause_s
        return young

    async def _list_stored(self) -> None:
        """What is stored and unfinished stands among the open uploads, whatever Redis has lost."""
        known = {upload_id for upload_id, _ in await self._index.open_uploads()}
        for manifest in await blocking(lambda: list(self._storage.objects.open_uploads())):
            if manifest.upload_id not in known:
                found = await blocking(self._storage.objects.find, manifest.upload_id)
                if found is None or found.done:
                    continue
                await self._index.opened(
                    manifest.upload_id, owner=manifest.owner, now_s=self._now()
                )
                await self._queue.enqueue(
                    manifest.upload_id, owner=manifest.owner, priority=manifest.priority
                )

    async def _renew(self) -> None:
        """Journals of uploads that are open for long do not expire."""
        if self._now() - self._renewed_at < RENEW_EVERY_S:
            return
        before_ms, done = int((self._now() - RENEW_AFTER_S) * 1000), 0
        while names := await self._index.open_before(before_ms, after=done, limit=RENEW_AT_ONCE):
            await self._journal.keep_open(names)
            done += len(names)
        self._renewed_at = self._now()

    async def _judge(self, upload_id: str, began_ms: int) -> None:
        page = await self._journal.head(upload_id)
        if page is not None and page.producer:
            await self._judge_job(upload_id, page)
            return
        # In the order in which bytes move, so that what moves meanwhile is found.
        receiving = await blocking(self._storage.bodies.receiving, upload_id)
        partial = await blocking(self._storage.bodies.partial, upload_id)
        found = await blocking(self._storage.objects.find, upload_id)
        if page is not None and page.terminal:
            if page.term != "complete" and (found is not None or partial is not None):
                await blocking(self._storage.remove, upload_id)
            await self._index.closed(upload_id)
        elif found is not None:
            if page is not None and page.stage == "receiving" and self._held(page):
                return  # its receiver is about to tell that it is stored
            if page is not None and (waiting := waits_for(page)) is not None:
                await self._expire_wait(upload_id, page, waiting)
                return
            manifest = found.manifest
            await self._queue.enqueue(upload_id, owner=manifest.owner, priority=manifest.priority)
        elif receiving:
            return
        elif partial is not None:
            await self._put_off(upload_id, await self._resting.judge(upload_id, page, partial))
        elif page is None or not page.stage:
            if self._now() * 1000 - began_ms > self._lease_s * 1000:
                await self._index.closed(upload_id)
        elif page.stage == "receiving":
            await self._end_lost(upload_id, page)
        else:
            await self._queue.enqueue(upload_id)  # a worker finds out what became of its file

    async def _expire_wait(self, upload_id: str, page: Page, waiting: WaitsFor) -> None:
        """A person, or the moderation hook, has had long enough to look at it."""
        limit_s = self._review_s if waiting == "review" else self._hook_wait_s
        left_s = limit_s - (page.now_ms - page.changed_ms) / 1000
        if self._reviews is None or left_s > 0:
            await self._put_off(upload_id, left_s)
            return
        decision: Decision | Answered = Answered(None, fail=self._on_hook_timeout)
        if waiting == "review":
            decision = Decision(self._on_review_timeout, by=None)
        with contextlib.suppress(AlreadyFinished, UnknownUpload):
            await self._reviews.decide(upload_id, decision)
            log.info("decision timed out", upload_id=upload_id, waited_for=waiting)

    async def _put_off(self, upload_id: str, seconds: float) -> None:
        """It rests for so long, and is looked at again after it, or in a while."""
        if seconds > 0:
            until_s = self._now() + min(seconds, PUT_OFF_S)
            await self._index.put_off(upload_id, until_s=until_s)

    async def _judge_job(self, upload_id: str, page: Page) -> None:
        """Another service's work: it has no file, and is lost where no report renews its lease."""
        if page.terminal:
            await self._index.closed(upload_id)
            return
        answer = await self._journal.sweep(
            upload_id,
            fence=page.fence,
            draft=failure(ProducerLost(), page.stage),
            lease_s=self._lease_s,
        )
        if answer.status in ("ok", "ended"):
            log.warning("job lost with its producer", upload_id=upload_id)
            await self._index.closed(upload_id)
        else:
            await self._put_off(upload_id, (page.lease_until_ms - page.now_ms) / 1000)

    def _held(self, page: Page) -> bool:
        """Its lease runs, and not longer than a clock that was set back would have it.

        The lease of a body that may rest says nothing of a receiver, so it counts from the latest
        event.
        """
        lease_ms = self._lease_s * 1000
        left_ms: float = page.lease_until_ms - page.now_ms
        if page.lease_ms > 10 * lease_ms:
            left_ms = page.changed_ms + lease_ms - page.now_ms
        return 0 < left_ms <= page.lease_ms + 10 * lease_ms

    async def _end_lost(self, upload_id: str, page: Page) -> None:
        """Its bytes are not stored, and no process is receiving them."""
        draft = failure(ServerLost(), page.stage)
        answer = await self._journal.sweep(
            upload_id, fence=page.fence, draft=draft, lease_s=self._lease_s
        )
        if answer.status in ("ok", "ended"):
            log.warning("upload lost with its receiver", upload_id=upload_id)
            await self._index.closed(upload_id)

    async def _expire(self) -> None:
        if self._now() - self._expired_at < EXPIRE_EVERY_S:
            return
        self._expired_at = self._now()
        for upload_id in await blocking(self._expired):
            await self._index.note("deleted", upload_id, consumer=WEBHOOKS)
            await blocking(self._storage.remove, upload_id)
            log.info("upload expired", upload_id=upload_id)

    def _expired(self) -> list[str]:
        """One look at all that are old enough for the shortest time that counts, if any does."""
        objects = self._storage.objects
        limits_s = [*self._retention_s.values(), self._default_retention_s]
        for kind, days in objects.promises():
            if kind not in self._retention_s:
                limits_s.append(days * DAY_S)
        least_s = min((limit for limit in limits_s if limit is not None), default=None)
        return [] if least_s is None else list(objects.expired(least_s, self._kept_s))

    def _kept_s(self, manifest: Manifest) -> float | None:
        kind, days = manifest.kind, manifest.retention_days
        if kind in self._retention_s:
            return self._retention_s[kind]
        if kind not in self._unknown_kinds and kind != DEFAULT_KIND:
            self._unknown_kinds.add(kind)
            log.warning(
                "uploads of a kind that is not declared are kept as it promised when they were "
                "stored, else as the settings say",
                kind=kind,
                settings_s=self._default_retention_s,
            )
        return self._default_retention_s if days is None else days * DAY_S
