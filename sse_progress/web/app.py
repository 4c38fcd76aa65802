"""The web application: which path is whose handler, and what stands around them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from sse_progress import __version__
from sse_progress.model.events import encode_json
from sse_progress.runtime.descriptors import UNLIMITED, Descriptors
from sse_progress.settings import Settings
from sse_progress.web.callers import Access
from sse_progress.web.context import WebContext, serving
from sse_progress.web.description.openapi import document
from sse_progress.web.description.operations import DescribedRoute, allow_together
from sse_progress.web.middlewares.middleware import middleware
from sse_progress.web.origins import Origins
from sse_progress.web.peers import Peers
from sse_progress.web.roles import routes_for
from sse_progress.web.routes import (
    all_progress,
    batches,
    bulk,
    config,
    description,
    direct,
    health,
    history,
    jobs,
    metrics,
    moderation,
    pages,
    progress,
    resumable,
    reviews,
    tickets,
    upload,
    uploads,
    webhooks,
    websocket,
)

__all__ = ["create_app"]

ROUTES: list[Route | WebSocketRoute] = [
    *upload.ROUTES,
    *resumable.ROUTES,
    *direct.ROUTES,
    *progress.ROUTES,
    *uploads.ROUTES,
    *all_progress.ROUTES,
    *history.ROUTES,
    *tickets.ROUTES,
    *jobs.ROUTES,
    *batches.ROUTES,
    *bulk.ROUTES,
    *webhooks.ROUTES,
    *moderation.ROUTES,
    *reviews.ROUTES,
    *config.ROUTES,
    *health.ROUTES,
    *metrics.ROUTES,
    *description.ROUTES,
    *pages.ROUTES,
    *websocket.ROUTES,
]


def create_app(
    settings: Settings,
    descriptors: Descriptors = UNLIMITED,
    *,
    peers: Peers | None = None,
    on_context: Callable[[WebContext], None] = lambda _: None,
) -> Starlette:
    """The application. Its parts are opened when the server starts it and closed when it ends;
    `on_context` is given them in between, for the server that drains them. `peers`: the server's,
    where it counts connections."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with serving(settings, descriptors) as context:
            app.state.context = context
            app.state.access = Access(
                context.authenticator,
                context.limits,
                Origins(settings.cors_origins),
                context.tickets,
            )
            on_context(context)
            yield

    routes = routes_for(settings.web_role, ROUTES)
    # Looked at in turn; streams come back by the thousand.
    routes.sort(key=progress.ROUTES.__contains__, reverse=True)
    allow_together(routes)
    app = _Application(
        routes=_under(settings.prefix, routes) if settings.prefix else routes,
        middleware=middleware(settings, peers),
        lifespan=lifespan,
    )
    app.state = _State()
    app.state.description = cache(
        lambda: encode_json(
            document(
                ROUTES,
                version=__version__,
                prefix=settings.prefix,
                tokens=not settings.open_mode,
            )
        )
    )
    # Starlette's redirects to the other slash name the host as the request did.
    app.router.redirect_slashes = False
    return app


class _State(State):
    """Plain attributes; Starlette looks for each in vain before it asks its dictionary."""

    def __setattr__(self, key: Any, value: Any) -> None:
        object.__setattr__(self, key, value)


class _Application(Starlette):
    """Without Starlette's two middlewares for errors, since `Problems` answers whatever is raised;
    and without the two coroutines that the router has around its own."""

    def build_middleware_stack(self) -> ASGIApp:
        app = _first_route_first(self.router)
        for cls, args, kwargs in reversed(self.user_middleware):
            app = cls(app, *args, **kwargs)
        return app


def _first_route_first(router: Router) -> ASGIApp:
    """The router; but its first route, which is that of streams, is taken without asking it. A
    seventh of Starlette's calls for it; what is no GET, or below a prefix, takes the usual way."""
    route = router.routes[0]

    def application(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if (
            not isinstance(route, DescribedRoute)
            or scope["type"] != "http"
            or scope["method"] != "GET"
            or scope.get("root_path")
            or (found := route.path_regex.match(scope["path"])) is None
        ):
            return router.app(scope, receive, send)
        scope["router"], scope["route"], scope["endpoint"] = router, route, route.endpoint
        scope["path_params"] = found.groupdict()
        return route.handle(scope, receive, send)

    return application


def _under(prefix: str, routes: Sequence[Route | WebSocketRoute]) -> list[BaseRoute]:
    """All routes below `prefix`; without its slash it leads to the page."""

    async def to_page(request: Request) -> Response:  # noqa: ARG001
        return Response(status_code=308, headers={"Location": f"{prefix}/"})

    return [
        Route(prefix, to_page, methods=["GET"]),
        Mount(prefix, app=Router(routes, redirect_slashes=False)),
    ]
