"""`GET /upload/<id>/progress`: the stream, or by Accept the state of the moment."""

from __future__ import annotations

from functools import partial

from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from sse_progress.access.principal import WRITE, Principal
from sse_progress.emitter.topic import Topic
from sse_progress.journal.frames import Foreign, Page
from sse_progress.model.errors import Forbidden, Unavailable
from sse_progress.model.events import encode_json
from sse_progress.model.ids import GONE, Position
from sse_progress.runtime.concurrency import within
from sse_progress.uploads.queries import state_of
from sse_progress.web.context import WebContext
from sse_progress.web.description.operations import (
    FRAMES,
    IF_NONE_MATCH,
    DescribedRoute,
    Object,
    header,
    not_modified,
    operation,
    query,
    ref,
)
from sse_progress.web.request_fields import query_value
from sse_progress.web.request_headers import (
    access_of,
    context_of,
    etag_matches,
    etag_of,
    path_upload_id,
    position_of,
    wait_s,
    wants_json,
)
from sse_progress.web.streams.sse_response import Pace, busy_stream
from sse_progress.web.streams.upload import Start, UploadStream
from sse_progress.web.upload_resource import extent_headers

__all__ = ["ROUTES", "pace_of", "state_response", "stream_of", "stream_operation"]

OPEN_WAIT_S = 2.0
"""How long a stream's head waits to learn whose the upload is; then it opens with heartbeats."""

NO_CONTENT_HEADERS = {"Cache-Control": "no-store", "Vary": "Accept"}


async def get_progress(request: Request) -> Response:
    upload_id = path_upload_id(request)
    if wants_json(request):
        return await _state_now_or_changed(request, upload_id)
    head = request.scope["method"] == "HEAD"
    try:
        principal = await access_of(request).watcher(request, upload_id, may_claim=not head)
    except Unavailable:
        if query_value(request, "ticket") is not None and not head:
            return busy_stream()  # an EventSource gives up for good on a 503
        raise
    may_claim = (
        context_of(request).settings.web_role != "streams"
    )  # only a storage tells unused ids
    claims = may_claim and not head and WRITE in principal.scopes
    return await stream_of(request, upload_id, principal, claims=claims)


# ---- the stream


async def stream_of(
    request: Request,
    name: str,
    principal: Principal,
    *,
    claims: bool = False,
    batch_id: str | None = None,
) -> Response:
    """The stream of the journal `name`; with `batch_id` it is that batch's. `claims`: a journal
    that is not there yet becomes the caller's. Raises Forbidden."""
    context, head = context_of(request), request.scope["method"] == "HEAD"
    presented = position_of(request)
    if presented == GONE:
        return Response(status_code=204, headers=NO_CONTENT_HEADERS)
    if not head and context.busy:
        return busy_stream()
    emitter = context.components.emitter
    topic = emitter.open(name)
    try:
        opening = emitter.kept_page(topic, owner=principal.sub, after=presented)
        if opening is None:
            opening, claims = await _open(
                context,
                topic,
                owner=principal.sub,
                presented=presented,
                claims=claims,
                noun="upload" if batch_id is None else "batch",
            )
        page = opening[0] if opening else None
        if page is not None and page.terminal and presented == page.end:
            emitter.release(topic)
            return Response(status_code=204, headers=NO_CONTENT_HEADERS)
        lease = None if head else await context.limits.stream(principal.account)
        stream = UploadStream(
            Start(topic, principal.sub, presented, claims),
            opening=opening,
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


async def _open(
    context: WebContext,
    topic: Topic,
    *,
    owner: str,
    presented: Position | None,
    claims: bool,
    noun: str,
) -> tuple[tuple[Page, int] | None, bool]:
    """The journal as the stream begins (None while it cannot be read), and whether the stream may
    claim the id. Raises Forbidden."""
    read = partial(context.components.emitter.read, topic, owner=owner, after=presented)
    try:
        with within(OPEN_WAIT_S):
            page, generation = await read(claim=False)
        if page is None and claims and presented is None:
            with within(OPEN_WAIT_S):
                claims = await context.limits.may_claim(owner)
                page, generation = await read(claim=claims, missing=claims)
    except (TimeoutError, RedisError, OSError):
        return None, claims
    if isinstance(page, Foreign):
        raise Forbidden(f"This {noun} belongs to another user.")
    return None if page is None else (page, generation), claims


def pace_of(request: Request, context: WebContext, principal: Principal) -> Pace:
    named = bool(request.scope["query_string"]) and query_value(request, "heartbeat") == "event"
    if principal.expires_at is None and not named:
        return context.pace
    return context.pace._replace(expires_at=principal.expires_at, named=named)


# ---- the state


async def _state_now_or_changed(request: Request, upload_id: str) -> Response:
    """The state once; with `Prefer: wait=…` a matching request is held until something changes."""
    context = context_of(request)
    principal = await access_of(request).viewer(request, upload_id)
    page = await context.uploads.known(upload_id, owner=principal.sub)
    seconds = wait_s(request)
    applied: dict[str, str] = {}
    if seconds and not page.terminal and etag_matches(request, _etag(page)):
        applied = {"Preference-Applied": f"wait={seconds}"}
        await context.changed(upload_id, owner=principal.sub, since=page.end, wait_s=seconds)
        page = await context.uploads.known(upload_id, owner=principal.sub)
    return state_response(request, upload_id, page, applied)


def state_response(
    request: Request, upload_id: str, page: Page, more: dict[str, str] | None = None
) -> Response:
    etag, head = _etag(page), request.method == "HEAD"
    headers = {
        "Cache-Control": "no-store" if page.resumable and head else "no-cache",
        "ETag": etag,
        "Vary": "Accept",
        "X-Upload-ID": upload_id,
        **extent_headers(page, context_of(request).settings),
        **(more or {}),
    }
    if etag_matches(request, etag):
        return Response(status_code=304, headers=headers)
    body = encode_json(state_of(upload_id, page))
    return Response(body, headers=headers, media_type="application/json")


def _etag(page: Page) -> str:
    offset = page.offset if page.resumable else None
    return etag_of(page.end, live=page.live, deleted=page.deleted, offset=offset)


# ---- described


def stream_operation(summary: str, *, event: str, state: str, parameters: list[Object]) -> Object:
    """`event` and `state` are names of schemas; `parameters` are those that only this path has."""
    return operation(
        summary,
        "Streams",
        {
            "200": {
                "description": FRAMES,
                "content": {
                    "text/event-stream": {"schema": ref(event)},
                    "application/json": {"schema": ref(state)},
                },
            },
            "204": {"description": "The presented position is the end: do not come back"},
            **not_modified(),
        },
        parameters=[
            *parameters,
            header("Last-Event-ID", "Go on after this id."),
            query("lastEventId", "The same, where headers cannot be set."),
            query("heartbeat", "`event`: heartbeats that scripts can see."),
            query("token", "A token, where headers cannot be set."),
            IF_NONE_MATCH,
            header("Prefer", "For JSON: `wait=25` holds a matching request until a change."),
        ],
        problems=(400, 401, 403, 404, 429, 503),
    )


ROUTES = [
    DescribedRoute(
        "/upload/{upload_id}/progress",
        get_progress,
        operation=stream_operation(
            "Follow an upload",
            event="Event",
            state="State",
            parameters=[query("ticket", "A ticket for this upload, instead of a token.")],
        ),
    )
]
