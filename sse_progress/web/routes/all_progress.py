"""`GET /uploads/progress`: one stream for all of the caller's uploads."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sse_progress.model.errors import InvalidUploadId
from sse_progress.model.ids import valid_upload_id
from sse_progress.web.description.operations import (
    FRAMES,
    ID,
    LABELS,
    DescribedRoute,
    operation,
    query,
    ref,
)
from sse_progress.web.request_headers import access_of, context_of, labels_of
from sse_progress.web.routes.progress import pace_of
from sse_progress.web.streams.all_uploads import UserStream
from sse_progress.web.streams.sse_response import busy_stream

__all__ = ["ROUTES"]


async def get_all_progress(request: Request) -> Response:
    context = context_of(request)
    principal = await access_of(request).follower(request)
    only = frozenset(request.query_params.getlist("id"))
    if not all(valid_upload_id(upload_id) for upload_id in only):
        raise InvalidUploadId
    head = request.method == "HEAD"
    if context.busy and not head:
        return busy_stream()
    lease = None if head else await context.limits.stream(principal.sub)
    return UserStream(
        context.components,
        context.recent,
        owner=principal.sub,
        only=only,
        labels=labels_of(request),
        on_left=lease.release if lease else lambda: None,
        pace=pace_of(request, context, principal),
        parts=context.streams,
    )


ROUTES = [
    DescribedRoute(
        "/uploads/progress",
        get_all_progress,
        operation=operation(
            "Follow all of your uploads on one stream",
            "Streams",
            {
                "200": {
                    "description": f"{FRAMES} Here they have no id: it begins with a `reset` for "
                    "each open or just ended upload.",
                    "content": {"text/event-stream": {"schema": ref("Event")}},
                }
            },
            parameters=[
                {
                    "name": "id",
                    "in": "query",
                    "description": "Only these uploads; repeatable.",
                    "schema": {"type": "array", "items": ID["schema"]},
                    "explode": True,
                },
                *LABELS,
                query("heartbeat", "`event`: heartbeats that scripts can see."),
                query("token", "A token, where headers cannot be set."),
            ],
            problems=(400, 401, 403, 429),
        ),
    )
]
