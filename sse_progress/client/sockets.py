"""The messages of `WS /ws` for one upload, as plain values: what is sent, and what came. No I/O."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from websockets.exceptions import ConnectionClosed, InvalidHandshake

__all__ = [
    "CLOSE_S",
    "RENEW_BEFORE_S",
    "FollowBy",
    "Renewal",
    "SocketClosed",
    "SocketRefused",
    "auth",
    "not_upgraded",
    "over",
    "socket_url",
    "subscribe",
]

FollowBy: TypeAlias = Literal["auto", "sse", "ws"]
"""By what events come: `sse`, the stream, else requests for the state; `ws`, a WebSocket, else
requests; `auto`, the stream, where that is held back a WebSocket, else requests."""

RENEW_BEFORE_S = 30.0
"""How long before a token runs out the next one is asked for; it was made for longer than that."""

CLOSE_S = 1.0
"""How long leaving waits for the service's goodbye."""

_ASK_AGAIN_S = 5.0


class SocketRefused(Exception):
    """The service, or something in between, answered a WebSocket's handshake in another way."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body
        super().__init__(f"a WebSocket was answered {status}")


class SocketClosed(Exception):
    """A WebSocket is over; `code` 1006: without a word."""

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason or f"the WebSocket was closed ({code})")


def not_upgraded(error: InvalidHandshake) -> SocketRefused:
    """Of the library's error; status 0 where it was no answer of HTTP."""
    response = getattr(error, "response", None)
    if response is None:
        return SocketRefused(0, {}, b"")
    headers = {name.lower(): value for name, value in response.headers.raw_items()}
    return SocketRefused(response.status_code, headers, bytes(response.body or b""))


def over(error: ConnectionClosed) -> SocketClosed:
    """Of the library's error."""
    if error.rcvd is None:
        return SocketClosed(1006, "the connection was lost")
    return SocketClosed(error.rcvd.code, error.rcvd.reason)


def socket_url(url: str) -> str:
    """Where the WebSocket is of the service at `url`."""
    return url.replace("http", "ws", 1) + "/ws"


def subscribe(upload_id: str, last_event_id: str) -> str:
    asked = {"type": "subscribe", "uploadId": upload_id}
    if last_event_id:
        asked["lastEventId"] = last_event_id
    return msgspec.json.encode(asked).decode()


def auth(token: str) -> str:
    return msgspec.json.encode({"type": "auth", "token": token}).decode()


class Renewal:
    """When to send a newer token on a connection that was opened with one.

    `token` gives tokens, else there is nothing to renew; `now` counts seconds since 1970.
    """

    def __init__(self, token: object, sent: str, *, now: Callable[[], float]) -> None:
        self._give: Callable[[], str] | None = token if callable(token) else None
        self._sent, self._now = sent, now
        self._due_at = self._due_after(sent)

    def in_s(self) -> float | None:
        """Seconds until it is due; None: never."""
        return None if self._due_at is None else max(self._due_at - self._now(), 0.0)

    def message(self) -> str | None:
        """What to send now; None: not due, or there is no newer token yet."""
        if self._give is None or self._due_at is None or self._now() < self._due_at:
            return None
        token = self._give()
        if not token or token == self._sent:
            self._due_at = self._now() + _ASK_AGAIN_S
            return None
        self._sent = token
        self._due_at = self._due_after(token)
        return auth(token)

    def _due_after(self, token: str) -> float | None:
        ends_at = _expiry(token) if self._give is not None else None
        if ends_at is None:
            return None
        left_s = ends_at - self._now()
        return self._now() + max(left_s - min(RENEW_BEFORE_S, left_s / 2), _ASK_AGAIN_S / 10)


def _expiry(token: str) -> float | None:
    """A JWT's `exp`; None where it says none. It is the service that checks it."""
    payload = token.split(".")[1:2]
    if not payload:
        return None
    try:
        padded = payload[0] + "=" * (-len(payload[0]) % 4)
        claims = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=dict[str, object])
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return None
    ends_at = claims.get("exp")
    return float(ends_at) if isinstance(ends_at, int | float) else None
