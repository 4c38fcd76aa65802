"""Frames of `WS /ws` as raw bytes: the cases of Autobahn's test suite that apply, by its numbers.

The service does not echo. What Autobahn reads back is here the answer to what was said: to `{}` an
error, to PING_JSON its answer.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from tests.helpers.raw_http import connect, head
from tests.helpers.service import Service

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"
PING_JSON = b'{"type":"ping"}'
HALVES = PING_JSON[:7], PING_JSON[7:]

Heard = tuple[str, Any]
ANSWER, ERROR = ("said", "pong"), ("said", "error")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """One of a client: masked."""
    size = len(payload)
    length = bytes([size | 0x80]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    masked = bytes(a ^ b for a, b in zip(payload, itertools.cycle(MASK), strict=False))
    return bytes([fin << 7 | rsv << 4 | opcode]) + length + MASK + masked


def part(opcode: int, payload: bytes = b"") -> bytes:
    return frame(opcode, payload, fin=False)


def close(code: int | None, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


class Peer:
    """A client that writes what it is told to, and says what it hears."""

    def __init__(self, service: Service) -> None:
        self._socket = connect(service.url, timeout_s=60)
        asked = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        self._socket.sendall(head("GET", service.url + "/ws", asked))
        self._file = self._socket.makefile("rb")
        assert b" 101 " in self._file.readline()
        while self._file.readline().strip():
            pass

    def send(self, data: bytes, *, chopped: bool = False) -> None:
        pieces = [data[n : n + 1] for n in range(len(data))] if chopped else [data]
        try:
            for piece in pieces:
                self._socket.sendall(piece)
        except OSError:
            pass  # it was closed before the last one; how, is read

    def heard(self) -> Iterator[Heard]:
        """Every frame until the connection is closed."""
        while True:
            try:
                start = self._file.read(2)
            except ConnectionResetError:
                start = b""
            if not start:
                yield ("end", None)
                return
            opcode, size = start[0] & 15, start[1]
            if size == 126:
                size = struct.unpack("!H", self._file.read(2))[0]
            payload = self._file.read(size)
            match opcode:
                case 1:
                    yield ("said", msgspec.json.decode(payload)["type"])
                case 8:
                    yield ("closed", struct.unpack("!H", payload[:2])[0] if payload else None)
                case 10:
                    yield ("pong", payload)
                case _:
                    raise AssertionError(f"opcode {opcode}")

    def leave(self) -> None:
        self._file.close()
        self._socket.close()


@contextmanager
def peer(service: Service) -> Iterator[Peer]:
    made = Peer(service)
    try:
        yield made
    finally:
        made.leave()


def hears(
    service: Service, sent: bytes, count: int = 0, then: bytes = b"", *, chopped: bool = False
) -> list[Heard]:
    """What comes after the greeting, to the end. `then` is sent after `count` of them."""
    with peer(service) as one:
        stream = one.heard()
        assert next(stream) == ("said", "connected")
        one.send(sent, chopped=chopped)
        found = list(itertools.islice(stream, count))
        one.send(then, chopped=chopped)
        for heard in stream:
            if heard[0] == "end":
                return found
            found.append(heard)
            if heard[0] == "closed":
                one.send(close(heard[1]))
        raise AssertionError("no end")


# ---- what goes on: what is heard, and then a close with 1000 as it was asked for

GOES_ON: dict[str, tuple[bytes, list[Heard]]] = {
    "1.1.1 empty": (frame(TEXT), [ERROR]),
    **{
        f"1.1.{n} text of {size}": (frame(TEXT, b"*" * size), [ERROR])
        for n, size in ((2, 125), (3, 126), (4, 127), (5, 128))
    },
    "2.1 ping": (frame(PING), [("pong", b"")]),
    "2.2 ping with text": (frame(PING, b"Hello"), [("pong", b"Hello")]),
    "2.3 ping with bytes": (frame(PING, b"\x00\xff\xfe\xfd"), [("pong", b"\x00\xff\xfe\xfd")]),
    "2.4 ping of 125": (frame(PING, b"\xfe" * 125), [("pong", b"\xfe" * 125)]),
    "2.7 pong unasked": (frame(PONG), []),
    "2.8 pong with text": (frame(PONG, b"unsolicited"), []),
    "2.9 pong and ping": (frame(PONG, b"no") + frame(PING, b"yes"), [("pong", b"yes")]),
    "2.10 ten pings": (
        b"".join(frame(PING, b"%d" % n) for n in range(10)),
        [("pong", b"%d" % n) for n in range(10)],
    ),
    "5.3 two parts": (part(TEXT, HALVES[0]) + frame(CONT, HALVES[1]), [ANSWER]),
    "5.6 ping between parts": (
        part(TEXT, HALVES[0]) + frame(PING, b"ping") + frame(CONT, HALVES[1]),
        [("pong", b"ping"), ANSWER],
    ),
    "5.19 pings between five parts": (
        part(TEXT, PING_JSON[:3])
        + part(CONT, PING_JSON[3:6])
        + frame(PING, b"1")
        + part(CONT, PING_JSON[6:9])
        + part(CONT, PING_JSON[9:12])
        + frame(PING, b"2")
        + frame(CONT, PING_JSON[12:]),
        [("pong", b"1"), ("pong", b"2"), ANSWER],
    ),
    "6.1.2 empty parts": (part(TEXT) + part(CONT) + frame(CONT), [ERROR]),
    "6.1.3 empty around text": (part(TEXT) + part(CONT, PING_JSON) + frame(CONT), [ANSWER]),
    "6.2.1 UTF-8": (frame(TEXT, "Hello-µ@ßöäüàá-UTF-8!!".encode()), [ERROR]),
    "6.2.2 UTF-8 in two parts": (
        part(TEXT, "Hello-µ@ßöä".encode()) + frame(CONT, "üàá-UTF-8!!".encode()),
        [ERROR],
    ),
    "6.2.4 UTF-8 cut within a character": (
        part(TEXT, b"\xce\xba\xe1") + part(CONT, b"\xbd") + frame(CONT, b"\xb9"),
        [ERROR],
    ),
}

CHOPPED = {"2.4 ping of 125": "2.6", "2.10 ten pings": "2.11", "5.3 two parts": "5.5"}
CHOPPED |= {"5.6 ping between parts": "5.8", "5.19 pings between five parts": "5.20"}


@pytest.mark.parametrize("name", GOES_ON)
def test_what_is_in_order(running: Service, name: str) -> None:
    """It is answered, and the connection is closed by the client only."""
    sent, expected = GOES_ON[name]
    assert hears(running, sent, len(expected), close(1000)) == [*expected, ("closed", 1000)]


@pytest.mark.parametrize("name", CHOPPED, ids=CHOPPED.values())
def test_what_is_in_order_comes_byte_by_byte(running: Service, name: str) -> None:
    """The same."""
    sent, expected = GOES_ON[name]
    heard = hears(running, sent, len(expected), close(1000), chopped=True)
    assert heard == [*expected, ("closed", 1000)]


# ---- what is not allowed: the connection is failed

FAILS: dict[str, tuple[bytes, int]] = {
    "2.5 ping of 126": (frame(PING, b"\xfe" * 126), 1002),
    "3.1 RSV 1": (frame(TEXT, PING_JSON, rsv=1), 1002),
    "3.2 RSV 2": (frame(TEXT, rsv=2), 1002),
    "3.3 RSV 3": (frame(TEXT, rsv=3), 1002),
    "3.4 RSV 4": (frame(TEXT, rsv=4), 1002),
    "3.5 RSV 5 on binary": (frame(BINARY, b"\x00\xff", rsv=5), 1002),
    "3.6 RSV 6 on a ping": (frame(PING, b"Hello", rsv=6), 1002),
    "3.7 RSV 7 on a close": (frame(CLOSE, rsv=7), 1002),
    **{
        f"4.{1 + opcode // 8}.{opcode % 8 - 2} opcode {opcode}": (frame(opcode, b"x"), 1002)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    "5.1 ping in parts": (part(PING, b"a") + frame(CONT, b"b"), 1002),
    "5.2 pong in parts": (part(PONG, b"a") + frame(CONT, b"b"), 1002),
    "5.9 nothing to continue": (frame(CONT, b"x") + frame(TEXT, PING_JSON), 1002),
    "5.12 nothing to continue, open": (part(CONT, b"x") + frame(TEXT, PING_JSON), 1002),
    "5.15 continued after its end": (part(CONT, b"x"), 1002),
    "5.16 continued before its beginning": (
        part(CONT, b"x") + part(TEXT, b"y") + frame(CONT, b"z"),
        1002,
    ),
    "5.18 a message within another": (part(TEXT, b"a") + frame(TEXT, b"b"), 1002),
    "6.3 invalid UTF-8": (frame(TEXT, b"\xce\xba\xed\xa0\x80edited"), 1007),
    "6.4 invalid UTF-8 in the first of two parts": (
        part(TEXT, b"\xce\xba\xf4\x90\x80\x80") + frame(CONT, b"edited"),
        1007,
    ),
    **{
        f"6.{number} {bytes_.hex(' ')}": (frame(TEXT, bytes_), 1007)
        for number, bytes_ in (
            ("8", b"\xf8\x88\x80\x80\x80"),
            ("10", b"\xf7\xbf\xbf\xbf"),
            ("12", b"\x80"),
            ("13", b"\xc0 "),
            ("14", b"\xe0\x80"),
            ("16", b"\xc0\xaf"),
            ("17", b"\xe0\x9f\xbf"),
            ("18", b"\xf0\x80\x80\x80"),
            ("20", b"\xed\xa0\x80\xed\xb0\x80"),
        )
    },
    "7.3.2 close with half a code": (frame(CLOSE, b"a"), 1002),
    "7.3.6 reason of 124": (close(1000, b"*" * 124), 1002),
    "7.5.1 invalid reason": (close(1000, b"\xce\xba\xed\xa0\x80"), 1007),
    **{
        f"7.9 code {code}": (close(code), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)
    },
    "1.2.1 empty binary": (frame(BINARY), 1008),
    "1.2.5 binary of 128": (frame(BINARY, b"\xfe" * 128), 1008),
    "1.1.6 text over 4 KiB": (frame(TEXT, b"*" * 65_535), 1009),
}


@pytest.mark.parametrize("name", FAILS)
def test_what_is_not_allowed(running: Service, name: str) -> None:
    """It is closed with the code of RFC 6455 §7.4.1, after a message in two parts was answered."""
    sent, code = FAILS[name]
    first = GOES_ON["5.3 two parts"][0]
    assert hears(running, first, 1, sent) == [ANSWER, ("closed", code)]


# ---- closing


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, *range(1007, 1012), 3000, 3999, 4000, 4999]
)
def test_a_close_is_answered(running: Service, code: int) -> None:
    """7.7: with its code."""
    assert hears(running, close(code)) == [("closed", code)]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(close(1000) + close(1000), 1000, id="7.1.2 twice"),
        pytest.param(close(1000) + frame(PING, b"late"), 1000, id="7.1.3 ping after it"),
        pytest.param(close(1000) + frame(TEXT, PING_JSON), 1000, id="7.1.4 text after it"),
        # Autobahn would have 1000; websockets fails a message that is not whole.
        pytest.param(part(TEXT, b"{") + close(1000) + frame(CONT, b"}"), 1002, id="7.1.5 within"),
        pytest.param(close(None), None, id="7.3.1 without a code"),
        pytest.param(close(1000, b"Hello World!"), 1000, id="7.3.4 with a reason"),
        pytest.param(close(1000, b"*" * 123), 1000, id="7.3.5 with the longest reason"),
    ],
)
def test_a_close_is_the_last_thing(running: Service, sent: bytes, code: int | None) -> None:
    """It is answered once, and nothing comes after it."""
    assert hears(running, sent) == [("closed", code)]
