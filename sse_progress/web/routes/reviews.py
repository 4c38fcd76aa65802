"""`GET /reviews`, `POST /reviews/next` and `POST /upload/<id>/review`: a person decides what
moderation could not."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sse_progress.model.events import encode_json
from sse_progress.model.ids import valid_upload_id
from sse_progress.model.text import clean_text
from sse_progress.model.urls import url_of
from sse_progress.uploads.review_leases import Reviewer
from sse_progress.uploads.reviews import Decision
from sse_progress.web.context import WebContext
from sse_progress.web.description.operations import DescribedRoute, json_answer, operation
from sse_progress.web.json_body import json_body
from sse_progress.web.request_headers import access_of, context_of, integer, path_upload_id

__all__ = ["ROUTES"]


class _Decision(msgspec.Struct):
    decision: Literal["approve", "refuse"]
    reason: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class _Next(msgspec.Struct, rename="camel"):
    desk: Annotated[str, msgspec.Meta(max_length=64)] = ""
    lease_s: Annotated[int, msgspec.Meta(ge=10, le=3600)] = 120
    skip: Annotated[list[str], msgspec.Meta(max_length=100)] = []


async def get_reviews(request: Request) -> Response:
    context = context_of(request)
    await access_of(request).reviewer(request)
    limit = integer(request, "limit", default=50, check=lambda n: 1 <= n <= 200)
    waiting = await context.reviews.waiting(limit=limit)
    return _answer({"reviews": [_with_url(one, context) for one in waiting]})


async def post_reviews_next(request: Request) -> Response:
    context = context_of(request)
    principal = await access_of(request).reviewer(request)
    asked = await json_body(request, _Next)
    skipped = [one for one in asked.skip if valid_upload_id(one)]
    reviewer = Reviewer(principal.sub, asked.desk)
    found = await context.reviews.next(reviewer, lease_s=asked.lease_s, skipped=skipped)
    if found is None:
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    return _answer(_with_url(found, context))


def _with_url(one: dict[str, Any], context: WebContext) -> dict[str, Any]:
    prefix = context.settings.prefix
    return {**one, "url": url_of(one["uploadId"], prefix=prefix, name=one.get("filename", ""))}


def _answer(body: dict[str, Any]) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(encode_json(body), headers=headers, media_type="application/json")


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
                    "description": "How many at most.",
                    "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
                }
            ],
            problems=(400, 401, 403, 429, 503),
        ),
    ),
    DescribedRoute(
        "/reviews/next",
        post_reviews_next,
        method="POST",
        operation={
            **operation(
                "The next upload for a reviewer, theirs alone for a while",
                "Reviews",
                {
                    "200": json_answer(
                        "WaitingReview", "Asked again, the same one, for `leaseS` more"
                    ),
                    "204": {"description": "Nothing waits that nobody else looks at"},
                },
                problems=(400, 401, 403, 413, 429, 503),
            ),
            "requestBody": {
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {
                                "desk": {
                                    "type": "string",
                                    "maxLength": 64,
                                    "description": "Tells windows of one reviewer apart.",
                                },
                                "leaseS": {
                                    "type": "integer",
                                    "minimum": 10,
                                    "maximum": 3600,
                                    "default": 120,
                                },
                                "skip": {
                                    "type": "array",
                                    "maxItems": 100,
                                    "items": {"type": "string"},
                                    "description": "Uploads to leave to others.",
                                },
                            },
                        }
                    }
                },
            },
        },
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
