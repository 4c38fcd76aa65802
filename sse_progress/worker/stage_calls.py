"""Calls of one attempt's stage functions: in which process, in which directory, how often.

Functions that follow each other share a process, but for those whose word must not depend on what
a decoder of the same file has done before.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import structlog

from sse_progress.model.errors import Internal
from sse_progress.model.stage_api import Report, StageFunction
from sse_progress.runtime.concurrency import blocking
from sse_progress.sandbox.function_ref import Reference, is_asynchronous
from sse_progress.sandbox.outcomes import ChildLost
from sse_progress.sandbox.session import Session
from sse_progress.stages.progress import part
from sse_progress.worker.room import Room
from sse_progress.worker.subject import Subject

__all__ = ["StageCalls"]

log = structlog.get_logger(__name__)

APART = frozenset({"moderating"})
"""Stages of which each function begins a process: no decoder has run in it yet."""

Row = tuple[str, StageFunction]


class StageCalls:
    """`rows`: the functions that may be called, in order, with the names of their stages.
    `attempts`: lost children of one function before the upload ends. `room`: on the disk."""

    def __init__(
        self,
        session: Session,
        subject: Subject,
        rows: Sequence[Row],
        *,
        scratch: Path,
        timeout_s: float,
        attempts: int,
        room: Room,
    ) -> None:
        self._session, self._subject, self._scratch = session, subject, scratch
        self._left = list(rows)
        self._timeout_s, self._attempts, self._room = timeout_s, attempts, room
        self._numbers = count(1)
        self._directories: list[Path] = []
        """For the next calls in the process that there is."""

    async def call(
        self, stage: str, function: StageFunction, report: Report
    ) -> tuple[dict[str, Any], Path]:
        """Its result and its directory: what it wrote meets no other function's files.

        A child that something outside ended is worth another try. Raises what Session.call does,
        but for ChildLost, and what Room.kept does.
        """
        while self._left and self._left.pop(0) != (stage, function):
            pass
        for left in reversed(range(self._attempts)):
            try:
                if is_asynchronous(function):
                    return await self._call_here(function, report)
                return await self._call_in_child(stage, function, report)
            except ChildLost:
                log.warning("a stage's child was lost", upload_id=self._subject.id, left=left)
        raise Internal("The work was given up after several crashes.")

    async def _call_in_child(
        self, stage: str, function: StageFunction, report: Report
    ) -> tuple[dict[str, Any], Path]:
        if stage in APART:
            await self._session.renew()
        following = self._following()
        if not self._session.has_process:
            self._directories = await self._make(1 + len(following))
        own = self._directories.pop(0)
        async with self._room.kept(self._scratch):
            result = await self._session.call(
                function,
                self._subject.upload(own),
                report,
                timeout_s=self._timeout_s,
                writable=[str(own), *map(str, self._directories)],
                followed_by=following,
            )
        if "files" in result or "original" in result:
            await self._session.renew()  # what is taken over now must not change any more
        return result, own

    async def _call_here(
        self, function: StageFunction, report: Report
    ) -> tuple[dict[str, Any], Path]:
        """An `async def`, after the function that takes samples for it, if it has one."""
        (own,) = await self._make(1)
        upload = self._subject.upload(own)
        if (sampler := getattr(function, "sampler", None)) is not None:
            first, report = part(report, 0.0, 0.2), part(report, 0.2, 1.0)
            await self._session.renew()
            async with self._room.kept(self._scratch):
                await self._session.call(
                    Reference(sampler), upload, first, timeout_s=self._timeout_s
                )
            await self._session.renew()
        return await self._session.call(function, upload, report, timeout_s=self._timeout_s), own

    def _following(self) -> list[StageFunction]:
        """The next functions that may go on in the same process."""
        following = []
        for stage, function in self._left:
            if hasattr(function, "sampler"):
                break
            if is_asynchronous(function):
                continue
            if stage in APART:
                break
            following.append(function)
        return following

    async def _make(self, number: int) -> list[Path]:
        """New directories. They lie in one that no stage may write: none can be exchanged."""
        made = [self._scratch / str(next(self._numbers)) for _ in range(number)]
        for path in made:
            await blocking(path.mkdir, mode=0o700)
        return made
