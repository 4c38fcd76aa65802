"""One span per request. That of a stream ends when it is open: what it sends has none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sse_progress.runtime.logging_setup import SHARED
from sse_progress.runtime.traces import Span, Traces
from sse_progress.web.context import traces_of
from sse_progress.web.middlewares.request_log import is_quiet
from sse_progress.web.request_fields import fields_of

__all__ = ["RequestSpan"]

STREAMED = b"text/event-stream"
OPENED = ("websocket.accept", "websocket.close")


class RequestSpan:
    """Within RequestLog, whose `request` the span has. A `traceparent` of the client is gone on
    with. Of the path only the route is told, of the caller nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._routes: dict[tuple[Any, int], str] = {}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        traces = traces_of(scope)
        if not traces.on or scope["type"] == "lifespan" or is_quiet(scope["path"]):
            return self._app(scope, receive, send)
        return self._traced(traces, scope, receive, send)

    async def _traced(self, traces: Traces, scope: Scope, receive: Receive, send: Send) -> None:
        parent = fields_of(scope).get(b"traceparent", [b""])[-1].decode("latin-1")
        method = scope.get("method", "GET")  # a WebSocket begins with one
        about = {"http.request.method": method, "url.scheme": scope["scheme"]}
        if request := SHARED.get().get("request"):
            about["sse_progress.request"] = request
        with traces.span(method, parent=parent, kind="server", attributes=about) as span:
            seen = _Seen(span)
            try:
                await self._app(scope, receive, seen.sending(scope, send, self._end))
            except Exception as error:
                span.fail(type(error).__name__)
                raise
            finally:
                self._end(scope, seen)

    def _end(self, scope: Scope, seen: _Seen) -> None:
        if not self._routes:
            self._routes.update(_named(scope["app"].routes))
        parameters = scope.get("path_params", {})
        route = self._routes.get((scope.get("endpoint"), len(parameters)), "")
        if route:
            seen.span.add({"http.route": route})
        if upload_id := seen.upload_id or parameters.get("upload_id", ""):
            seen.span.add({"sse_progress.upload.id": upload_id})
        if seen.status:
            seen.span.add({"http.response.status_code": seen.status})
        if seen.status >= 500:
            seen.span.fail(str(seen.status))
        seen.span.end(f"{scope.get('method', 'GET')} {route}".rstrip())


class _Seen:
    """What an answer has told so far."""

    def __init__(self, span: Span) -> None:
        self.span, self.status, self.upload_id = span, 0, ""

    def sending(self, scope: Scope, send: Send, end: Callable[[Scope, _Seen], None]) -> Send:
        """A plain function that hands out the server's own awaitable."""

        def noting(message: Message) -> Awaitable[None]:
            if message["type"].endswith("response.start"):
                self.status = message["status"]
                headers = {name.lower(): value for name, value in message.get("headers", ())}
                self.upload_id = headers.get(b"x-upload-id", b"").decode("latin-1")
                if headers.get(b"content-type", b"").startswith(STREAMED):
                    end(scope, self)
            elif message["type"] in OPENED:
                end(scope, self)
            return send(message)

        return noting


def _named(routes: Sequence[BaseRoute], prefix: str = "") -> Iterator[tuple[tuple[Any, int], str]]:
    """Each endpoint with how many parameters its path has, and that path."""
    for route in routes:
        if isinstance(route, Mount):
            yield from _named(route.routes, prefix + route.path)
        elif isinstance(route, Route | WebSocketRoute):
            yield (route.endpoint, len(route.param_convertors)), prefix + route.path
