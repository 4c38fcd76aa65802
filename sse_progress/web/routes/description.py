"""`GET /openapi.json`: the description of the service, made once, when it is first asked for."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sse_progress.runtime.concurrency import reading
from sse_progress.web.description.operations import DescribedRoute, service_operation
from sse_progress.web.request_headers import etag_matches, etag_of_content

__all__ = ["ROUTES"]


async def get_description(request: Request) -> Response:
    description: bytes = await reading(request.app.state.description)  # 12 ms where it is made
    etag = etag_of_content(description)
    headers = {"Cache-Control": "no-cache", "ETag": etag}
    if etag_matches(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(description, headers=headers, media_type="application/json")


ROUTES = [
    DescribedRoute(
        "/openapi.json",
        get_description,
        operation=service_operation("This document", "application/json"),
    )
]
