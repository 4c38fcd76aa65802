"""`PATCH /upload/<id>` and `OPTIONS`: bodies that come in several requests, in any dialect."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sse_progress.web.description.operations import (
    BYTES,
    DescribedRoute,
    header,
    json_answer,
    operation,
)
from sse_progress.web.middlewares.tus_middleware import speaks_tus
from sse_progress.web.request_headers import context_of, path_upload_id
from sse_progress.web.resumable import draft, tus

__all__ = ["ROUTES"]


async def patch_upload(request: Request) -> Response:
    upload_id = path_upload_id(request)
    if speaks_tus(request) or request.headers.get("content-type") == tus.APPEND_TYPE:
        return await tus.append(request, upload_id)
    return await draft.append(request, upload_id)


async def get_options(request: Request) -> Response:
    return tus.options(context_of(request).settings)


_OPTIONS = operation(
    "What is understood: versions, extensions, limits",
    "Resumable uploads",
    {"204": {"description": "`Tus-*` and `Upload-Limit` headers"}},
    public=True,
)

ROUTES = [
    DescribedRoute(
        "/upload/{upload_id}",
        patch_upload,
        method="PATCH",
        operation={
            **operation(
                "Append to a resumable upload",
                "Resumable uploads",
                {
                    "200": json_answer("Result", "The last part: the upload is complete"),
                    "202": json_answer("Accepted", "The last part: stored; the work goes on"),
                    "204": {"description": "`Upload-Offset` says where the next part begins"},
                },
                parameters=[
                    header("Tus-Resumable", "`1.0.0`, for tus."),
                    header("Upload-Complete", "`?1` with the last part, for the IETF draft."),
                    header("Upload-Offset", "Where these bytes begin: the end of what is there."),
                    header("Upload-Length", "The whole's length, where it was deferred."),
                    header("Upload-Checksum", "sha1, sha256 or crc32c of this body, in base64."),
                    header("Content-Digest", "sha-256 or sha-512 of this body (RFC 9530)."),
                    header("Repr-Digest", "The same of the whole file."),
                ],
                problems=(400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 429, 460, 503, 507),
            ),
            "requestBody": {
                "required": True,
                "content": {
                    "application/offset+octet-stream": BYTES,
                    "application/partial-upload": BYTES,
                },
            },
        },
    ),
    DescribedRoute("/upload", get_options, method="OPTIONS", operation=_OPTIONS),
    DescribedRoute(
        "/upload/{upload_id}",
        get_options,
        method="OPTIONS",
        operation={**_OPTIONS, "operationId": "getUploadOptions"},
    ),
]
