"""The parts that web and worker processes share, wired and running.

Also answers what only storage and Redis together know: what became of an upload whose journal
is not there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import anyio
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sse_progress.emitter.emitter import Emitter
from sse_progress.emitter.follower import Absent
from sse_progress.journal.journal import Journal
from sse_progress.journal.upload_index import Index
from sse_progress.model.errors import Problem
from sse_progress.model.events import Draft, decode_json
from sse_progress.model.messages import END
from sse_progress.queue.queue import Queue
from sse_progress.runtime.concurrency import BackgroundTasks, beside, blocking
from sse_progress.runtime.metrics import Metrics
from sse_progress.runtime.redis_client import connect, dedicated
from sse_progress.settings import Settings, SettingsError
from sse_progress.storage.disk import Storage
from sse_progress.storage.manifest import Object

__all__ = ["Core", "check", "opened"]


@dataclass(frozen=True, kw_only=True)
class Core:
    settings: Settings
    redis: Redis
    journal: Journal
    storage: Storage
    index: Index
    queue: Queue
    emitter: Emitter
    background: BackgroundTasks
    metrics: Metrics

    async def revive(self, found: Object) -> None:
        """Tell the end of a finished upload again, from its record."""
        assert found.record is not None
        await self.journal.revive(
            found.manifest.upload_id,
            owner=found.manifest.owner,
            draft=Draft(
                stage="complete",
                stage_progress=100,
                message=END["complete"],
                media=decode_json(found.record),
            ),
        )

    async def held(self, upload_id: str) -> Absent | None:
        """What the storage has of an upload whose journal Redis does not have; None: nothing.

        Finished long ago: its end is told again. Stored or arriving: wait, its writer begins a new
        epoch. Such an id is its owner's and cannot be claimed.
        """
        found = await blocking(self.storage.find, upload_id)
        if found is not None and found.done:
            await self.revive(found)
            return "revived"
        if found is not None or await blocking(self.storage.receiving, upload_id):
            return "wait"
        return None

    async def absent(self, upload_id: str) -> Absent:
        """What became of an upload whose journal Redis does not have.

        Where the storage has nothing, a young Redis may have lost it: wait. Otherwise nobody
        remembers it.
        """
        held = await self.held(upload_id)
        if held is not None:
            return held
        young = await self.journal.age_s() < self.settings.lease_s
        return "wait" if young else "gone"

    async def health(self) -> dict[str, str]:
        """Each part that uploads need, and `ok` or what is wrong with it in one word."""
        answers = {"redis": "ok", "journal": "ok", "queue": "ok", "storage": "ok"}
        try:
            with anyio.fail_after(2):
                await self.redis.ping()
        except (TimeoutError, RedisError, OSError):
            answers["redis"] = "unreachable"
        if not (self.journal.writer.connected and self.emitter.connected):
            answers["journal"] = "disconnected"
        try:
            with anyio.fail_after(2):
                await self.queue.depth()
        except (TimeoutError, RedisError, OSError):
            answers["queue"] = "unreachable"
        try:
            if await blocking(self.storage.free_bytes) <= 0:
                answers["storage"] = "full"
        except Exception:
            answers["storage"] = "unusable"
        return answers


def check(settings: Settings) -> None:
    """Raise SettingsError if what `opened` needs is not there to be used: before anything starts.

    A Redis that does not answer yet is no error; it is waited for.
    """
    _redis_url(settings)
    _storage(settings)


def _redis_url(settings: Settings) -> str:
    if settings.redis_url is None:
        raise SettingsError(
            "SSE_PROGRESS_REDIS_URL: is not set. `sse-progress serve` starts a private Redis; "
            "a part that runs alone needs to be told of one."
        )
    url = settings.redis_url.get_secret_value()
    try:
        connect(url)
    except (ValueError, TypeError) as error:  # whatever its query names goes to a constructor
        raise SettingsError(f"SSE_PROGRESS_REDIS_URL: {error}") from error
    return url


def _storage(settings: Settings) -> Storage:
    try:
        return Storage.open(settings.data_dir, reserve_bytes=settings.disk_reserve_bytes)
    except Problem as problem:
        cause = problem.__cause__
        why = cause.strerror if isinstance(cause, OSError) else problem.detail
        raise SettingsError(
            f"SSE_PROGRESS_DATA_DIR: {settings.data_dir} cannot be used ({why})."
        ) from problem


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Core]:
    """All shared parts, with their background work running for the length of the block.

    Raises SettingsError as `check` does.
    """
    url = _redis_url(settings)
    storage = await blocking(_storage, settings)
    async with AsyncExitStack() as stack:
        redis = connect(url)
        stack.push_async_callback(redis.aclose)
        journal = Journal(
            redis, journal_ttl_s=settings.journal_ttl_s, claim_ttl_s=settings.claim_ttl_s
        )
        core: Core

        async def absent(upload_id: str) -> Absent:
            return await core.absent(upload_id)

        async def held(upload_id: str) -> Absent | None:
            return await core.held(upload_id)

        metrics = Metrics()
        background = await stack.enter_async_context(BackgroundTasks())
        emitter = Emitter(
            journal,
            connection=lambda: dedicated(url),
            absent=absent,
            held=held,
            background=background,
            metrics=metrics,
        )
        core = Core(
            settings=settings,
            redis=redis,
            journal=journal,
            storage=storage,
            index=Index(redis, storage_id=storage.id),
            queue=Queue(redis, name=storage.id),
            emitter=emitter,
            background=background,
            metrics=metrics,
        )
        await stack.enter_async_context(beside(journal.writer.run()))
        await stack.enter_async_context(beside(emitter.run()))
        yield core
