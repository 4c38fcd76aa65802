"""What tus 1.0 asks of every response, and methods that a client may not send as such.

Pure ASGI. What the other headers of tus mean is read in dialects/tus.
"""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sse_progress.web.dialects.tus import VERSION
from sse_progress.web.request_fields import fields_of

__all__ = ["Tus", "speaks_tus"]

_OVERRIDES = ("PATCH", "DELETE", "HEAD", "PUT")


class Tus:
    """For requests with `Tus-Resumable`: the same on the response, and `X-HTTP-Method-Override`.

    It stands outside of what refuses, so that refusals have the header as well.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and b"tus-resumable" in fields_of(scope):
            send = _telling_version(send)
            overrides = fields_of(scope).get(b"x-http-method-override")
            if overrides and scope["method"] == "POST":
                method = overrides[0].decode("latin-1").strip().upper()
                if method in _OVERRIDES:
                    scope = {**scope, "method": method}
        return self._app(scope, receive, send)


def _telling_version(send: Send) -> Send:
    def sending(message: Message):  # type: ignore[no-untyped-def]  # the server's own awaitable
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), (b"tus-resumable", VERSION.encode())]
            message = {**message, "headers": headers}
        return send(message)

    return sending


def speaks_tus(request: Request) -> bool:
    return "tus-resumable" in request.headers
