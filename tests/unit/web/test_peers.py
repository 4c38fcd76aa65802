"""Whose place a request takes that a trusted proxy has brought."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from sse_progress.access.connections import Connections
from sse_progress.model.errors import RateLimited
from sse_progress.web.peers import ByProxy, Peers

PROXY = ("10.0.0.1", 4000)


async def never(*_: Any) -> Any:
    raise AssertionError("nothing is sent or received")


class Service:
    """`inner`: another request that comes while one is answered."""

    def __init__(self) -> None:
        self.answered = 0
        self.inner: Scope | None = None
        self.door = ByProxy(self.app, peers=Peers(PROXY[0], Connections(1)))

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        inner, self.inner = self.inner, None
        if inner is not None:
            await self.door(inner, never, never)
        self.answered += 1


def scope_of(client: str | None, *, peer: tuple[str, int] | None = PROXY) -> Scope:
    return {
        "type": "http",
        "headers": [(b"x-forwarded-for", b"any")],
        "client": client and (client, 0),
        "extensions": {"sse_progress": {"peer": peer}},
    }


async def test_a_client_of_a_proxy_has_one_place_here() -> None:
    """The limit is one at a time; another client has its own, and each is given back."""
    service = Service()
    for _ in range(2):
        service.inner = scope_of("192.0.2.1")
        with pytest.raises(RateLimited):
            await service.door(scope_of("192.0.2.1"), never, never)
    service.inner = scope_of("192.0.2.2")
    await service.door(scope_of("192.0.2.1"), never, never)
    assert service.answered == 2


@pytest.mark.parametrize(
    ("client", "peer"),
    [
        (PROXY[0], PROXY),
        ("192.0.2.1", ("192.0.2.1", 5)),
        ("192.0.2.1", ("192.0.2.2", 5)),
        ("192.0.2.1", None),
        (None, PROXY),
    ],
)
async def test_other_requests_take_no_place_here(
    client: str | None, peer: tuple[str, int] | None
) -> None:
    """The proxy's own, those of clients without a proxy (their connections count), and those of
    nobody."""
    service = Service()
    service.inner = scope_of(client, peer=peer)
    await service.door(scope_of(client, peer=peer), never, never)
    assert service.answered == 2
