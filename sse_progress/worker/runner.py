"""Runs one upload's stages in order, with checkpoints in its journal.

A job goes on after the last stage that has a result there. Whoever finds the journal ended, or its
fence raised, stops at once and touches nothing: another one is, or was, in charge.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from itertools import count, groupby
from pathlib import Path
from typing import Any

import anyio
import structlog
from redis.exceptions import RedisError

from sse_progress.emitter.emitter import Emitter
from sse_progress.emitter.waiter import Watch, watching
from sse_progress.journal.frames import Frame
from sse_progress.journal.journal import Journal
from sse_progress.journal.upload_index import Index
from sse_progress.journal.writer import Recorder, WriterLost
from sse_progress.model.errors import Internal, Problem, problem_for
from sse_progress.model.events import Draft, decode_json, encode_json
from sse_progress.model.media import merged
from sse_progress.model.messages import BEGIN, END, failure
from sse_progress.model.stage_api import Options, Pipeline, StageFunction, Upload
from sse_progress.queue.queue import Job
from sse_progress.runtime.concurrency import beside, blocking
from sse_progress.runtime.metrics import Metrics
from sse_progress.sandbox.pool import ChildLost, Pool
from sse_progress.storage.port import Storage, StoredObject
from sse_progress.worker.eta import Estimate, History
from sse_progress.worker.result import media_of, named_apart

__all__ = ["Runner"]

log = structlog.get_logger(__name__)

VERDICT = "verdict"
"""Result field of a refusal that was decided, from before its bytes go until its event is there."""


class Runner:
    """Does the job of one upload at a time, any number of them side by side."""

    def __init__(
        self,
        *,
        journal: Journal,
        storage: Storage,
        index: Index,
        emitter: Emitter,
        metrics: Metrics,
        pool: Pool,
        history: History,
        pipeline: Pipeline,
        options: Options,
        prefix: str,
        stage_timeout_s: float,
        attempts: int,
    ) -> None:
        self.journal, self.storage, self.index = journal, storage, index
        self.pool, self.history, self._emitter = pool, history, emitter
        self.metrics = metrics
        self._stages = [
            (name, [function for _, function in group])
            for name, group in groupby(pipeline, key=lambda row: row[0])
        ]
        self.options, self.prefix, self.timeout_s = options, prefix, stage_timeout_s
        self.attempts = attempts

    async def run(self, job: Job) -> None:
        """Bring one upload to its end, or as far as this worker may. Raises only when cancelled."""
        self.metrics.jobs.inc()
        try:
            await self._run(job.upload_id, crashes=job.crashes)
        except WriterLost:
            log.info("another writer took over", upload_id=job.upload_id)
        except Exception:
            # The reconciler enqueues it again.
            log.exception("a job could not be done", upload_id=job.upload_id)
        finally:
            self.metrics.jobs.dec()

    async def _run(self, upload_id: str, *, crashes: int) -> None:
        found = await blocking(self.storage.objects.find, upload_id)
        if found is None:
            await self._missing(upload_id)
            return
        owner = found.manifest.owner
        seen = await blocking(self.storage.objects.marked, upload_id)
        answer = await self.journal.take(upload_id, owner=owner, seen=seen)
        if answer.status == "ended":
            return
        recorder = Recorder(self.journal, upload_id, owner=owner, answer=answer, written=0)
        attempt = _Attempt(self, found, recorder)
        watch = Watch()
        try:
            with (
                watching(self._emitter, upload_id, watch, owner=owner),
                anyio.CancelScope() as scope,
            ):
                recorder.on_lost = scope.cancel
                watch.on_end = lambda _: None if attempt.ending else scope.cancel()
                async with beside(attempt.keep_marks()):
                    await attempt.make(self._stages, crashes=crashes, most=self.attempts)
            if scope.cancelled_caught and watch.latest and _failed(watch.latest):
                # Whoever ended it removed its bytes; a stage may have written since.
                await blocking(self.storage.remove, upload_id)
        finally:
            recorder.close()

    async def _missing(self, upload_id: str) -> None:
        """A job without a file: refused by an attempt that did not come to say so, or lost."""
        page = await self.journal.head(upload_id)
        if page is None or page.terminal:
            return
        problem: Problem = Internal("The stored file could not be found.")
        if verdict := (await self.journal.results(upload_id)).get(VERDICT):
            problem = problem_for(*decode_json(verdict))
        draft = failure(problem, page.stage or "file_received")
        answer = await self.journal.sweep(upload_id, fence=page.fence, draft=draft)
        if answer.status in ("ok", "ended"):  # while it is listed, the reconciler asks again
            await self.index.closed(upload_id)


class _Attempt:
    """One attempt at one upload."""

    def __init__(self, runner: Runner, found: StoredObject, recorder: Recorder) -> None:
        self.upload_id = recorder.upload_id
        self._runner, self._found, self._recorder = runner, found, recorder
        self._storage = runner.storage
        self._original = ""
        self._numbers = count(1)
        self._results: dict[str, bytes] = {}
        self._stage = "file_received"
        self._lost = False
        self.ending = False
        self._moved = asyncio.Event()
        recorder.on_new_epoch = self._restore_results
        recorder.on_position = lambda _: self._moved.set()

    async def make(
        self,
        stages: Sequence[tuple[str, Sequence[StageFunction]]],
        *,
        crashes: int,
        most: int,
    ) -> None:
        try:
            self._results = await self._runner.journal.results(self.upload_id)
            if crashes >= most:
                raise Internal(f"The work was given up after {crashes} crashes.")
            await self._work(stages)
        except Problem as problem:
            await self._refuse(problem)
        except (WriterLost, RedisError):
            raise
        except Exception:
            log.exception("a job failed", upload_id=self.upload_id, stage=self._stage)
            await self._refuse(Internal())

    async def keep_marks(self) -> None:
        """Note on the storage what Redis has acknowledged, so that a rewound Redis is noticed."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            await blocking(self._storage.objects.mark, self.upload_id, self._recorder.position)

    def _restore_results(self) -> None:
        """Redis lost something: it is told again what this job knows of finished stages."""
        self._lost = True

    async def _work(self, stages: Sequence[tuple[str, Sequence[StageFunction]]]) -> None:
        if verdict := self._results.get(VERDICT):
            raise problem_for(*decode_json(verdict))
        if not self._found.done:
            manifest = self._found.manifest
            estimate = await self._runner.history.estimate(
                content_type=manifest.claimed_type, size=manifest.size
            )
            scratch = await blocking(self._storage.objects.scratch, self.upload_id)
            self._original = str(await blocking(self._found.local))
            for name, functions in stages:
                if name not in self._results:
                    await self._run_stage(name, functions, scratch=scratch, estimate=estimate)
        await self._finalize()

    # ---- stages

    async def _run_stage(
        self, name: str, functions: Sequence[StageFunction], *, scratch: Path, estimate: Estimate
    ) -> None:
        self._stage = name
        began = time.monotonic()
        self._recorder.first(Draft(stage=name, stage_progress=0, message=BEGIN[name]))
        estimate.begin(name)
        result: dict[str, Any] = {}
        replacement: tuple[Path, str] | None = None
        for at, function in enumerate(functions):
            report = self._report(name, at, len(functions), estimate)
            got, own = await self._call(function, scratch, report)
            if files := got.get("files"):
                got["files"] = await self._keep(files, own, result)
            if original := got.get("original"):
                replacement = own, original["name"]
            result = merged(result, got)
        if replacement is not None:
            await blocking(self._storage.objects.replace_original, self.upload_id, *replacement)
        self._runner.metrics.stage_seconds.labels(name).observe(time.monotonic() - began)
        await self._checkpoint(name, result)
        await estimate.finish()

    async def _keep(
        self, files: list[dict[str, Any]], scratch: Path, result: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Keep what a function made, under names that no other file of this upload has."""
        results = [decode_json(v) for k, v in self._results.items() if k != VERDICT]
        named = named_apart(files, self._found.manifest.filename, [*results, result])
        names = {old["name"]: new["name"] for old, new in zip(files, named, strict=True)}
        sizes = await blocking(self._storage.objects.keep_derived, self.upload_id, scratch, names)
        return [{**file, "size": sizes.get(file["name"], 0)} for file in named]

    async def _call(
        self, function: StageFunction, scratch: Path, report: Callable[[float, str | None], None]
    ) -> tuple[dict[str, Any], Path]:
        """Run one function; a child that something outside ended is worth another try.

        Returns its result and its directory: what it wrote meets no other function's files.
        """
        for left in reversed(range(self._runner.attempts)):
            own = scratch / str(next(self._numbers))
            await blocking(own.mkdir, mode=0o700)
            try:
                result = await self._runner.pool.run(
                    function, self._upload(own), report, timeout_s=self._runner.timeout_s
                )
            except ChildLost:
                log.warning("a stage's child was lost", upload_id=self.upload_id, left=left)
            else:
                return result, own
        raise Internal("The work was given up after several crashes.")

    async def _checkpoint(self, name: str, result: dict[str, Any]) -> None:
        self._results[name] = encode_json(result)
        end = Draft(stage=name, stage_progress=100, message=END[name])
        await self._recorder.last(end, result=self._results[name])
        if self._lost:
            self._lost = False
            await self._runner.journal.restore(self.upload_id, self._results)

    def _report(
        self, name: str, at: int, slices: int, estimate: Estimate
    ) -> Callable[[float, str | None], None]:
        """Each of a stage's functions has an equal slice of it."""
        message = BEGIN[name]

        def report(fraction: float, text: str | None) -> None:
            nonlocal message
            message = text or message
            whole = (at + min(max(fraction, 0.0), 1.0)) / slices
            self._recorder.progress(
                Draft(
                    stage=name,
                    stage_progress=min(99, int(whole * 100)),
                    message=message,
                    eta_seconds=estimate.remaining_s(whole),
                )
            )

        return report

    def _upload(self, scratch: Path) -> Upload:
        manifest = self._found.manifest
        return Upload(
            id=self.upload_id,
            path=self._original,
            scratch=str(scratch),
            filename=manifest.filename,
            claimed_type=manifest.claimed_type,
            size=manifest.size,
            sha256=manifest.sha256,
            created_at=manifest.created_at,
            fields=manifest.fields,
            results={k: decode_json(v) for k, v in self._results.items() if k != VERDICT},
            options=self._runner.options,
        )

    # ---- ends

    async def _finalize(self) -> None:
        self._stage = "finalizing"
        self._recorder.first(
            Draft(stage="finalizing", stage_progress=0, message=BEGIN["finalizing"])
        )
        if self._found.done:
            assert self._found.record is not None
            media = decode_json(self._found.record)
        else:
            media = media_of(self._upload(Path()), prefix=self._runner.prefix)
            _complete(media).fragments(self.upload_id)  # too large: not to be published
            record = await blocking(
                self._storage.objects.publish, self.upload_id, encode_json(media)
            )
            media = decode_json(record)
        await self._recorder.last(
            Draft(stage="finalizing", stage_progress=100, message=END["finalizing"])
        )
        self.ending = True
        try:
            await self._recorder.end(_complete(media))
        except WriterLost as lost:
            if lost.term in ("cancelled", "error"):
                await blocking(self._storage.remove, self.upload_id)
            raise
        self._runner.metrics.ended("complete")
        await self._closed()

    async def _refuse(self, problem: Problem) -> None:
        """The verdict first, so that a crash keeps it; then the bytes; then the one event."""
        verdict = encode_json([problem.code, problem.detail])
        await self._recorder.note(VERDICT, verdict)
        await blocking(self._storage.remove, self.upload_id)
        self.ending = True
        await self._recorder.end(failure(problem, self._stage))
        self._runner.metrics.ended(problem.code)
        await self._closed()

    async def _closed(self) -> None:
        with contextlib.suppress(RedisError, OSError):  # the reconciler sees to it
            await self._runner.index.closed(self.upload_id)


def _complete(media: dict[str, Any]) -> Draft:
    return Draft(stage="complete", stage_progress=100, message=END["complete"], media=media)


def _failed(frame: Frame) -> bool:
    return frame.terminal and frame.stage != "complete"
