"""What is done to many uploads at once: a batch whose items are the work."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sse_progress.model.errors import BadRequest, InvalidUploadId, TooLarge
from sse_progress.model.ids import valid_upload_id
from sse_progress.model.labels import Labels
from sse_progress.uploads.batches import BULK_LIMIT
from sse_progress.web.context import WebContext
from sse_progress.web.description.operations import DescribedRoute, Object, json_answer, operation
from sse_progress.web.json_body import json_body
from sse_progress.web.request_headers import access_of, context_of
from sse_progress.web.routes.batches import (
    LABEL_PROPERTIES,
    TEXT,
    batch_response,
    json_request,
    new_batch_id,
)
from sse_progress.web.routes.jobs import Described

__all__ = ["ROUTES"]

BULK_BODY_BYTES = 2 * 1024 * 1024
OPEN = ("pending", "receiving", "processing")
FINISHED = ("complete", "error", "cancelled")


class _Bulk(Described, rename="camel", kw_only=True):
    ids: Annotated[list[str], msgspec.Meta(max_length=BULK_LIMIT)] | None = None
    status: str | None = None


async def post_cancel(request: Request) -> Response:
    return await _bulk(request, "cancel", OPEN)


async def post_delete(request: Request) -> Response:
    return await _bulk(request, "delete", FINISHED)


async def _bulk(request: Request, work: str, statuses: tuple[str, ...]) -> Response:
    context = context_of(request)
    principal = await access_of(request).writer(request)
    asked = await json_body(request, _Bulk, limit_bytes=BULK_BODY_BYTES)
    labels = asked.labels()
    if (asked.ids is None) == (not labels and asked.status is None):
        raise BadRequest("The body has either ids, or a filter: status, kind, context, batchId.")
    if asked.status is not None and asked.status not in statuses:
        raise BadRequest(f"The status is one of {', '.join(statuses)}.")
    if asked.ids is None:
        chosen = (asked.status,) if asked.status else statuses
        ids = await _found(context, principal.sub, labels, chosen)
    else:
        ids = list(dict.fromkeys(asked.ids))
        if not all(map(valid_upload_id, ids)):
            raise InvalidUploadId("One of the ids is none of an upload.")
    batch_id = new_batch_id()
    await context.batches.bulk(batch_id, owner=principal.sub, work=work, ids=ids)
    return batch_response(request, batch_id, 202)


async def _found(
    context: WebContext, owner: str, labels: Labels, statuses: tuple[str, ...]
) -> list[str]:
    """The owner's uploads that a filter names."""
    found: list[str] = []
    before_us: int | None = None
    while True:
        states, before_us, _ = await context.uploads.states(
            owner, status=None, labels=labels, limit=200, before_us=before_us
        )
        found += [state["uploadId"] for state in states if state["status"] in statuses]
        if len(found) > BULK_LIMIT:
            raise TooLarge(f"The filter finds more than {BULK_LIMIT} uploads.")
        if before_us is None:
            return found


# ---- described

_CHOICE = {
    "ids": {"type": "array", "items": TEXT, "maxItems": BULK_LIMIT},
    "status": TEXT,
    "batchId": TEXT,
    **LABEL_PROPERTIES,
}


def _operation(summary: str) -> Object:
    return {
        **operation(
            summary,
            "Batches",
            {"202": json_answer("BatchMade", "Under way: a batch like any other")},
            problems=(400, 401, 403, 413, 429, 503),
        ),
        **json_request(**_CHOICE),
    }


ROUTES = [
    DescribedRoute(
        "/uploads/cancel",
        post_cancel,
        method="POST",
        operation=_operation("Cancel many uploads"),
    ),
    DescribedRoute(
        "/uploads/delete",
        post_delete,
        method="POST",
        operation=_operation("Delete the files of many finished uploads"),
    ),
]
