"""The writer of one upload's journal: merges its events before they are appended.

Progress within a stage is merged to at most one event per interval; a stage's first and last event
and the terminal one never are. While Redis is away one event is under way and one waits, no more.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from sse_progress.journal.append_batcher import Answer, Queued
from sse_progress.journal.journal import Journal
from sse_progress.model.events import Draft
from sse_progress.model.ids import Position
from sse_progress.model.stage_table import DEFAULT_TABLE, StageTable

__all__ = ["JournalWriter", "WriterLost", "interval_s"]


class WriterLost(Exception):
    """Another writer took over, or the journal has ended: this writer must stop.

    `term` is the terminal stage it ended with, or empty.
    """

    def __init__(self, term: str = "") -> None:
        self.term = term
        super().__init__(f"journal ended with {term}" if term else "another writer took over")


def interval_s(events: int) -> float:
    """Seconds between two events of a stage that has shown `events`: 0.1, doubling up to 5."""
    return min(0.1 * float(2 ** min(events // 100, 6)), 5.0)


def _ignored(*_: object) -> None:
    return None


class JournalWriter:
    """Appends for one writer, known to the journal by its fence.

    `position` is the last place that Redis acknowledged. The callbacks run on the loop: `on_lost`
    once, when the journal refuses this writer; `on_new_epoch` when Redis turned out to have lost
    something, so that what only Redis knew can be put back; `on_position` with each position that
    Redis acknowledged. `said` is the event that `answer` is about, if there was one.
    """

    def __init__(
        self,
        journal: Journal,
        upload_id: str,
        *,
        owner: str,
        answer: Answer,
        written: int,
        lease_s: float = 0,
        said: Draft | None = None,
        tags: bytes = b"",
        table: StageTable = DEFAULT_TABLE,
        on_lost: Callable[[WriterLost], None] = _ignored,
        on_new_epoch: Callable[[], None] = _ignored,
        on_position: Callable[[Position], None] = _ignored,
    ) -> None:
        self.upload_id, self.owner, self.fence = upload_id, owner, answer.fence
        self.position = Position(answer.epoch, answer.seq)
        self.tags = tags
        """What every event has from the next one on."""
        self.table = table
        """The stages that events are of."""
        self.lost: WriterLost | None = None
        self._on_lost, self._on_new_epoch, self._on_position = on_lost, on_new_epoch, on_position
        self._journal, self._lease_s = journal, lease_s
        self._numbers = itertools.count(written + 1)
        self._loop = asyncio.get_running_loop()
        self._said = said
        self._pending: Draft | None = None
        self._under_way = False
        self._timer: asyncio.TimerHandle | None = None
        self._shown = 0
        self._next_at = self._loop.time() + interval_s(0)

    # ---- events

    def first(self, draft: Draft) -> None:
        """A stage begins: appended at once, after everything before it."""
        self._drop_pending()
        self._shown, self._next_at = 0, self._loop.time() + interval_s(0)
        self._append(draft, first=True)

    def progress(self, draft: Draft) -> None:
        """Merged: of what comes faster than the interval only the latest is appended."""
        self._pending = draft
        self._pump()

    async def last(
        self,
        draft: Draft,
        *,
        then: Draft | None = None,
        result: bytes | None = None,
        about: bytes = b"",
        queued: Queued | None = None,
    ) -> None:
        """A stage ends; returns once Redis has event, result and description. Raises WriterLost.

        In the same step, `then`, an event of the next stage, is appended, and `queued`, the
        upload's job, is put into the queue.
        """
        self._drop_pending()
        await self._settled(
            self._append(
                draft,
                then=then,
                result=(draft.stage, result) if result is not None else None,
                about=about,
                queued=queued,
            )
        )

    async def end(self, draft: Draft) -> None:
        """The commit: the one terminal event. Raises WriterLost if the journal ended otherwise."""
        self._drop_pending()
        await self._settled(self._append(draft))

    async def renew(self) -> None:
        """Say that this writer lives, where it has nothing to tell. Raises WriterLost.

        If the journal is not there any more, what was said last is said again.
        """
        answer = await self._settled(self._submit("renew"))
        if answer.status == "unknown" and self._said is not None:
            await self._settled(self._append(self._said))

    async def note(self, name: str, result: bytes) -> None:
        """Keep a result without an event. Raises WriterLost."""
        await self._settled(self._submit("note", result=(name, result)))

    def close(self) -> None:
        self._drop_pending()

    # ---- within

    def _append(
        self, draft: Draft, *, then: Draft | None = None, **how: Any
    ) -> asyncio.Future[Answer]:
        self._said = then or draft
        future = self._submit("next", draft=draft, then=then, numbers=self._numbers, **how)
        future.add_done_callback(self._answered)
        return future

    def _submit(self, op: str, **how: Any) -> asyncio.Future[Answer]:
        return self._journal.operation(
            op,
            self.upload_id,
            owner=self.owner,
            fence=self.fence,
            lease_s=self._lease_s,
            tags=self.tags,
            table=self.table,
            **how,
        )

    async def _settled(self, future: asyncio.Future[Answer]) -> Answer:
        # A numbered operation is delivered even if its waiter gives up, hence the shield.
        answer = await asyncio.shield(future)
        self._judge(answer)
        if self.lost:
            raise self.lost
        return answer

    def _answered(self, future: asyncio.Future[Answer]) -> None:
        if not future.cancelled() and future.exception() is None:
            self._judge(future.result())

    def _judge(self, answer: Answer) -> None:
        if answer.status in ("stale", "ended"):
            if self.lost is None:
                self.lost = WriterLost(answer.term)
                self._drop_pending()
                self._on_lost(self.lost)
            return
        if answer.status == "unknown":
            return
        renewed = answer.epoch != self.position.epoch
        position = Position(answer.epoch, answer.seq)
        if renewed or position.seq > self.position.seq:
            self.position = position
            self._on_position(position)
        if renewed:
            self._on_new_epoch()

    def _pump(self) -> None:
        if self._pending is None or self._under_way or self._timer or self.lost:
            return
        delay = self._next_at - self._loop.time()
        if delay > 0:
            self._timer = self._loop.call_later(delay, self._due)
        else:
            self._due()

    def _due(self) -> None:
        self._timer = None
        draft, self._pending = self._pending, None
        if draft is None or self.lost:
            return
        self._shown += 1
        self._next_at = self._loop.time() + interval_s(self._shown)
        self._under_way = True
        self._append(draft).add_done_callback(self._progressed)

    def _progressed(self, _: asyncio.Future[Answer]) -> None:
        self._under_way = False
        self._pump()

    def _drop_pending(self) -> None:
        self._pending = None
        if self._timer:
            self._timer.cancel()
            self._timer = None
