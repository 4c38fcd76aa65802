"""Following by WebSocket without a connection: what is made of what comes, and when."""

from __future__ import annotations

import math
import sys
import time

import pytest

from sse_progress.client import AsyncClient, BadAnswer, Client, Event, FollowBy
from sse_progress.client.following import Following
from sse_progress.client.sockets import SocketClosed, WebSocket
from sse_progress.client.talking import Renewal, Talk
from tests.unit.client.test_live import token


def test_when_a_token_is_renewed() -> None:
    """Half a minute before its end, a short one halfway; what gives the same one is asked again."""
    at = time.time()
    tokens = [token(seconds=100), token(seconds=100), token(seconds=3600)]
    renewal = Renewal(lambda: tokens.pop(0), tokens.pop(0), now=lambda: at)
    assert renewal.in_s() == pytest.approx(70, abs=1)
    assert renewal.token() is None
    at += 71
    tokens.insert(0, renewal._sent)
    assert renewal.token() is None
    assert renewal.in_s() == 5
    at += 5
    newest = tokens[0]
    assert renewal.token() == newest
    assert Renewal("fixed", "fixed", now=lambda: at).in_s() == math.inf
    assert Renewal(lambda: "no JWT", "no JWT", now=lambda: at).in_s() == math.inf


def machine(follow_by: FollowBy = "ws") -> Following[Event]:
    made = Following(
        "http://s", "/upload/u/progress", kind=Event, subject={"uploadId": "u"},
        now=lambda: 0.0, chance=lambda: 1.0, follow_by=follow_by,
    )  # fmt: skip
    made.ask()
    return made


def way(made: Following[Event]) -> str:
    """By what the next attempt is made."""
    headers = made.ask().headers
    if "upgrade" in headers:
        return "socket"
    return "stream" if headers["Accept"] == "text/event-stream" else "requests"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 426])
def test_where_no_websocket_is_granted_requests_tell(status: int) -> None:
    """Something in between may not know it, and what the service refuses it says once more."""
    made = machine()
    assert made.answered(status, {}) == "refusal"
    assert list(made.refused(status, {}, b"")) == []
    assert (way(made), made.pause_s()) == ("requests", 0)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_service_that_is_away_is_waited_for(status: int) -> None:
    """It is asked for a WebSocket again, after as long as it said."""
    made = machine()
    made.answered(status, {})
    assert list(made.refused(status, {"retry-after": "20"}, b"")) == []
    assert (way(made), made.pause_s()) == ("socket", 22)


def test_an_answer_that_is_no_websocket() -> None:
    """A page of something in between, an agreement to another request, a service elsewhere."""
    for status in (200, 101):
        made = machine()
        assert made.answered(status, {"upgrade": "websocket", "connection": "upgrade"}) == "nothing"
        assert way(made) == "requests"
    with pytest.raises(BadAnswer, match="moved to /login"):
        machine().answered(302, {"location": "/login"})


@pytest.mark.parametrize(
    ("code", "next_way", "pause_s"),
    [(1001, "socket", 3), (1011, "socket", 3), (1013, "socket", 3), (1008, "requests", 0)],
)
def test_how_the_service_closes_it(code: int, next_way: str, pause_s: float) -> None:
    """Before it said anything: come back, come later, or ask why not."""
    made = machine()
    made.closed(code, "because")
    assert (way(made), made.pause_s()) == (next_way, pause_s)


def test_a_websocket_that_breaks_off_unheard_twice() -> None:
    """Something cuts it: requests. In `auto`, that comes after the stream and the WebSocket."""
    made = machine()
    for expected in ("socket", "requests"):
        made._opened = True
        made.closed(1006, "")
        assert way(made) == expected
    made = machine("auto")
    for expected in ("socket", "requests"):
        made.lost("held back", silent=True)
        assert way(made) == expected


@pytest.mark.parametrize(
    "text", [b"no JSON", b"[]", b"{}", b'{"type":7}', b'{"type":"error","code":"x","detail":"y"}']
)
def test_a_message_that_is_none(text: bytes) -> None:
    """BadAnswer, not silence."""
    with pytest.raises(BadAnswer):
        list(machine().message(text))


def test_a_websocket_in_pieces() -> None:
    """Frames cut anywhere, a message in fragments with a ping between; rubbish, and too much."""
    socket = WebSocket()
    pieces = b"\x01\x03{}\n\x89\x02hi\x80\x02{}\x81\x02ok"
    got = [one for byte in pieces for one in socket.incoming(bytes([byte]))]
    assert got == [b"{}\n{}", b"ok"]
    assert len(socket.outgoing()) == 2 + 4 + 2  # a pong, masked
    with pytest.raises(SocketClosed) as closed:
        list(socket.incoming(b"\xff\xff"))
    assert closed.value.code == 1006
    with pytest.raises(SocketClosed):
        list(WebSocket().incoming(b"\x81\x7f\x00\x00\x00\x00\x7f\xff\xff\xff"))


def test_a_connection_that_nobody_answers_on() -> None:
    """A ping after a heartbeat's time, and the end after three; what the caller takes for one
    message does not count."""
    at = 0.0
    never = Renewal(None, "", now=lambda: at)
    talk = Talk(WebSocket(), never, heartbeat_s=15, now=lambda: at)
    assert (talk.due(45), talk.wait_s(45)) == (b"", 15)
    at = 15
    assert talk.due(45)[:1] == b"\x89"
    assert (talk.due(45), talk.wait_s(45)) == (b"", 30)
    for _ in talk.heard(b"\x81\x02ok"):
        at = 400
    assert (talk.due(45), talk.wait_s(45)) == (b"", 15)
    at = 445
    with pytest.raises(TimeoutError):
        talk.due(45)


def test_what_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is none, and a package that is missing, are said before any request."""
    with pytest.raises(ValueError, match="'poll', expected one of"):
        Client(follow_by="poll")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "websockets.client", None)
    for made in (AsyncClient, Client):
        with pytest.raises(ImportError, match=r"pip install 'sse-progress-client\[ws\]'"):
            made(follow_by="auto")
        made(follow_by="sse")
