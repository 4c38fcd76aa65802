"""Which routes a web process answers that serves streams alone, or everything but streams.

The others are answered 421 (RFC 9110 §15.5.20): another host has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from starlette.requests import HTTPConnection
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from sse_progress.model.errors import HttpProblem
from sse_progress.settings import WebRole

__all__ = ["routes_for"]

_STREAMS = frozenset(
    {
        ("GET", "/upload/{upload_id}/progress"),
        ("GET", "/uploads/progress"),
        ("GET", "/batches/{batch_id}/progress"),
        ("WS", "/ws"),
    }
)
_BOTH = frozenset({"/config", "/healthz", "/readyz", "/metrics", "/openapi.json"})


def routes_for(
    role: WebRole, routes: Sequence[Route | WebSocketRoute]
) -> list[Route | WebSocketRoute]:
    """The same routes; those that are not of the role lead to a problem."""
    return [route if _is_of(role, route) else _misdirected(route) for route in routes]


def _is_of(role: WebRole, route: Route | WebSocketRoute) -> bool:
    if role == "all" or route.path in _BOTH:
        return True
    if isinstance(route, WebSocketRoute):
        streams = ("WS", route.path) in _STREAMS
    else:
        methods = (route.methods or set()) - {"HEAD"}
        streams = all((method, route.path) in _STREAMS for method in methods)
    return streams == (role == "streams")


def _misdirected(route: Route | WebSocketRoute) -> Route | WebSocketRoute:
    if isinstance(route, WebSocketRoute):
        return WebSocketRoute(route.path, _refuse_socket)
    methods = sorted((route.methods or set()) - {"HEAD"})
    return Route(route.path, _refuse, methods=methods)


async def _refuse(request: HTTPConnection) -> NoReturn:  # noqa: ARG001
    raise HttpProblem(421, "Misdirected request")


async def _refuse_socket(websocket: WebSocket) -> NoReturn:  # noqa: ARG001
    raise HttpProblem(421, "Misdirected request")
