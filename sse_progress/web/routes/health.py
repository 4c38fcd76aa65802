"""`GET /healthz` and `GET /readyz`: is this process alive, and can it be used."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sse_progress.model.events import encode_json
from sse_progress.sandbox.confinement import degree
from sse_progress.uploads.health import DEGRADED, health
from sse_progress.web.description.operations import DescribedRoute, service_operation
from sse_progress.web.request_headers import context_of

__all__ = ["ROUTES"]


async def get_health(request: Request) -> Response:  # noqa: ARG001
    """This process is alive; no other part is asked."""
    return _json({"status": "ok"})


async def get_ready(request: Request) -> Response:
    """The state of every part that uploads need.

    200 if all are `ok`, and `degraded` if uploads that exist are served all the same; else 503.
    """
    context = context_of(request)
    checks = await health(context.components)
    if context.draining.is_set():
        checks["process"] = "draining"
    wrong = {word for word in checks.values() if word != "ok"}
    status = "unavailable" if wrong - DEGRADED else "degraded" if wrong else "ready"
    about = {"mode": context.settings.sandbox, "kernel": str(degree())}
    body = {"status": status, "checks": checks, "sandbox": about}
    return _json(body, 503 if status == "unavailable" else 200)


def _json(body: object, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(encode_json(body), status, headers=headers, media_type="application/json")


ROUTES = [
    DescribedRoute(
        "/healthz",
        get_health,
        operation=service_operation("Whether the process lives", "application/json"),
    ),
    DescribedRoute(
        "/readyz",
        get_ready,
        operation=service_operation(
            "Whether journal, storage, Redis and queue answer",
            "application/json",
            unavailable="Something does not",
        ),
    ),
]
