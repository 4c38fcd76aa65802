"""The web application: which path is whose handler, and what stands around them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router

from sse_progress.settings import Settings
from sse_progress.web.callers import Access
from sse_progress.web.context import WebContext, serving
from sse_progress.web.middleware import middleware
from sse_progress.web.origins import Origins
from sse_progress.web.problem_middleware import pass_on
from sse_progress.web.routes.all_progress import get_all_progress
from sse_progress.web.routes.health import get_health, get_ready
from sse_progress.web.routes.metrics import get_metrics
from sse_progress.web.routes.pages import (
    get_api_page,
    get_client_file,
    get_index,
    get_openapi,
    get_page_file,
)
from sse_progress.web.routes.progress import get_progress
from sse_progress.web.routes.upload import post_upload
from sse_progress.web.routes.uploads import delete_upload, get_file, get_upload, get_uploads

__all__ = ["create_app"]

ROUTES = [
    Route("/upload", post_upload, methods=["POST"]),
    Route("/upload/{upload_id}/progress", get_progress, methods=["GET"]),
    Route("/upload/{upload_id}/files/{name}", get_file, methods=["GET"]),
    Route("/upload/{upload_id}", get_upload, methods=["GET"]),
    Route("/upload/{upload_id}", delete_upload, methods=["DELETE"]),
    Route("/uploads/progress", get_all_progress, methods=["GET"]),
    Route("/uploads", get_uploads, methods=["GET"]),
    Route("/healthz", get_health),
    Route("/readyz", get_ready),
    Route("/metrics", get_metrics),
    Route("/openapi.json", get_openapi),
    Route("/api", get_api_page),
    Route("/client/{name:path}", get_client_file),
    Route("/page/{name:path}", get_page_file),
    Route("/", get_index),
]


def create_app(
    settings: Settings, *, on_context: Callable[[WebContext], None] = lambda _: None
) -> Starlette:
    """The application. Its parts are opened when the server starts it and closed when it ends;
    `on_context` is given them in between, for whoever has to drain them."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with serving(settings) as context:
            app.state.context = context
            app.state.access = Access(
                context.authenticator, context.limits, Origins(settings.cors_origins)
            )
            on_context(context)
            yield

    app = Starlette(
        routes=_under(settings.prefix) if settings.prefix else ROUTES,
        middleware=middleware(settings),
        exception_handlers={HTTPException: pass_on},
        lifespan=lifespan,
    )
    # Starlette's redirects to the other slash name the host as the request did.
    app.router.redirect_slashes = False
    return app


def _under(prefix: str) -> list[BaseRoute]:
    """All routes below `prefix`; without its slash it leads to the page."""

    async def to_page(request: Request) -> Response:  # noqa: ARG001
        return Response(status_code=308, headers={"Location": f"{prefix}/"})

    return [
        Route(prefix, to_page, methods=["GET"]),
        Mount(prefix, app=Router(ROUTES, redirect_slashes=False)),
    ]
