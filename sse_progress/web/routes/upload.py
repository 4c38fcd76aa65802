"""`POST /upload`: take a body in, then answer with its result or with where to look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sse_progress.emitter.waiter import Waiter, watching
from sse_progress.ingest.body import Body
from sse_progress.journal.frames import Frame
from sse_progress.model.errors import (
    ClientDisconnected,
    InvalidUploadId,
    UploadIdInUse,
    problem_for,
)
from sse_progress.model.events import decode_json, encode_json
from sse_progress.model.ids import new_upload_id, valid_upload_id
from sse_progress.model.urls import url_of
from sse_progress.runtime.concurrency import first_of
from sse_progress.uploads.queries import state_of
from sse_progress.web.context import WebContext
from sse_progress.web.operations import ID, DescribedRoute, json_answer, operation
from sse_progress.web.problem_details import answer
from sse_progress.web.request_headers import access_of, content_length, context_of, preference

__all__ = ["ROUTES"]


async def post_upload(request: Request) -> Response:
    context = context_of(request)
    upload_id = request.headers.get("x-upload-id", new_upload_id())
    if not valid_upload_id(upload_id):
        raise InvalidUploadId
    request.state.upload_id = upload_id
    principal = await access_of(request).writer(request)
    body = Body(
        content_type=request.headers.get("content-type", ""),
        chunks=_chunks(request),
        total=content_length(request),
        coding=",".join(request.headers.getlist("content-encoding")),
    )
    try:
        async with context.limits.uploads(principal.sub):
            await context.ingest.take_in(upload_id, body, owner=principal.sub)
    except UploadIdInUse as problem:
        return await _in_use(context, upload_id, principal.sub, problem)
    if preference(request, "respond-async") is not None:
        return _accepted(context, upload_id, applied=True)
    return await _result(context, upload_id, owner=principal.sub)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise ClientDisconnected from None


async def _result(context: WebContext, upload_id: str, *, owner: str) -> Response:
    """The upload's end, or 202 if that takes too long or the server is about to leave."""
    waiter = Waiter()
    with watching(context.components.emitter, upload_id, waiter, owner=owner):
        await first_of(
            waiter.end(), context.draining.wait(), timeout_s=context.settings.answer_wait_s
        )
    if waiter.latest is None or not waiter.latest.terminal:
        return _accepted(context, upload_id, applied=False)
    return _ended(upload_id, waiter.latest)


def _ended(upload_id: str, frame: Frame) -> Response:
    event: dict[str, Any] = decode_json(frame.data)
    headers = {"X-Upload-ID": upload_id}
    if event["stage"] == "complete":
        body = {"success": True, "uploadId": upload_id, "data": {"media": event["media"]}}
        return Response(encode_json(body), headers=headers, media_type="application/json")
    error = event.get("error") or {"code": "cancelled", "detail": None}
    return answer(problem_for(error["code"], error["detail"]), headers=headers)


def _accepted(context: WebContext, upload_id: str, *, applied: bool) -> Response:
    headers = {
        "X-Upload-ID": upload_id,
        "Location": url_of(upload_id, prefix=context.settings.prefix),
    }
    if applied:
        headers["Preference-Applied"] = "respond-async"
    body = {"success": True, "uploadId": upload_id, "status": "processing"}
    return Response(encode_json(body), 202, headers=headers, media_type="application/json")


async def _in_use(
    context: WebContext, upload_id: str, owner: str, problem: UploadIdInUse
) -> Response:
    page = await context.uploads.page(upload_id, owner=owner)
    return answer(problem, headers={"X-Upload-ID": upload_id}, upload=state_of(upload_id, page))


ROUTES = [
    DescribedRoute(
        "/upload",
        post_upload,
        method="POST",
        operation={
            **operation(
                "Upload one file",
                "Uploads",
                {
                    "200": json_answer("Result", "The upload is complete", id_header=True),
                    "202": json_answer("Accepted", "Stored; the work goes on", id_header=True),
                },
                parameters=[
                    {
                        "name": "X-Upload-ID",
                        "in": "header",
                        "description": "Names the upload; without it the server makes an id.",
                        "schema": ID["schema"],
                    },
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
                "description": "Exactly one file part, of any name, and text fields "
                "(16 KiB in all).",
                "content": {
                    "multipart/form-data": {
                        "schema": {
                            "type": "object",
                            "properties": {
                                "file": {
                                    "type": "string",
                                    "contentMediaType": "application/octet-stream",
                                }
                            },
                            "required": ["file"],
                            "additionalProperties": {"type": "string"},
                        }
                    }
                },
            },
        },
    )
]
