"""Who is at the other end of a connection: a client, or a proxy that is trusted to name clients.

Connections of clients are counted where they begin, requests by a proxy here. What a proxy says of
a client is taken over by uvicorn; here it is only looked whether that can work.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeAlias

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from sse_progress.access.connections import NOWHERE, Connections, Place
from sse_progress.settings import Settings
from sse_progress.web.protocol.rest import at_end
from sse_progress.web.request_fields import fields_of

__all__ = ["ByProxy", "Peers", "peers_of"]

log = structlog.get_logger(__name__)

NAMED = b"x-forwarded-for"
SIGNS = (b"forwarded", b"via", b"x-real-ip", b"x-forwarded-proto", b"x-forwarded-host")
"""Headers that proxies send."""
_BY_PROXIES = {NAMED, *SIGNS}

Peer: TypeAlias = tuple[str, int] | None


class Peers:
    """Of one process. `trusted` is uvicorn's `forwarded_allow_ips`, read as uvicorn reads it."""

    def __init__(self, trusted: str, connections: Connections) -> None:
        self._reading = ProxyHeadersMiddleware(_nothing, trusted)
        self.connections = connections
        self._warned: set[str] = set()

    def place(self, peer: Peer) -> Place:
        """Of a connection that begins."""
        if peer is None or peer[0] in self._reading.trusted_hosts:
            return NOWHERE
        return self.connections.begin(peer[0])

    def trusts(self, peer: Peer) -> bool:
        return peer is not None and peer[0] in self._reading.trusted_hosts

    def look_at(self, scope: Scope, peer: Peer) -> None:
        """Warn once of each way in which clients' addresses stay unknown."""
        if peer is None:
            return
        names = fields_of(scope).keys()
        if not self.trusts(peer):
            if NAMED in names:
                self._warn("x-forwarded-for of a peer that is not trusted", peer)
        elif NAMED not in names and not names.isdisjoint(SIGNS):
            self._warn("a trusted proxy does not name its clients", peer)

    def _warn(self, event: str, peer: tuple[str, int]) -> None:
        if event not in self._warned:
            self._warned.add(event)
            log.warning(event, peer=peer[0], setting="SSE_PROGRESS_TRUSTED_PROXIES")


async def _nothing(*_: object) -> None:
    """The application of a middleware that is only asked whom it trusts."""


def peers_of(settings: Settings) -> Peers:
    return Peers(settings.trusted_proxies, Connections(settings.max_connections_per_address))


class ByProxy:
    """Middleware: counts requests that come by a proxy, each by its client's address, for as long
    as it is answered. Raises RateLimited."""

    def __init__(self, app: ASGIApp, *, peers: Peers) -> None:
        self._app, self._peers = app, peers

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # Without one of these a request is its peer's own, and there is nothing to warn of.
        if scope["type"] == "lifespan" or _BY_PROXIES.isdisjoint(fields_of(scope)):
            return self._app(scope, receive, send)
        if (place := self._place(scope)) is NOWHERE:
            return self._app(scope, receive, send)
        return self._placed(place, scope, receive, send)

    async def _placed(self, place: Place, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            at_end(scope, place.leave)

    def _place(self, scope: Scope) -> Place:
        extension = scope.get("extensions", {}).get("sse_progress", {})
        peer, client = extension.get("peer"), scope.get("client")
        self._peers.look_at(scope, peer)
        if not (client and peer) or client[0] == peer[0] or not self._peers.trusts(peer):
            return NOWHERE
        return self._peers.connections.enter(client[0])
