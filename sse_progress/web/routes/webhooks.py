"""`/webhooks/deliveries`: what was sent to the webhook's endpoint, and sending it again."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

import anyio
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from sse_progress.model.errors import NotFound, Unavailable
from sse_progress.model.events import encode_json
from sse_progress.model.timestamps import rfc3339
from sse_progress.uploads.deliveries import Delivery
from sse_progress.web.description.operations import DescribedRoute, json_answer, operation, query
from sse_progress.web.middlewares.compression import compressed
from sse_progress.web.request_headers import access_of, context_of, integer

__all__ = ["ROUTES"]

REDIS_WAIT_S = 5.0
PROBLEMS = (401, 403, 429, 503)

T = TypeVar("T")


async def get_deliveries(request: Request) -> Response:
    await access_of(request).operator(request)
    limit = integer(request, "limit", default=50, check=lambda n: 1 <= n <= 200)
    after = integer(request, "after", default=0, check=lambda n: n > 0)
    deliveries = context_of(request).components.deliveries
    found, more = await _answer(deliveries.latest(limit=limit, before_us=after or None))
    body: dict[str, object] = {"deliveries": [_shown(one) for one in found]}
    if more is not None:
        body["next"] = str(more)
    return await compressed(request, _json(body, 200))


async def post_resend(request: Request) -> Response:
    """Sent soon, also to an endpoint that has wanted no more."""
    await access_of(request).operator(request)
    deliveries = context_of(request).components.deliveries
    delivery_id = str(request.path_params["delivery_id"])
    if not await _answer(deliveries.again(delivery_id)):
        raise NotFound("There is no such delivery (any more).")
    await _answer(deliveries.enable())
    delivery = await _answer(deliveries.find(delivery_id))
    if delivery is None:
        raise NotFound("There is no such delivery (any more).")
    return _json(_shown(delivery), 202)


async def _answer(question: Awaitable[T]) -> T:
    try:
        with anyio.fail_after(REDIS_WAIT_S):
            return await question
    except (TimeoutError, RedisError, OSError) as exc:
        raise Unavailable from exc


def _shown(one: Delivery) -> dict[str, object]:
    shown: dict[str, object] = {
        "id": one.id,
        "type": one.type,
        "uploadId": one.upload_id,
        "status": one.state,
        "attempts": one.attempts,
        "createdAt": rfc3339(one.created_at),
    }
    if one.tried_at:
        shown |= {"triedAt": rfc3339(one.tried_at), "answer": one.answer}
    if one.due_at is not None:
        shown["dueAt"] = rfc3339(one.due_at)
    return shown


def _json(body: dict[str, object], status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(encode_json(body), status, headers=headers, media_type="application/json")


ROUTES = [
    DescribedRoute(
        "/webhooks/deliveries",
        get_deliveries,
        operation=operation(
            "List webhook deliveries, newest first",
            "Webhooks",
            {"200": json_answer("Deliveries", "Deliveries")},
            problems=(400, *PROBLEMS),
            parameters=[
                query("limit", "How many at most, 1 to 200; 50 by default."),
                query("after", "The `next` of the part before."),
            ],
        ),
    ),
    DescribedRoute(
        "/webhooks/deliveries/{delivery_id}/resend",
        post_resend,
        method="POST",
        operation=operation(
            "Send a webhook again",
            "Webhooks",
            {"202": json_answer("Delivery", "It is sent soon")},
            problems=(404, *PROBLEMS),
        ),
    ),
]
