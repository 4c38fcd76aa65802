"""One attempt at one upload: its stages in order, with checkpoints in its journal, and its end.

An attempt goes on after the last stage that has a result in the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import structlog
from redis.exceptions import RedisError

from sse_progress.journal.append_batcher import Answer
from sse_progress.journal.writer import JournalWriter, WriterLost
from sse_progress.model.errors import (
    InsufficientStorage,
    Internal,
    Problem,
    Unavailable,
    problem_for,
)
from sse_progress.model.events import Draft, decode_json, encode_json
from sse_progress.model.messages import (
    PARKED,
    begin_text,
    end_text,
    retry_text,
)
from sse_progress.model.stage_api import Report, StageFunction
from sse_progress.queue.queue import Park, RetryLater
from sse_progress.runtime.concurrency import blocking
from sse_progress.sandbox.outcomes import StageUnavailable
from sse_progress.sandbox.session import Session
from sse_progress.storage.port import StoredObject, Superseded
from sse_progress.worker.context import KindOfWork, WorkerContext
from sse_progress.worker.ends import Ends
from sse_progress.worker.eta import Estimate
from sse_progress.worker.holding import Holding, Waits
from sse_progress.worker.stage_calls import StageCalls
from sse_progress.worker.stage_work import StageWork
from sse_progress.worker.step import step
from sse_progress.worker.subject import VERDICT, Subject

__all__ = ["Attempt", "NotNow"]

log = structlog.get_logger(__name__)

NOTE_WAIT_S = 2.0
"""The end of an attempt is not held up by a number that may be lost."""

_AWAY = (OSError, Unavailable, InsufficientStorage)
"""Raised while the storage, or something else on this side, does not work: not the file's fault."""


class NotNow(Exception):
    """The attempt could not be finished, and not because of the file: another one may succeed."""


class Attempt:
    """One attempt at one upload. `taken`: the answer to `Journal.take`, with this attempt's fence.

    `work`: what is done to uploads of its kind.
    `on_lost` is called once, when the journal refuses this attempt's events.
    """

    def __init__(
        self,
        context: WorkerContext,
        found: StoredObject,
        taken: Answer,
        *,
        work: KindOfWork,
        on_lost: Callable[[WriterLost], None],
    ) -> None:
        self.upload_id = found.manifest.upload_id
        self._parts, self._config = context.components, context.config
        self._pool, self._history = context.pool, context.history
        self._spending = context.spending
        self._found, self._work_of_kind, self._table = found, work, work.table
        self._subject = Subject(found, work)
        self._scratch: Path | None = None
        self._stage = "file_received"
        self._redis_lost = taken.status == "new"
        self._unlisted = self._redis_lost
        self._moved = asyncio.Event()
        self.writer = JournalWriter(
            self._parts.journal,
            self.upload_id,
            owner=found.manifest.owner,
            answer=taken,
            written=0,
            tags=found.manifest.tags,
            table=work.table,
            on_lost=on_lost,
            on_new_epoch=self._note_loss,
            on_position=lambda _: self._moved.set(),
        )
        self._holding = Holding(
            self._subject,
            self.writer,
            context.reviews,
            hold_reviews=self._config.hold_reviews,
        )
        self._ends = Ends(self._parts, self._subject, self.writer, list_again=self._list)

    @property
    def ending(self) -> bool:
        """Its journal is being ended by this attempt."""
        return self._ends.begun

    async def make(self) -> str:
        """Run what is left of the stages; `complete`, the code with which it was refused, or
        `waits` for a person.

        Raises NotNow, WriterLost, and RedisError where Redis does not answer.
        """
        try:
            self._subject.results = await self._parts.journal.results(self.upload_id)
            await self._work()
        except (StageUnavailable, Superseded, *_AWAY) as error:
            log.warning(
                "attempt failed", upload_id=self.upload_id, stage=self._stage, error=repr(error)
            )
            raise NotNow from error
        except Waits:
            return "waits"
        except Problem as problem:
            return await self._ends.refuse(problem, self._stage)
        except (WriterLost, RedisError):
            raise
        except Exception:
            log.exception("attempt broke", upload_id=self.upload_id, stage=self._stage)
            return await self._ends.refuse(Internal(), self._stage)
        return "complete"

    async def tell_delay(self, outcome: RetryLater | Park) -> None:
        """Say on the upload's stream that it waits, and for what."""
        if self._stage == "file_received":
            page = await self._parts.journal.head(self.upload_id)
            self._stage = page.stage if page is not None and page.stage else self._stage
        message = PARKED
        if isinstance(outcome, RetryLater):
            message = retry_text(outcome.delay_s)
        await self.writer.last(Draft(stage=self._stage, stage_progress=0, message=message))

    async def keep_marks(self) -> None:
        """Note on the storage what Redis has acknowledged, so that a rewound Redis is noticed."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            with contextlib.suppress(Unavailable):  # the next one does it
                await blocking(
                    self._parts.storage.objects.mark, self.upload_id, self.writer.position
                )

    def _note_loss(self) -> None:
        """Redis lost something: the next checkpoint writes all results again."""
        self._redis_lost = self._unlisted = True

    async def _list(self) -> None:
        """Redis lost its lists as well: list the upload again, so that the reconciler finds it.

        Once published it stands in no other list that anything looks through.
        """
        if self._unlisted:
            owner = self._found.manifest.owner
            await self._parts.index.opened(self.upload_id, owner=owner, now_s=time.time())
            self._unlisted = False

    async def _work(self) -> None:
        if verdict := self._subject.results.get(VERDICT):
            raise problem_for(*decode_json(verdict))
        if not self._found.done:
            await self._run_stages()
        self._stage = "finalizing"
        with step(self._parts.traces, self._found.manifest, "publish"):
            await self._ends.publish(scratch=self._scratch, prefix=self._config.prefix)

    # ---- stages

    async def _run_stages(self) -> None:
        manifest = self._found.manifest
        stages = self._work_of_kind.stages
        estimate = await self._history.estimate(
            kind=self._subject.kind,
            stages=[name for name, _ in stages],
            content_type=manifest.claimed_type,
            size=manifest.size,
        )
        left = [stage for stage in stages if stage[0] not in self._subject.results]
        async with self._session() as session:
            objects = self._parts.storage.objects
            scratch = await blocking(objects.scratch, self.upload_id, self.writer.fence)
            self._scratch = scratch
            self._subject.original = str(await blocking(self._found.local, scratch))
            calls = StageCalls(
                session,
                self._subject,
                [(name, function) for name, functions in left for function in functions],
                scratch=scratch,
                timeout_s=self._config.stage_timeout_s,
                attempts=self._config.child_attempts,
                room=self._config.room,
            )
            work = StageWork(self._parts, self._subject, calls)
            for name, functions in left:
                await self._run_stage(name, functions, work=work, estimate=estimate)

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        """What the stages took of the CPU is the owner's."""
        manifest, session = self._found.manifest, None
        try:
            work, size = self._work_of_kind, manifest.size
            async with self._pool.session(
                cpu_s=self._config.cpu_s_of(work, size),
                timeout_s=self._config.timeout_s_of(work, size),
            ) as session:
                yield session
        finally:
            if session is not None and session.cpu_s:
                with anyio.move_on_after(NOTE_WAIT_S, shield=True):
                    await self._spending.note(manifest.owner, session.cpu_s)

    async def _run_stage(
        self, name: str, functions: Sequence[StageFunction], *, work: StageWork, estimate: Estimate
    ) -> None:
        self._stage = name
        if (held := self._holding.held(name)) is not None:
            await self._checkpoint(name, await self._holding.decided(name, *held))
            return
        self.writer.first(
            Draft(stage=name, stage_progress=0, message=begin_text(self._table[name]))
        )
        estimate.begin(name)
        result = await work.result_of(name, functions, self._report(name, estimate))
        await self._checkpoint(name, await self._holding.agreed(name, result))
        await estimate.finish()

    def _report(self, name: str, estimate: Estimate) -> Report:
        latest = begin_text(self._table[name])

        def report(fraction: float, message: str | None = None) -> None:
            nonlocal latest
            latest = message or latest
            self.writer.progress(
                Draft(
                    stage=name,
                    stage_progress=min(99, int(fraction * 100)),
                    message=latest,
                    eta_seconds=estimate.remaining_s(fraction),
                )
            )

        return report

    async def _checkpoint(self, name: str, result: dict[str, Any]) -> None:
        results = self._subject.results
        results[name] = encode_json(result)
        end = Draft(stage=name, stage_progress=100, message=end_text(self._table[name]))
        await self.writer.last(end, result=results[name])
        if self._redis_lost:
            self._redis_lost = False
            await self._parts.journal.restore(
                self.upload_id, results, about=self._found.manifest.about
            )
        await self._list()

    async def leave(self) -> None:
        """What the storage has put on this host for the attempt may go."""
        if self._scratch is not None:
            await blocking(self._parts.storage.objects.leave, self._scratch)
