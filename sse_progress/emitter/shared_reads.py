"""Reads of journals for followers, one for all that ask for the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sse_progress.emitter.follower import Absent
from sse_progress.emitter.topic import ReadKey, Topic
from sse_progress.journal.frames import Foreign, Page
from sse_progress.journal.retelling import WholeJournal
from sse_progress.runtime.concurrency import BackgroundTasks, shared

__all__ = ["SharedReads"]


class SharedReads:
    """`held` is asked before an id is claimed: what there is of the upload elsewhere."""

    def __init__(
        self,
        journal: WholeJournal,
        held: Callable[[str], Awaitable[Absent | None]],
        background: BackgroundTasks,
    ) -> None:
        self._journal, self._held, self._background = journal, held, background

    async def read(self, topic: Topic, key: ReadKey) -> Page | Foreign | None:
        """Raises `redis.RedisError`."""
        task = topic.reads.get(key)
        if task is None:
            task = self._background.start(self._read(topic, key))
            topic.reads[key] = task
        page = await shared(task)
        if isinstance(page, Exception):
            raise page
        return page

    async def _read(self, topic: Topic, key: ReadKey) -> Page | Foreign | Exception | None:
        try:
            return await self._page(topic, key)
        except Exception as exc:  # raised again in every follower that waits for this read
            return exc
        finally:
            del topic.reads[key]

    async def _page(self, topic: Topic, key: ReadKey) -> Page | Foreign | None:
        upload_id, (_, owner, after, claim, limit, missing) = topic.upload_id, key
        if not missing:
            page = await self._journal.read(upload_id, owner=owner, after=after, limit=limit)
            if isinstance(page, Page):
                topic.keep_page(key, page)
            if page is not None or not claim:
                return page
        # A journal may expire, or be lost, before its upload is: such an id has an owner.
        held = await self._held(upload_id)
        if held == "wait":
            return None
        return await self._journal.read(
            upload_id, owner=owner, after=after, claim=held is None, limit=limit
        )
