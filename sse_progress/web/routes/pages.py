"""What operators and browsers ask of the service itself: health, metrics, the page."""

from __future__ import annotations

import mimetypes
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

from sse_progress import __version__
from sse_progress.model.errors import NotFound
from sse_progress.model.events import encode_json
from sse_progress.web.openapi import document
from sse_progress.web.request_headers import service_of

__all__ = [
    "get_client_file",
    "get_health",
    "get_index",
    "get_openapi",
    "get_page_file",
    "get_ready",
]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TYPES = {".js": "text/javascript", ".ts": "text/plain", ".svg": "image/svg+xml"}


async def get_health(request: Request) -> Response:  # noqa: ARG001
    """This process lives; nothing more."""
    return _json({"status": "ok"})


async def get_ready(request: Request) -> Response:
    """Every part that uploads need answers; 503 with the names of those that do not."""
    service = service_of(request)
    checks = await service.core.health()
    if service.draining.is_set():
        checks["process"] = "draining"
    ready = all(word == "ok" for word in checks.values())
    body = {"status": "ready" if ready else "unavailable", "checks": checks}
    return _json(body, 200 if ready else 503)


async def get_openapi(request: Request) -> Response:
    settings = service_of(request).settings
    description = document(
        version=__version__, prefix=settings.prefix, tokens=not settings.open_mode
    )
    return _json(description)


async def get_index(request: Request) -> Response:  # noqa: ARG001
    return _file("page/index.html")


async def get_api_page(request: Request) -> Response:  # noqa: ARG001
    return _file("page/api.html")


async def get_page_file(request: Request) -> Response:
    return _file(f"page/{request.path_params['name']}")


async def get_client_file(request: Request) -> Response:
    return _file(f"client/{request.path_params['name']}")


def _json(body: object, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(encode_json(body), status, headers=headers, media_type="application/json")


def _file(name: str) -> Response:
    """A file of the page. `name` is compared with what is there, never joined unseen."""
    place: Traversable = files("sse_progress") / "browser"
    for part in name.split("/"):
        known = {entry.name: entry for entry in place.iterdir()} if place.is_dir() else {}
        if part not in known:
            raise NotFound
        place = known[part]
    if not place.is_file():
        raise NotFound
    suffix = name[name.rfind(".") :]
    kind = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(
        place.read_bytes(),
        media_type=kind,
        headers={"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"},
    )
