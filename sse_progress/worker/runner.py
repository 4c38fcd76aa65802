"""Runs one upload's job: takes its journal, makes an attempt, and says what becomes of the job.

An attempt that finds the journal ended, or its fence raised, stops at once and changes nothing:
another worker is, or was, in charge. A job that could not be done now is tried again later, and
parked after `job_attempts`; the bytes stay.
"""

from __future__ import annotations

import random
import time

import anyio
import structlog

from sse_progress.emitter.waiter import Waiter, watching
from sse_progress.journal.frames import Frame
from sse_progress.journal.writer import WriterLost
from sse_progress.model.errors import Internal, Problem, problem_for
from sse_progress.model.events import decode_json
from sse_progress.model.kinds import DEFAULT_KIND
from sse_progress.model.messages import failure
from sse_progress.queue.queue import Job, Outcome, Park, RetryLater
from sse_progress.runtime.concurrency import beside, blocking
from sse_progress.worker.attempt import Attempt, NotNow
from sse_progress.worker.context import WorkerContext
from sse_progress.worker.subject import VERDICT

__all__ = ["Runner"]

log = structlog.get_logger(__name__)

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 600.0
UNKNOWN_KIND_DELAY_S = 10.0


class Runner:
    """Does the job of one upload at a time, any number of them side by side."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._components = context.components

    async def run(self, job: Job) -> Outcome:
        """Bring one upload to its end, or as far as this worker may. Raises only when cancelled.

        Every line that is logged meanwhile names the upload.
        """
        with structlog.contextvars.bound_contextvars(upload_id=job.upload_id):
            return await self._done(job)

    async def _done(self, job: Job) -> Outcome:
        about = log.bind(upload_id=job.upload_id, attempt=job.attempts + 1)
        began = time.monotonic()
        outcome: Outcome = None
        self._components.metrics.jobs.inc()
        about.info("job started")
        try:
            ended, outcome = await self._run(job)
        except WriterLost as lost:
            ended = lost.term or "taken over"
        except Exception:
            about.exception("job failed")
            ended, outcome = "failed", self._again(job)
        except BaseException:
            about.info("job handed over", duration_s=round(time.monotonic() - began, 3))
            raise
        finally:
            self._components.metrics.jobs.dec()
        about.info(
            "job finished",
            outcome=ended,
            duration_s=round(time.monotonic() - began, 3),
            **_what(outcome),
        )
        return outcome

    async def _run(self, job: Job) -> tuple[str, Outcome]:
        """How it ended, for the log, and what becomes of the job."""
        upload_id, parts = job.upload_id, self._components
        found = await blocking(parts.storage.objects.find, upload_id)
        if found is None:
            await self._missing(upload_id)
            return "no file", None
        owner, kind = found.manifest.owner, found.manifest.labels.kind or DEFAULT_KIND
        if (work := self._context.config.kinds.get(kind)) is None:
            # A worker of another release, or whose settings differ; another one may know it.
            log.warning("unknown kind of upload", upload_id=upload_id, kind=kind)
            return "unknown kind", RetryLater(UNKNOWN_KIND_DELAY_S)
        seen = await blocking(parts.storage.objects.marked, upload_id)
        latest = await blocking(parts.storage.objects.latest_attempt, upload_id)
        answer = await parts.journal.take(upload_id, owner=owner, above=latest, seen=seen)
        if answer.status == "ended":
            return answer.term or "ended", None
        scope = anyio.CancelScope()
        attempt = Attempt(self._context, found, answer, work=work, on_lost=lambda _: scope.cancel())
        waiter = Waiter(on_end=lambda _: None if attempt.ending else scope.cancel())
        try:
            with watching(parts.emitter, upload_id, waiter, owner=owner), scope:
                async with beside(attempt.keep_marks()):
                    return await self._attempt(attempt, job)
            if waiter.latest and _failed(waiter.latest):
                # Its bytes were removed when it was ended; a stage may have written since.
                await blocking(parts.storage.remove, upload_id)
        finally:
            attempt.writer.close()
            with anyio.CancelScope(shield=True):
                await attempt.leave()
        lost = attempt.writer.lost
        return (lost.term if lost else "") or "ended elsewhere", None

    async def _attempt(self, attempt: Attempt, job: Job) -> tuple[str, Outcome]:
        outcome: Outcome
        if job.attempts >= self._context.config.job_attempts:
            await attempt.tell_delay(Park())
            return "parked", Park()
        try:
            return await attempt.make(), None
        except NotNow:
            outcome = self._again(job)
            await attempt.tell_delay(outcome)
            return "failed", outcome

    def _again(self, job: Job) -> RetryLater | Park:
        """After an attempt that was not the file's fault: later, each time twice as late."""
        if job.attempts + 1 >= self._context.config.job_attempts:
            return Park()
        delay_s = min(FIRST_DELAY_S * 2.0 ** min(job.attempts, 16), LONGEST_DELAY_S)
        return RetryLater(delay_s * random.uniform(0.8, 1.2))  # noqa: S311  # jitter

    async def _missing(self, upload_id: str) -> None:
        """A job without a file: refused by an attempt that did not come to say so, or lost."""
        parts = self._components
        page = await parts.journal.head(upload_id)
        if page is None or page.terminal:
            return
        problem: Problem = Internal("The stored file could not be found.")
        if verdict := (await parts.journal.results(upload_id)).get(VERDICT):
            problem = problem_for(*decode_json(verdict))
        draft = failure(problem, page.stage or "file_received")
        answer = await parts.journal.sweep(upload_id, fence=page.fence, draft=draft)
        if answer.status in ("ok", "ended"):  # while it is listed, the reconciler asks again
            await parts.index.closed(upload_id)


def _what(outcome: Outcome) -> dict[str, object]:
    """An outcome's fields in the log."""
    match outcome:
        case RetryLater(delay_s):
            return {"retry_in_s": round(delay_s, 1)}
        case Park():
            return {"parked": True}
    return {}


def _failed(frame: Frame) -> bool:
    return frame.terminal and frame.stage != "complete"
