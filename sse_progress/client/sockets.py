"""A WebSocket (RFC 6455) on a connection that the caller reads and writes: no I/O.

What the messages mean is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx
import msgspec

__all__ = ["LOST", "SocketClosed", "WebSocket", "network_errors"]

LOST = 1006
"""The code of an end without a word (RFC 6455 §7.1.5)."""

MESSAGE_LIMIT_BYTES = 1024 * 1024
"""The service's longest is 64 KiB."""


class SocketClosed(Exception):
    """A WebSocket is over, with the code and reason that the service gave."""

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(code, reason)

    def __str__(self) -> str:
        return self.reason or f"the WebSocket was closed ({self.code})"


@contextmanager
def network_errors() -> Iterator[None]:
    """What reading and writing a connection raises becomes TimeoutError and httpx.NetworkError."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise TimeoutError from error
    except httpcore.NetworkError as error:
        raise httpx.NetworkError("the connection was lost") from error


class WebSocket:
    """The client's side. `headers` are those of the request that asks for it."""

    def __init__(self) -> None:
        from websockets.client import ClientProtocol
        from websockets.protocol import State
        from websockets.uri import parse_uri

        self._protocol = ClientProtocol(
            parse_uri("ws://service/"),  # only for the header Host, which httpx knows better
            state=State.OPEN,  # the handshake is httpx's
            max_size=MESSAGE_LIMIT_BYTES,
        )
        request = self._protocol.connect()
        self.headers = {name: text for name, text in request.headers.items() if name != "host"}
        self._parts = bytearray()

    def opened(self, headers: Mapping[str, str]) -> None:
        """The service agreed (101). Raises ValueError for what is no answer to this request."""
        from websockets.datastructures import Headers
        from websockets.exceptions import InvalidHandshake
        from websockets.http11 import Response

        try:
            self._protocol.process_response(Response(101, "", Headers(headers)))
        except InvalidHandshake as error:
            raise ValueError(str(error)) from error

    # ---- sending: it goes with the next `outgoing`

    def say(self, message: Mapping[str, Any]) -> None:
        self._protocol.send_text(msgspec.json.encode(message))

    def ping(self) -> None:
        self._protocol.send_ping(b"")

    def leave(self) -> None:
        self._protocol.send_close(1000)

    def outgoing(self) -> bytes:
        return b"".join(self._protocol.data_to_send())

    # ---- receiving

    def incoming(self, data: bytes) -> Iterator[bytes]:
        """Each message that is whole with these bytes; none are the end.

        Raises SocketClosed after what came before it.
        """
        from websockets.frames import DATA_OPCODES, Frame

        protocol = self._protocol
        if data:
            protocol.receive_data(data)
        for frame in protocol.events_received():
            if isinstance(frame, Frame) and frame.opcode in DATA_OPCODES:
                self._parts += frame.data
                if frame.fin:
                    message = bytes(self._parts)
                    self._parts.clear()
                    yield message
        if protocol.close_rcvd is not None:
            raise SocketClosed(protocol.close_rcvd.code, protocol.close_rcvd.reason)
        if protocol.parser_exc is not None:
            raise SocketClosed(LOST, f"what came is no WebSocket's: {protocol.parser_exc}")
        if not data:
            raise SocketClosed(LOST, "the connection was lost")
