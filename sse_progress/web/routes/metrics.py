"""`GET /metrics` for Prometheus."""

from __future__ import annotations

import anyio
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from sse_progress.runtime.concurrency import blocking
from sse_progress.runtime.metrics import CONTENT_TYPE
from sse_progress.web.context import WebContext
from sse_progress.web.operations import DescribedRoute, service_operation
from sse_progress.web.request_headers import context_of

__all__ = ["ROUTES"]


async def get_metrics(request: Request) -> Response:
    context = context_of(request)
    asked = await _asked(context)
    return Response(await blocking(context.components.metrics.text, asked), media_type=CONTENT_TYPE)


async def _asked(context: WebContext) -> dict[str, float]:
    """What Redis and the storage know at this moment; absent where they do not answer."""
    asked: dict[str, float] = {"ready": 0}
    try:
        with anyio.fail_after(2):
            queue = await context.components.queue.overview(limit=50)
            asked["workers_alive"] = await context.components.queue.workers_alive()
            asked["open_uploads"] = len(await context.components.index.open_uploads())
        asked |= {f"queue_{kind}": count for kind, count in queue.counts.items()}
        asked["queue_drained"] = queue.paused
        waiting = [job.seconds for job in queue.jobs["waiting"]]
        asked["queue_oldest_seconds"] = round(max(waiting, default=0), 3)
        asked["storage_free_bytes"] = await blocking(context.components.storage.free_bytes)
        inodes = await blocking(context.components.storage.free_inodes)
        if inodes is not None:
            asked["storage_free_inodes"] = inodes
        asked["ready"] = 1
    except (TimeoutError, RedisError, OSError):
        pass
    return asked


ROUTES = [
    DescribedRoute(
        "/metrics",
        get_metrics,
        operation=service_operation("Metrics for Prometheus", "text/plain"),
    )
]
