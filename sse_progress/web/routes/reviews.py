"""`GET /reviews` and `POST /upload/<id>/review`: a person decides what moderation could not."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sse_progress.model.events import encode_json
from sse_progress.model.text import clean_text
from sse_progress.model.urls import url_of
from sse_progress.uploads.reviews import Decision
from sse_progress.web.json_body import json_body
from sse_progress.web.operations import DescribedRoute, json_answer, operation
from sse_progress.web.request_headers import access_of, context_of, integer, path_upload_id

__all__ = ["ROUTES"]


class _Decision(msgspec.Struct):
    decision: Literal["approve", "refuse"]
    reason: Annotated[str, msgspec.Meta(max_length=1000)] = ""


async def get_reviews(request: Request) -> Response:
    context = context_of(request)
    await access_of(request).reviewer(request)
    limit = integer(request, "limit", default=50, check=lambda n: 1 <= n <= 200)
    waiting = await context.reviews.waiting(limit=limit)
    prefix = context.settings.prefix
    for one in waiting:
        one["url"] = url_of(one["uploadId"], prefix=prefix, name=one.get("filename", ""))
    headers = {"Cache-Control": "no-store"}
    body = encode_json({"reviews": waiting})
    return Response(body, headers=headers, media_type="application/json")


async def post_review(request: Request) -> Response:
    upload_id = path_upload_id(request)
    principal = await access_of(request).reviewer(request)
    asked = await json_body(request, _Decision)
    decision = Decision(asked.decision, by=principal.sub, reason=clean_text(asked.reason))
    await context_of(request).reviews.decide(upload_id, decision)
    return Response(status_code=204, headers={"X-Upload-ID": upload_id})


ROUTES = [
    DescribedRoute(
        "/reviews",
        get_reviews,
        operation=operation(
            "Uploads that wait for a person, oldest first",
            "Reviews",
            {"200": json_answer("Reviews", "Each with reasons and scores")},
            parameters=[
                {
                    "name": "limit",
                    "in": "query",
                    "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
                }
            ],
            problems=(400, 401, 403, 429, 503),
        ),
    ),
    DescribedRoute(
        "/upload/{upload_id}/review",
        post_review,
        method="POST",
        operation={
            **operation(
                "Decide whether an upload that waits is kept",
                "Reviews",
                {"204": {"description": "Decided: the work goes on, or ends"}},
                problems=(400, 401, 403, 404, 409, 413, 429, 503),
            ),
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {
                                "decision": {"type": "string", "enum": ["approve", "refuse"]},
                                "reason": {"type": "string"},
                            },
                            "required": ["decision"],
                        }
                    }
                },
            },
        },
    ),
]
