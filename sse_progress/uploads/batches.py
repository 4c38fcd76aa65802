"""Batches: many uploads and jobs as one, and what is done to many of them at once.

The counts are the batch's journal's. What is noted here as it happens is best effort; that every
item's end is noted is the worker's guarantee (`BatchKeeper`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import structlog
from redis.exceptions import RedisError

from sse_progress.journal.batch_log import BatchAnswer, BatchLog
from sse_progress.journal.frames import Foreign, Page
from sse_progress.journal.glances import glances
from sse_progress.model.errors import (
    AlreadyFinished,
    BatchClosed,
    Forbidden,
    Problem,
    TooLarge,
    Unavailable,
    UnknownUpload,
)
from sse_progress.model.events import encode_json, tags_of
from sse_progress.model.labels import Labels
from sse_progress.runtime.redis.keys import batch_name, open_batches_key
from sse_progress.uploads.components import Components
from sse_progress.uploads.queries import Uploads

__all__ = ["BULK_LIMIT", "CONSUMER", "BatchKeeper", "Batches"]

log = structlog.get_logger(__name__)

CONSUMER = "batches"
"""Its list of ended uploads."""
REDIS_WAIT_S = 5.0
BULK_LIMIT = 10_000
LIST_TTL_S = 30 * 24 * 3600
EVERY_S = 0.5
BEGIN_WAIT_S = 60.0
"""From an item's joining to its first event."""
AT_ONCE = 100


class Batches:
    """`most`: items of one batch. Methods for callers raise Unavailable while Redis is away."""

    def __init__(self, components: Components, *, most: int) -> None:
        self._components, self._most = components, most
        self._uploads = Uploads(components)
        self._log = BatchLog(components.redis, journal_ttl_s=components.settings.journal_ttl_s)
        self._key = open_batches_key(components.storage.id)
        self._flushing: set[str] = set()

    # ---- for callers

    async def open(
        self, batch_id: str, *, owner: str, labels: Labels, title: str = "", total: int = 0
    ) -> bool:
        """Begin a batch, or say how many items there are to be; whether it is new.

        Raises Forbidden, AlreadyFinished or TooLarge.
        """
        if total > self._most:
            raise TooLarge(f"The batch has {total} items, limit {self._most}.")
        answer = await self._open(
            batch_id, owner=owner, labels=labels, title=title, total=total, most=self._most
        )
        return answer.status == "new"

    async def join(self, batch_id: str, upload_id: str, *, owner: str) -> None:
        """An upload or job with this label begins. Where there is no such batch it is a label only.

        Raises Forbidden or BatchClosed.
        """
        with _redis_answers():
            answer = await self._log.do("join", batch_id, owner=owner, item=upload_id)
        if answer.status == "full":
            raise BatchClosed(f"The batch has as many items as it may have ({self._most}).")
        _judge(answer)
        self._flush_later(batch_id, answer)

    async def close(self, batch_id: str, *, owner: str) -> None:
        """No more items join. Raises UnknownUpload, Forbidden or AlreadyFinished."""
        with _redis_answers():
            answer = await self._log.do("close", batch_id, owner=owner)
        _judge(answer, missing=True)

    async def cancel(self, batch_id: str, *, owner: str) -> None:
        """Close it and cancel what is open. Raises UnknownUpload, Forbidden or AlreadyFinished."""
        with _redis_answers():
            answer = await self._log.do("close", batch_id, owner=owner, status="cancelled")
            _judge(answer, missing=True)
            running = await self._log.running(batch_id)
        for upload_id in running:
            with contextlib.suppress(AlreadyFinished, UnknownUpload):
                await self._uploads.cancel(upload_id, owner=owner)
                await self._note(batch_id, upload_id, "cancelled")

    async def page(self, batch_id: str, *, owner: str) -> Page:
        """The head of a batch's journal, or what was archived of it. Raises UnknownUpload or
        Forbidden."""
        name, missing = batch_name(batch_id), Problem()
        try:
            with _redis_answers():
                page = await self._components.journal.read(name, owner=owner, about=True)
            if isinstance(page, Foreign):
                raise Forbidden("This batch belongs to another user.")
            if page is not None:
                return page
            missing = UnknownUpload("No batch has this id.")
        except Unavailable as away:
            missing = away
        kept = await self._uploads.past.page(name, owner=owner)
        if kept is None:
            raise missing
        return kept

    async def bulk(self, batch_id: str, *, owner: str, work: str, ids: list[str]) -> None:
        """Do `work` (`cancel` or `delete`) to each of the owner's uploads, as a batch's items.

        An item is complete when it is done, whatever its upload came to.
        """
        await self._open(
            batch_id, owner=owner, labels=Labels(), total=0, most=BULK_LIMIT, work=work
        )
        with _redis_answers():
            await self._log.add(batch_id, ids)
            answer = await self._log.do("close", batch_id, owner=owner)
        if answer.term == "":
            self._components.background.spawn(self.work_off(batch_id))

    async def open_journals(self) -> list[str]:
        """Names of the journals of batches that may be open. Raises `redis.RedisError`."""
        rows: Any = await self._components.redis.zrange(self._key, 0, -1)
        return [batch_name(row.decode()) for row in rows]

    # ---- for the keeper

    async def work_off(self, batch_id: str) -> None:
        """Do what a batch is for to each of its items that is not done."""
        with contextlib.suppress(RedisError, OSError, Unavailable):  # the keeper goes on with it
            owner, work = await self._log.work(batch_id)
            for upload_id in await self._log.running(batch_id):
                try:
                    await self._work(work, upload_id, owner=owner)
                except Unavailable:
                    raise
                except Problem:
                    await self._note(batch_id, upload_id, "error")
                else:
                    await self._note(batch_id, upload_id, "complete")

    async def ended(self, ended: list[str]) -> None:
        """Note the ends of uploads in their batches. Raises `redis.RedisError`."""
        for upload_id, seen in zip(
            ended, await glances(self._components.redis, ended), strict=True
        ):
            if seen is None or not seen.terminal or (batch_id := seen.tags.get("batchId")) is None:
                continue
            await self._note(batch_id, upload_id, seen.status, owner=seen.owner)

    async def repair(self) -> None:
        """Look at every open batch: what was not noted of its items. Raises `redis.RedisError`."""
        rows: Any = await self._components.redis.zrange(self._key, 0, -1)
        for batch_id in [row.decode() for row in rows]:
            page = await self._components.journal.head(batch_name(batch_id))
            if page is None or page.terminal:
                await self._over(batch_id)
                continue
            await self._log.do("flush", batch_id)
            owner, work = await self._log.work(batch_id)
            if work:
                if page.now_ms - page.changed_ms > REDIS_WAIT_S * 1000:  # its process has died
                    await self.work_off(batch_id)
                continue
            running = await self._log.running(batch_id)
            found = await glances(self._components.redis, running)
            for upload_id, seen in zip(running, found, strict=True):
                if seen is None or not seen.begun:
                    over = page.now_ms - page.changed_ms > BEGIN_WAIT_S * 1000
                    status = "error" if over else ""  # it was refused, or is lost
                elif seen.terminal:
                    status = seen.status
                else:
                    status = "" if seen.owner == owner else "error"
                if status:
                    await self._note(batch_id, upload_id, status)

    # ---- within

    async def _open(
        self,
        batch_id: str,
        *,
        owner: str,
        labels: Labels,
        total: int,
        most: int,
        title: str = "",
        work: str = "",
    ) -> BatchAnswer:
        own = Labels(kind=labels.kind, context=labels.context)
        with _redis_answers():
            await self._components.redis.zadd(self._key, {batch_id: time.time()}, nx=True)
            await self._components.redis.expire(self._key, LIST_TTL_S)
            answer = await self._log.do(
                "open",
                batch_id,
                owner=owner,
                total=total,
                most=most,
                work=work,
                tags=tags_of(filename="", labels=own),
                about=encode_json({"title": title}) if title else b"",
            )
        return _judge(answer)

    async def _over(self, batch_id: str) -> None:
        """It has ended: consumers of ends are told, of batches too.

        It stays listed where Redis was rewound since, as an upload does (see `Index.closed`).
        """
        await self._components.index.tell_end(batch_name(batch_id))
        await self._components.redis.zrem(self._key, batch_id)
        page = await self._components.journal.head(batch_name(batch_id))
        if page is not None and not page.terminal:
            await self._components.redis.zadd(self._key, {batch_id: time.time()}, nx=True)

    async def _work(self, work: str, upload_id: str, *, owner: str) -> None:
        if work == "delete":
            await self._uploads.delete_files(upload_id, owner=owner)
            return
        try:
            await self._uploads.cancel(upload_id, owner=owner)
        except AlreadyFinished:
            page = await self._uploads.page(upload_id, owner=owner)
            if page.term != "cancelled":  # else an earlier attempt did it
                raise

    async def _note(self, batch_id: str, upload_id: str, status: str, *, owner: str = "") -> None:
        answer = await self._log.do("note", batch_id, owner=owner, item=upload_id, status=status)
        if answer.term:
            await self._over(batch_id)
        self._flush_later(batch_id, answer)

    def _flush_later(self, batch_id: str, answer: BatchAnswer) -> None:
        """What was merged is told once its interval is over; the keeper does it else."""
        if answer.status == "merged" and batch_id not in self._flushing:
            self._flushing.add(batch_id)
            self._components.background.spawn(self._flush(batch_id, answer.wait_ms))

    async def _flush(self, batch_id: str, wait_ms: int) -> None:
        try:
            await asyncio.sleep(wait_ms / 1000)
            self._flushing.discard(batch_id)
            self._flush_later(batch_id, await self._log.do("flush", batch_id))
        except (RedisError, OSError):
            self._flushing.discard(batch_id)


class BatchKeeper:
    """The guarantee that every item's end is in its batch: reads the list of ended uploads, and
    looks at every open batch once in `repair_s` where it `leads`. Harmless on several workers."""

    def __init__(
        self,
        components: Components,
        batches: Batches,
        *,
        repair_s: float,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._index, self._batches = components.index, batches
        self._repair_s, self._leads = repair_s, leads

    async def run(self) -> None:
        """Until cancelled."""
        repaired_at = 0.0
        while True:
            try:
                await self.round()
                if self._leads() and time.monotonic() - repaired_at > self._repair_s:
                    repaired_at = time.monotonic()
                    await self._batches.repair()
            except (RedisError, OSError, Problem) as exc:
                log.warning("batches not kept", error=type(exc).__name__)
            except Exception:
                log.exception("batches not kept")
            await asyncio.sleep(EVERY_S)

    async def round(self) -> None:
        """Deal with what has ended. Raises `redis.RedisError`."""
        while rows := await self._index.ended(CONSUMER, limit=AT_ONCE):
            names = [upload_id for upload_id, _ in rows]
            await self._batches.ended([name for name in names if ":" not in name])
            await self._index.done(CONSUMER, names)


def _judge(answer: BatchAnswer, *, missing: bool = False) -> BatchAnswer:
    match answer.status:
        case "forbidden":
            raise Forbidden("This batch belongs to another user.")
        case "closed":
            raise BatchClosed
        case "ended":
            raise AlreadyFinished("The batch has already ended.")
        case "unknown" if missing:
            raise UnknownUpload("No batch has this id.")
    return answer


@contextlib.contextmanager
def _redis_answers() -> Iterator[None]:
    try:
        with anyio.fail_after(REDIS_WAIT_S):
            yield
    except (TimeoutError, RedisError, OSError) as exc:
        raise Unavailable(retry_after_s=2) from exc
