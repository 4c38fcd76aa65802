"""Who makes a request: the only module that takes credentials from HTTP."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.types import Scope

from sse_progress.access.limits import Limits
from sse_progress.access.tokens import (
    READ,
    WRITE,
    Authenticator,
    InvalidToken,
    Principal,
    bearer_token,
)
from sse_progress.model.errors import Forbidden
from sse_progress.web.origins import Origins, single_header

__all__ = ["Access"]

COOKIE = "sse_progress_token"


class Access:
    """Finds the caller of a request, who has the right that the request needs.

    Every method raises Unauthenticated, Forbidden, RateLimited, BadRequest or Unavailable.
    """

    def __init__(self, authenticator: Authenticator, limits: Limits, origins: Origins) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._origins = origins

    async def reader(self, request: HTTPConnection) -> Principal:
        """Reads uploads: `upload:read`."""
        return await self._caller(request, READ, changes=False, stream=False)

    async def writer(self, request: HTTPConnection) -> Principal:
        """Changes uploads: `upload:write`. With a cookie, a known page has to vouch for it."""
        return await self._caller(request, WRITE, changes=True, stream=False)

    async def follower(self, request: HTTPConnection) -> Principal:
        """Opens an event stream: `upload:read`.

        `?token=` is accepted, since EventSource sends no header, and no rate applies, since
        EventSource would never come back.
        """
        return await self._caller(request, READ, changes=False, stream=True)

    async def claimer(self, request: HTTPConnection) -> Principal:
        """Opens a stream that may claim an unused id: vouched for like a `writer`."""
        return await self._caller(request, READ, changes=True, stream=True)

    async def _caller(
        self, request: HTTPConnection, scope: str, *, changes: bool, stream: bool
    ) -> Principal:
        if not stream:
            await self._limits.rate(None, request.client.host if request.client else "")
        authorization = single_header(request.scope, b"authorization")
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
