"""Work that another service does and reports: announced, reported, ended.

A job is an upload without a file: streams, state, list and cancellation are the same. The journal
decides who may report and what is merged. What was merged is kept here, the latest of each job, and
told once its interval is over; a process that dies loses that one report.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import anyio
from redis.exceptions import RedisError

from sse_progress.journal.append_batcher import Answer
from sse_progress.journal.frames import Page
from sse_progress.model.errors import (
    AlreadyFinished,
    Cancelled,
    Forbidden,
    RateLimited,
    Replaced,
    Unavailable,
    UnknownUpload,
    UploadIdInUse,
)
from sse_progress.model.events import Draft, decode_json, encode_json, tags_of
from sse_progress.model.ids import Position
from sse_progress.model.kinds import DEFAULT_KIND, Kinds
from sse_progress.model.labels import Labels
from sse_progress.model.messages import begin_text, end_text
from sse_progress.model.reports import Report, draft_of, stage_of
from sse_progress.model.stage_table import DEFAULT_TABLE, Stage, StageTable
from sse_progress.uploads.components import Components

__all__ = ["Jobs", "Opened", "Told"]

REDIS_WAIT_S = 5.0
RETRY_AFTER_S = 2
REPORTS_PER_S = 50


class Opened(NamedTuple):
    """`new`: it was not there before. `writer` names who reports from now on."""

    new: bool
    writer: str


class Told(NamedTuple):
    """Where the journal stands. `merged`: the report was left out, for now or since it said
    nothing new."""

    position: Position
    merged: bool


@dataclass(frozen=True, slots=True)
class _Late:
    """A report that came too early after the last event, whose seq is `after`."""

    fence: int
    draft: Draft
    table: StageTable
    after: int


class Jobs:
    """Every method raises Unavailable while Redis does not answer."""

    def __init__(self, components: Components, kinds: Kinds) -> None:
        self._components, self._kinds = components, kinds
        self._late: dict[str, _Late] = {}
        self._telling: set[str] = set()

    async def open(
        self,
        upload_id: str,
        *,
        owner: str,
        producer: str,
        labels: Labels,
        title: str,
        lease_s: float,
    ) -> Opened:
        """Announce a job, or take it over as its producer: earlier writers are refused from now on.

        Raises Forbidden, UploadIdInUse, Cancelled or AlreadyFinished.
        """
        index, journal = self._components.index, self._components.journal
        with _redis_answers():
            await index.opened(upload_id, owner=owner, now_s=time.time())
            answer = await journal.job(
                upload_id,
                owner=owner,
                producer=producer,
                lease_s=lease_s,
                tags=tags_of(filename="", labels=labels),
                about=encode_json({"title": title}) if title else b"",
            )
        match answer.status:
            case "forbidden":
                raise Forbidden("This id belongs to another user.")
            case "in_use":
                raise UploadIdInUse
            case "ended":
                raise _ended(answer)
        if answer.status == "new":
            self._components.background.spawn(self._announce(upload_id, owner=owner))
        return Opened(answer.status == "new", f"{answer.epoch}.{answer.fence}")

    async def report(
        self,
        upload_id: str,
        report: Report,
        *,
        producer: str,
        writer: str | None = None,
        nonce: str = "",
    ) -> Told:
        """Append a report of `writer` (None: whoever reports now).

        `nonce`: repeated at once, the report counts only once. Raises UnknownUpload, Forbidden,
        Replaced, Cancelled, AlreadyFinished, RateLimited, InvalidStage, BadRequest or TooLarge.
        """
        page = await self._page(upload_id, producer=producer, writer=writer)
        table = self._table(page)
        row = stage_of(report, table)
        draft = draft_of(report, row)
        self._late.pop(upload_id, None)
        for step in _between(page, row, table, draft):
            await self._tell(
                upload_id, page.fence, step, table=table, first=not step.stage_progress
            )
        answer = await self._tell(
            upload_id,
            page.fence,
            draft,
            table=table,
            first=draft.stage_progress == 0 and page.stage != row.name,
            producer=producer,
            rate=REPORTS_PER_S,
            nonce=nonce,
        )
        if answer.status == "merged":
            self._tell_later(upload_id, _Late(page.fence, draft, table, answer.seq), answer)
        if answer.term:
            await self._closed(upload_id)
        merged = answer.status in ("merged", "skip")
        return Told(Position(answer.epoch, answer.seq), merged)

    # ---- within

    async def _page(self, upload_id: str, *, producer: str, writer: str | None) -> Page:
        with _redis_answers():
            page = await self._components.journal.head(upload_id)
        if page is None or page.claimed_only:
            raise UnknownUpload
        if not page.producer or page.producer != producer:
            raise Forbidden("This work is not reported by you.")
        if writer is not None and not page.term and writer != f"{page.end.epoch}.{page.fence}":
            raise Replaced("Another producer took this work over.")
        return page

    def _table(self, page: Page) -> StageTable:
        kind = decode_json(b"{%b}" % page.tags).get("kind", DEFAULT_KIND)
        known = self._kinds.get(kind)
        return known.table if known else DEFAULT_TABLE

    async def _tell(
        self,
        upload_id: str,
        fence: int,
        draft: Draft,
        *,
        table: StageTable,
        first: bool = False,
        producer: str = "",
        rate: int = 0,
        nonce: str = "",
    ) -> Answer:
        with _redis_answers():
            answer = await self._components.journal.tell(
                upload_id,
                fence=fence,
                nonce=nonce,
                draft=draft,
                first=first,
                producer=producer,
                rate=rate,
                table=table,
            )
        match answer.status:
            case "unknown":
                raise UnknownUpload
            case "forbidden":
                raise Forbidden("This work is not reported by you.")
            case "stale" if not answer.term:
                raise Replaced("Another producer took this work over.")
            case "stale" | "ended":
                raise _ended(answer)
            case "fast":
                raise RateLimited(
                    f"At most {REPORTS_PER_S} reports in a second are taken.", retry_after_s=1
                )
        return answer

    # ---- what was merged

    def _tell_later(self, upload_id: str, late: _Late, answer: Answer) -> None:
        self._late[upload_id] = late
        if upload_id not in self._telling:
            self._telling.add(upload_id)
            self._components.background.spawn(self._tell_late(upload_id, answer.wait_ms))

    async def _tell_late(self, upload_id: str, wait_ms: int) -> None:
        try:
            while upload_id in self._late:
                await asyncio.sleep(wait_ms / 1000)
                late = self._late.pop(upload_id, None)
                if late is None:
                    return
                with anyio.fail_after(REDIS_WAIT_S):
                    answer = await self._components.journal.tell(
                        upload_id,
                        fence=late.fence,
                        nonce="",
                        draft=late.draft,
                        after=late.after,
                        table=late.table,
                    )
                if answer.status == "merged":
                    self._late.setdefault(upload_id, late)
                    wait_ms = answer.wait_ms
        except (TimeoutError, RedisError, OSError):
            self._late.pop(upload_id, None)  # the next report says more
        finally:
            self._telling.discard(upload_id)

    # ---- lists

    async def _announce(self, upload_id: str, *, owner: str) -> None:
        with contextlib.suppress(RedisError, OSError):  # who misses it sees it in the index
            await self._components.index.announce(upload_id, owner=owner)

    async def _closed(self, upload_id: str) -> None:
        with contextlib.suppress(TimeoutError, RedisError, OSError), anyio.fail_after(REDIS_WAIT_S):
            await self._components.index.closed(upload_id)  # else the reconciler does it


@contextlib.contextmanager
def _redis_answers() -> Iterator[None]:
    try:
        with anyio.fail_after(REDIS_WAIT_S):
            yield
    except (TimeoutError, RedisError, OSError) as exc:
        raise Unavailable(retry_after_s=RETRY_AFTER_S) from exc


def _between(page: Page, row: Stage, table: StageTable, draft: Draft) -> list[Draft]:
    """What a journal says between its latest event and a report of a later stage: the end of the
    stage that it is in, and the beginning of the new one."""
    steps: list[Draft] = []
    before = table.get(page.stage)
    if page.term or row.name == page.stage or (before and before.rank > row.rank):
        return steps
    if before is not None and page.last is not None and row.name != "error":
        shown = decode_json(page.last.data)["stageProgress"]
        if shown < 100:
            steps.append(Draft(stage=before.name, stage_progress=100, message=end_text(before)))
    if not row.terminal and draft.stage_progress > 0 and row.hi > row.lo:
        steps.append(Draft(stage=row.name, stage_progress=0, message=begin_text(row)))
    return steps


def _ended(answer: Answer) -> Cancelled | AlreadyFinished:
    return Cancelled() if answer.term == "cancelled" else AlreadyFinished()
