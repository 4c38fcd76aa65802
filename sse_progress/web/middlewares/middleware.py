"""Middlewares: hosts and origins that may use the service, CORS, and security headers.

Pure ASGI. What a token must contain is decided in access/tokens, how a refusal looks in
problem_details. Nothing here makes `send` wait. A middleware that has nothing to do when its
application returns is a plain function that hands out the application's own awaitable, so that no
request pays for its coroutine.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Awaitable, Iterable
from functools import lru_cache
from typing import TypeAlias

from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sse_progress.model.errors import Forbidden
from sse_progress.runtime.traces import are_wanted
from sse_progress.settings import Settings
from sse_progress.web.middlewares.problem_middleware import Problems
from sse_progress.web.middlewares.request_log import RequestLog
from sse_progress.web.middlewares.request_span import RequestSpan
from sse_progress.web.middlewares.tus_middleware import Tus
from sse_progress.web.origins import AUTHORITY_CHARACTERS, Origins, parse_site
from sse_progress.web.peers import ByProxy, Peers, peers_of
from sse_progress.web.request_fields import fields_of, single_header

__all__ = ["Cors", "Gate", "SecurityHeaders", "middleware"]

_ALLOW_HEADERS = (
    "Authorization, X-Upload-ID, Last-Event-ID, Prefer, If-None-Match, Content-Type, "
    "Content-Disposition, Tus-Resumable, Upload-Length, Upload-Defer-Length, Upload-Offset, "
    "Upload-Metadata, Upload-Checksum, Upload-Concat, X-HTTP-Method-Override, Upload-Complete, "
    "Upload-Incomplete, Upload-Draft-Interop-Version, Content-Digest, Repr-Digest, X-Writer, "
    "Idempotency-Key"
)
_EXPOSE_HEADERS = (
    "X-Upload-ID, Location, ETag, Retry-After, Upload-Offset, Upload-Length, Upload-Defer-Length, "
    "Upload-Expires, Upload-Metadata, Upload-Limit, Tus-Resumable, Tus-Version, Tus-Extension, "
    "Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Complete, Upload-Incomplete, "
    "Upload-Draft-Interop-Version"
)
_PREFLIGHT_S = 600
RESPONSES = ("http.response.start", "websocket.http.response.start")
KNOWN_HEADS = 128
KNOWN_HOSTS = 64
HOST_CHARACTERS = AUTHORITY_CHARACTERS + 1
"""What is longer is no authority either way, and is not kept whole."""
_BY_PAGES = {b"origin", b"sec-fetch-site"}

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


def middleware(settings: Settings, peers: Peers | None = None) -> list[Middleware]:
    """All of the door in its order, outermost first, for `Starlette(middleware=…)`. `peers`: the
    server's, where that counts connections."""
    origins = Origins(settings.cors_origins)
    chain = [Middleware(RequestLog)]
    if are_wanted(os.environ):
        chain.append(Middleware(RequestSpan))
    chain.append(Middleware(SecurityHeaders, embeddable=bool(settings.cors_origins)))
    if settings.cors_origins:
        chain.append(Middleware(Cors, origins=origins))
    chain += [
        Middleware(Tus),
        Middleware(Problems),
        Middleware(ByProxy, peers=peers or peers_of(settings)),
    ]
    if settings.open_mode:
        hosts = (settings.host, *settings.allowed_hosts)
        chain.append(Middleware(Gate, hosts=hosts, origins=origins))
    return chain


# ---- middlewares


class Gate:
    """Open mode: only local names, and no web page from elsewhere.

    Without tokens a request is trusted as its sender is, and a browser on this machine sends what
    any page asks for. So a foreign Host (DNS rebinding) and a foreign Origin are refused with 403,
    and a page's silent requests (no Origin, other site, no navigation) too. Hosts are the loopback
    names, `hosts`, and the address that the connection came in on.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], origins: Origins) -> None:
        self._app = app
        named = (parse_site("http", host if host.count(":") < 2 else f"[{host}]") for host in hosts)
        # A wildcard address is no name; browsers let pages reach local services by it.
        self._hosts = {site.host for site in named if site is not None} - {"0.0.0.0", "[::]"}  # noqa: S104
        self._origins = origins
        self._is_ours = lru_cache(KNOWN_HOSTS)(self._names_us)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] in ("http", "websocket"):
            host = single_header(scope, b"host")
            # HTTP/1.0 has none, and no browser speaks it
            if host is not None and not self._is_ours(host[:HOST_CHARACTERS], scope.get("server")):
                raise Forbidden(
                    "This host name is not served here (see SSE_PROGRESS_ALLOWED_HOSTS)."
                )
            if not _BY_PAGES.isdisjoint(fields_of(scope)):
                self._check_page(scope)
        return self._app(scope, receive, send)

    def _check_page(self, scope: Scope) -> None:
        origin = single_header(scope, b"origin")
        if origin is None:
            if single_header(scope, b"sec-fetch-site") in ("cross-site", "same-site") and (
                single_header(scope, b"sec-fetch-mode") != "navigate"
            ):
                raise Forbidden("Pages of other sites may not use this service.")
        elif not self._origins.knows(scope, origin):
            raise Forbidden(
                "Pages of this origin may not use this service (see SSE_PROGRESS_CORS_ORIGINS)."
            )

    def _names_us(self, host: str, server: tuple[str, int | None] | None) -> bool:
        site = parse_site("http", host)
        if site is None:
            return False
        name = site.host
        return (
            name in self._hosts
            or name == "localhost"
            or name.endswith(".localhost")
            or _is_local_address(name.strip("[]"), server)
        )


def _is_local_address(text: str, server: tuple[str, int | None] | None) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.is_loopback or (server is not None and str(address) == server[0])


class Cors:
    """Lets pages of the listed origins use the service, with credentials (Fetch standard, CORS).

    Preflights are answered here; others get nothing, and their browser does the refusing.
    """

    def __init__(self, app: ASGIApp, *, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        added = [(b"vary", b"Origin")]
        origins = fields_of(scope).get(b"origin", [])
        if len(origins) == 1 and self._origins.lists(origins[0].decode("latin-1")):
            added += [
                (b"access-control-allow-origin", origins[0]),
                (b"access-control-allow-credentials", b"true"),
                (b"access-control-expose-headers", _EXPOSE_HEADERS.encode()),
            ]
            if _is_preflight(scope):
                answer = Response(status_code=204, headers=_PREFLIGHT)
                return answer(scope, receive, _adding(send, added))
        return self._app(scope, receive, _adding(send, added))


_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": _ALLOW_HEADERS,
    "Access-Control-Max-Age": str(_PREFLIGHT_S),
}


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and b"access-control-request-method" in fields_of(scope)


class SecurityHeaders:
    """Headers that every response has unless its handler sets them.

    The default policy is for data: nothing in an answer may run, load or be framed. The page's
    handler sends its own. `embeddable`: pages of other origins may show files of ours.
    """

    def __init__(self, app: ASGIApp, *, embeddable: bool = False) -> None:
        self._app = app
        self._defaults = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"x-frame-options", b"DENY"),
            (b"cross-origin-resource-policy", b"cross-origin" if embeddable else b"same-origin"),
            (
                b"content-security-policy",
                b"default-src 'none'; frame-ancestors 'none'; sandbox",
            ),
        ]
        self._completed = lru_cache(KNOWN_HEADS)(self._complete)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] not in ("http", "websocket"):
            return self._app(scope, receive, send)
        completed = self._completed

        def sending(message: Message) -> Awaitable[None]:
            if message["type"] in RESPONSES:
                message = {**message, "headers": completed(tuple(message.get("headers", ())))}
            return send(message)

        return self._app(scope, receive, sending)

    def _complete(self, headers: Headers) -> Headers:
        names = {name.lower() for name, _ in headers}
        return headers + tuple([field for field in self._defaults if field[0] not in names])


def _adding(send: Send, headers: list[tuple[bytes, bytes]]) -> Send:
    """`send` with more headers: a plain function that hands out the server's own awaitable."""

    def sending(message: Message) -> Awaitable[None]:
        if message["type"] in RESPONSES:
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        return send(message)

    return sending
