"""Batches: uploads and jobs followed as one."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sse_progress.journal.frames import Page
from sse_progress.model.errors import (
    BadRequest,
    InvalidUploadId,
)
from sse_progress.model.events import decode_json, encode_json, with_status
from sse_progress.model.ids import valid_upload_id
from sse_progress.model.text import clean_text
from sse_progress.runtime.redis.keys import batch_name
from sse_progress.web.description.operations import (
    IF_NONE_MATCH,
    LABELS,
    DescribedRoute,
    Object,
    json_answer,
    not_modified,
    operation,
)
from sse_progress.web.json_body import json_body
from sse_progress.web.request_headers import (
    access_of,
    context_of,
    etag_matches,
    etag_of,
    labels_of,
    wait_s,
    wants_json,
)
from sse_progress.web.routes.history import history_of
from sse_progress.web.routes.jobs import Described
from sse_progress.web.routes.progress import stream_of, stream_operation

__all__ = [
    "LABEL_PROPERTIES",
    "ROUTES",
    "TEXT",
    "batch_response",
    "json_request",
    "new_batch_id",
]


class _Batch(Described, rename="camel", kw_only=True):
    total: Annotated[int, msgspec.Meta(ge=0)] = 0


def _batch_id(request: Request) -> str:
    batch_id = str(request.path_params["batch_id"])
    if not valid_upload_id(batch_id):
        raise InvalidUploadId("This is not the id of a batch.")
    return batch_id


def new_batch_id() -> str:
    return f"batch_{uuid4()}"


def batch_response(request: Request, batch_id: str, status: int) -> Response:
    """The answer to what made a batch: its id, and where it is."""
    headers = {"Location": f"{context_of(request).settings.prefix}/batches/{batch_id}"}
    return _json({"batchId": batch_id}, status, headers)


# ---- one batch


async def post_batch(request: Request) -> Response:
    context = context_of(request)
    principal = await access_of(request).writer(request)
    batch = await json_body(request, _Batch)
    if batch.batch_id is not None:
        raise BadRequest("A batch is in no batch.")
    batch_id = batch.id if batch.id is not None else new_batch_id()
    if not valid_upload_id(batch_id):
        raise InvalidUploadId("The id of a batch has to match that of an upload.")
    labels = batch.labels().over(labels_of(request))
    if labels.kind:
        context.kinds.permitted(labels, allowed=principal.kinds, file=False)
    new = await context.batches.open(
        batch_id,
        owner=principal.sub,
        labels=labels,
        title=clean_text(batch.title),
        total=batch.total,
    )
    return batch_response(request, batch_id, 201 if new else 200)


async def get_batch(request: Request) -> Response:
    batch_id, context = _batch_id(request), context_of(request)
    principal = await access_of(request).reader(request)
    return _state(request, await context.batches.page(batch_id, owner=principal.sub))


async def close_batch(request: Request) -> Response:
    batch_id, context = _batch_id(request), context_of(request)
    principal = await access_of(request).writer(request)
    await context.batches.close(batch_id, owner=principal.sub)
    return Response(status_code=204)


async def delete_batch(request: Request) -> Response:
    batch_id, context = _batch_id(request), context_of(request)
    principal = await access_of(request).writer(request)
    await context.batches.cancel(batch_id, owner=principal.sub)
    return Response(status_code=204)


async def get_batch_history(request: Request) -> Response:
    batch_id, context = _batch_id(request), context_of(request)
    principal = await access_of(request).reader(request)
    page = await context.batches.page(batch_id, owner=principal.sub)
    return await history_of(request, batch_name(batch_id), page, {"batchId": batch_id})


async def get_batch_progress(request: Request) -> Response:
    batch_id = _batch_id(request)
    if wants_json(request):
        return await _state_now_or_changed(request, batch_id)
    principal = await access_of(request).follower(request)
    return await stream_of(request, batch_name(batch_id), principal, batch_id=batch_id)


async def _state_now_or_changed(request: Request, batch_id: str) -> Response:
    context = context_of(request)
    principal = await access_of(request).reader(request)
    page = await context.batches.page(batch_id, owner=principal.sub)
    seconds = wait_s(request)
    if seconds and not page.terminal and etag_matches(request, etag_of(page.end)):
        name = batch_name(batch_id)
        await context.changed(name, owner=principal.sub, since=page.end, wait_s=seconds)
        page = await context.batches.page(batch_id, owner=principal.sub)
    return _state(request, page)


def _state(request: Request, page: Page) -> Response:
    etag = etag_of(page.end, live=page.live)
    headers = {"Cache-Control": "no-cache", "ETag": etag, "Vary": "Accept"}
    if etag_matches(request, etag):
        return Response(status_code=304, headers=headers)
    assert page.last is not None, "a batch begins with an event"
    state = with_status(page.last.data) | decode_json(page.about or b"{}") | page.when
    return _json(state, 200, headers)


def _json(body: dict[str, Any], status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(encode_json(body), status, headers=headers, media_type="application/json")


# ---- described

TEXT = {"type": "string"}
LABEL_PROPERTIES: Object = {
    "kind": TEXT,
    "context": {"type": "object", "additionalProperties": TEXT},
}
_ID: Object = {
    "name": "batch_id",
    "in": "path",
    "required": True,
    "description": "The batch's id.",
    "schema": TEXT,
}
_ENDED = (400, 401, 403, 404, 409, 429, 503)


def json_request(**properties: Object) -> Object:
    schema = {"type": "object", "properties": properties}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


ROUTES = [
    DescribedRoute(
        "/batches",
        post_batch,
        method="POST",
        operation={
            **operation(
                "Begin a batch; uploads and jobs join it by `batch=`",
                "Batches",
                {
                    "201": json_answer("BatchMade", "Begun"),
                    "200": json_answer("BatchMade", "It is there; its total is as given now"),
                },
                parameters=LABELS[:2],
                problems=(400, 401, 403, 409, 413, 429, 503),
            ),
            **json_request(
                id=TEXT,
                title=TEXT,
                total={"type": "integer", "minimum": 0, "description": "Items there are to be."},
                **LABEL_PROPERTIES,
            ),
        },
    ),
    DescribedRoute(
        "/batches/{batch_id}",
        get_batch,
        operation=operation(
            "The state of a batch",
            "Batches",
            {"200": json_answer("BatchState", "The state", etag=True), **not_modified()},
            parameters=[_ID, IF_NONE_MATCH],
            problems=(400, 401, 403, 404, 429, 503),
        ),
    ),
    DescribedRoute(
        "/batches/{batch_id}",
        delete_batch,
        method="DELETE",
        operation=operation(
            "Cancel what is open of a batch",
            "Batches",
            {"204": {"description": "Cancelled"}},
            parameters=[_ID],
            problems=_ENDED,
        ),
    ),
    DescribedRoute(
        "/batches/{batch_id}/close",
        close_batch,
        method="POST",
        operation=operation(
            "Say that no more items join",
            "Batches",
            {"204": {"description": "Closed: it ends with its last item"}},
            parameters=[_ID],
            problems=_ENDED,
        ),
    ),
    DescribedRoute(
        "/batches/{batch_id}/progress",
        get_batch_progress,
        operation=stream_operation(
            "Follow a batch", event="BatchEvent", state="BatchState", parameters=[_ID]
        ),
    ),
    DescribedRoute(
        "/batches/{batch_id}/history",
        get_batch_history,
        operation=operation(
            "The events of a batch as a list",
            "Batches",
            {"200": json_answer("History", "As for an upload"), **not_modified()},
            parameters=[_ID, IF_NONE_MATCH],
            problems=(400, 401, 403, 404, 429, 503),
        ),
    ),
]
