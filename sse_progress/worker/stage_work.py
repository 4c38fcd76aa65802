"""One stage of an attempt: its functions one after the other, what they return checked and joined.

Results may be an attacker's. What they name is taken over here; when is the attempt's business.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog

from sse_progress.model.errors import Internal
from sse_progress.model.media import merged
from sse_progress.model.stage_api import Report, StageFunction
from sse_progress.model.text import clean_text
from sse_progress.runtime.concurrency import blocking
from sse_progress.stages.progress import part
from sse_progress.uploads.components import Components
from sse_progress.worker.result import check_result, named_apart
from sse_progress.worker.stage_calls import StageCalls
from sse_progress.worker.step import Step, step
from sse_progress.worker.subject import Subject

__all__ = ["StageWork"]

log = structlog.get_logger(__name__)


class StageWork:
    def __init__(self, parts: Components, subject: Subject, calls: StageCalls) -> None:
        self._parts, self._subject, self._calls = parts, subject, calls

    async def result_of(
        self, stage: str, functions: Sequence[StageFunction], report: Report
    ) -> dict[str, Any]:
        """Call the functions; each has an equal slice of the stage. Raises as StageCalls.call."""
        with self._measured(stage):
            return await self._result_of(stage, functions, report)

    async def _result_of(
        self, stage: str, functions: Sequence[StageFunction], report: Report
    ) -> dict[str, Any]:
        result: dict[str, Any] = {}
        replacement: tuple[Path, str] | None = None
        for at, function in enumerate(functions):
            its = part(report, at / len(functions), (at + 1) / len(functions))
            got, own = await self._calls.call(stage, function, its)
            with self._not_as_returned(stage):
                check_result(stage, got)
                if files := got.get("files"):
                    got["files"] = await self._keep(files, own, result)
            if original := got.get("original"):
                replacement = own, original["name"]
            result = merged(result, got)
        if replacement is not None:
            with self._not_as_returned(stage):
                result["original"] |= await blocking(
                    self._parts.storage.objects.replace_original, self._subject.id, *replacement
                )
        return result

    async def _keep(
        self, files: list[dict[str, Any]], scratch: Path, result: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Keep what a function made, under names that no other file of this upload has."""
        results = [*self._subject.of_stages().values(), result]
        named = named_apart(files, self._subject.manifest.filename, results)
        names = {old["name"]: new["name"] for old, new in zip(files, named, strict=True)}
        sizes = await blocking(
            self._parts.storage.objects.keep_derived, self._subject.id, scratch, names
        )
        return [{**file, "size": sizes.get(file["name"], 0)} for file in named]

    @contextlib.contextmanager
    def _not_as_returned(self, stage: str) -> Iterator[None]:
        """An invalid result ends only its own upload."""
        try:
            yield
        except ValueError as error:
            log.error(  # noqa: TRY400  # the reason says it all
                "stage result refused",
                upload_id=self._subject.id,
                stage=stage,
                reason=clean_text(str(error)),
            )
            raise Internal from error

    @contextlib.contextmanager
    def _measured(self, stage: str) -> Iterator[None]:
        began, taken = time.monotonic(), Step()
        try:
            with step(self._parts.traces, self._subject.manifest, f"stage {stage}") as taken:
                yield
        finally:
            self._parts.metrics.stage_took(
                time.monotonic() - began,
                stage=stage,
                media_type=self._subject.manifest.claimed_type,
                outcome=taken.outcome,
            )
