"""`POST /upload` and `PUT /upload/<id>`: a whole body in one request, as a form or plain."""

from __future__ import annotations

import contextlib

from starlette.requests import Request
from starlette.responses import Response

from sse_progress.access.principal import Principal
from sse_progress.ingest.body import Body, PlainBody
from sse_progress.model.errors import (
    BadRequest,
    BatchClosed,
    Forbidden,
    InvalidUploadId,
    Unavailable,
    UploadIdInUse,
)
from sse_progress.model.ids import new_upload_id, valid_upload_id
from sse_progress.web.description.operations import (
    BYTES,
    ID,
    LABELS,
    DescribedRoute,
    header,
    json_answer,
    operation,
    query,
    ref,
)
from sse_progress.web.dialects.draft import digests_of
from sse_progress.web.middlewares.tus_middleware import speaks_tus
from sse_progress.web.request_fields import first_header, joined_header
from sse_progress.web.request_headers import (
    access_of,
    content_length,
    context_of,
    path_upload_id,
)
from sse_progress.web.resumable import draft, tus
from sse_progress.web.routes import direct
from sse_progress.web.upload_answers import (
    body_chunks,
    content_coding,
    id_in_use,
    join_batch,
    labelling_of,
    named_file,
    stored_answer,
)
from sse_progress.web.upload_resource import begins_draft, fields_of

__all__ = ["ROUTES"]


async def post_upload(request: Request) -> Response:
    # Two of them are one list (RFC 9110 §5.3), which is no id, rather than one of the two.
    upload_id = joined_header(request.scope, b"x-upload-id")
    if upload_id is None:
        upload_id = new_upload_id()
    if not valid_upload_id(upload_id):
        raise InvalidUploadId
    request.state.upload_id = upload_id
    if speaks_tus(request):
        return await tus.create(request, upload_id)
    if begins_draft(request):
        return await draft.create(request, upload_id)
    if direct.begins_direct(request):
        return await direct.begin(request, upload_id)
    principal = await access_of(request).writer(request)
    body = Body(
        content_type=first_header(request.scope, b"content-type") or "",
        chunks=body_chunks(request),
        total=content_length(request),
        labelling=labelling_of(request, principal),
        coding=content_coding(request),
    )
    return await _take_in(request, upload_id, body, principal)


async def put_upload(request: Request) -> Response:
    upload_id = path_upload_id(request)
    if begins_draft(request):
        return await draft.create(request, upload_id)
    if "content-range" in request.headers:
        # RFC 9110 §14.5: it would be stored as if it were the whole.
        raise BadRequest("A PUT brings the whole file; send parts with PATCH.")
    principal = await access_of(request).writer(request)
    labelling = labelling_of(request, principal)
    labelling.settle()
    body = PlainBody(
        filename=named_file(request),
        content_type=request.headers.get("content-type", ""),
        chunks=body_chunks(request),
        total=content_length(request),
        labelling=labelling,
        coding=content_coding(request),
        digests=[
            digests_of(fields_of(request), name) for name in ("content-digest", "repr-digest")
        ],
    )
    return await _take_in(request, upload_id, body, principal)


async def _take_in(request: Request, upload_id: str, body: Body, principal: Principal) -> Response:
    context, owner = context_of(request), principal.sub
    await join_batch(request, body.labelling, upload_id, owner=owner)
    try:
        async with context.limits.uploads(owner):
            await context.ingest.take_in(upload_id, body, owner=owner)
    except UploadIdInUse as problem:
        return await id_in_use(context, upload_id, owner, problem)
    with contextlib.suppress(BatchClosed, Forbidden, Unavailable):  # of a form: it is stored now
        await join_batch(request, body.labelling, upload_id, owner=owner)
    return await stored_answer(request, upload_id, owner=owner)


ROUTES = [
    DescribedRoute(
        "/upload",
        post_upload,
        method="POST",
        operation={
            **operation(
                "Upload one file, or begin a resumable upload",
                "Uploads",
                {
                    "200": json_answer("Result", "The upload is complete", id_header=True),
                    "201": {
                        "description": "A resumable upload has begun: `Location` is its address, "
                        "`Upload-Offset` where its next part begins; or a direct one, with the "
                        "parts to put",
                        "content": {"application/json": {"schema": ref("DirectUpload")}},
                    },
                    "202": json_answer("Accepted", "Stored; the work goes on", id_header=True),
                },
                parameters=[
                    *LABELS,
                    {
                        "name": "X-Upload-ID",
                        "in": "header",
                        "description": "Names the upload; without it the server makes an id.",
                        "schema": ID["schema"],
                    },
                    {
                        "name": "Prefer",
                        "in": "header",
                        "description": "`respond-async` (RFC 7240): answer 202 once it is stored. "
                        "`direct`, with `Upload-Length`: 201 with parts to put into the bucket.",
                        "schema": {"type": "string"},
                    },
                    header("Tus-Resumable", "`1.0.0`: begins an upload by tus."),
                    header(
                        "Upload-Length",
                        "The whole's bytes, for tus, the IETF draft and direct uploads.",
                    ),
                    header("Upload-Defer-Length", "`1`: the length follows, for tus."),
                    header(
                        "Upload-Metadata", "`filename`, `filetype`, fields and labels, for tus."
                    ),
                    header("Upload-Complete", "`?0` or `?1`: begins one by the IETF draft."),
                ],
                problems=(400, 401, 403, 408, 409, 412, 413, 415, 422, 429, 460, 500, 503, 507),
            ),
            "requestBody": {
                "required": True,
                "description": "Exactly one file part, of any name, and text fields "
                "(16 KiB in all); or what of the file comes with the beginning of a resumable "
                "upload, which may be nothing.",
                "content": {
                    "multipart/form-data": {
                        "schema": {
                            "type": "object",
                            "properties": {"file": BYTES["schema"]},
                            "required": ["file"],
                            "additionalProperties": {"type": "string"},
                        }
                    }
                },
            },
        },
    ),
    DescribedRoute(
        "/upload/{upload_id}",
        put_upload,
        method="PUT",
        operation={
            **operation(
                "Upload one file, its bytes as the body",
                "Uploads",
                {
                    "200": json_answer("Result", "The upload is complete", id_header=True),
                    "202": json_answer("Accepted", "Stored; the work goes on", id_header=True),
                },
                parameters=[
                    *LABELS,
                    query("filename", "The file's name; else Content-Disposition has it."),
                    header("Content-Digest", "sha-256 or sha-512 of the file (RFC 9530)."),
                    header("Repr-Digest", "The same."),
                    {
                        "name": "Prefer",
                        "in": "header",
                        "description": "`respond-async` (RFC 7240): answer 202 once it is stored.",
                        "schema": {"type": "string"},
                    },
                ],
                problems=(400, 401, 403, 408, 409, 413, 415, 422, 429, 500, 503, 507),
            ),
            "requestBody": {
                "required": True,
                "description": "The file. Content-Type is what it claims to be, of any type.",
                "content": {"application/octet-stream": BYTES},
            },
        },
    ),
]
