"""Raw bytes against a real uvicorn: what is no request is refused in a problem's form, in time."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from sse_progress.web.protocol.http_protocol import HttpProtocol
from sse_progress.web.protocol.uvicorn_check import check_uvicorn
from tests.helpers.asgi_server import AsgiServer
from tests.helpers.raw_http import Answer, connect, read_answer
from tests.helpers.waiting import wait_until


class Hasty(HttpProtocol):
    """The same with less time."""

    head_limit_s = 0.2


class Ending(HttpProtocol):
    """The same in a process that is to end."""

    draining = True
    young_s = 60


class Slow(HttpProtocol):
    """The same for few small chunks, and every read and hold is noted."""

    small_chunks_per_s = 1000
    held: ClassVar[list[float]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        hold = self.flow.hold

        def noted(seconds: float) -> None:
            self.held.append(seconds)
            hold(seconds)

        self.flow.hold = noted  # type: ignore[method-assign]


class App:
    """Answers with what it was asked; `/stream` streams until the client leaves."""

    def __init__(self) -> None:
        self.asked: list[Scope] = []
        self.streams = 0
        self.left = 0
        self.answered = 0
        self.may_answer = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope)
        body = b""
        while scope["path"] != "/late":
            message = await receive()
            body += message.get("body", b"")
            if message["type"] == "http.disconnect":
                self.left += 1
            if not message.get("more_body"):
                break
        if scope["path"] == "/stream":
            await self._stream(receive, send)
            return
        if scope["path"] == "/late":
            await asyncio.to_thread(self.may_answer.wait, 20)
        said = json.dumps({"path": scope["path"], "body": body.decode("latin-1")}).encode()
        headers = [(b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})
        self.answered += 1

    async def _stream(self, receive: Receive, send: Send) -> None:
        self.streams += 1
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
            assert (await receive())["type"] == "http.disconnect"
        finally:
            self.streams -= 1


@pytest.fixture(scope="module")
def app() -> App:
    return App()


@pytest.fixture(scope="module")
def server(app: App) -> Iterator[AsgiServer]:
    with AsgiServer(app) as running:
        yield running


@pytest.fixture(scope="module")
def hasty(app: App) -> Iterator[AsgiServer]:
    with AsgiServer(app, http=Hasty, timeout_keep_alive=1) as running:
        yield running


def ask(server: AsgiServer, *pieces: bytes) -> Answer:
    with connect(server.url) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return read_answer(connection)


def is_closed(connection: socket.socket) -> bool:
    """Read on to the end; fails if the connection stays open."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

REFUSED: dict[str, tuple[bytes, int, str]] = {
    "no HTTP at all": (b"hello\r\n\r\n", 400, "bad_request"),
    "TLS to a plain port": (b"\x16\x03\x01\x02\x00\x01\x00", 400, "bad_request"),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad_request"),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400, "bad_request"),
    "unknown method": (b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request"),
    "CONNECT": (b"CONNECT b:80 HTTP/1.1\r\nHost: b\r\n\r\n", 400, "bad_request"),
    "space in the target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request"),
    "raw UTF-8 in the target": ("GET /é HTTP/1.1\r\nHost: a\r\n\r\n".encode(), 400, "bad_request"),
    "bare LF": (b"GET / HTTP/1.1\nHost: a\n\n", 400, "bad_request"),
    "bare CR": (GET + b"X: a\rY: b\r\n\r\n", 400, "bad_request"),
    "NUL in a header": (GET + b"X: a\0b\r\n\r\n", 400, "bad_request"),
    "folded header": (GET + b"X: a\r\n b\r\n\r\n", 400, "bad_request"),
    "header without a name": (GET + b": a\r\n\r\n", 400, "bad_request"),
    "space before the colon": (GET + b"X : a\r\n\r\n", 400, "bad_request"),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
    "two Hosts": (GET + b"Host: b\r\n\r\n", 400, "bad_request"),
    "length and chunks": (
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "bad_request",
    ),
    "chunks and length": (
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        400,
        "bad_request",
    ),
    "two lengths": (
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        400,
        "bad_request",
    ),
    "list of lengths": (POST + b"Content-Length: 5, 5\r\n\r\nhello", 400, "bad_request"),
    "negative length": (POST + b"Content-Length: -5\r\n\r\nhello", 400, "bad_request"),
    "length with a plus": (POST + b"Content-Length: +5\r\n\r\nhello", 400, "bad_request"),
    "length of 23 digits": (POST + b"Content-Length: %s\r\n\r\n" % (b"9" * 23), 400, "bad_request"),
    "unknown coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    "identity, chunked": (
        POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        400,
        "bad_request",
    ),
    "gzip, chunked": (
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        400,
        "bad_request",
    ),
    "coding twice": (
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "bad_request",
    ),
    "chunks in HTTP/1.0": (
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "bad_request",
    ),
    "negative chunk": (CHUNKED + b"-1\r\n\r\n", 400, "bad_request"),
    "chunk size with 0x": (CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", 400, "bad_request"),
    "chunk size too great": (CHUNKED + b"F" * 17 + b"\r\nhello\r\n", 400, "bad_request"),
    "chunk without its end": (CHUNKED + b"5\r\nhelloXX0\r\n\r\n", 400, "bad_request"),
    "body of a request to upgrade": (
        POST + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello",
        400,
        "bad_request",
    ),
    "long target": (b"GET /%s HTTP/1.1\r\n" % (b"a" * 16384), 414, "uri_too_long"),
    "long header": (GET + b"X: %s\r\n\r\n" % (b"a" * 65536), 431, "head_too_large"),
    "long header without end": (GET + b"X: %s" % (b"a" * 400_000), 431, "head_too_large"),
    "many headers": (GET + b"X: a\r\n" * 100 + b"\r\n", 431, "head_too_large"),
    "long trailer": (CHUNKED + b"0\r\nX: %s\r\n\r\n" % (b"a" * 70_000), 431, "head_too_large"),
    "trailer without end": (CHUNKED + b"0\r\nX: %s" % (b"a" * 400_000), 431, "head_too_large"),
    "chunk extension without end": (CHUNKED + b"1;%s" % (b"a" * 400_000), 431, "head_too_large"),
}


@pytest.mark.parametrize(("raw", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_request_is_a_problem(
    server: AsgiServer, raw: bytes, status: int, code: str
) -> None:
    """Each row is answered with problem+json, nothing but it, and the connection is closed."""
    with connect(server.url) as connection:
        connection.sendall(raw)
        answer = read_answer(connection)
        assert is_closed(connection)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert answer.json["status"] == status
    assert answer.json["success"] is False
    assert answer.json["error"] == answer.json["detail"]


def test_what_is_at_the_limit_passes(server: AsgiServer) -> None:
    """A target and a head just within the limits, 100 headers, HTTP/1.0 and absolute targets."""
    for raw, path in (
        (b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 16383), "/" + "a" * 16383),
        (GET + b"X: %s\r\n\r\n" % (b"a" * 65000), "/"),
        (GET + b"X: a\r\n" * 99 + b"\r\n", "/"),
        (b"GET /old HTTP/1.0\r\n\r\n", "/old"),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "*"),
        (b"GET http://a/absolute HTTP/1.1\r\nHost: a\r\n\r\n", "/absolute"),
        (b"\r\n\r\n" + GET + b"\r\n", "/"),
        (GET + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", "/"),
    ):
        answer = ask(server, raw)
        assert (answer.status, answer.json["path"]) == (200, path)


def test_bodies_pass_in_any_pieces(server: AsgiServer) -> None:
    """Long bodies, single bytes and chunk extensions are no head, so its limits leave them be."""
    long = b"x" * 300_000
    length = POST + b"Content-Length: %d\r\n\r\n" % len(long)
    assert len(ask(server, length, long).json["body"]) == 300_000
    pieces = [b"1;a=b\r\nx\r\n"] * 20_000
    assert ask(server, CHUNKED, *pieces, b"0\r\n\r\n").json["body"] == "x" * 20_000


def test_trailers_are_no_headers(server: AsgiServer, app: App) -> None:
    """What follows a chunked body adds nothing to the headers of the request (RFC 9110 §6.5.1)."""
    answer = ask(server, CHUNKED, b"5\r\nhello\r\n0\r\nAuthorization: Bearer x\r\nX-T: y\r\n\r\n")
    assert answer.json["body"] == "hello"
    assert [name for name, _ in app.asked[-1]["headers"]] == [b"host", b"transfer-encoding"]


def test_headers_have_names_in_lower_case_and_values_without_blanks(
    server: AsgiServer, app: App
) -> None:
    """As ASGI has them, each as often as it came."""
    ask(server, b"GET / HTTP/1.1\r\nHOST: a \t\r\nX-Two:  B b \r\nx-tWO: c\r\n\r\n")
    assert app.asked[-1]["headers"] == [(b"host", b"a"), (b"x-two", b"B b"), (b"x-two", b"c")]


def test_a_client_that_waits_with_its_body_is_told_to_send_it(server: AsgiServer) -> None:
    """`Expect: 100-continue`, in whatever case: once the application reads (RFC 9110 §10.1.1)."""
    with connect(server.url) as connection:
        connection.sendall(POST + b"EXPECT: 100-Continue \r\nContent-Length: 2\r\n\r\n")
        told = connection.recv(100)
        assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ok")
        assert read_answer(connection).json["body"] == "ok"


def test_a_body_is_never_read_as_the_next_request(server: AsgiServer, app: App) -> None:
    """A request to upgrade with a body in a later packet smuggles no second request."""
    inner = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    head = POST + b"Connection: upgrade\r\nUpgrade: websocket\r\n"
    with connect(server.url) as connection:
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(inner))
        try:
            connection.sendall(inner)
        except OSError:
            pass
        assert read_answer(connection).status == 400
        assert is_closed(connection)
    with connect(server.url) as connection:
        connection.sendall(GET + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert read_answer(connection).headers["connection"] == "close"
    assert all(scope["path"] != "/smuggled" for scope in app.asked)


def test_nothing_is_written_into_anothers_answer(server: AsgiServer, app: App) -> None:
    """Rubbish after a request that is being answered ends the connection without a word: a
    client, or a proxy, would take it for part of the answer before."""
    for rubbish in (b"rubbish\r\n\r\n", GET + b"X: %s" % (b"a" * 400_000)):
        with connect(server.url) as connection:
            connection.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            seen = connection.recv(65536)
            while b"data: 1\n\n" not in seen:
                seen += connection.recv(65536)
            try:
                connection.sendall(rubbish)
            except OSError:
                pass
            rest = b""
            try:
                while piece := connection.recv(65536):
                    rest += piece
            except ConnectionResetError:
                pass
        assert b"HTTP/1.1" not in rest
        wait_until(lambda: app.streams == 0, "the stream's task ended")


def test_a_broken_body_ends_its_request(server: AsgiServer, app: App) -> None:
    """An application that reads a body is told at once when it breaks."""
    left = app.left
    with connect(server.url) as connection:
        connection.sendall(CHUNKED + b"nonsense\r\n")
        wait_until(lambda: app.left > left, "the application was told")
        assert read_answer(connection).status == 400


def test_one_request_gets_one_answer(
    server: AsgiServer, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    """What an application says after its request was refused goes nowhere, and is no error."""
    with connect(server.url) as connection:
        connection.sendall(CHUNKED.replace(b"/", b"/late", 1))
        wait_until(lambda: app.asked[-1]["path"] == "/late", "the request began")
        connection.sendall(b"nonsense\r\n")
        assert read_answer(connection).status == 400
        answered = app.answered
        app.may_answer.set()
        wait_until(lambda: app.answered > answered, "the application answered")
        assert connection.recv(65536) == b""
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_requests_may_be_sent_ahead_within_bounds(server: AsgiServer) -> None:
    """Pipelined requests are answered in order; far more of them than anybody needs are not kept
    in memory."""
    with connect(server.url) as connection:
        connection.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(10)))
        text = b""
        while text.count(b'"path"') < 10:
            text += connection.recv(65536)
    assert [f'"/{n}"'.encode() in text for n in range(10)] == [True] * 10
    with connect(server.url) as connection:
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n" + (GET + b"\r\n") * 500)
        assert is_closed(connection)


def test_a_stream_ends_when_its_client_leaves_with_requests_waiting(
    server: AsgiServer, app: App
) -> None:
    """A client that sends a second request behind a stream and goes leaves no task behind."""
    connection = connect(server.url)
    connection.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n" + GET + b"\r\n")
    wait_until(lambda: app.streams == 1, "the stream runs")
    connection.close()
    wait_until(lambda: app.streams == 0, "the stream's task ended")


SLOW: dict[str, tuple[bytes, ...]] = {
    "nothing at all": (),
    "a head that never ends": (GET,),
    "a head in drips": (b"GET", b" ", b"/", b" ", b"HTTP/1.1\r\nHo", b"st: a\r\n") + (b"X",) * 20,
    "empty lines": (b"\r\n",) * 20,
    "empty lines after a request": (GET + b"\r\n", *(b"\r\n",) * 40),
    "half a head after a request": (GET + b"\r\n" + b"GET / HT",),
    "half a head, later": (GET + b"\r\n", b"GET", b" / HT"),
    "nothing after a request": (GET + b"\r\n",),
}


@pytest.mark.parametrize("pieces", SLOW.values(), ids=SLOW.keys())
def test_a_connection_that_asks_nothing_is_closed(
    hasty: AsgiServer, pieces: tuple[bytes, ...]
) -> None:
    """However it keeps itself busy, a connection without a whole head is closed in bounded time;
    a begun head is answered 408 first, an idle connection with nothing."""
    with connect(hasty.url) as connection:
        connection.settimeout(0.05)
        text = b""
        ended = False
        deadline = time.monotonic() + 15
        waiting = list(pieces)
        while not ended and time.monotonic() < deadline:
            try:
                if waiting:
                    connection.sendall(waiting.pop(0))
                piece = connection.recv(65536)
                text += piece
                ended = not piece
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                ended = True
        assert ended
    # After a whole request uvicorn's own keep-alive timer may be the one that closes.
    if pieces and pieces[0].startswith(b"GET") and not pieces[0].startswith(GET + b"\r\n"):
        assert text.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"receive_timeout"' in text
    assert text.count(b"HTTP/1.1 200") == sum(piece.startswith(GET + b"\r\n") for piece in pieces)


def _read_to_end(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def test_a_slow_head_behind_a_stream_does_not_end_it(hasty: AsgiServer, app: App) -> None:
    """A stray byte after the request of a running stream is no reason to cut the stream off."""
    with connect(hasty.url) as connection:
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\nG")
        wait_until(lambda: app.streams == 1, "the stream runs")
        connection.settimeout(1)  # five deadlines
        with pytest.raises(TimeoutError):
            _read_to_end(connection)
        assert app.streams == 1
    wait_until(lambda: app.streams == 0, "the stream's task ended")


def test_a_whole_head_stops_the_clock(hasty: AsgiServer, app: App) -> None:
    """The deadline is for heads: a body that takes longer is others' business, and passes."""
    with connect(hasty.url) as connection:
        connection.sendall(POST + b"Content-Length: 10\r\n\r\n")
        connection.settimeout(0.6)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.sendall(b"0123456789")
        assert read_answer(connection).json["body"] == "0123456789"


def test_dripping_connections_are_let_go_and_others_served(hasty: AsgiServer) -> None:
    """While three hundred connections drip their heads, a whole request is answered; then all of
    them are gone."""
    held: list[socket.socket] = []
    try:
        for _ in range(300):
            connection = connect(hasty.url)
            connection.sendall(b"GET / HT")
            held.append(connection)
        assert ask(hasty, GET + b"\r\n").status == 200
        wait_until(lambda: hasty.connections == 0, "no connection is left")
    finally:
        for connection in held:
            connection.close()


def test_refusals_show_nothing_of_the_house(server: AsgiServer) -> None:
    """No header of a refusal names software or versions, and no text of it an exception."""
    answer = ask(server, b"\x00\r\n\r\n")
    said = json.dumps([answer.headers, answer.json]).lower()
    for word in ("uvicorn", "python", "httptools", "traceback", "error:"):
        assert word not in said
    fields: Any = answer.headers
    assert fields["cache-control"] == "no-store"


def test_another_uvicorn_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release without a method that the protocol extends is named, before anything is served."""
    check_uvicorn()
    monkeypatch.delattr(HttpToolsProtocol, "on_header")
    with pytest.raises(RuntimeError, match="has no on_header; install uvicorn"):
        check_uvicorn()
    monkeypatch.undo()

    def other(self: object, scope: object) -> None:
        self.scope = scope  # type: ignore[attr-defined]

    monkeypatch.setattr(RequestResponseCycle, "__init__", other)
    with pytest.raises(RuntimeError, match="has no chunked_encoding, default_headers, disc"):
        check_uvicorn()
    monkeypatch.undo()
    monkeypatch.setattr(ProxyHeadersMiddleware, "__init__", other)
    with pytest.raises(RuntimeError, match="has no trusted_hosts; install uvicorn"):
        check_uvicorn()


# ---- chunks of one byte


def chunked(pieces: int) -> bytes:
    return b"1\r\nx\r\n" * pieces + b"0\r\n\r\n"


def test_a_body_in_tiny_chunks_is_put_together_and_slowed_down(app: App) -> None:
    """They arrive whole and in order, in few messages; the connection pauses for each many of them,
    and a body in ordinary chunks does not."""
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    Slow.held.clear()
    with AsgiServer(app, http=Slow) as server:
        ordinary = b"".join(b"1000\r\n" + b"y" * 4096 + b"\r\n" for _ in range(100))
        answer = ask(server, head + ordinary + b"0\r\n\r\n")
        assert answer.json["body"] == "y" * 409_600
        assert sum(Slow.held) < 0.1
        mixed = b"1\r\na\r\n" + b"1000\r\n" + b"y" * 4096 + b"\r\n" + b"2\r\nbc\r\n"
        assert ask(server, head + mixed + chunked(1)).json["body"] == "a" + "y" * 4096 + "bcx"
        Slow.held.clear()
        assert ask(server, head + chunked(3000)).json["body"] == "x" * 3000
    assert 2.5 < sum(Slow.held) <= 3


def test_nothing_is_read_while_a_connection_is_held(app: App) -> None:
    """Whatever the application asks for: what is sent meanwhile stays in the kernel."""
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    Slow.held.clear()
    with AsgiServer(app, http=Slow) as server, connect(server.url) as connection:
        began = time.monotonic()
        connection.sendall(head + b"1\r\nx\r\n" * 1000)
        wait_until(lambda: Slow.held, "the connection is held")
        connection.sendall(chunked(1))
        assert read_answer(connection).json["body"] == "x" * 1001
        # uvloop's timers count whole milliseconds
        assert time.monotonic() - began >= Slow.held[0] - 0.001


def test_pieces_of_all_sizes_come_in_order(server: AsgiServer) -> None:
    """Whether one finds others waiting or is taken as it is."""
    pieces = [bytes([65 + at % 26]) * size for at, size in enumerate([600, 5, 70_000, 513, 3] * 12)]
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    head = b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = ask(server, head, b"".join(chunks[:30]), *chunks[30:], b"0\r\n\r\n")
    assert json.loads(answer.body)["body"].encode() == b"".join(pieces)


def test_a_connection_that_came_just_before_the_end_is_answered(app: App) -> None:
    """Its request was on the way while the server closed those without one."""
    with (
        AsgiServer(app, http=Ending, timeout_graceful_shutdown=30) as server,
        connect(server.url) as connection,
    ):
        wait_until(lambda: server.connections == 1, "it is accepted")
        server.server.should_exit = True
        wait_until(lambda: not server.server.servers[0].is_serving(), "no more are accepted")
        time.sleep(0.3)  # uvicorn closes idle connections in the same step
        connection.sendall(GET + b"\r\n")
        answer = read_answer(connection)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert is_closed(connection)


# ---- what a connection is made of


async def test_a_connection_has_all_that_uvicorns_has() -> None:
    """It sets the same attributes to the same values, so that what it inherits finds them; only its
    parser calls another object back, and its pipeline is a list."""
    config = uvicorn.Config(App(), log_config=None, access_log=False, root_path="/r")
    config.load()
    state, app_state = ServerState(), {"a": 1}
    theirs = HttpToolsProtocol(config, state, app_state)
    ours = HttpProtocol(config, state, app_state)
    for name, value in vars(theirs).items():
        found = getattr(ours, name)
        if name == "parser":
            assert type(found) is type(value)
        elif name == "pipeline":
            assert list(found) == list(value)
        else:
            assert found == value, name
    assert vars(ours) == {}


def test_a_request_knows_both_ends_of_its_connection(server: AsgiServer, app: App) -> None:
    """As the kernel tells them."""
    with connect(server.url) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        read_answer(connection)
        scope = app.asked[-1]
        assert scope["client"] == connection.getsockname()
        assert scope["server"] == connection.getpeername()
        assert scope["scheme"] == "http"


def test_requests_sent_ahead_are_answered_in_their_order(server: AsgiServer) -> None:
    """Also where more than one waits."""
    ends = b"Connection: close\r\n"
    with connect(server.url, timeout_s=60) as connection:
        for number in range(5):
            closing = ends if number == 4 else b""
            connection.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\n%b\r\n" % (number, closing))
        said = b"".join(iter(lambda: connection.recv(65536), b""))
    answers = re.findall(r'"path": ?"(/\d)"', said.decode())
    assert answers == [f"/{number}" for number in range(5)]
