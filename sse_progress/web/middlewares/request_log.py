"""One log line per request, when it is over: who, what, which upload, how much, how long."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Awaitable, Iterable, Mapping
from urllib.parse import unquote

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sse_progress.model.ids import UPLOAD_ID_PATTERN, valid_upload_id
from sse_progress.runtime.logging_setup import SHARED
from sse_progress.web.context import metrics_of
from sse_progress.web.protocol.rest import at_end
from sse_progress.web.request_fields import BODY_FIELDS, fields_of

__all__ = ["RequestLog", "is_quiet", "note_user"]

_LOGGER = logging.getLogger("sse_progress.web.requests")
log = structlog.get_logger(_LOGGER.name)

USER = "sse_progress.user"
QUIET = ("/healthz", "/readyz", "/metrics")
"""Asked all the time by machines: logged at debug level."""


_NONE = [b""]
_GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_UPLOAD = re.compile(rf"/upload/({UPLOAD_ID_PATTERN})(?:/|$)")


def note_user(scope: Scope, user: str) -> None:
    """Say who a request's caller is, for its log line."""
    scope[USER] = user


def is_quiet(path: str) -> bool:
    """Asked by a machine that asks all the time."""
    return path.endswith(QUIET)


class RequestLog:
    """The outermost middleware. A stream's line comes when it ends.

    Every line that is logged while a request is answered has the same `request`: what its
    X-Request-ID says (a proxy's), or a new one; and `upload_id`, where the request names one.
    `status` is 0 where nothing was answered, `bytes` counts those of the request's body. The path
    comes without its query, which may hold a token.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        fields = fields_of(scope)
        names = _names(scope["path"], fields)
        entry = _Entry(scope, names, send)
        before = SHARED.set(names)
        try:
            if not BODY_FIELDS.isdisjoint(fields):
                receive = entry.counting(receive)
            await self._app(scope, receive, entry.send)
        finally:
            at_end(scope, entry.write)
            SHARED.reset(before)


def _names(path: str, fields: Mapping[bytes, list[bytes]]) -> dict[str, str]:
    """What lines of one request have in common."""
    if b"x-request-id" in fields and _GIVEN_ID.fullmatch(given := fields[b"x-request-id"][-1]):
        request = given.decode()
    else:
        request = f"{random.getrandbits(64):016x}"
    if found := _UPLOAD.search(path):
        return {"request": request, "upload_id": found[1]}
    upload_id = fields.get(b"x-upload-id", _NONE)[-1]
    if valid_upload_id(text := upload_id.decode("latin-1")):
        return {"request": request, "upload_id": text}
    return {"request": request}


class _Entry:
    __slots__ = ("_began", "_bytes", "_names", "_scope", "_send", "_status", "_upload_id")

    def __init__(self, scope: Scope, names: dict[str, str], send: Send) -> None:
        self._scope, self._names, self._send = scope, names, send
        self._began = time.monotonic()
        self._status = self._bytes = 0
        self._upload_id = ""

    def counting(self, receive: Receive) -> Receive:
        async def counting() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                self._bytes += len(message.get("body", b""))
            return message

        return counting

    def send(self, message: Message) -> Awaitable[None]:
        """A plain function that hands out the server's own awaitable."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if "upload_id" not in self._names:
                self._note_upload(message.get("headers", ()))
        return self._send(message)

    def _note_upload(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """The request named none, so the answer does."""
        for name, value in headers:
            if name.lower() == b"x-upload-id":
                self._upload_id = value.decode("latin-1")

    def write(self) -> None:
        scope = self._scope
        if (metrics := metrics_of(scope)) is not None:
            metrics.answered(scope["method"], self._status)
        path = unquote(scope["path"], errors="replace")
        quiet = is_quiet(path)
        if not _LOGGER.isEnabledFor(logging.DEBUG if quiet else logging.INFO):
            return  # a line that is not written is not made
        upload_id = self._upload_id or scope.get("path_params", {}).get("upload_id", "")
        client = scope.get("client")
        fields = {
            "method": scope["method"],
            "path": path,
            "status": self._status,
            "upload_id": upload_id,
            "user": scope.get(USER, ""),
            "client": client[0] if client else "",
            "bytes": self._bytes,
            "duration_s": round(time.monotonic() - self._began, 3),
        }
        level = log.debug if quiet else log.info
        told = {name: value for name, value in fields.items() if value != ""}
        level("request", **{**self._names, **told})
