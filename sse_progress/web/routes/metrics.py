"""`GET /metrics` for Prometheus."""

from __future__ import annotations

import time

import anyio
from redis.exceptions import RedisError, ResponseError
from starlette.requests import Request
from starlette.responses import Response

from sse_progress.journal.upload_index import ARCHIVE
from sse_progress.model.errors import Problem
from sse_progress.runtime.concurrency import blocking
from sse_progress.runtime.redis.client import servers
from sse_progress.uploads.components import Components
from sse_progress.web.context import WebContext
from sse_progress.web.description.operations import DescribedRoute, service_operation
from sse_progress.web.request_headers import context_of

__all__ = ["ROUTES", "measured"]

USABLE = ("ok", "full", "out_of_inodes")
"""States of a storage that serves what it has."""

REDIS_WAIT_S = 2
OLDEST = 50
"""Waiting jobs among which the oldest is found: those handed over come first, without a time."""


async def get_metrics(request: Request) -> Response:
    context = context_of(request)
    asked = await measured(context)
    accept = request.headers.get("accept", "")
    text, content_type = await blocking(
        lambda: context.components.metrics.text(asked, accept=accept)
    )
    return Response(text, headers={"Content-Type": content_type})


async def measured(context: WebContext) -> dict[str, float]:
    """What is known at this moment; without what Redis or the storage does not answer."""
    parts = context.components
    asked: dict[str, float] = {
        "journal_connected": parts.journal.appends.connected and parts.emitter.connected,
        "tasks_dead": len(parts.tasks.dead()),
        "draining": context.draining.is_set(),
    }
    redis, storage = await _redis(parts), await _storage(parts)
    ready = bool(redis["redis_up"] and storage is not None)
    return {**asked, **redis, **(storage or {}), "ready": ready}


async def _redis(parts: Components) -> dict[str, float]:
    """From a fixed number of commands, however many uploads there are."""
    try:
        with anyio.fail_after(REDIS_WAIT_S):
            began = time.monotonic()
            for _, server in await servers(parts.redis):
                await server.ping()
            ping_s = time.monotonic() - began
            queue = await parts.queue.overview(limit=OLDEST)
            alive = await _alive(parts)
            uploads = await parts.index.open_count()
            unarchived, lag_s = await parts.index.waiting(ARCHIVE)
            memory = await _memory(parts)
    except (TimeoutError, RedisError, OSError):
        return {"redis_up": 0}
    waiting = [job.seconds for job in queue.jobs["waiting"]]
    return {
        "redis_up": 1,
        "redis_ping_seconds": round(ping_s, 6),
        "queue_drained": queue.paused,
        "queue_oldest_seconds": round(max(waiting, default=0), 3),
        "workers_alive": alive,
        "open_uploads": uploads,
        "archive_waiting": unarchived,
        "archive_lag_seconds": round(lag_s, 3),
        **{f"queue_{kind}": count for kind, count in queue.counts.items()},
        **memory,
    }


async def _alive(parts: Components) -> int:
    """Workers; none while nothing gives out jobs."""
    try:
        return await parts.queue.workers_alive()
    except OSError:
        return 0


async def _memory(parts: Components) -> dict[str, float]:
    """Of all masters of a Cluster together."""
    try:
        found = [await server.info("memory") for _, server in await servers(parts.redis)]
        return {
            "redis_used_bytes": sum(memory["used_memory"] for memory in found),
            "redis_limit_bytes": sum(memory["maxmemory"] for memory in found),
        }
    except (ResponseError, KeyError):  # not allowed to this user, or not told
        return {}


async def _storage(parts: Components) -> dict[str, float] | None:
    """Free room, where there is a limit; None if it cannot be used."""
    try:
        up = await blocking(parts.storage.state) in USABLE
        free = await blocking(parts.storage.free_bytes)
        inodes = await blocking(parts.storage.free_inodes)
    except (OSError, Problem):
        return None
    found = {"storage_free_bytes": free, "storage_free_inodes": inodes}
    return {name: float(n) for name, n in found.items() if n is not None} if up else None


ROUTES = [
    DescribedRoute(
        "/metrics",
        get_metrics,
        operation=service_operation("Metrics for Prometheus", "text/plain"),
    )
]
