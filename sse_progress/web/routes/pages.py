"""The page, the ES module, and the reader of the API description."""

from __future__ import annotations

import mimetypes
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sse_progress.model.errors import NotFound
from sse_progress.runtime.concurrency import reading
from sse_progress.web.request_headers import etag_matches, etag_of_content

__all__ = ["ROUTES"]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TYPES = {".js": "text/javascript", ".ts": "text/plain", ".svg": "image/svg+xml"}


async def get_index(request: Request) -> Response:
    return await _file(request, "page/index.html")


async def get_api_page(request: Request) -> Response:
    return await _file(request, "page/api/api.html")


async def get_review_page(request: Request) -> Response:
    return await _file(request, "page/review/review.html")


async def get_page_file(request: Request) -> Response:
    return await _file(request, f"page/{request.path_params['name']}")


async def get_client_file(request: Request) -> Response:
    return await _file(request, f"client/{request.path_params['name']}")


async def _file(request: Request, name: str) -> Response:
    """A file of the page, unless the client has it."""
    content, etag = await reading(_content, name)
    suffix = name[name.rfind(".") :]
    kind = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {
        "Content-Security-Policy": PAGE_POLICY,
        "Cache-Control": "no-cache",  # a newer release is seen at once
        "ETag": etag,
    }
    if etag_matches(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)


def _content(name: str) -> tuple[bytes, str]:
    """The file's bytes and their entity tag. `name` is compared with what is there, never joined
    unseen. Raises NotFound."""
    place: Traversable = files("sse_progress") / "browser"
    for part in name.split("/"):
        known = {entry.name: entry for entry in place.iterdir()} if place.is_dir() else {}
        if part not in known:
            raise NotFound
        place = known[part]
    if not place.is_file():
        raise NotFound
    content = place.read_bytes()
    return content, etag_of_content(content)


ROUTES = [
    Route("/api", get_api_page),
    Route("/review", get_review_page),
    Route("/client/{name:path}", get_client_file),
    Route("/page/{name:path}", get_page_file),
    Route("/", get_index),
]
"""Not described: they are no part of the API."""
