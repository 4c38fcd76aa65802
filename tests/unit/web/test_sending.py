"""How responses are written: heads with what follows them, and chunks past ASGI: the reader gets
the same bytes, and a slow one is waited for."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from sse_progress.web.protocol.sending import COPIED_BYTES, Sending
from tests.helpers.asgi_server import AsgiServer
from tests.helpers.raw_http import connect
from tests.helpers.waiting import wait_until

PIECES = 400
PIECE_BYTES = 64 * 1024


def chunk_of(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


class App:
    """Writes numbered pieces, by `write` where it takes them, else by `send`."""

    def __init__(self) -> None:
        self.written = self.sent = 0
        self.early: bool | None = None
        self.late: bool | None = None
        self.offered: bool | None = None
        self.fallen_back = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours: dict[str, Any] = scope["extensions"]["sse_progress"]
        self.offered = "write" in ours
        write = ours.get("write", lambda _: False)
        self.early = write(b"before the head")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(PIECES):
            body = b"%08d" % number * (PIECE_BYTES // 8)
            if write(chunk_of(body)):
                self.written += 1
                continue
            self.fallen_back.set()
            await send({"type": "http.response.body", "body": body, "more_body": True})
            self.sent += 1
        await send({"type": "http.response.body", "body": b""})
        self.late = write(b"after the end")


def read_all(connection: socket.socket) -> bytes:
    found = bytearray()
    while (data := connection.recv(1 << 20)) and not found.endswith(b"\r\n0\r\n\r\n"):
        found += data
        if found.endswith(b"\r\n0\r\n\r\n"):
            break
    return bytes(found)


def pieces_in(body: bytes) -> list[bytes]:
    found = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        count = int(size, 16)
        if count:
            assert rest[count : count + 2] == b"\r\n"
            found.append(rest[:count])
        body = rest[count + 2 :]
    return found


EXPECTED = [b"%08d" % number * (PIECE_BYTES // 8) for number in range(PIECES)]


def test_a_slow_reader_gets_all_of_it_in_order() -> None:
    """It reads nothing until the socket is full: `write` refuses, `send` waits, nothing is lost,
    doubled or changed; neither before the head nor after the end is anything written."""
    app = App()
    with AsgiServer(app) as server, connect(server.url) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert app.fallen_back.wait(60)
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head.lower()
        assert pieces_in(body) == EXPECTED
        wait_until(lambda: app.late is not None, "the response has ended")
    assert app.written > 0
    assert app.sent > 0
    assert (app.early, app.late) == (False, False)


def test_http_1_0_is_not_offered_it() -> None:
    """It knows no chunks: every piece takes `send`, and the body ends with the connection."""
    app = App()
    with AsgiServer(app) as server, connect(server.url) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        found = bytearray()
        while data := connection.recv(1 << 20):
            found += data
    assert bytes(found).partition(b"\r\n\r\n")[2] == b"".join(EXPECTED)
    assert (app.offered, app.written) == (False, 0)


def test_head_is_sent_no_chunk() -> None:
    """A response without a body stays one."""
    app = App()
    with AsgiServer(app) as server, connect(server.url) as connection:
        connection.sendall(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        found = bytearray()
        while data := connection.recv(1 << 20):
            found += data
    assert bytes(found).endswith(b"\r\n\r\n")
    assert found.count(b"\r\n\r\n") == 1
    assert app.written == 0


# ---- what is written, one write after the other


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Any] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True


class Exchange:
    """One response on such a transport."""

    def __init__(self, method: str = "GET", *, keep_alive: bool = True) -> None:
        self.transport = Transport()
        log = logging.getLogger("unused")
        scope: Any = {"type": "http", "method": method}
        self.cycle = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=FlowControl(self.transport),
            logger=log,
            access_logger=log,
            access_log=False,
            default_headers=[(b"date", b"today")],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=lambda: None,
        )
        self.sending = Sending(self.cycle)

    async def begin(self, *headers: tuple[bytes, bytes], status: int = 200) -> None:
        start = {"type": "http.response.start", "status": status, "headers": [*headers]}
        await self.sending.send(start)

    async def body(self, body: bytes, *, more: bool = False) -> None:
        await self.sending.send({"type": "http.response.body", "body": body, "more_body": more})

    @property
    def written(self) -> list[bytes]:
        return self.transport.written


HEAD = b"HTTP/1.1 200 OK\r\ndate: today\r\n"


async def test_a_head_leaves_with_what_follows_it() -> None:
    """One write, so one packet, for the whole of a short answer and for a stream's beginning."""
    short, stream, mixed = Exchange(), Exchange(), Exchange()
    await short.begin((b"Content-Length", b"2"))
    assert short.written == []
    await short.body(b"ok")
    assert short.written == [HEAD + b"content-length: 2\r\n\r\nok"]
    await stream.begin()
    assert stream.sending.write(b"1\r\na\r\n")
    assert stream.sending.write(b"1\r\nb\r\n")
    chunked = HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n"
    assert stream.written == [chunked, b"1\r\nb\r\n"]
    await mixed.begin()
    await mixed.body(b"a", more=True)
    await mixed.body(b"")
    assert mixed.written == [chunked, b"0\r\n\r\n"]


async def test_an_empty_piece_sends_the_head() -> None:
    """Whoever wants it to go ahead can have that."""
    exchange = Exchange()
    await exchange.begin()
    await exchange.body(b"", more=True)
    assert exchange.written == [HEAD + b"transfer-encoding: chunked\r\n\r\n"]


async def test_a_long_piece_is_not_copied() -> None:
    """It goes as it is, after the head."""
    exchange, body = Exchange(), bytes(COPIED_BYTES + 1)
    await exchange.begin((b"content-length", b"%d" % len(body)))
    await exchange.body(body)
    assert exchange.written[1] is body


@pytest.mark.parametrize(
    ("method", "status", "headers"),
    [("HEAD", 200, [(b"content-length", b"9")]), ("GET", 204, []), ("GET", 304, [])],
)
async def test_a_response_without_a_body_is_its_head(
    method: str, status: int, headers: list[tuple[bytes, bytes]]
) -> None:
    exchange = Exchange(method)
    await exchange.begin(*headers, status=status)
    await exchange.body(b"not sent" if method == "HEAD" else b"")
    [head] = exchange.written
    assert head.endswith(b"\r\n\r\n")
    assert b"chunked" not in head
    assert exchange.cycle.response_complete


@pytest.mark.parametrize(
    ("keep_alive", "headers"), [(False, []), (True, [(b"Connection", b"close")])]
)
async def test_the_last_response_says_so_once(
    keep_alive: bool, headers: list[tuple[bytes, bytes]]
) -> None:
    """The connection is closed behind it."""
    exchange = Exchange(keep_alive=keep_alive)
    await exchange.begin(*headers)
    assert not exchange.transport.closed
    await exchange.body(b"")
    assert b"".join(exchange.written).count(b"connection: close\r\n") == 1
    assert exchange.transport.closed


async def test_heads_do_not_mix() -> None:
    """What one response says of itself is not said of the next with other headers, or another
    method."""
    await (first := Exchange()).begin((b"content-length", b"1"), (b"connection", b"close"))
    await first.body(b"a")
    await (second := Exchange()).begin()
    await second.body(b"ab")
    assert second.written == [HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"]
    assert not second.transport.closed


@pytest.mark.parametrize(
    "header", [(b"a", b"b\r\nset-cookie: c"), (b"a\r\nb", b"c"), (b"", b"c"), (b"a", b"b\x00")]
)
async def test_no_value_ends_a_header(header: tuple[bytes, bytes]) -> None:
    """A line break in a name or value is refused, each time, before a byte is sent."""
    for _ in range(2):
        exchange = Exchange()
        with pytest.raises(ValueError, match="not a header"):
            await exchange.begin(header)
        assert exchange.written == []
        assert not exchange.cycle.response_started


@pytest.mark.parametrize(("body", "more"), [(b"abc", True), (b"abc", False), (b"a", False)])
async def test_a_body_is_as_long_as_was_said(body: bytes, more: bool) -> None:
    """Else the next response would be read from its middle: nothing of it is written."""
    exchange = Exchange()
    await exchange.begin((b"content-length", b"2"))
    with pytest.raises(RuntimeError, match="Content-Length"):
        await exchange.body(body, more=more)
    assert exchange.written == []


async def test_messages_out_of_order_are_refused() -> None:
    """A body before its head, a second head, and a body after the end."""
    exchange = Exchange()
    with pytest.raises(RuntimeError):
        await exchange.body(b"early")
    await exchange.begin()
    with pytest.raises(RuntimeError):
        await exchange.begin()
    await exchange.body(b"")
    with pytest.raises(RuntimeError):
        await exchange.body(b"late")
    assert len(exchange.written) == 1


async def test_nothing_is_written_to_a_client_that_has_left() -> None:
    exchange = Exchange()
    await exchange.begin()
    exchange.cycle.disconnected = True
    await exchange.body(b"a", more=True)
    assert not exchange.sending.write(b"1\r\na\r\n")
    assert exchange.written == []
