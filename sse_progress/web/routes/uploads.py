"""One upload's state, files and cancellation, and the list of the caller's uploads."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sse_progress.access.principal import REVIEW, WRITE
from sse_progress.model.errors import BadRequest, NotFound
from sse_progress.model.events import decode_json, encode_json
from sse_progress.model.timestamps import parse_rfc3339
from sse_progress.runtime.concurrency import blocking
from sse_progress.web.description.operations import (
    IF_NONE_MATCH,
    LABELS,
    DescribedRoute,
    binary_answer,
    json_answer,
    not_modified,
    operation,
    query,
    ref,
)
from sse_progress.web.middlewares.compression import compressed
from sse_progress.web.request_headers import (
    access_of,
    context_of,
    integer,
    labels_of,
    path_upload_id,
)
from sse_progress.web.routes.progress import state_response
from sse_progress.web.stored_file import file_response
from sse_progress.web.upload_resource import taken_over

__all__ = ["ROUTES"]

STATUSES = ("pending", "receiving", "processing", "complete", "error", "cancelled")
INLINE = ("image/webp", "image/png", "image/jpeg", "image/avif", "image/gif")
"""Derived pictures that a page may show in place: raster formats, in which nothing can run."""


async def get_upload(request: Request) -> Response:
    upload_id = path_upload_id(request)
    context = context_of(request)
    principal = await access_of(request).viewer(request, upload_id)
    if request.method == "HEAD" and WRITE in principal.scopes:
        # A reader looks, and stops no sender.
        extent = await taken_over(request, upload_id, owner=principal.sub)
        if extent is not None:
            return extent
    page = await context.uploads.known(upload_id, owner=principal.sub)
    return state_response(request, upload_id, page)


async def delete_upload(request: Request) -> Response:
    upload_id = path_upload_id(request)
    context = context_of(request)
    principal = await access_of(request).writer(request)
    await context.uploads.cancel(upload_id, owner=principal.sub)
    return Response(status_code=204, headers={"X-Upload-ID": upload_id})


async def delete_files(request: Request) -> Response:
    """A finished upload's bytes; its state stays, and says so."""
    upload_id = path_upload_id(request)
    context = context_of(request)
    principal = await access_of(request).writer(request)
    await context.uploads.delete_files(upload_id, owner=principal.sub)
    return Response(status_code=204, headers={"X-Upload-ID": upload_id})


async def get_uploads(request: Request) -> Response:
    context = context_of(request)
    principal = await access_of(request).reader(request)
    status = request.query_params.get("status")
    if status is not None and status not in STATUSES:
        raise BadRequest(f"The query parameter status is one of {', '.join(STATUSES)}.")
    limit = integer(request, "limit", default=50, check=lambda n: 1 <= n <= 200)
    after = integer(request, "after", default=0, check=lambda n: n > 0)
    states, more, partial = await context.uploads.states(
        principal.sub,
        status=status,
        labels=labels_of(request),
        began_after_us=_began_after_us(request),
        limit=limit,
        before_us=after or None,
    )
    body: dict[str, object] = {"uploads": states}
    if more is not None:
        body["next"] = str(more)
    if partial:
        body["partial"] = True
    headers = {"Cache-Control": "no-cache"}
    response = Response(encode_json(body), headers=headers, media_type="application/json")
    return await compressed(request, response)


def _began_after_us(request: Request) -> int | None:
    """`?began_after=`, an RFC 3339 time."""
    value = request.query_params.get("began_after")
    if value is None:
        return None
    try:
        return int(parse_rfc3339(value) * 1e6)
    except ValueError:
        raise BadRequest("The query parameter began_after is not an RFC 3339 time.") from None


async def get_file(request: Request) -> Response:
    """The original, or a derived file, once the upload is complete. Ranges and ETags as usual."""
    upload_id = path_upload_id(request)
    context = context_of(request)
    principal = await access_of(request).viewer(request, upload_id)
    if REVIEW in principal.scopes and await context.reviews.is_waiting(upload_id):
        return await _waiting_file(request, upload_id)
    page = await context.uploads.known(upload_id, owner=principal.sub)
    found = await blocking(context.components.storage.objects.find, upload_id)
    if page.status != "complete" or found is None or found.record is None:
        raise NotFound("There are no files of this upload (yet).")
    name = str(request.path_params["name"])
    file = await blocking(found.file, name)
    if file is None:
        raise NotFound("This upload has no file of this name.")
    media = decode_json(found.record)
    derived = {one["name"]: one["contentType"] for one in media["files"]}
    kind = derived.get(name, media["contentType"])
    inline = name in derived and kind in INLINE
    return file_response(
        file,
        media_type=kind,
        filename=name,
        disposition="inline" if inline else "attachment",
        headers={"X-Upload-ID": upload_id, "Cache-Control": "private, no-cache"},
        redirect=context.settings.s3_serve == "redirect" and request.method == "GET",
    )


async def _waiting_file(request: Request, upload_id: str) -> Response:
    """The original of an upload that waits for a person, for a reviewer."""
    name = str(request.path_params["name"])
    found = await context_of(request).reviews.file_of(upload_id, name)
    return file_response(
        await blocking(found.original),
        media_type="application/octet-stream",
        filename=name,
        headers={"X-Upload-ID": upload_id, "Cache-Control": "private, no-store"},
    )


ROUTES = [
    DescribedRoute(
        "/upload/{upload_id}/files/{name}",
        get_file,
        operation=operation(
            "The stored file, or a derived one",
            "Uploads",
            {
                "200": binary_answer("The file"),
                "206": binary_answer("A range of it"),
                "304": {"description": "It has not changed"},
                "307": {"description": "It is in a bucket: `Location` answers it for a minute"},
            },
            parameters=[
                {
                    "name": "name",
                    "in": "path",
                    "required": True,
                    "description": "The file's name, as in `media`.",
                    "schema": {"type": "string"},
                }
            ],
            problems=(400, 401, 403, 404, 416, 429, 503),
        ),
    ),
    DescribedRoute(
        "/upload/{upload_id}/files",
        delete_files,
        method="DELETE",
        operation=operation(
            "Delete the files of a finished upload",
            "Uploads",
            {"204": {"description": "Deleted; the state stays and says so"}},
            problems=(400, 401, 403, 404, 429, 503),
        ),
    ),
    DescribedRoute(
        "/upload/{upload_id}",
        get_upload,
        operation=operation(
            "The state of an upload",
            "Uploads",
            {"200": json_answer("State", "The state", etag=True), **not_modified()},
            parameters=[IF_NONE_MATCH],
            problems=(400, 401, 403, 404, 429, 503),
        ),
    ),
    DescribedRoute(
        "/upload/{upload_id}",
        delete_upload,
        method="DELETE",
        operation=operation(
            "Cancel an upload, in any state",
            "Uploads",
            {"204": {"description": "Cancelled; its bytes are gone"}},
            problems=(400, 401, 403, 404, 409, 429, 503),
        ),
    ),
    DescribedRoute(
        "/uploads",
        get_uploads,
        operation=operation(
            "Your uploads, newest first",
            "Uploads",
            {"200": json_answer("Uploads", "Their states")},
            parameters=[
                {
                    "name": "status",
                    "in": "query",
                    "description": "Only those of this status.",
                    "schema": ref("Status"),
                },
                {
                    "name": "limit",
                    "in": "query",
                    "description": "How many at most.",
                    "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
                },
                query("after", "The `next` of the page before."),
                query("began_after", "Only uploads that began later than this time (RFC 3339)."),
                *LABELS,
            ],
            problems=(400, 401, 403, 429, 503),
        ),
    ),
]
