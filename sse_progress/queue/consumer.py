"""The consumer loop of one worker: takes jobs, runs the handler over them, reports until the last.

It owns the handler's tasks. It never asks Redis but by a report, one at a time.
"""

from __future__ import annotations

import asyncio
import math
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from anyio import (
    CancelScope,
    create_task_group,
    current_effective_deadline,
    move_on_after,
    sleep,
    sleep_forever,
)
from anyio.abc import TaskGroup

from sse_progress.queue.job_store import AWAY, PAUSE_S, JobStore, JobUpdate
from sse_progress.queue.queue import Handler, Job

__all__ = ["Consumer"]

log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class _Held:
    """A job in work, and the number of the report that took it."""

    job: Job
    number: int
    scope: CancelScope = field(default_factory=CancelScope)
    lost: bool = False


class Consumer:
    """One `work()` of one worker, under its own name."""

    def __init__(
        self,
        store: JobStore,
        handler: Handler,
        *,
        concurrency: int,
        on_ready: Callable[[], None],
    ) -> None:
        self._store = store
        self._handler = handler
        self._concurrency = concurrency
        self._on_ready = on_ready
        self._worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._number = 0
        self._held: set[_Held] = set()
        self._settled: list[JobUpdate] = []
        self._unsure = False
        self._leaving = False
        self._over = False
        self._wake = asyncio.Event()

    async def work(self) -> None:
        """Until cancelled; returns after every handler has, and after a last report."""
        async with create_task_group() as group:
            try:
                async with create_task_group() as jobs:
                    group.start_soon(self._keep, jobs)
                    jobs.start_soon(self._store.listen, self._worker, self._notify)
                    try:
                        await sleep_forever()
                    finally:
                        self._leaving = True
            finally:
                self._over = True
                self._wake.set()

    @property
    def _room(self) -> int:
        return 0 if self._leaving else self._concurrency - len(self._held)

    def _notify(self) -> None:
        if self._room:
            self._wake.set()

    async def _keep(self, jobs: TaskGroup) -> None:
        """Report whenever there is something to say, three times a lease, and when one runs out."""
        reached = True
        # Handlers that clean up still hold their jobs: reports go on until the last has ended.
        with CancelScope(shield=True):
            while True:
                self._wake.clear()
                last = self._over
                try:
                    lapse_s = await self._report(jobs, leaving=last)
                except AWAY as error:
                    if self._over:
                        log.warning("last report failed", error=repr(error))
                        return
                    if reached:
                        log.warning("queue cannot be reached", error=repr(error))
                    reached = False
                    await sleep(PAUSE_S)
                    continue
                if last:
                    return
                if not reached:
                    log.info("queue is reached again")
                reached = True
                self._on_ready()
                self._on_ready = _nothing
                with move_on_after(min(self._store.lease_s / 3, lapse_s)):
                    await self._wake.wait()

    async def _report(self, jobs: TaskGroup, *, leaving: bool) -> float:
        """Report, and apply the reply; returns the seconds until a lease may expire."""
        self._number += 1
        settled = len(self._settled)
        updates = [JobUpdate("held", h.job.upload_id, h.number) for h in self._held if not h.lost]
        updates += self._settled
        unsure, self._unsure = self._unsure, True
        answer = await self._store.report(
            self._worker,
            self._number,
            updates,
            room=self._room,
            unsure=unsure,
            leaving=leaving,
        )
        self._unsure = False
        del self._settled[:settled]
        for held in self._held:
            if (held.job.upload_id, held.number) in answer.lost:
                log.warning("job is another worker's now", upload_id=held.job.upload_id)
                held.lost = True
                held.scope.cancel()
        for job in answer.taken:
            self._begin(_Held(job, self._number), jobs)
        return answer.lapse_s

    def _begin(self, held: _Held, jobs: TaskGroup) -> None:
        if self._leaving:
            self._settled.append(JobUpdate("back", held.job.upload_id, held.number))
            return
        self._held.add(held)
        jobs.start_soon(self._run, held)

    async def _run(self, held: _Held) -> None:
        update = JobUpdate("back", held.job.upload_id, held.number)
        try:
            with held.scope:
                update = update.after(await self._handler(held.job))
        except (Exception, asyncio.CancelledError) as error:
            cancelled = current_effective_deadline() == -math.inf
            if cancelled and isinstance(error, asyncio.CancelledError):
                raise
            log.exception("handler raised", upload_id=held.job.upload_id)
            if not cancelled:
                update = update._replace(verb="done")
        finally:
            self._held.discard(held)
            if not held.lost:
                self._settled.append(update)
            self._wake.set()


def _nothing() -> None:
    return
