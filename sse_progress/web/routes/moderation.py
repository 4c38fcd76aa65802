"""`POST /upload/<id>/moderation`: the moderation hook's verdict, where it promised one for later.

Its signature is all that counts: a caller's token says nothing here.
"""

from __future__ import annotations

import time

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sse_progress.model.errors import BadRequest, Unauthenticated
from sse_progress.model.verdicts import Verdict
from sse_progress.model.webhooks import is_signed
from sse_progress.uploads.reviews import Answered
from sse_progress.web.description.operations import DescribedRoute, operation, ref
from sse_progress.web.json_body import raw_body
from sse_progress.web.request_headers import access_of, context_of, path_upload_id

__all__ = ["ROUTES"]

SIGNATURE_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


async def post_moderation(request: Request) -> Response:
    upload_id, context = path_upload_id(request), context_of(request)
    await access_of(request).anyone(request)
    body = await raw_body(request)
    if not is_signed(request.headers, body, keys=context.hook_keys, now_s=int(time.time())):
        raise Unauthenticated("The message is not signed with the secret of the moderation hook.")
    try:
        verdict = msgspec.json.decode(body, type=Verdict)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"The body is no verdict: {error}.") from None
    await context.reviews.decide(upload_id, Answered(verdict))
    return Response(status_code=204, headers={"X-Upload-ID": upload_id})


ROUTES = [
    DescribedRoute(
        "/upload/{upload_id}/moderation",
        post_moderation,
        method="POST",
        operation={
            **operation(
                "The moderation hook's verdict on an upload that waits for it",
                "Reviews",
                {"204": {"description": "Taken: the work goes on, or ends"}},
                parameters=[
                    {
                        "name": name,
                        "in": "header",
                        "required": True,
                        "description": "Of Standard Webhooks.",
                        "schema": {"type": "string"},
                    }
                    for name in SIGNATURE_HEADERS
                ],
                problems=(400, 401, 404, 409, 413, 429, 503),
                public=True,
            ),
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": ref("Verdict")}},
            },
        },
    ),
]
