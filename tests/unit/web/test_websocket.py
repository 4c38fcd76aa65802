"""WebSocket handshakes against a real uvicorn: who gets through the middlewares, who does not."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

import jwt
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket
from websockets.typing import Origin

from sse_progress.access.authentication import from_settings
from sse_progress.access.limits import Limits
from sse_progress.access.tickets import Tickets
from sse_progress.model.errors import Forbidden, TooManyStreams
from sse_progress.runtime.redis.client import connect
from sse_progress.settings import load_settings
from sse_progress.web.callers import Access
from sse_progress.web.middlewares.middleware import middleware
from sse_progress.web.middlewares.problem_middleware import pass_on
from sse_progress.web.origins import Origins
from tests.helpers.asgi_server import AsgiServer
from tests.helpers.raw_http import connect as connect_raw
from tests.helpers.raw_http import read_answer
from tests.helpers.waiting import wait_until

SECRET = "an honest secret of more than 32 bytes"
APP = "https://app.example"


async def echo(websocket: WebSocket) -> None:
    await websocket.app.state.access.claimer(websocket)
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def refused(websocket: WebSocket) -> None:
    raise TooManyStreams("Too many concurrent streams (limit 20).", retry_after_s=5)


async def ended(websocket: WebSocket) -> None:
    await websocket.accept()
    raise {"forbidden": Forbidden, "full": TooManyStreams, "bug": ZeroDivisionError}[
        websocket.path_params["why"]
    ]()


def serve(redis_url: str = "unix:///nowhere", **changes: Any) -> AbstractContextManager[AsgiServer]:
    settings = load_settings(**changes)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        redis = connect(redis_url)
        app.state.access = Access(
            from_settings(settings),
            Limits(redis, settings),
            Origins(settings.cors_origins),
            Tickets(redis),
        )
        yield
        await redis.aclose()

    app = Starlette(
        routes=[
            WebSocketRoute("/ws", echo),
            WebSocketRoute("/refused", refused),
            WebSocketRoute("/ended/{why}", ended),
        ],
        middleware=middleware(settings),
        exception_handlers={HTTPException: pass_on},
        lifespan=lifespan,
    )
    return AsgiServer(app, lifespan="on", ws="websockets-sansio")


@pytest.fixture(scope="module")
def closed() -> Iterator[AsgiServer]:
    """Open mode without any exception made."""
    with serve() as server:
        yield server


@pytest.fixture(scope="module")
def locked() -> Iterator[AsgiServer]:
    with serve(
        jwt_secret=SECRET, cors_origins=APP, requests_per_minute=None, max_streams_per_user=None
    ) as server:
        yield server


def token(sub: str = "alice") -> str:
    return jwt.encode({"sub": sub, "exp": int(time.time()) + 600}, SECRET)


def open_at(
    server: AsgiServer, path: str = "/ws", *, origin: str | None = None, **headers: str
) -> ClientConnection:
    return connect_websocket(
        server.url.replace("http", "ws", 1) + path,
        origin=Origin(origin) if origin else None,
        additional_headers={name.replace("_", "-"): value for name, value in headers.items()},
        compression=None,
        open_timeout=30,
    )


def refusal(server: AsgiServer, path: str = "/ws", **given: Any) -> tuple[int, dict[str, Any]]:
    with pytest.raises(InvalidStatus) as caught, open_at(server, path, **given):
        pass
    response = caught.value.response
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.body is not None
    return response.status_code, json.loads(response.body)


def echoes(websocket: ClientConnection) -> bool:
    websocket.send("hello")
    return websocket.recv(timeout=60) == "hello"


# ---- the protocol


def test_an_upgrade_passes(closed: AsgiServer) -> None:
    """The switch happens and both ways are open, also on a connection that served a request."""
    with open_at(closed) as websocket:
        assert echoes(websocket)


HANDSHAKE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_an_upgrade_after_a_request(closed: AsgiServer) -> None:
    """A connection may serve requests first; one that is still being answered is in the way."""
    host = closed.url[7:].encode()
    with connect_raw(closed.url) as connection:
        connection.sendall(b"GET /nowhere HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        assert read_answer(connection).status == 404
        connection.sendall(b"GET /ws HTTP/1.1\r\nHost: " + host + b"\r\n" + HANDSHAKE)
        assert connection.recv(65536).startswith(b"HTTP/1.1 101 ")
    with connect_raw(closed.url) as connection:
        connection.sendall(
            b"GET /nowhere HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
            b"GET /ws HTTP/1.1\r\nHost: " + host + b"\r\n" + HANDSHAKE
        )
        assert b" 101 " not in _to_the_end(connection)


def test_http_1_0_cannot_upgrade(closed: AsgiServer) -> None:
    """Its offer is ignored (RFC 9110 §7.8): the answer is that of a GET."""
    with connect_raw(closed.url) as connection:
        connection.sendall(b"GET /ws HTTP/1.0\r\nHost: localhost\r\n" + HANDSHAKE)
        assert _to_the_end(connection).startswith(b"HTTP/1.1 404 ")


def test_a_websocket_outlives_the_deadline_of_heads(closed: AsgiServer) -> None:
    """No timer of the HTTP protocol is left to end it, and the server does not count it twice."""
    protocols = len(closed.server.server_state.connections)
    with open_at(closed) as websocket:
        assert echoes(websocket)
        wait_until(lambda: closed.connections == protocols + 1, "one connection is counted")
        (http,) = [
            protocol
            for protocol in closed.server.server_state.connections
            if hasattr(protocol, "conn")
        ]
        assert not hasattr(http, "_deadline")


def _to_the_end(connection: socket.socket) -> bytes:
    text = b""
    while piece := connection.recv(65536):
        text += piece
    return text


# ---- open mode


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:9999"])
def test_foreign_pages_are_refused_before_the_handshake(closed: AsgiServer, origin: str) -> None:
    """A page elsewhere gets 403, as a problem, and no connection (cross-site WebSocket
    hijacking)."""
    status, problem = refusal(closed, origin=origin)
    assert (status, problem["code"]) == (403, "forbidden")


def test_foreign_hosts_are_refused_before_the_handshake(closed: AsgiServer) -> None:
    """DNS rebinding reaches no WebSocket, on any path."""
    host = b"evil.example"
    for path in (b"/ws", b"/nowhere"):
        with connect_raw(closed.url) as connection:
            connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + HANDSHAKE)
            assert read_answer(connection).status == 403


def test_the_own_page_opens_one(closed: AsgiServer) -> None:
    """The origin of a page is http also where its WebSocket is ws."""
    with open_at(closed, origin=closed.url) as websocket:
        assert echoes(websocket)


# ---- tokens


def test_a_token_opens_one(locked: AsgiServer) -> None:
    """By header, or in the query as for streams; without one, 401."""
    with open_at(locked, Authorization=f"Bearer {token()}") as websocket:
        assert echoes(websocket)
    with open_at(locked, f"/ws?token={token()}") as websocket:
        assert echoes(websocket)
    assert refusal(locked)[0] == 401
    assert refusal(locked, "/ws?token=x")[1]["code"] == "unauthenticated"


def test_a_cookie_needs_a_page_that_is_known(locked: AsgiServer) -> None:
    """Browsers send cookies with a WebSocket of any page, so its origin has to be known."""
    cookie = f"sse_progress_token={token()}"
    for origin in (APP, locked.url):
        with open_at(locked, origin=origin, Cookie=cookie) as websocket:
            assert echoes(websocket)
    for origin in ("https://evil.example", None):
        assert refusal(locked, origin=origin, Cookie=cookie)[0] == 403


# ---- refusals


def test_a_refusal_is_a_problem(closed: AsgiServer) -> None:
    """Whatever is raised before the handshake is answered by its own status."""
    assert refusal(closed, "/refused")[1]["code"] == "too_many_streams"
    with pytest.raises(InvalidStatus) as caught, open_at(closed, "/nowhere"):
        pass
    assert caught.value.response.status_code in (403, 404)


@pytest.mark.parametrize(("why", "code"), [("forbidden", 1008), ("full", 1013), ("bug", 1011)])
def test_what_is_raised_later_closes_with_a_reason(closed: AsgiServer, why: str, code: int) -> None:
    """1008: do not come back; 1013: later; 1011: our fault, with nothing of a traceback."""
    with open_at(closed, f"/ended/{why}") as websocket:
        with pytest.raises(ConnectionClosedError) as caught:
            websocket.recv(timeout=60)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == code
        assert "Zero" not in caught.value.rcvd.reason
        assert caught.value.rcvd.reason
