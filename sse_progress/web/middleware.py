"""The door: which hosts, pages and callers a request may come from, and what answers never lack.

Pure ASGI. It owns Host, Origin, CORS, security headers, and finding the caller of a request; what
a token must say is auth's, how a refusal looks is problems'. Nothing here makes `send` wait.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Iterable
from typing import NamedTuple

from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sse_progress.access.limits import Limits
from sse_progress.access.tokens import Authenticator, InvalidToken, Principal, bearer_token
from sse_progress.model.errors import BadRequest, Forbidden
from sse_progress.settings import Settings
from sse_progress.web.problem_details import Problems

__all__ = ["Access", "Cors", "Gate", "Origins", "SecurityHeaders", "middleware"]

COOKIE = "sse_progress_token"

_AUTHORITY = re.compile(r"([a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
_PORTS = {"http": 80, "https": 443}

_ALLOW_HEADERS = "Authorization, X-Upload-ID, Last-Event-ID, Prefer, If-None-Match"
_EXPOSE_HEADERS = "X-Upload-ID, Location, ETag, Retry-After"
_PREFLIGHT_S = 600


def middleware(settings: Settings) -> list[Middleware]:
    """All of the door in its order, outermost first, for `Starlette(middleware=…)`."""
    origins = Origins(settings.cors_origins)
    chain = [Middleware(SecurityHeaders, embeddable=bool(settings.cors_origins))]
    if settings.cors_origins:
        chain.append(Middleware(Cors, origins=origins))
    chain.append(Middleware(Problems))
    if settings.open_mode:
        hosts = (settings.host, *settings.allowed_hosts)
        chain.append(Middleware(Gate, hosts=hosts, origins=origins))
    return chain


# ---- origins


class Site(NamedTuple):
    """An origin (RFC 6454): scheme, host in lower case, port."""

    scheme: str
    host: str
    port: int


def _site(scheme: str, authority: str) -> Site | None:
    scheme = scheme.lower()
    if scheme not in _PORTS or (match := _AUTHORITY.fullmatch(authority.lower())) is None:
        return None
    return Site(scheme, match[1], int(match[2] or _PORTS[scheme]))


def _site_of(url: str) -> Site | None:
    scheme, _, rest = url.partition("://")
    return _site(scheme, rest.partition("/")[0])


class Origins:
    """Which web pages may use the service: its own, and those of the listed origins."""

    def __init__(self, listed: Iterable[str]) -> None:
        self._listed = frozenset(_site_of(origin) for origin in listed) - {None}

    def lists(self, origin: str) -> bool:
        return _site_of(origin) in self._listed

    def knows(self, scope: Scope, origin: str) -> bool:
        """The page's origin is this service's own, as the request names it, or a listed one."""
        site = _site_of(origin)
        return site is not None and (site == _own(scope) or site in self._listed)

    def vouch_for(self, scope: Scope) -> bool:
        """The request shows that a known page made it; a request that shows nothing does not.

        Browsers send no Origin with a page's own GET, so what they say instead counts as well:
        `Sec-Fetch-Site` (scripts cannot set it), else `Referer`.
        """
        if (origin := _header(scope, b"origin")) is not None:
            return self.knows(scope, origin)
        if (where := _header(scope, b"sec-fetch-site")) is not None:
            return where == "same-origin"
        referer = _header(scope, b"referer")
        return referer is not None and self.knows(scope, referer)


def _own(scope: Scope) -> Site | None:
    return _site(scope["scheme"], _header(scope, b"host") or "")


def _header(scope: Scope, name: bytes) -> str | None:
    """The value of a header that may come once (RFC 9110 §5.3); raises BadRequest for two."""
    values = [value for key, value in scope["headers"] if key == name]
    if len(values) > 1:
        raise BadRequest(f"The header {name.decode().title()} came {len(values)} times.")
    return values[0].decode("latin-1") if values else None


# ---- middlewares


class Gate:
    """Open mode: only local names, and no web page from elsewhere.

    Without tokens a request is as good as its sender, and a browser on this machine sends what any
    page tells it to. So a foreign Host (DNS rebinding) and a foreign Origin are refused with 403,
    and a page's silent requests (no Origin, other site, no navigation) too. Hosts are the loopback
    names, `hosts`, and the address that the connection came in on.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], origins: Origins) -> None:
        self._app = app
        named = (_site("http", host if host.count(":") < 2 else f"[{host}]") for host in hosts)
        # A wildcard address is nobody's name; browsers let pages reach local services by it.
        self._hosts = {site.host for site in named if site is not None} - {"0.0.0.0", "[::]"}  # noqa: S104
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._check(scope)
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        if not self._is_ours(scope):
            raise Forbidden("This host name is not served here (see SSE_PROGRESS_ALLOWED_HOSTS).")
        origin = _header(scope, b"origin")
        if origin is None:
            if _header(scope, b"sec-fetch-site") in ("cross-site", "same-site") and (
                _header(scope, b"sec-fetch-mode") != "navigate"
            ):
                raise Forbidden("Pages of other sites may not use this service.")
        elif not self._origins.knows(scope, origin):
            raise Forbidden(
                "Pages of this origin may not use this service (see SSE_PROGRESS_CORS_ORIGINS)."
            )

    def _is_ours(self, scope: Scope) -> bool:
        host = _header(scope, b"host")
        if host is None:  # HTTP/1.0: no browser
            return True
        site = _site("http", host)
        if site is None:
            return False
        name = site.host
        return (
            name in self._hosts
            or name == "localhost"
            or name.endswith(".localhost")
            or _is_local_address(name.strip("[]"), scope)
        )


def _is_local_address(text: str, scope: Scope) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    server = scope.get("server") or ("",)
    return address.is_loopback or str(address) == server[0]


class Cors:
    """Lets pages of the listed origins use the service, with credentials (Fetch standard, CORS).

    Preflights are answered here; others get nothing, and their browser does the refusing.
    """

    def __init__(self, app: ASGIApp, *, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = [(b"vary", b"Origin")]
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        if len(origins) == 1 and self._origins.lists(origins[0].decode("latin-1")):
            added += [
                (b"access-control-allow-origin", origins[0]),
                (b"access-control-allow-credentials", b"true"),
                (b"access-control-expose-headers", _EXPOSE_HEADERS.encode()),
            ]
            if _is_preflight(scope):
                answer = Response(status_code=204, headers=_PREFLIGHT)
                await answer(scope, receive, _adding(send, added))
                return
        await self._app(scope, receive, _adding(send, added))


_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE",
    "Access-Control-Allow-Headers": _ALLOW_HEADERS,
    "Access-Control-Max-Age": str(_PREFLIGHT_S),
}


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and any(
        name == b"access-control-request-method" for name, _ in scope["headers"]
    )


class SecurityHeaders:
    """Headers that every answer has unless its handler says otherwise.

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            send = _adding(send, self._defaults, unless_there=True)
        await self._app(scope, receive, send)


def _adding(send: Send, headers: list[tuple[bytes, bytes]], *, unless_there: bool = False) -> Send:
    """`send` with more headers: a plain function that hands out the server's own awaitable."""

    def sending(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            there = list(message.get("headers", ()))
            names = {name.lower() for name, _ in there} if unless_there else set()
            more = [(name, value) for name, value in headers if name not in names]
            message = {**message, "headers": there + more}
        return send(message)

    return sending


# ---- callers


class Access:
    """Finds out who makes a request: the one place where credentials are taken from HTTP."""

    def __init__(self, authenticator: Authenticator, limits: Limits, origins: Origins) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._origins = origins

    async def caller(
        self, request: HTTPConnection, scope: str, *, changes: bool, stream: bool = False
    ) -> Principal:
        """The caller, who has `scope` (`upload:read` or `upload:write`) and keeps to the rates.

        `changes`: the request claims or changes something, so a cookie alone does not do; a page
        of ours or of a listed origin must have made it. `stream`: one of the two event streams,
        where `?token=` counts and no rate applies (its refusals would be final for EventSource).
        Raises Unauthenticated, Forbidden, RateLimited, BadRequest or Unavailable.
        """
        if not stream:
            await self._limits.rate(None, request.client.host if request.client else "")
        authorization = _header(request.scope, b"authorization")
        query_token = _query_token(request) if stream else None
        cookie_token = None
        if bearer_token(authorization) is None and query_token is None:
            cookie_token = _cookie_token(request.scope)
            if cookie_token and changes and not self._origins.vouch_for(request.scope):
                raise Forbidden("With a cookie, only pages of this service may do this.")
        principal = await self._authenticator.authenticate(
            authorization=authorization, cookie_token=cookie_token, query_token=query_token
        )
        principal.require(scope)
        if not stream:
            await self._limits.rate(principal.sub, None)
        return principal


def _query_token(request: HTTPConnection) -> str | None:
    tokens = request.query_params.getlist("token")
    if len(tokens) > 1:
        raise InvalidToken
    return tokens[0] if tokens else None


def _cookie_token(scope: Scope) -> str | None:
    """The token's cookie. Two different ones mean that a sister site planted one: refused."""
    pairs = (
        pair.strip().partition("=")
        for name, value in scope["headers"]
        if name == b"cookie"
        for pair in value.decode("latin-1").split(";")
    )
    tokens = {value.strip('"') for name, _, value in pairs if name == COOKIE}
    if len(tokens) > 1:
        raise InvalidToken
    return tokens.pop() if tokens else None
