"""How an attempt ends its upload: the file is published, or refused and removed.

Owns the order of record, bytes and last event, each of which a crash may be the last to have been.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from sse_progress.journal.writer import JournalWriter, WriterLost
from sse_progress.model.errors import Problem
from sse_progress.model.events import Draft, decode_json, encode_json
from sse_progress.model.messages import BEGIN, END, failure, storing_text
from sse_progress.runtime.concurrency import blocking
from sse_progress.uploads.components import Components
from sse_progress.worker.result import media_of
from sse_progress.worker.subject import VERDICT, Subject

__all__ = ["Ends"]


class Ends:
    """`list_again` puts an upload back among the open ones, where Redis has lost its lists."""

    def __init__(
        self,
        parts: Components,
        subject: Subject,
        writer: JournalWriter,
        *,
        list_again: Callable[[], Awaitable[None]],
    ) -> None:
        self._parts, self._subject, self._writer = parts, subject, writer
        self._list_again = list_again
        self.begun = False
        """The journal's end is about to be written, or is."""

    async def publish(self, *, scratch: Path | None, prefix: str) -> None:
        """Raises WriterLost; what a cancellation has overtaken is removed."""
        upload_id, writer = self._subject.id, self._writer
        writer.first(Draft(stage="finalizing", stage_progress=0, message=BEGIN["finalizing"]))
        await self._list_again()
        if (record := self._subject.found.record) is None:
            media = media_of(self._subject.upload(Path()), prefix=prefix)
            _complete(media).fragments(upload_id)  # too large: not to be published
            record = await blocking(
                self._parts.storage.objects.publish,
                upload_id,
                encode_json(media),
                scratch=scratch,
                report=self._storing(),
            )
        await writer.last(Draft(stage="finalizing", stage_progress=100, message=END["finalizing"]))
        await self._list_again()
        self.begun = True
        try:
            await writer.end(_complete(decode_json(record)))
        except WriterLost as lost:
            if lost.term in ("cancelled", "error"):
                await blocking(self._parts.storage.remove, upload_id)
            raise
        self._parts.metrics.ended("complete")
        await self._closed()

    async def refuse(self, problem: Problem, stage: str) -> str:
        """The verdict first, so that a crash keeps it; then the bytes; then the one event.

        Returns the problem's code, or `complete`: another attempt has published the file, and may
        have announced it, so it stays.
        """
        verdict = encode_json([problem.code, problem.detail])
        await self._writer.note(VERDICT, verdict)
        if not await blocking(self._parts.storage.take_back, self._subject.id):
            return await self._announce()
        self.begun = True
        await self._writer.end(failure(problem, stage))
        self._parts.metrics.ended(problem.code)
        await self._closed()
        return problem.code

    async def _announce(self) -> str:
        """Of what another attempt has published: that it is."""
        found = await blocking(self._parts.storage.objects.find, self._subject.id)
        if found is None or not found.done:
            raise WriterLost("cancelled")  # removed in this moment
        self._subject.found = found
        await self.publish(scratch=None, prefix="")
        return "complete"

    async def _closed(self) -> None:
        with contextlib.suppress(RedisError, OSError):  # the reconciler sees to it
            await self._parts.index.closed(self._subject.id)

    def _storing(self) -> Callable[[int, int], None]:
        """Files on their way to where they are served from; called in another thread."""
        loop = asyncio.get_running_loop()
        told = -1

        def report(count: int, total: int) -> None:
            nonlocal told
            if count == told:
                return
            told = count
            draft = Draft(
                stage="finalizing",
                stage_progress=min(count * 100 // max(total, 1), 99),
                message=storing_text(count, total),
                bytes=count,
                total=total,
            )
            loop.call_soon_threadsafe(self._writer.progress, draft)

        return report


def _complete(media: dict[str, Any]) -> Draft:
    return Draft(stage="complete", stage_progress=100, message=END["complete"], media=media)
