"""`GET /upload/<id>/history`: the events of an upload as a list, as JSON or as lines of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sse_progress.journal.frames import Page
from sse_progress.model.errors import BadRequest
from sse_progress.model.events import encode_json
from sse_progress.model.ids import Position
from sse_progress.model.timestamps import parse_rfc3339
from sse_progress.uploads.history import Pages, Part, begun, pages, part_of, source_of
from sse_progress.web.description.operations import (
    IF_NONE_MATCH,
    DescribedRoute,
    not_modified,
    operation,
    query,
    ref,
)
from sse_progress.web.middlewares.compression import compressed
from sse_progress.web.request_headers import (
    accepts,
    access_of,
    context_of,
    etag_matches,
    etag_of,
    integer,
    path_upload_id,
)

__all__ = ["ROUTES", "history_of"]

LINES = "application/x-ndjson"
MOST = 10_000
"""Events in one answer, unless all are asked for."""


async def get_history(request: Request) -> Response:
    upload_id = path_upload_id(request)
    principal = await access_of(request).viewer(request, upload_id)
    uploads = context_of(request).uploads
    page = await uploads.known(upload_id, owner=principal.sub)
    page = await uploads.past.whole(upload_id, page)
    return await history_of(request, upload_id, page, {"uploadId": upload_id})


async def history_of(request: Request, name: str, page: Page, subject: dict[str, str]) -> Response:
    """What a request asks for of a journal. `name` is its own, `subject` what the answer calls
    it."""
    since, before = _since(request), _before(request)
    descending = _choice(request, "order", ("asc", "desc")) == "desc"
    limit = None
    if _choice(request, "all", ("false", "true")) == "false":
        limit = integer(request, "limit", default=500, check=lambda n: 1 <= n <= MOST)
    lines = accepts(request, LINES)
    etag = etag_of(page.end, live=page.live, lines=lines)
    headers = {
        "Cache-Control": "no-cache",
        "ETag": etag,
        "Vary": "Accept",
    }
    if "uploadId" in subject:
        headers["X-Upload-ID"] = subject["uploadId"]
    if etag_matches(request, etag):
        return Response(status_code=304, headers=headers)
    source = source_of(context_of(request).components, page)
    part = await part_of(
        source,
        name,
        page,
        since=since,
        before=before,
        limit=limit,
        descending=descending,
    )
    events = await begun(pages(source, name, part))
    if lines:
        if part.next:
            again = request.url.include_query_params(
                **{"before" if descending else "since": part.next}
            )
            headers["Link"] = f'<?{again.query}>; rel="next"'
        answer = StreamingResponse(_lines(events), headers=headers, media_type=LINES)
        return await compressed(request, answer)
    whole = _whole(events, part, {**subject, "live": True, **page.when})
    answer = StreamingResponse(whole, headers=headers, media_type="application/json")
    return await compressed(request, answer)


async def _lines(events: Pages) -> AsyncIterator[bytes]:
    async for frames in events:
        yield b"".join(frame.message + b"\n" for frame in frames)


async def _whole(events: Pages, part: Part, subject: dict[str, Any]) -> AsyncIterator[bytes]:
    head: dict[str, object] = {**subject, "epoch": part.epoch}
    if part.reset:
        head["reset"] = True
    yield encode_json(head)[:-1] + b',"events":['
    between = b""
    async for frames in events:
        yield between + b",".join(frame.message for frame in frames)
        between = b","
    yield b'],"next":%b}' % encode_json(part.next)


def _since(request: Request) -> Position | float | None:
    """A position of this upload, or an RFC 3339 time."""
    value = request.query_params.get("since")
    if value is None:
        return None
    try:
        return parse_rfc3339(value)
    except ValueError:
        return _position(value, "since")


def _before(request: Request) -> Position | None:
    value = request.query_params.get("before")
    return _position(value, "before") if value is not None else None


def _position(value: str, name: str) -> Position:
    position = Position.parse(value)
    if not position.epoch.isalnum():  # a date is no position
        raise BadRequest(f"The query parameter {name} is not an event's id or an RFC 3339 time.")
    return position


def _choice(request: Request, name: str, choices: tuple[str, ...]) -> str:
    value = request.query_params.get(name, choices[0])
    if value not in choices:
        raise BadRequest(f"The query parameter {name} is one of {', '.join(choices)}.")
    return value


ROUTES = [
    DescribedRoute(
        "/upload/{upload_id}/history",
        get_history,
        operation=operation(
            "The events of an upload as a list",
            "Uploads",
            {
                "200": {
                    "description": "The events asked for; `reset`: `since` is not in this "
                    "journal, so they begin with it.",
                    "content": {
                        "application/json": {"schema": ref("History")},
                        LINES: {"schema": ref("Event")},
                    },
                },
                **not_modified(),
            },
            parameters=[
                query("since", "Events after this id, or from this RFC 3339 time on."),
                query("before", "Events before this id: the `next` of a descending part."),
                {
                    "name": "limit",
                    "in": "query",
                    "description": "How many at most.",
                    "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": 500},
                },
                {
                    "name": "order",
                    "in": "query",
                    "description": "`desc` begins with the latest.",
                    "schema": {"type": "string", "enum": ["asc", "desc"], "default": "asc"},
                },
                {
                    "name": "all",
                    "in": "query",
                    "description": "`true`: without a limit.",
                    "schema": {"type": "string", "enum": ["false", "true"], "default": "false"},
                },
                query("ticket", "A ticket for this upload, instead of a token."),
                IF_NONE_MATCH,
            ],
            problems=(400, 401, 403, 404, 429, 503),
        ),
    )
]
