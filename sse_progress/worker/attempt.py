"""One attempt at one upload: its stages in order, with checkpoints in its journal, and its end.

An attempt goes on after the last stage that has a result in the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import structlog
from redis.exceptions import RedisError

from sse_progress.journal.append_batcher import Answer
from sse_progress.journal.writer import JournalWriter, WriterLost
from sse_progress.model.errors import (
    InsufficientStorage,
    Internal,
    Problem,
    Rejected,
    Unavailable,
    problem_for,
)
from sse_progress.model.events import Draft, decode_json, encode_json
from sse_progress.model.kinds import DEFAULT_KIND
from sse_progress.model.media import merged
from sse_progress.model.messages import (
    BEGIN,
    END,
    PARKED,
    WAITING,
    begin_text,
    end_text,
    failure,
    retry_text,
)
from sse_progress.model.stage_api import Report, StageFunction, Upload
from sse_progress.model.text import clean_text
from sse_progress.queue.queue import Park, RetryLater
from sse_progress.runtime.concurrency import blocking
from sse_progress.sandbox.function_ref import Reference
from sse_progress.sandbox.pool import ChildLost, StageUnavailable
from sse_progress.stages.progress import part
from sse_progress.storage.port import StoredObject
from sse_progress.uploads.reviews import DECISION, HELD, WaitsFor
from sse_progress.worker.context import KindOfWork, WorkerContext
from sse_progress.worker.eta import Estimate
from sse_progress.worker.result import check_result, media_of, named_apart

__all__ = ["VERDICT", "Attempt", "NotNow"]

REFUSED = "moderation_refused"

log = structlog.get_logger(__name__)

VERDICT = "verdict"
"""Result field of a refusal that was decided, from before its bytes go until its event is there."""

NO_STAGE = frozenset({VERDICT, HELD, DECISION})
"""Result fields that are no stage's."""

_AWAY = (OSError, Unavailable, InsufficientStorage)
"""Raised while the storage, or something else on this side, does not work: not the file's fault."""


class Waits(Exception):
    """The upload waits for a person; its job is done until then."""


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
        self._reviews = context.reviews
        self._found, self._kind = found, work
        self._original = ""
        self._numbers = count(1)
        self._results: dict[str, bytes] = {}
        self._stage = "file_received"
        self._redis_lost = taken.status == "new"
        self._unlisted = self._redis_lost
        self.ending = False
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

    async def make(self) -> str:
        """Run what is left of the stages; `complete`, the code with which it was refused, or
        `waits` for a person.

        Raises NotNow, WriterLost, and RedisError where Redis does not answer.
        """
        try:
            self._results = await self._parts.journal.results(self.upload_id)
            await self._work()
        except (StageUnavailable, *_AWAY) as error:
            log.warning(
                "attempt failed", upload_id=self.upload_id, stage=self._stage, error=repr(error)
            )
            raise NotNow from error
        except Waits:
            return "waits"
        except Problem as problem:
            await self._refuse(problem)
            return problem.code
        except (WriterLost, RedisError):
            raise
        except Exception:
            log.exception("attempt broke", upload_id=self.upload_id, stage=self._stage)
            await self._refuse(Internal())
            return Internal.code
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
            await blocking(self._parts.storage.objects.mark, self.upload_id, self.writer.position)

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
        if verdict := self._results.get(VERDICT):
            raise problem_for(*decode_json(verdict))
        if not self._found.done:
            manifest = self._found.manifest
            stages = self._kind.stages
            estimate = await self._history.estimate(
                kind=manifest.labels.kind or DEFAULT_KIND,
                stages=[name for name, _ in stages],
                content_type=manifest.claimed_type,
                size=manifest.size,
            )
            scratch = await blocking(self._parts.storage.objects.scratch, self.upload_id)
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
        if (held := self._held(name)) is not None:
            await self._checkpoint(name, await self._decided(*held))
            return
        self.writer.first(
            Draft(stage=name, stage_progress=0, message=begin_text(self._kind.table[name]))
        )
        estimate.begin(name)
        with self._measured(name):
            result = await self._result_of(name, functions, scratch=scratch, estimate=estimate)
        await self._checkpoint(name, await self._agreed(result))
        await estimate.finish()

    def _held(self, name: str) -> tuple[dict[str, Any], WaitsFor] | None:
        """The result of this stage, and whose answer it waits, if it is held."""
        held, result, *waits_for = decode_json(self._results.get(HELD, b'["",{}]'))
        return (result, waits_for[0] if waits_for else "review") if held == name else None

    async def _agreed(self, result: dict[str, Any]) -> dict[str, Any]:
        """A stage's result, unless it is held. Raises Waits."""
        if result.pop("waiting", None) == "moderation":
            await self._hold(result, "moderation")
        if self._config.hold_reviews and result.get("verdict") == "review":
            await self._hold(result, "review")
        return result

    async def _hold(self, result: dict[str, Any], waits_for: WaitsFor) -> NoReturn:
        self._results[HELD] = encode_json([self._stage, result, waits_for])
        await self.writer.note(HELD, self._results[HELD])
        await self._wait(waits_for)

    async def _wait(self, waits_for: WaitsFor) -> NoReturn:
        if waits_for == "review":
            await self._reviews.held(self.upload_id)
        await self.writer.last(
            Draft(
                stage=self._stage,
                stage_progress=99,
                message=WAITING[waits_for],
                waiting=waits_for,
            )
        )
        raise Waits

    async def _decided(self, result: dict[str, Any], waits_for: WaitsFor) -> dict[str, Any]:
        """A held stage's result with what was decided. Raises Waits, or Rejected."""
        decision = decode_json(self._results.get(DECISION, b"{}"))
        if decision.pop("for", "review") != waits_for or not decision:
            await self._wait(waits_for)
        if decision["decision"] == "refuse":
            raise Rejected(decision.get("code", REFUSED), decision.get("reason") or None)
        if waits_for == "moderation":
            return await self._agreed(merged(result, decision["result"]))
        return {**result, "verdict": "approved", "review": decision}

    async def _result_of(
        self, name: str, functions: Sequence[StageFunction], *, scratch: Path, estimate: Estimate
    ) -> dict[str, Any]:
        result: dict[str, Any] = {}
        replacement: tuple[Path, str] | None = None
        for at, function in enumerate(functions):
            report = self._report(name, at, len(functions), estimate)
            got, own = await self._call(function, scratch, report)
            with self._not_as_returned(name):
                check_result(name, got)
                if files := got.get("files"):
                    got["files"] = await self._keep(files, own, result)
            if original := got.get("original"):
                replacement = own, original["name"]
            result = merged(result, got)
        if replacement is not None:
            with self._not_as_returned(name):
                result["original"] |= await blocking(
                    self._parts.storage.objects.replace_original, self.upload_id, *replacement
                )
        return result

    @contextlib.contextmanager
    def _measured(self, stage: str) -> Iterator[None]:
        began, outcome = time.monotonic(), "stopped"
        try:
            yield
            outcome = "ok"
        except Problem as problem:
            outcome = "failed" if isinstance(problem, Internal) else "refused"
            raise
        except Exception:
            outcome = "failed"
            raise
        finally:
            self._parts.metrics.stage_took(
                time.monotonic() - began,
                stage=stage,
                media_type=self._found.manifest.claimed_type,
                outcome=outcome,
            )

    @contextlib.contextmanager
    def _not_as_returned(self, stage: str) -> Iterator[None]:
        """A stage's result may be an attacker's: an invalid one ends only its own upload."""
        try:
            yield
        except ValueError as error:
            log.error(  # noqa: TRY400  # the reason says it all
                "stage result refused",
                upload_id=self.upload_id,
                stage=stage,
                reason=clean_text(str(error)),
            )
            raise Internal from error

    async def _keep(
        self, files: list[dict[str, Any]], scratch: Path, result: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Keep what a function made, under names that no other file of this upload has."""
        results = [decode_json(v) for k, v in self._results.items() if k not in NO_STAGE]
        named = named_apart(files, self._found.manifest.filename, [*results, result])
        names = {old["name"]: new["name"] for old, new in zip(files, named, strict=True)}
        sizes = await blocking(
            self._parts.storage.objects.keep_derived, self.upload_id, scratch, names
        )
        return [{**file, "size": sizes.get(file["name"], 0)} for file in named]

    async def _call(
        self, function: StageFunction, scratch: Path, report: Report
    ) -> tuple[dict[str, Any], Path]:
        """Run one function; a child that something outside ended is worth another try.

        Returns its result and its directory: what it wrote meets no other function's files.
        """
        for left in reversed(range(self._config.child_attempts)):
            own = scratch / str(next(self._numbers))
            await blocking(own.mkdir, mode=0o700)
            try:
                result = await self._run(function, self._upload(own), report)
            except ChildLost:
                log.warning("a stage's child was lost", upload_id=self.upload_id, left=left)
            else:
                return result, own
        raise Internal("The work was given up after several crashes.")

    async def _run(self, function: StageFunction, upload: Upload, report: Report) -> dict[str, Any]:
        timeout_s = self._config.stage_timeout_s
        if (sampler := getattr(function, "sampler", None)) is not None:
            first, report = part(report, 0.0, 0.2), part(report, 0.2, 1.0)
            await self._pool.run(Reference(sampler), upload, first, timeout_s=timeout_s)
        return await self._pool.run(function, upload, report, timeout_s=timeout_s)

    async def _checkpoint(self, name: str, result: dict[str, Any]) -> None:
        self._results[name] = encode_json(result)
        end = Draft(stage=name, stage_progress=100, message=end_text(self._kind.table[name]))
        await self.writer.last(end, result=self._results[name])
        if self._redis_lost:
            self._redis_lost = False
            await self._parts.journal.restore(
                self.upload_id, self._results, about=self._found.manifest.about
            )
        await self._list()

    def _report(self, name: str, at: int, slices: int, estimate: Estimate) -> Report:
        """Each of a stage's functions has an equal slice of it."""
        latest = begin_text(self._kind.table[name])

        def report(fraction: float, message: str | None = None) -> None:
            nonlocal latest
            latest = message or latest
            whole = (at + min(max(fraction, 0.0), 1.0)) / slices
            self.writer.progress(
                Draft(
                    stage=name,
                    stage_progress=min(99, int(whole * 100)),
                    message=latest,
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
            kind=manifest.labels.kind or DEFAULT_KIND,
            context=manifest.labels.context,
            fields=manifest.fields,
            results={k: decode_json(v) for k, v in self._results.items() if k not in NO_STAGE},
            options=self._kind.options,
        )

    # ---- ends

    async def _finalize(self) -> None:
        self._stage = "finalizing"
        self.writer.first(Draft(stage="finalizing", stage_progress=0, message=BEGIN["finalizing"]))
        await self._list()
        if self._found.done:
            assert self._found.record is not None
            media = decode_json(self._found.record)
        else:
            media = media_of(self._upload(Path()), prefix=self._config.prefix)
            _complete(media).fragments(self.upload_id)  # too large: not to be published
            record = await blocking(
                self._parts.storage.objects.publish, self.upload_id, encode_json(media)
            )
            media = decode_json(record)
        await self.writer.last(
            Draft(stage="finalizing", stage_progress=100, message=END["finalizing"])
        )
        await self._list()
        self.ending = True
        try:
            await self.writer.end(_complete(media))
        except WriterLost as lost:
            if lost.term in ("cancelled", "error"):
                await blocking(self._parts.storage.remove, self.upload_id)
            raise
        self._parts.metrics.ended("complete")
        await self._closed()

    async def _refuse(self, problem: Problem) -> None:
        """The verdict first, so that a crash keeps it; then the bytes; then the one event."""
        verdict = encode_json([problem.code, problem.detail])
        await self.writer.note(VERDICT, verdict)
        await blocking(self._parts.storage.remove, self.upload_id)
        self.ending = True
        await self.writer.end(failure(problem, self._stage))
        self._parts.metrics.ended(problem.code)
        await self._closed()

    async def _closed(self) -> None:
        with contextlib.suppress(RedisError, OSError):  # the reconciler sees to it
            await self._parts.index.closed(self.upload_id)


def _complete(media: dict[str, Any]) -> Draft:
    return Draft(stage="complete", stage_progress=100, message=END["complete"], media=media)
