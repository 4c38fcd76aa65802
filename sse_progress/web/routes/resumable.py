"""`PATCH /upload/<id>` and `OPTIONS`: bodies that come in several requests, in any dialect."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sse_progress.model.errors import UnsupportedMediaType
from sse_progress.web.operations import DescribedRoute, header, operation
from sse_progress.web.request_headers import context_of, path_upload_id
from sse_progress.web.resumable import tus
from sse_progress.web.tus_middleware import speaks_tus

__all__ = ["ROUTES"]


async def patch_upload(request: Request) -> Response:
    upload_id = path_upload_id(request)
    if speaks_tus(request):
        return await tus.append(request, upload_id)
    raise UnsupportedMediaType("Send the bytes as application/offset+octet-stream, with tus 1.0.")


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
                "Append to an upload that was begun with tus",
                "Resumable uploads",
                {"204": {"description": "`Upload-Offset` says where the next part begins"}},
                parameters=[
                    header("Tus-Resumable", "`1.0.0`."),
                    header("Upload-Offset", "Where these bytes begin: the end of what is there."),
                    header("Upload-Length", "The whole's length, where it was deferred."),
                    header("Upload-Checksum", "sha1, sha256 or crc32c of this body, in base64."),
                ],
                problems=(400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 429, 460, 503, 507),
            ),
            "requestBody": {
                "required": True,
                "content": {
                    "application/offset+octet-stream": {
                        "schema": {
                            "type": "string",
                            "contentMediaType": "application/octet-stream",
                        }
                    }
                },
            },
        },
    ),
    DescribedRoute("/upload", get_options, method="OPTIONS", operation=_OPTIONS),
    DescribedRoute("/upload/{upload_id}", get_options, method="OPTIONS", operation=_OPTIONS),
]
