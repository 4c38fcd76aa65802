"""Responses in forms that uvicorn does not write, read byte by byte: to HTTP/1.0, and interim."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from tests.helpers.asgi_server import AsgiServer
from tests.helpers.raw_http import connect, read_answer

EARLY = (b"link", b"</style.css>; rel=preload")


class App:
    """`/stream` sends two frames, `/known` a body of known length; else what was asked."""

    def __init__(self) -> None:
        self.informed: list[object] = []
        self.extensions: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["extensions"]["sse_progress"]
        self.extensions.append({**ours})  # it is emptied in the end
        start: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
        body = b"known"
        if scope["path"] == "/known":
            start["headers"] = [(b"content-length", b"5")]
        elif scope["path"] == "/body":
            body = b""
            while (message := await receive()).get("more_body"):
                body += message["body"]
            body += message.get("body", b"")
        elif scope["path"] == "/early":
            self.informed += [ours["inform"](103, [EARLY]), ours["inform"](104)]
        await send(start)
        if scope["path"] == "/early":
            self.informed.append(ours["inform"](103, [EARLY]))
        if scope["path"] == "/stream":
            send = ours["send"]
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
            body = b"data: 2\n\n"
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def app() -> App:
    return App()


@pytest.fixture(scope="module")
def server(app: App) -> Iterator[AsgiServer]:
    with AsgiServer(app) as running:
        yield running


def exchange(server: AsgiServer, request: bytes) -> tuple[list[bytes], bytes]:
    """Head lines and body of what comes until the server closes."""
    text = b""
    with connect(server.url) as connection:
        connection.sendall(request)
        while piece := connection.recv(65536):
            text += piece
    head, _, body = text.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


# ---- HTTP/1.0


@pytest.mark.parametrize("more", [b"", b"Host: a\r\n", b"Connection: keep-alive\r\n"])
def test_an_http_1_0_reader_gets_the_bare_stream(server: AsgiServer, more: bytes) -> None:
    """It knows no chunks (RFC 9112 §7.1): the body is the frames and ends with the connection, and
    there is one Connection header."""
    lines, body = exchange(server, b"GET /stream HTTP/1.0\r\n" + more + b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 200 ")
    assert body == b"data: 1\n\ndata: 2\n\n"
    names = [line.partition(b":")[0].lower() for line in lines[1:]]
    assert b"transfer-encoding" not in names
    assert names.count(b"connection") == 1


def test_an_announced_length_stays(server: AsgiServer) -> None:
    """A response that says its length says it to HTTP/1.0 as well."""
    lines, body = exchange(server, b"GET /known HTTP/1.0\r\n\r\n")
    assert b"content-length: 5" in lines
    assert body == b"known"


def test_head_of_http_1_0_has_no_body(server: AsgiServer) -> None:
    """HEAD is answered with headers only, whatever would follow."""
    lines, body = exchange(server, b"HEAD /stream HTTP/1.0\r\n\r\n")
    assert lines[0].startswith(b"HTTP/1.1 200 ")
    assert body == b""


@pytest.mark.parametrize(
    "head",
    [
        b"POST /body HTTP/1.0\r\n",
        b"POST /body HTTP/1.1\r\nHost: a\r\n",
        b"POST /body HTTP/1.1\r\nHost: a\r\nConnection: close\r\n",
    ],
)
@pytest.mark.parametrize(
    "rest", [b"field=value&more=of it", b"--b\r\nContent-Type: a\r\n\r\nfield"]
)
def test_a_post_without_a_length_is_answered(server: AsgiServer, head: bytes, rest: bytes) -> None:
    """It has no body; what follows it in the same packet and is no request is dropped, its own
    response comes, and the connection ends."""
    lines, body = exchange(server, head + b"\r\n" + rest)
    assert lines[0].startswith(b"HTTP/1.1 200 ")
    assert b"field" not in body


# ---- interim responses


def test_interim_responses_come_before_the_response(server: AsgiServer, app: App) -> None:
    """103 and 104 go out at once with their headers; after the response has begun, none does."""
    app.informed.clear()
    with connect(server.url) as connection:
        connection.sendall(b"GET /early HTTP/1.1\r\nHost: a\r\n\r\n")
        text = b""
        while b"0\r\n\r\n" not in text:
            text += connection.recv(65536)
    early, resumption, final, _ = text.split(b"\r\n\r\n", 3)
    assert early == b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload"
    assert resumption == b"HTTP/1.1 104 Upload Resumption Supported"
    assert final.startswith(b"HTTP/1.1 200 OK")
    assert app.informed == [True, True, False]
    assert httpx.get(f"{server.url}/early").text == "known"


def test_http_1_0_is_sent_no_interim_response(server: AsgiServer, app: App) -> None:
    """RFC 9110 §15.2: the application is not even offered to send one."""
    exchange(server, b"GET /known HTTP/1.0\r\n\r\n")
    assert "inform" not in app.extensions[-1]


def test_an_interim_response_waits_for_its_turn(server: AsgiServer, app: App) -> None:
    """Of requests sent ahead, each has its interim responses right before its own response."""
    with connect(server.url) as connection:
        connection.sendall(
            b"GET /known HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /early HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        text = b""
        while piece := connection.recv(65536):
            text += piece
    lines = [line for line in text.split(b"\r\n") if line.startswith((b"HTTP/1.1", b"known"))]
    codes = [line.removeprefix(b"known")[9:12] for line in lines if b"HTTP/1.1" in line]
    assert codes == [b"200", b"103", b"104", b"200"]


def test_no_value_ends_an_interim_header(app: App, server: AsgiServer) -> None:
    """A line break in a name or value is refused, before a byte is sent."""
    with connect(server.url) as connection:
        connection.sendall(b"GET /known HTTP/1.1\r\nHost: a\r\n\r\n")
        read_answer(connection)
    inform = app.extensions[-1]["inform"]
    for header in ((b"link", b"a\r\nset-cookie: b"), (b"a\r\nb", b"c"), (b"", b"c")):
        with pytest.raises(ValueError, match="not a header"):
            inform(103, [header])
