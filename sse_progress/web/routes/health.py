"""`GET /healthz` and `GET /readyz`: is this process alive, and can it be used."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sse_progress.model.events import encode_json
from sse_progress.uploads.health import health
from sse_progress.web.request_headers import context_of

__all__ = ["get_health", "get_ready", "json_response"]


async def get_health(request: Request) -> Response:  # noqa: ARG001
    """This process is alive; no other part is asked."""
    return json_response({"status": "ok"})


async def get_ready(request: Request) -> Response:
    """The state of every part that uploads need; 503 unless all are `ok`."""
    context = context_of(request)
    checks = await health(context.components)
    if context.draining.is_set():
        checks["process"] = "draining"
    ready = all(word == "ok" for word in checks.values())
    body = {"status": "ready" if ready else "unavailable", "checks": checks}
    return json_response(body, 200 if ready else 503)


def json_response(body: object, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(encode_json(body), status, headers=headers, media_type="application/json")
