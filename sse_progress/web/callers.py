"""Who makes a request: the only module that takes credentials from HTTP."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NamedTuple

from starlette.requests import HTTPConnection
from starlette.types import Scope

from sse_progress.access.authentication import Authenticator, bearer_token
from sse_progress.access.limits import Limits
from sse_progress.access.principal import (
    ADMIN,
    PROGRESS,
    READ,
    REVIEW,
    WRITE,
    InvalidToken,
    Principal,
)
from sse_progress.access.tickets import InvalidTicket, Tickets
from sse_progress.model.errors import Forbidden, Unauthenticated
from sse_progress.web.middlewares.request_log import note_user
from sse_progress.web.origins import Origins
from sse_progress.web.request_fields import fields_of, query_values, single_header

__all__ = ["Access"]

COOKIE = "sse_progress_token"


class Access:
    """Finds the caller of a request, who has the right that the request needs.

    Every method raises Unauthenticated, Forbidden, RateLimited, BadRequest or Unavailable, when it
    is called or when it is awaited.
    """

    def __init__(
        self, authenticator: Authenticator, limits: Limits, origins: Origins, tickets: Tickets
    ) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._origins = origins
        self._tickets = tickets

    async def reader(self, request: HTTPConnection) -> Principal:
        """Reads uploads: `upload:read`."""
        await self._count_address(request)
        principal = await self._authenticate(request, _credentials(request), READ)
        await self._count_user(principal)
        return principal

    async def viewer(self, request: HTTPConnection, upload_id: str) -> Principal:
        """Reads one upload: a `reader`, or the holder of a ticket for it."""
        if (ticket := _ticket(request)) is None:
            return await self.reader(request)
        await self._count_address(request)
        principal = await self._holder(request, ticket, upload_id)
        await self._count_user(principal)
        return principal

    async def anyone(self, request: HTTPConnection) -> None:
        """Whose message says itself who it is from; counted by its address."""
        await self._count_address(request)

    async def writer(self, request: HTTPConnection) -> Principal:
        """Changes uploads: `upload:write`. With a cookie, a known page has to vouch for it."""
        await self._count_address(request)
        credentials = _credentials(request)
        self._check_page(request, credentials)
        principal = await self._authenticate(request, credentials, WRITE)
        await self._count_user(principal)
        return principal

    async def producer(self, request: HTTPConnection, *, counted: bool = True) -> Principal:
        """Reports the progress of its own work: `progress:write`. Reports are counted by upload,
        so not here (`counted` false)."""
        credentials = _credentials(request)
        self._check_page(request, credentials)
        if counted:
            await self._count_address(request)
        principal = await self._authenticate(request, credentials, PROGRESS)
        if counted:
            await self._count_user(principal)
        return principal

    async def operator(self, request: HTTPConnection) -> Principal:
        """Sees what the service has sent to others, and repeats it: `admin`."""
        await self._count_address(request)
        credentials = _credentials(request)
        self._check_page(request, credentials)
        principal = await self._authenticate(request, credentials, ADMIN)
        await self._count_user(principal)
        return principal

    async def reviewer(self, request: HTTPConnection) -> Principal:
        """Sees what waits for a person, and decides: `review`."""
        await self._count_address(request)
        credentials = _credentials(request)
        if request.scope["method"] not in ("GET", "HEAD"):
            self._check_page(request, credentials)
        principal = await self._authenticate(request, credentials, REVIEW)
        await self._count_user(principal)
        return principal

    async def follower(self, request: HTTPConnection) -> Principal:
        """Opens an event stream: `upload:read`.

        `?token=` is accepted, since EventSource sends no header, and no rate applies, since
        EventSource would never come back.
        """
        return await self._authenticate(request, _stream_credentials(request), READ)

    def watcher(
        self, request: HTTPConnection, upload_id: str, *, may_claim: bool
    ) -> Awaitable[Principal]:
        """Opens the stream of one upload: a `follower` or `claimer`, or the holder of a ticket."""
        if request.scope["query_string"] and (ticket := _ticket(request)) is not None:
            return self._holder(request, ticket, upload_id)
        return self.claimer(request) if may_claim else self.follower(request)

    def claimer(self, request: HTTPConnection) -> Awaitable[Principal]:
        """Opens a stream that may claim an unused id: vouched for like a `writer`."""
        credentials = _stream_credentials(request)
        if credentials.cookie_token:
            self._check_page(request, credentials)
        return self._authenticate(request, credentials, READ)

    async def socket(self, websocket: HTTPConnection) -> Principal | None:
        """Opens a WebSocket: `upload:read`. With a cookie, a known page has to vouch for it.

        None if the handshake has no credentials where some are needed.
        """
        credentials = _stream_credentials(websocket)
        self._check_page(websocket, credentials)
        try:
            return await self._authenticate(websocket, credentials, READ)
        except Unauthenticated:
            if any(credentials):
                raise
            return None

    async def bearer(self, websocket: HTTPConnection, token: str) -> Principal:
        """The caller by a token that a message brought: `upload:read`."""
        credentials = Credentials(f"Bearer {token}", None, None)
        return await self._authenticate(websocket, credentials, READ)

    # ---- steps

    async def _count_address(self, request: HTTPConnection) -> None:
        await self._limits.rate(None, request.client.host if request.client else "")

    async def _count_user(self, principal: Principal) -> None:
        await self._limits.rate(principal.account, None)

    def _check_page(self, request: HTTPConnection, credentials: Credentials) -> None:
        """A browser sends the cookie with what any page asks; a known one has to have asked."""
        if credentials.cookie_token and not self._origins.vouch_for(request.scope):
            raise Forbidden("With a cookie, only pages of this service may do this.")

    async def _authenticate(
        self, request: HTTPConnection, credentials: Credentials, scope: str
    ) -> Principal:
        """Who it is, who has to have the scope."""
        principal = await self._authenticator.authenticate(
            authorization=credentials.authorization,
            query_token=credentials.query_token,
            cookie_token=credentials.cookie_token,
        )
        if b"x-upload-owner" in fields_of(request.scope):
            owner = single_header(request.scope, b"x-upload-owner") or ""
            principal = principal.acting_for(_utf8(owner))
        note_user(request.scope, principal.sub)
        principal.require(scope)
        return principal

    async def _holder(self, request: HTTPConnection, ticket: str, upload_id: str) -> Principal:
        principal = await self._tickets.find(ticket, upload_id=upload_id)
        note_user(request.scope, principal.sub)
        return principal


class Credentials(NamedTuple):
    """Where a token may stand, by the names of `Authenticator`: the cookie only if nothing else is
    there."""

    authorization: str | None
    query_token: str | None
    cookie_token: str | None


NO_CREDENTIALS = Credentials(None, None, None)
_WITH_CREDENTIALS = {b"authorization", b"cookie"}


def _credentials(request: HTTPConnection) -> Credentials:
    if _WITH_CREDENTIALS.isdisjoint(fields_of(request.scope)):
        return NO_CREDENTIALS
    authorization = single_header(request.scope, b"authorization")
    bearer = bearer_token(authorization) is not None
    return Credentials(authorization, None, None if bearer else _cookie_token(request.scope))


def _stream_credentials(request: HTTPConnection) -> Credentials:
    """The same for streams, with `?token=`."""
    if not request.scope["query_string"] or (token := _query_token(request)) is None:
        return _credentials(request)
    return Credentials(single_header(request.scope, b"authorization"), token, None)


def _query_token(request: HTTPConnection) -> str | None:
    tokens = query_values(request, "token")
    if len(tokens) > 1:
        raise InvalidToken
    return tokens[0] if tokens else None


def _utf8(header: str) -> str:
    """A header's value as UTF-8; what is not becomes U+FFFD, which no name of a user has."""
    return header.encode("latin-1").decode("utf-8", "replace")


def _ticket(request: HTTPConnection) -> str | None:
    tickets = query_values(request, "ticket")
    if len(tickets) > 1:
        raise InvalidTicket
    return tickets[0] if tickets else None


def _cookie_token(scope: Scope) -> str | None:
    """The token's cookie. Two different ones mean that a sister site planted one: refused."""
    if (cookies := fields_of(scope).get(b"cookie")) is None:
        return None
    pairs = (
        pair.strip().partition("=")
        for value in cookies
        for pair in value.decode("latin-1").split(";")
    )
    tokens = {value.strip('"') for name, _, value in pairs if name == COOKIE}
    if len(tokens) > 1:
        raise InvalidToken
    return tokens.pop() if tokens else None
