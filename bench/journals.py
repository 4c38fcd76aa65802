"""Events for our own service, told as a worker does: by the project's journal, its connection to
Redis and its event loop."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from sse_progress.journal.append_batcher import Answer
from sse_progress.journal.journal import Journal
from sse_progress.model.events import Draft
from sse_progress.runtime.concurrency import beside
from sse_progress.runtime.redis.client import connect, linked

OWNER = "anonymous"


class Journals:
    """Open journals of uploads whose bytes never come."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._fences: dict[str, tuple[int, itertools.count[int]]] = {}

    async def begin(self, upload_id: str) -> None:
        draft = Draft(stage="receiving", stage_progress=0, message="begin")
        answer = await self._journal.begin(upload_id, owner=OWNER, draft=draft, lease_s=3600)
        self._fences[upload_id] = answer.fence, itertools.count(2)

    def tell(self, upload_id: str, number: int, *, of: int) -> asyncio.Future[Answer]:
        fence, numbers = self._fences[upload_id]
        return self._journal.operation(
            "next",
            upload_id,
            owner=OWNER,
            fence=fence,
            numbers=numbers,
            lease_s=3600,
            draft=Draft(
                stage="receiving",
                stage_progress=1,
                message=f"Decoding frame {number} of {of} TS={time.monotonic_ns()}",
                bytes=number,
                total=of,
            ),
        )


@asynccontextmanager
async def journals(redis_url: str) -> AsyncIterator[Journals]:
    redis = connect(redis_url)
    link = linked(redis, redis_url)
    assert link is not None, "a Cluster"
    journal = Journal(redis)
    async with beside(link.run()), beside(journal.appends.run()):
        yield Journals(journal)
    await redis.aclose()


async def paced(
    names: Sequence[str],
    tell: Callable[[str, int], Awaitable[object]],
    *,
    per_s: float,
    seconds: float,
) -> None:
    """Each name in turn, `per_s` a second each, in ticks of a millisecond; 64 under way at most."""
    total, rate = int(len(names) * per_s * seconds), len(names) * per_s
    began, done = time.monotonic(), 0
    under_way: deque[asyncio.Future[object]] = deque()
    while done < total:
        await asyncio.sleep(max(0.001, (done + 1) / rate - (time.monotonic() - began)))
        due = min(total, int((time.monotonic() - began) * rate))
        while done < due:
            if len(under_way) == 64:
                await under_way.popleft()
            name, number = names[done % len(names)], done // len(names)
            under_way.append(asyncio.ensure_future(tell(name, number)))
            done += 1
    await asyncio.gather(*under_way)
