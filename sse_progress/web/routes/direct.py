"""Straight to the bucket: `POST /upload` with `Prefer: direct`, its parts, and its completion."""

from __future__ import annotations

import re
import secrets
import time
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sse_progress.ingest.part_headers import claimed_type_of
from sse_progress.model.errors import BadRequest, UploadIdInUse
from sse_progress.model.events import encode_json
from sse_progress.model.filenames import clean_filename
from sse_progress.model.timestamps import rfc3339
from sse_progress.model.urls import url_of
from sse_progress.storage.announced import Announced
from sse_progress.web.description.operations import DescribedRoute, json_answer, operation
from sse_progress.web.json_body import json_body
from sse_progress.web.request_fields import fields_of
from sse_progress.web.request_headers import access_of, context_of, path_upload_id, preference
from sse_progress.web.upload_answers import (
    id_in_use,
    join_batch,
    labelling_of,
    named_file,
    stored_answer,
)

__all__ = ["ROUTES", "begin", "begins_direct"]

MOST_NUMBERS = 1000
LIMIT_BYTES = 128 * 1024
_LENGTH = re.compile(r"[0-9]{1,15}")
_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)


class _Wanted(msgspec.Struct):
    numbers: Annotated[list[int], msgspec.Meta(min_length=1, max_length=MOST_NUMBERS)]
    sha256: list[str] = []


def begins_direct(request: Request) -> bool:
    """Whether the sender wants to put the bytes into the bucket itself."""
    has_length = b"upload-length" in fields_of(request.scope)
    return has_length and preference(request, "direct") is not None


async def begin(request: Request, upload_id: str) -> Response:
    """201, with the parts that are to be put."""
    principal = await access_of(request).writer(request)
    context = context_of(request)
    labelling = labelling_of(request, principal)
    labelling.settle()
    length = request.headers["upload-length"]
    if _LENGTH.fullmatch(length) is None:
        raise BadRequest("Upload-Length is not a number of bytes.")
    kind = claimed_type_of(request.headers.get("content-type", "").encode("latin-1"))
    announced = Announced(
        upload_id=upload_id,
        owner=principal.sub,
        token=secrets.token_hex(8),
        filename=clean_filename(named_file(request)),
        claimed_type=kind,
        fields={},
        length=int(length),
        created_at=rfc3339(time.time()),
        labels=labelling.labels,
        priority=labelling.priority,
        direct=True,
    )
    await join_batch(request, labelling, upload_id, owner=principal.sub)
    try:
        parts = await context.direct.begin(announced)
    except UploadIdInUse as problem:
        return await id_in_use(context, upload_id, principal.sub, problem)
    body = {
        "uploadId": upload_id,
        "partSize": parts[0].length if parts else 0,
        "parts": [part._asdict() for part in parts],
        "expiresAt": rfc3339(time.time() + context.settings.resume_s),
    }
    headers = {
        "Location": url_of(upload_id, prefix=context.settings.prefix),
        "Preference-Applied": "direct",
    }
    return _json(body, upload_id, 201, headers)


async def post_parts(request: Request) -> Response:
    """Where to put parts, each once."""
    upload_id = path_upload_id(request)
    principal = await access_of(request).writer(request)
    wanted = await json_body(request, _Wanted, limit_bytes=LIMIT_BYTES)
    if wanted.sha256 and len(wanted.sha256) != len(wanted.numbers):
        raise BadRequest("There have to be as many sha256 as numbers.")
    if any(_SHA256.fullmatch(digest) is None for digest in wanted.sha256):
        raise BadRequest("A sha256 is 64 hex digits.")
    digests = [bytes.fromhex(digest) for digest in wanted.sha256]
    signed = await context_of(request).direct.sign(
        upload_id, wanted.numbers, digests, owner=principal.sub
    )
    return _json({"parts": [{"method": "PUT", **p._asdict()} for p in signed]}, upload_id)


async def post_part(request: Request) -> Response:
    """A part is there: looked for, and told on the stream."""
    upload_id = path_upload_id(request)
    principal = await access_of(request).writer(request)
    number = str(request.path_params["number"])
    if _LENGTH.fullmatch(number) is None:
        raise BadRequest("The number of a part is a number.")
    found = await context_of(request).direct.done(upload_id, int(number), owner=principal.sub)
    body = {
        "uploadId": upload_id,
        "number": int(number),
        "bytes": found.arrived,
        "total": found.announced.length,
    }
    return _json(body, upload_id)


async def post_complete(request: Request) -> Response:
    """All parts are there: answered as a POST of the file is."""
    upload_id = path_upload_id(request)
    principal = await access_of(request).writer(request)
    await context_of(request).direct.complete(upload_id, owner=principal.sub)
    return await stored_answer(request, upload_id, owner=principal.sub)


def _json(
    body: dict[str, Any], upload_id: str, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    more = {"X-Upload-ID": upload_id, "Cache-Control": "no-store", **(headers or {})}
    return Response(encode_json(body), status, headers=more, media_type="application/json")


_PROBLEMS = (400, 401, 403, 404, 409, 410, 415, 429, 503)
_TAG = "Resumable uploads"

ROUTES = [
    DescribedRoute(
        "/upload/{upload_id}/parts",
        post_parts,
        method="POST",
        operation={
            **operation(
                "Signed addresses for parts of a direct upload",
                _TAG,
                {"200": json_answer("SignedParts", "Where to put each, with which headers")},
                problems=_PROBLEMS,
            ),
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["numbers"],
                            "properties": {
                                "numbers": {
                                    "type": "array",
                                    "minItems": 1,
                                    "maxItems": MOST_NUMBERS,
                                    "items": {"type": "integer", "minimum": 1},
                                },
                                "sha256": {
                                    "type": "array",
                                    "items": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
                                    "description": "Of each part; the bucket then takes no other.",
                                },
                            },
                        }
                    }
                },
            },
        },
    ),
    DescribedRoute(
        "/upload/{upload_id}/parts/{number}",
        post_part,
        method="POST",
        operation=operation(
            "A part of a direct upload is in the bucket",
            _TAG,
            {"200": json_answer("PartDone", "It is there, and is told on the stream")},
            parameters=[
                {
                    "name": "number",
                    "in": "path",
                    "required": True,
                    "description": "The part's number, from 1.",
                    "schema": {"type": "integer", "minimum": 1},
                }
            ],
            problems=_PROBLEMS,
        ),
    ),
    DescribedRoute(
        "/upload/{upload_id}/complete",
        post_complete,
        method="POST",
        operation=operation(
            "All parts of a direct upload are in the bucket",
            _TAG,
            {
                "200": json_answer("Result", "The upload is complete", id_header=True),
                "202": json_answer("Accepted", "Stored; the work goes on", id_header=True),
            },
            problems=(*_PROBLEMS, 422, 507),
        ),
    ),
]
