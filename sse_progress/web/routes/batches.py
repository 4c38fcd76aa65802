"""Batches, and what is done to many uploads at once."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

import anyio
import msgspec
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from sse_progress.access.tokens import Principal
from sse_progress.emitter.topic import Topic
from sse_progress.journal.frames import Foreign, Page
from sse_progress.model.errors import (
    BadRequest,
    Forbidden,
    InvalidUploadId,
    TooLarge,
)
from sse_progress.model.events import decode_json, encode_json, with_status
from sse_progress.model.ids import GONE, valid_upload_id
from sse_progress.model.labels import Labels
from sse_progress.model.text import clean_text
from sse_progress.runtime.redis_keys import batch_name
from sse_progress.uploads.batches import BULK_LIMIT
from sse_progress.web.context import WebContext
from sse_progress.web.json_body import json_body
from sse_progress.web.operations import (
    FRAMES,
    IF_NONE_MATCH,
    LABELS,
    DescribedRoute,
    Object,
    header,
    json_answer,
    not_modified,
    operation,
    query,
    ref,
)
from sse_progress.web.request_headers import (
    access_of,
    context_of,
    etag_matches,
    etag_of,
    labels_of,
    position_of,
    wait_s,
    wants_json,
)
from sse_progress.web.routes.history import history_of
from sse_progress.web.routes.jobs import Described
from sse_progress.web.routes.progress import NO_CONTENT_HEADERS, OPEN_WAIT_S, pace_of
from sse_progress.web.streams.sse_response import busy_stream
from sse_progress.web.streams.upload import Start, UploadStream

__all__ = ["ROUTES"]

BULK_BODY_BYTES = 2 * 1024 * 1024
OPEN = ("pending", "receiving", "processing")
FINISHED = ("complete", "error", "cancelled")


class _Batch(Described, rename="camel", kw_only=True):
    total: Annotated[int, msgspec.Meta(ge=0)] = 0


class _Bulk(Described, rename="camel", kw_only=True):
    ids: Annotated[list[str], msgspec.Meta(max_length=BULK_LIMIT)] | None = None
    status: str | None = None


def _batch_id(request: Request) -> str:
    batch_id = str(request.path_params["batch_id"])
    if not valid_upload_id(batch_id):
        raise InvalidUploadId("This is not the id of a batch.")
    return batch_id


def _new_id() -> str:
    return f"batch_{uuid4()}"


# ---- one batch


async def post_batch(request: Request) -> Response:
    context = context_of(request)
    principal = await access_of(request).writer(request)
    batch = await json_body(request, _Batch)
    if batch.batch_id is not None:
        raise BadRequest("A batch is in no batch.")
    batch_id = batch.id if batch.id is not None else _new_id()
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
    headers = {"Location": f"{context.settings.prefix}/batches/{batch_id}"}
    return _json({"batchId": batch_id}, 201 if new else 200, headers)


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
    batch_id, context = _batch_id(request), context_of(request)
    if wants_json(request):
        return await _state_now_or_changed(request, batch_id)
    principal = await access_of(request).follower(request)
    presented = position_of(request)
    if presented == GONE:
        return Response(status_code=204, headers=NO_CONTENT_HEADERS)
    head = request.method == "HEAD"
    if context.busy and not head:
        return busy_stream()
    emitter = context.components.emitter
    topic = emitter.open(batch_name(batch_id))
    try:
        opening = await _opening(request, topic, principal)
        if opening and opening[0].terminal and presented == opening[0].end:
            emitter.release(topic)
            return Response(status_code=204, headers=NO_CONTENT_HEADERS)
        lease = None if head else await context.limits.stream(principal.account)
        stream = UploadStream(
            Start(topic, principal.sub, presented, claims=False, opening=opening),
            emitter=emitter,
            keep_claim=context.components.journal.keep_claim,
            on_left=lease.release if lease else lambda: None,
            pace=pace_of(request, context, principal),
            parts=context.streams,
            batch_id=batch_id,
        )
    except BaseException:
        emitter.release(topic)
        raise
    if head:
        emitter.release(topic)
    return stream


async def _opening(request: Request, topic: Topic, principal: Principal) -> tuple[Page, int] | None:
    emitter = context_of(request).components.emitter
    try:
        with anyio.fail_after(OPEN_WAIT_S):
            page, generation = await emitter.read(
                topic, owner=principal.sub, after=position_of(request), claim=False
            )
    except (TimeoutError, RedisError, OSError):
        return None
    if isinstance(page, Foreign):
        raise Forbidden("This batch belongs to another user.")
    return None if page is None else (page, generation)


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
    headers = {"Cache-Control": "no-cache", "ETag": etag_of(page.end), "Vary": "Accept"}
    if etag_matches(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    assert page.last is not None, "a batch begins with an event"
    return _json(with_status(page.last.data) | decode_json(page.about or b"{}"), 200, headers)


# ---- many uploads at once


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
    batch_id = _new_id()
    await context.batches.bulk(batch_id, owner=principal.sub, work=work, ids=ids)
    headers = {"Location": f"{context.settings.prefix}/batches/{batch_id}"}
    return _json({"batchId": batch_id}, 202, headers)


async def _found(
    context: WebContext, owner: str, labels: Labels, statuses: tuple[str, ...]
) -> list[str]:
    """The owner's uploads that a filter names."""
    found: list[str] = []
    before_us: int | None = None
    while True:
        states, before_us = await context.uploads.states(
            owner, status=None, labels=labels, limit=200, before_us=before_us
        )
        found += [state["uploadId"] for state in states if state["status"] in statuses]
        if len(found) > BULK_LIMIT:
            raise TooLarge(f"The filter finds more than {BULK_LIMIT} uploads.")
        if before_us is None:
            return found


def _json(body: dict[str, Any], status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(encode_json(body), status, headers=headers, media_type="application/json")


# ---- described

_TEXT = {"type": "string"}
_LABELS: Object = {
    "kind": _TEXT,
    "context": {"type": "object", "additionalProperties": _TEXT},
}
_ID: Object = {
    "name": "batch_id",
    "in": "path",
    "required": True,
    "description": "The batch's id.",
    "schema": _TEXT,
}
_ENDED = (400, 401, 403, 404, 409, 429, 503)


def _body(**properties: Object) -> Object:
    schema = {"type": "object", "properties": properties}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


_CHOICE = {
    "ids": {"type": "array", "items": _TEXT, "maxItems": BULK_LIMIT},
    "status": _TEXT,
    "batchId": _TEXT,
    **_LABELS,
}

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
            **_body(
                id=_TEXT,
                title=_TEXT,
                total={"type": "integer", "minimum": 0, "description": "Items there are to be."},
                **_LABELS,
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
        operation=operation(
            "Follow a batch",
            "Streams",
            {
                "200": {
                    "description": FRAMES,
                    "content": {
                        "text/event-stream": {"schema": ref("BatchEvent")},
                        "application/json": {"schema": ref("BatchState")},
                    },
                },
                "204": {"description": "The presented position is the end: do not come back"},
                **not_modified(),
            },
            parameters=[
                _ID,
                header("Last-Event-ID", "Go on after this id."),
                query("lastEventId", "The same, where headers cannot be set."),
                query("heartbeat", "`event`: heartbeats that scripts can see."),
                query("token", "A token, where headers cannot be set."),
                IF_NONE_MATCH,
                header("Prefer", "For JSON: `wait=25` holds a matching request until a change."),
            ],
            problems=(400, 401, 403, 404, 429, 503),
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
    DescribedRoute(
        "/uploads/cancel",
        post_cancel,
        method="POST",
        operation={
            **operation(
                "Cancel many uploads",
                "Batches",
                {"202": json_answer("BatchMade", "Under way: a batch like any other")},
                problems=(400, 401, 403, 413, 429, 503),
            ),
            **_body(**_CHOICE),
        },
    ),
    DescribedRoute(
        "/uploads/delete",
        post_delete,
        method="POST",
        operation={
            **operation(
                "Delete the files of many finished uploads",
                "Batches",
                {"202": json_answer("BatchMade", "Under way: a batch like any other")},
                problems=(400, 401, 403, 413, 429, 503),
            ),
            **_body(**_CHOICE),
        },
    ),
]
