"""An open stream goes on after the middlewares around it: a real uvicorn with our protocol."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Iterator
from functools import partial

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sse_progress.web.middlewares.problem_middleware import Problems
from sse_progress.web.protocol.rest import at_end
from tests.helpers.asgi_server import AsgiServer
from tests.helpers.raw_http import connect
from tests.helpers.waiting import wait_until


class App:
    """A stream within a middleware, as ours are; `/broken`: the middleware fails on its way out;
    `/short`: the stream ends by itself."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._stream(scope, receive, send)
            if scope["path"] == "/broken":
                raise RuntimeError("on the way out")
        finally:
            self.told.append("returned")
            at_end(scope, lambda: self.told.append("ended"))

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})

        rest = scope.get("extensions", {}).get("sse_progress", {}).get("rest")
        if scope["path"] == "/short":
            last = {"type": "http.response.body", "body": b"data: 2\n\n", "more_body": False}
            self.last = asyncio.get_running_loop().call_later(
                0, lambda: asyncio.ensure_future(send(last))
            )
        if rest is None:
            while (await receive())["type"] != "http.disconnect":
                pass
            self._left(send)
        else:
            rest.goes_on(partial(self._left, send))

    def _left(self, _: Send) -> None:
        """As a stream, it holds what it writes with until then."""
        self.told.append("left")


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def server(app: App) -> Iterator[AsgiServer]:
    with AsgiServer(app) as running:
        yield running


def read_first_of(
    server: AsgiServer, path: str, app: App, *, before_leaving: str, leaves: bool = True
) -> None:
    with connect(server.url) as connection:
        connection.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
        got = b""
        while b"data: 1\n\n" not in got:
            got += connection.recv(1000)
        if before_leaving:
            wait_until(lambda: app.told == [before_leaving], "the middleware has returned")
        if not leaves:
            wait_until(lambda: "ended" in app.told, "the stream has ended by itself")
    wait_until(lambda: "ended" in app.told, "the stream has ended")


def read_until(connection: socket.socket, wanted: bytes, *, times: int = 1) -> None:
    got = b""
    while got.count(wanted) < times:
        more = connection.recv(1000)
        assert more, got
        got += more


def test_the_middleware_has_returned_while_the_stream_is_open(server: AsgiServer, app: App) -> None:
    """What it has to do at the response's end is done then."""
    read_first_of(server, "/", app, before_leaving="returned")
    assert app.told == ["returned", "left", "ended"]


def test_a_failure_on_the_way_out_ends_the_stream(server: AsgiServer, app: App) -> None:
    """The connection is cut, and the stream sees that its client is gone."""
    read_first_of(server, "/broken", app, before_leaving="", leaves=False)
    assert app.told == ["returned", "left", "ended"]


def test_a_stream_that_ends_by_itself_leaves_its_connection_to_the_next(
    server: AsgiServer, app: App
) -> None:
    """It is over with its last frame, not with its client; what the client has sent ahead is
    answered then."""
    with connect(server.url) as connection:
        connection.sendall(b"GET /short HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        read_until(connection, b"data: 2\n\n", times=2)
        wait_until(lambda: app.told == ["returned", "left", "ended"] * 2, "both have ended")


def test_a_body_that_nobody_reads_does_not_end_a_stream(server: AsgiServer, app: App) -> None:
    """Its pieces are dropped as they come, and the client's leaving is noticed after them."""
    with connect(server.url) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
        read_until(connection, b"data: 1\n\n")
        connection.sendall(b"b" * 200_000)
        wait_until(lambda: app.told == ["returned"], "the middleware has returned")
    wait_until(lambda: app.told == ["returned", "left", "ended"], "the stream has ended")


def test_a_request_behind_a_stream_does_not_hide_that_its_client_leaves(
    server: AsgiServer, app: App
) -> None:
    """uvicorn reads no further while a request waits, and would see no end either."""
    with connect(server.url) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        wait_until(lambda: app.told == ["returned"], "the middleware has returned")
    wait_until(lambda: app.told == ["returned", "left", "ended"], "the stream has ended")


def test_a_server_that_ends_tells_the_streams_that_it_does_not_wait_for(app: App) -> None:
    """As it cancels the tasks of other requests, after its patience."""
    with AsgiServer(app) as server, connect(server.url) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        read_until(connection, b"data: 1\n\n")
        server.__exit__(None, None, None)
        assert app.told == ["returned", "left", "ended"]


def test_under_another_protocol_the_stream_lives_within(app: App) -> None:
    """Nothing is offered, so nothing is deferred."""
    with AsgiServer(app, http=HttpToolsProtocol) as server:
        read_first_of(server, "/", app, before_leaving="")
    assert app.told == ["left", "returned", "ended"]


@pytest.mark.parametrize("body", [b"", b"sent"])
def test_a_request_that_is_over_leaves_nothing_to_collect(body: bytes) -> None:
    """Nothing that belongs to it leads in a circle, so it is freed at once: collecting garbage was
    a fifth of what opening streams cost."""
    alive: list[weakref.ref[object]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        alive.append(weakref.ref(scope["extensions"]["sse_progress"]["send"].__self__))
        while (await receive()).get("more_body"):
            pass
        await App()._stream(scope, receive, send)

    gc.disable()
    try:
        with AsgiServer(Problems(app)) as server:
            with connect(server.url) as connection:
                head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                connection.sendall(head % len(body) + body)
                while b"data: 1" not in connection.recv(4096):
                    pass
                assert alive[0]() is not None
            wait_until(lambda: alive[0]() is None, "the request is freed")
    finally:
        gc.enable()
