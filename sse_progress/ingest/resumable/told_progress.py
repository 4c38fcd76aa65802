"""Progress of a body that comes in several requests, merged across them by the journal itself."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from dataclasses import dataclass

import anyio
from redis.exceptions import RedisError

from sse_progress.ingest.progress import ETA_BASIS_S
from sse_progress.journal.journal import Journal
from sse_progress.journal.writer import JournalWriter, interval_s
from sse_progress.model.events import Draft
from sse_progress.model.messages import BEGIN

__all__ = ["RECEIVED_PERCENT", "TELL_WAIT_S", "Pace", "ToldProgress", "arriving"]

RECEIVED_PERCENT = 95
"""Of the stage, when all bytes are there: what is left is the digest."""

TELL_WAIT_S = 2.0


def arriving(
    count: int,
    total: int | None,
    *,
    message: str = BEGIN["receiving"],
    checked: int = 0,
    paused: bool = False,
    eta_s: int | None = None,
) -> Draft:
    """The event of a body of which `count` bytes of `total` are there, `checked` read again."""
    percent = min(RECEIVED_PERCENT, count * RECEIVED_PERCENT // total) if total else 0
    if checked and total:
        percent += checked * (99 - RECEIVED_PERCENT) // total
    return Draft(
        stage="receiving",
        stage_progress=percent,
        message=message,
        bytes=count,
        total=total,
        eta_seconds=eta_s,
        paused=paused,
    )


@dataclass(slots=True)
class Pace:
    """When the journal takes the next progress of an upload, by this process' monotonic clock.

    Before that it would leave it out, so it is not asked.
    """

    next_at: float = 0.0


class ToldProgress:
    """Call it with the bytes that are there. One event is under way at a time, the latest follows.

    The journal leaves out what comes too early after the event before, whichever request that was
    of, and says when the next may come; `pace` keeps that for the requests that follow.
    """

    def __init__(
        self,
        journal: Journal,
        writer: JournalWriter,
        *,
        total: int | None,
        lease_s: float,
        pace: Pace,
    ) -> None:
        self._journal, self._writer = journal, writer
        self._total, self._lease_s = total, lease_s
        self._began_at, self._began_with = time.monotonic(), 0
        self._latest: int | None = None
        self._pace = pace
        self._task: asyncio.Task[None] | None = None

    def begin(self, count: int) -> None:
        """From where this request goes on."""
        self._began_at, self._began_with = time.monotonic(), count

    def __call__(self, count: int) -> None:
        self._latest = count
        if self._task is None and self._due():
            self._task = asyncio.get_running_loop().create_task(self._tell())
            self._task.add_done_callback(self._told)

    async def last(self, count: int) -> None:
        """The last one of this request; waits for Redis, and not for long."""
        self._latest = count
        with contextlib.suppress(TimeoutError, RedisError, OSError):
            with anyio.fail_after(TELL_WAIT_S):
                if self._task is not None:
                    await asyncio.wait((self._task,))
                if self._due():
                    await self._tell()

    def _due(self) -> bool:
        return time.monotonic() >= self._pace.next_at

    async def close(self) -> None:
        """Nothing more is told."""
        self._latest = None
        if self._task is not None:
            self._task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait((self._task,))

    async def _tell(self) -> None:
        count, self._latest = self._latest, None
        if count is None or self._writer.lost is not None:
            return
        draft = arriving(count, self._total, eta_s=self._eta_s(count))
        answer = await self._journal.tell(
            self._writer.upload_id,
            fence=self._writer.fence,
            nonce=secrets.token_hex(8),
            draft=draft,
            lease_s=self._lease_s,
            table=self._writer.table,
        )
        self._pace.next_at = time.monotonic() + max(answer.wait_ms / 1000, interval_s(0))

    def _told(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # Redis is away: what counts is on the disk
        if self._latest is not None:
            self(self._latest)

    def _eta_s(self, count: int) -> int | None:
        elapsed, arrived = time.monotonic() - self._began_at, count - self._began_with
        if not self._total or elapsed < ETA_BASIS_S or arrived <= 0:
            return None
        return max(0, round((self._total - count) * elapsed / arrived))
