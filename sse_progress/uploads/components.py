"""The parts that web and worker processes share, wired and running."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec

from redis.asyncio import Redis

from sse_progress.archive.archive import Archive, NoArchive
from sse_progress.emitter.emitter import Emitter
from sse_progress.journal.format import NewerFormat, check_format, watch_format
from sse_progress.journal.journal import Journal
from sse_progress.journal.upload_index import ARCHIVE, SHORTENER, WEBHOOKS, Index
from sse_progress.model.webhooks import secrets_of
from sse_progress.queue.job_store import enqueue_function
from sse_progress.queue.opening import open_queue
from sse_progress.queue.queue import Queue
from sse_progress.runtime.concurrency import BackgroundTasks, LongTasks, blocking
from sse_progress.runtime.metrics import Metrics
from sse_progress.runtime.redis.client import connect, dedicated, linked
from sse_progress.runtime.redis.kind import mismatch
from sse_progress.runtime.traces import Traces, open_traces
from sse_progress.settings import Secret, Settings, SettingsError
from sse_progress.storage.opening import open_storage
from sse_progress.storage.port import Storage
from sse_progress.storage.presence import BEAT_S, LocksNotShared, Presence
from sse_progress.uploads.deliveries import Deliveries
from sse_progress.uploads.recovery import Recovery, RecoveryElsewhere

__all__ = [
    "Components",
    "check",
    "check_archive",
    "hook_keys",
    "opened",
    "webhook_keys",
]


@dataclass(frozen=True, kw_only=True)
class Components:
    settings: Settings
    redis: Redis
    journal: Journal
    storage: Storage
    index: Index
    archive: NoArchive
    deliveries: Deliveries
    queue: Queue
    recovery: Recovery
    emitter: Emitter
    background: BackgroundTasks
    tasks: LongTasks
    metrics: Metrics
    traces: Traces


def check(settings: Settings) -> None:
    """Raise SettingsError if what `opened` needs is not there to be used: before anything starts.

    A Redis that does not answer yet is no error; it is waited for.
    """
    open_queue(settings, connect(_redis_url(settings)), name="")
    check_redis(settings)
    webhook_keys(settings)
    hook_keys(settings)
    check_archive(settings)
    open_storage(settings)
    if (presence := _present(settings)) is not None:
        presence.leave()


def check_redis(settings: Settings) -> None:
    """Raise SettingsError if a Redis of another kind answers than the URL says."""
    if wrong := mismatch(_redis_url(settings)):
        raise SettingsError(f"SSE_PROGRESS_REDIS_URL: {wrong}")


def _present(settings: Settings) -> Presence | None:
    """This host among those that use the data directory, if files are kept there.

    Raises SettingsError where hosts do not see each other's locks.
    """
    if settings.storage is not None or settings.web_role == "streams":
        return None
    presence = Presence(settings.data_dir)
    try:
        presence.enter()
    except LocksNotShared as error:
        raise SettingsError(
            f"SSE_PROGRESS_DATA_DIR: {settings.data_dir} is on a file system on which a lock of "
            f"{error} is not seen here; bodies that arrive would be deleted. Mount it with locks "
            "that all hosts share, or use object storage (SSE_PROGRESS_STORAGE)."
        ) from error
    except OSError as error:
        raise SettingsError(
            f"SSE_PROGRESS_DATA_DIR: {settings.data_dir} cannot be used ({error.strerror})."
        ) from error
    return presence


async def _beat(presence: Presence) -> None:
    while True:
        await asyncio.sleep(BEAT_S)
        with contextlib.suppress(OSError):  # `/readyz` tells of it
            await blocking(presence.beat)


def check_archive(settings: Settings) -> None:
    """Raise SettingsError if there is no driver for the archive's database."""
    if (settings.archive or "").startswith("postgresql") and find_spec("psycopg") is None:
        raise SettingsError(
            "SSE_PROGRESS_ARCHIVE_URL: PostgreSQL needs psycopg; install sse-progress[postgres]."
        )


def webhook_keys(settings: Settings) -> tuple[bytes, ...]:
    """What signs webhooks; none if there are none. Raises SettingsError."""
    return _keys("WEBHOOK_SECRET", settings.webhook_secret)


def hook_keys(settings: Settings) -> tuple[bytes, ...]:
    """What signs requests to the moderation hook, and its answers. Raises SettingsError."""
    return _keys("MODERATION_HOOK_SECRET", settings.moderation_hook_secret)


def _keys(name: str, secret: Secret | None) -> tuple[bytes, ...]:
    if secret is None:
        return ()
    try:
        return secrets_of(secret.get_secret_value())
    except ValueError as error:
        raise SettingsError(f"SSE_PROGRESS_{name}: {error}") from error


def _redis_url(settings: Settings) -> str:
    if settings.redis_url is None:
        raise SettingsError(
            "SSE_PROGRESS_REDIS_URL: is not set. `sse-progress serve` starts a private Redis; "
            "a part that is run separately needs its URL."
        )
    url = settings.redis_url.get_secret_value()
    try:
        connect(url)
    except (ValueError, TypeError) as error:  # whatever its query names goes to a constructor
        raise SettingsError(f"SSE_PROGRESS_REDIS_URL: {error}") from error
    return url


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Components]:
    """All shared parts, with their background work running for the length of the block.

    Raises SettingsError as `check` does.
    """
    url = _redis_url(settings)
    storage = await blocking(open_storage, settings)
    async with AsyncExitStack() as stack:
        redis = connect(url)
        stack.push_async_callback(redis.aclose)
        try:
            await check_format(redis)
        except NewerFormat as error:
            raise SettingsError(f"SSE_PROGRESS_REDIS_URL: {error}.") from error
        traces = await blocking(open_traces, os.environ)
        stack.push_async_callback(blocking, traces.close)
        metrics, tasks = Metrics(), LongTasks()
        stack.callback(metrics.flush)
        if (link := linked(redis, url)) is not None:
            await stack.enter_async_context(tasks.running("redis_link", link.run()))
        await stack.enter_async_context(tasks.running("format", watch_format(redis)))
        if (presence := await blocking(_present, settings)) is not None:
            stack.callback(presence.leave)
            await stack.enter_async_context(tasks.running("presence", _beat(presence)))
        queue = open_queue(settings, redis, name=storage.id)
        stack.push_async_callback(queue.aclose)
        archive = Archive(settings.archive) if settings.archive else NoArchive()
        stack.push_async_callback(archive.aclose)
        journal = Journal(
            redis,
            journal_ttl_s=settings.journal_ttl_s,
            refused_ttl_s=settings.journal_ttl_refused_s,
            claim_ttl_s=settings.claim_ttl_s,
            observe_append=metrics.append_seconds.observe,
            enqueue=enqueue_function(),
        )
        recover = RecoveryElsewhere if settings.web_role == "streams" else Recovery
        recovery = recover(journal, storage, lease_s=settings.lease_s)
        background = await stack.enter_async_context(BackgroundTasks())
        emitter = Emitter(
            journal,
            connection=lambda: dedicated(url, of=redis),
            absent=recovery.absent,
            held=recovery.held,
            past=archive,
            background=background,
            metrics=metrics,
        )
        await stack.enter_async_context(tasks.running("journal_writer", journal.appends.run()))
        await stack.enter_async_context(tasks.running("emitter", emitter.run()))
        yield Components(
            settings=settings,
            redis=redis,
            journal=journal,
            storage=storage,
            index=Index(
                redis,
                storage_id=storage.id,
                consumers=(
                    "batches",
                    *((ARCHIVE, SHORTENER) if settings.archive else ()),
                    *((WEBHOOKS,) if settings.webhook_url else ()),
                ),
            ),
            archive=archive,
            deliveries=Deliveries(redis, storage_id=storage.id),
            queue=queue,
            recovery=recovery,
            emitter=emitter,
            background=background,
            tasks=tasks,
            metrics=metrics,
            traces=traces,
        )
