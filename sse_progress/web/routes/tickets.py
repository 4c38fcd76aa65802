"""`POST /upload/<id>/tickets`: a link that reads one upload, for a while."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sse_progress.model.errors import BadRequest, Forbidden, TooLarge
from sse_progress.model.events import encode_json
from sse_progress.model.timestamps import rfc3339
from sse_progress.web.description.operations import DescribedRoute, json_answer, operation
from sse_progress.web.request_headers import access_of, context_of, path_upload_id

__all__ = ["ROUTES"]

TTL_S = 600
LONGEST_TTL_S = 24 * 3600
BODY_LIMIT_BYTES = 1024


class _Wish(msgspec.Struct, rename="camel"):
    ttl_s: int = TTL_S


async def post_ticket(request: Request) -> Response:
    """The upload may not have begun: then its id is claimed, as a stream would."""
    upload_id = path_upload_id(request)
    context = context_of(request)
    principal = await access_of(request).writer(request)
    ttl_s = await _ttl_s(request)
    if not await context.uploads.claimed(upload_id, owner=principal.sub):
        if not await context.limits.may_claim(principal.sub):
            raise Forbidden("Too many ids are claimed whose uploads have not begun.")
        await context.uploads.claim(upload_id, owner=principal.sub)
    ticket, expires_at = await context.tickets.make(upload_id, owner=principal.sub, ttl_s=ttl_s)
    return Response(
        encode_json({"ticket": ticket, "expiresAt": rfc3339(expires_at)}),
        201,
        headers={"Cache-Control": "no-store", "X-Upload-ID": upload_id},
        media_type="application/json",
    )


async def _ttl_s(request: Request) -> int:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            raise TooLarge(f"The body is over {BODY_LIMIT_BYTES} bytes.")
    try:
        wish = msgspec.json.decode(body, type=_Wish) if body.strip() else _Wish()
    except msgspec.DecodeError:
        raise BadRequest("The body must be JSON with an optional number ttlS.") from None
    if not 0 < wish.ttl_s <= LONGEST_TTL_S:
        raise BadRequest(f"ttlS must be 1 to {LONGEST_TTL_S} seconds.")
    return wish.ttl_s


ROUTES = [
    DescribedRoute(
        "/upload/{upload_id}/tickets",
        post_ticket,
        method="POST",
        operation={
            **operation(
                "Make a ticket that reads this upload",
                "Uploads",
                {"201": json_answer("Ticket", "For `?ticket=`", id_header=True)},
                problems=(400, 401, 403, 413, 429, 503),
            ),
            "requestBody": {
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {
                                "ttlS": {
                                    "type": "integer",
                                    "minimum": 1,
                                    "maximum": LONGEST_TTL_S,
                                    "default": TTL_S,
                                }
                            },
                        }
                    }
                }
            },
        },
    )
]
