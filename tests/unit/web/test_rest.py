"""An open stream goes on after the middlewares around it: a real uvicorn with our protocol."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sse_progress.web.middlewares.problem_middleware import Problems
from sse_progress.web.protocol.rest import at_end
from tests.helpers.asgi_server import AsgiServer
from tests.helpers.raw_http import connect
from tests.helpers.waiting import wait_until


class App:
    """A stream within a middleware, as ours are; `/broken`: the middleware fails on its way out."""

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

        async def live(receive: Receive) -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            self.told.append("left")

        rest = scope.get("extensions", {}).get("sse_progress", {}).get("rest")
        if rest is None:
            await live(receive)
        else:
            rest.goes_on(live)


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


def test_the_middleware_has_returned_while_the_stream_is_open(server: AsgiServer, app: App) -> None:
    """What it has to do at the response's end is done then."""
    read_first_of(server, "/", app, before_leaving="returned")
    assert app.told == ["returned", "left", "ended"]


def test_a_failure_on_the_way_out_ends_the_stream(server: AsgiServer, app: App) -> None:
    """The connection is cut, and the stream sees that its client is gone."""
    read_first_of(server, "/broken", app, before_leaving="", leaves=False)
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
