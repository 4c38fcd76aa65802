"""The relays that tests put before a server leave nothing behind: the tests of clients count it."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from tests.helpers.relay import Relay, Streams


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What is said when garbage is collected."""
    gc.collect()
    found: list[str] = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda one: found.append(f"{one.object!r}: {one.exc_value!r}")
    yield found
    sys.unraisablehook = hook


class EndsWhileItCloses(Relay):
    """Its block is over just when the first of two ways is, and the other is being ended."""

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__()
        self._target = target

    async def _connect(self) -> Streams:
        return await asyncio.open_connection(*self._target)

    def _ways(self, client: Streams, server: Streams) -> list[Coroutine[Any, Any, None]]:
        async def first() -> None:
            await client[0].read(1)

        async def other() -> None:
            try:
                await server[0].read()
            finally:
                self._over.set()

        return [first(), other()]


def test_a_block_that_ends_while_a_connection_does(complaints: list[str]) -> None:
    """Both its sides are closed, on the loop that has them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay = EndsWhileItCloses(server.getsockname()).__enter__()
        client = socket.create_connection(("127.0.0.1", relay.port))
        inner, _ = server.accept()
        client.sendall(b"x")
        relay._thread.join(60)  # it ends by itself
        with client, inner:
            for side in (client, inner):
                side.settimeout(60)
                try:
                    assert side.recv(1) == b""
                except ConnectionResetError:
                    pass
    gc.collect()
    assert complaints == []


def test_a_block_that_ends_while_a_connection_comes(complaints: list[str]) -> None:
    """Whether it was not accepted yet, half, or just so."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(30):
            with EndsWhileItCloses(server.getsockname()) as relay:
                client = socket.create_connection(("127.0.0.1", relay.port))
            client.close()
    gc.collect()
    assert complaints == []
