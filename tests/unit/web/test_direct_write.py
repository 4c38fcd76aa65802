"""Chunks written past ASGI: the reader gets the same bytes, and a slow one is waited for."""

from __future__ import annotations

import socket
import threading
from typing import Any

from starlette.types import Receive, Scope, Send

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
