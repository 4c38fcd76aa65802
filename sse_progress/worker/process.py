"""One worker process: takes jobs, runs stages, reconciles."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import structlog
import uvloop

from sse_progress import __version__
from sse_progress.access.spending import Spending
from sse_progress.archive.archive import ArchiveWriter
from sse_progress.model.kinds import Kinds
from sse_progress.model.stage_api import Options
from sse_progress.runtime.concurrency import first_of
from sse_progress.runtime.descriptors import raise_limit
from sse_progress.runtime.linux import harden_this_process, keep_file_capabilities
from sse_progress.runtime.logging_setup import configure, log_uncaught
from sse_progress.runtime.readiness import tell_ready
from sse_progress.sandbox.confinement import Confinement, degree
from sse_progress.sandbox.outcomes import CannotStart
from sse_progress.sandbox.pool import Pool
from sse_progress.settings import Settings, SettingsError, env_file
from sse_progress.uploads.batches import Batches, BatchKeeper
from sse_progress.uploads.components import Components, check_redis, opened, webhook_keys
from sse_progress.uploads.kinds import load_kinds
from sse_progress.uploads.reviews import Reviews
from sse_progress.worker.archiver import Archiver
from sse_progress.worker.context import KindOfWork, WorkerConfig, WorkerContext
from sse_progress.worker.eta import History
from sse_progress.worker.leader import Leader
from sse_progress.worker.pipeline_loader import load_pipeline, pipeline_of
from sse_progress.worker.reconciler import DAY_S, Reconciler
from sse_progress.worker.redis_policy import watch_policy
from sse_progress.worker.room import Room
from sse_progress.worker.runner import Runner
from sse_progress.worker.shortener import Shortener

__all__ = ["run"]

log = structlog.get_logger(__name__)

CANCEL_AGAIN_S = 5.0
"""Handing over takes far less."""


def options_of(settings: Settings) -> Options:
    """What stages may see of the settings."""
    return Options(
        allowed_types=settings.allowed_types,
        max_pixels=settings.max_pixels,
        keep_location=settings.keep_location,
        strip_metadata=settings.strip_metadata,
        nsfw_review=settings.nsfw_review,
        nsfw_refuse=settings.nsfw_refuse,
        yara_rules=str(settings.yara_rules.absolute()) if settings.yara_rules else None,
        word_list=str(settings.word_list.absolute()) if settings.word_list else None,
        bad_sha256=str(settings.bad_sha256.absolute()) if settings.bad_sha256 else None,
        clamd=settings.clamd,
        clamd_fail=settings.clamd_fail,
    )


def work_of(kinds: Kinds, settings: Settings) -> dict[str, KindOfWork]:
    """What this worker does to uploads of each kind. Raises SettingsError."""
    default, options = load_pipeline(settings), options_of(settings)
    return {
        kind.name: KindOfWork(
            pipeline=pipeline_of(kind, default),
            options=msgspec.structs.replace(options, allowed_types=tuple(kind.allowed_types or ())),
            table=kind.table,
            cpu_s=kind.cpu_s,
            timeout_s=kind.timeout_s,
        )
        for kind in kinds.values()
    }


def retention_of(kinds: Kinds, settings: Settings) -> dict[str, float | None]:
    """Seconds that finished uploads of the declared kinds are kept; None: forever."""
    return {
        name: seconds_of(kinds[name].retention_days or settings.retention_days)
        for name in kinds.declared
    }


def seconds_of(days: float | None) -> float | None:
    return None if days is None else days * DAY_S


def webhooks_of(components: Components) -> list[tuple[str, Coroutine[Any, Any, None]]]:
    """The task that sends webhooks, where there are any."""
    url = components.settings.webhook_url
    if url is None:
        return []
    from sse_progress.worker.webhooks import Webhooks  # httpx takes 0.1 s to import

    keys = webhook_keys(components.settings)
    return [("webhooks", Webhooks(components, url=url.get_secret_value(), keys=keys).run())]


def archiver_of(
    components: Components, batches: Batches, leader: Leader
) -> list[tuple[str, Coroutine[Any, Any, None]]]:
    """The tasks that archive journals, and shorten them afterwards, where there is an archive."""
    url, history_s = components.settings.archive, components.settings.history_days * DAY_S
    if url is None:
        return []
    if components.settings.storage is not None and url.startswith("sqlite"):
        log.warning("the archive is a file of this host; hosts that share a bucket need PostgreSQL")
    archiver = Archiver(
        components,
        ArchiveWriter(url),
        batches,
        history_s=history_s,
        leads=lambda: leader.leading,
    )
    shortener = Shortener(
        components.journal,
        components.index,
        after_s=components.settings.journal_whole_s,
        leads=lambda: leader.leading,
    )
    return [("archiver", archiver.run()), ("shortener", shortener.run())]


def confinement_of(settings: Settings) -> Confinement:
    """What stages may reach here, told to the log. Raises SettingsError if `required` cannot be."""
    has = degree()
    if settings.sandbox == "required" and not has.enough:
        raise SettingsError(f"SSE_PROGRESS_SANDBOX=required, but this kernel has {has}.")
    if settings.sandbox == "off":
        log.warning("stages are not confined", sandbox="off", kernel=str(has))
    elif not has.full:
        log.warning("stages are confined in part", sandbox=settings.sandbox, kernel=str(has))
    else:
        log.info("stages are confined", sandbox=settings.sandbox, kernel=str(has))
    return Confinement(
        mode=settings.sandbox,
        closed=tuple(map(str, filter(None, (settings.data_dir, env_file(settings.data_dir))))),
        readable=tuple(str(Path(path).absolute()) for path in settings.stage_readable),
    )


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; jobs under way are then handed over.

    Raises SettingsError if the pipeline, or what a setting names, cannot be used here, or if the
    Redis is of another kind than its URL says, and SystemExit(1) if a task that it cannot do
    without has ended.
    """
    configure(settings.log_format, level=settings.log_level, user_key=settings.user_key)
    log_uncaught()
    harden_this_process()
    keep_file_capabilities()
    raise_limit()
    check_redis(settings)
    try:
        uvloop.run(_main(settings))
    except CannotStart as error:
        raise SettingsError(f"This worker can run no stage: {error}") from error


async def _main(settings: Settings) -> None:
    work = asyncio.create_task(_work(settings))
    loop = asyncio.get_running_loop()

    def end() -> None:
        """Also later: redis-py loses a cancellation that meets the end of a connection."""
        if not work.done():
            work.cancel()
            loop.call_later(CANCEL_AGAIN_S, end)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    with contextlib.suppress(asyncio.CancelledError):
        await work
        sys.exit(1)  # it goes on until it is cancelled


def _ready() -> None:
    log.info("worker ready", pid=os.getpid(), version=__version__)
    tell_ready()


async def _work(settings: Settings) -> None:
    kinds = load_kinds(settings)
    work = work_of(kinds, settings)
    async with opened(settings) as components:
        if settings.metrics_port is not None and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            components.metrics.serve(settings.host, settings.metrics_port)
        pool = Pool(
            size=settings.worker_concurrency,
            memory_bytes=settings.stage_memory_bytes,
            cpu_s=settings.stage_cpu_s,
            confinement=confinement_of(settings),
        )
        reviews = Reviews(components, {name: kind.table for name, kind in kinds.items()})
        context = WorkerContext(
            components=components,
            pool=pool,
            reviews=reviews,
            spending=Spending(components.redis),
            history=History(components.redis, clock=time.monotonic),
            config=WorkerConfig(
                kinds=work,
                prefix=settings.prefix,
                stage_timeout_s=settings.stage_timeout_s,
                cpu_s=settings.upload_cpu_s,
                cpu_s_per_mib=settings.upload_cpu_s_per_mib,
                timeout_s=settings.upload_timeout_s,
                timeout_s_per_mib=settings.upload_timeout_s_per_mib,
                room=Room(settings.scratch_bytes, settings.disk_reserve_bytes),
                child_attempts=settings.stage_attempts,
                job_attempts=settings.job_attempts,
                hold_reviews=settings.review == "hold",
            ),
        )
        leader = Leader(
            components.redis, storage_id=components.storage.id, lease_s=settings.lease_s
        )
        reconciler = Reconciler(
            journal=components.journal,
            storage=components.storage,
            index=components.index,
            queue=components.queue,
            leader=leader,
            lease_s=settings.lease_s,
            retention_s=retention_of(kinds, settings),
            default_retention_s=seconds_of(settings.retention_days),
            resume_s=settings.resume_s,
            reviews=reviews,
            review_s=settings.review_days * DAY_S,
            on_review_timeout=settings.review_timeout,
            hook_wait_s=settings.moderation_hook_wait_s,
            on_hook_timeout="refuse" if settings.moderation_fail == "closed" else "review",
        )
        batches = Batches(components, most=settings.max_batch)
        keeper = BatchKeeper(
            components, batches, repair_s=settings.lease_s / 2, leads=lambda: leader.leading
        )
        await pool.start()
        running = components.tasks.running
        try:
            async with AsyncExitStack() as stack:
                for name, task in (
                    ("reconciler", reconciler.run(every_s=settings.lease_s / 2)),
                    ("batches", keeper.run()),
                    ("redis policy", watch_policy(components.redis)),
                    *archiver_of(components, batches, leader),
                    *webhooks_of(components),
                ):
                    await stack.enter_async_context(running(name, task))
                await first_of(
                    components.queue.run(
                        Runner(context).run,
                        concurrency=settings.worker_concurrency,
                        on_ready=_ready,
                    ),
                    components.tasks.failed.wait(),
                )
        finally:
            await pool.aclose()
