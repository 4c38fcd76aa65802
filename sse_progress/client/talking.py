"""A WebSocket to the service while it is open: what is due on it, and when. No I/O.

Times are seconds.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Iterator

import msgspec

from sse_progress.client.sockets import WebSocket

__all__ = ["RENEW_BEFORE_S", "Renewal", "Talk"]

RENEW_BEFORE_S = 30.0
"""How long before a token runs out the next one is asked for; it was made for longer than that."""

_ASK_AGAIN_S = 5.0
_LEAST_WAIT_S = 0.01


class Renewal:
    """When to send a newer token on a connection that was opened with the one `sent`.

    `token` gives tokens, else there is nothing to renew; `now` counts seconds since 1970.
    """

    def __init__(self, token: object, sent: str, *, now: Callable[[], float]) -> None:
        self._give: Callable[[], str | None] | None = token if callable(token) else None
        self._sent, self._now = sent, now
        self._due_at = self._due_after(sent)

    def in_s(self) -> float:
        """Seconds until it is due; infinite: never."""
        return max(self._due_at - self._now(), 0.0)

    def token(self) -> str | None:
        """What to send now; None: not due, or there is no newer token yet."""
        if self._give is None or self._now() < self._due_at:
            return None
        token = self._give()
        if not token or token == self._sent:
            self._due_at = self._now() + _ASK_AGAIN_S
            return None
        self._sent = token
        self._due_at = self._due_after(token)
        return token

    def _due_after(self, token: str) -> float:
        ends_at = _expiry(token) if self._give is not None else None
        if ends_at is None:
            return math.inf
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


class Talk:
    """Pings after `heartbeat_s` of silence, renews tokens, and notices that nobody answers.

    `now` is a monotonic clock. The time that a message takes in the caller's hands is no silence.
    """

    def __init__(
        self, socket: WebSocket, renewal: Renewal, *, heartbeat_s: float, now: Callable[[], float]
    ) -> None:
        self._socket, self._renewal = socket, renewal
        self._heartbeat_s, self._now = heartbeat_s, now
        self._heard_at, self._pinged = now(), False

    def due(self, limit_s: float) -> bytes:
        """What to send now. Raises TimeoutError after a silence of `limit_s`."""
        silent_s = self._now() - self._heard_at
        if silent_s >= limit_s:
            raise TimeoutError
        if silent_s >= self._heartbeat_s and not self._pinged:
            self._pinged = True
            self._socket.ping()
        if (token := self._renewal.token()) is not None:
            self._socket.say({"type": "auth", "token": token})
        return self._socket.outgoing()

    def wait_s(self, limit_s: float) -> float:
        """How long to wait for bytes until something is due."""
        silence_s = limit_s if self._pinged else min(self._heartbeat_s, limit_s)
        until_s = self._heard_at + silence_s - self._now()
        return max(min(until_s, self._renewal.in_s()), _LEAST_WAIT_S)

    def heard(self, data: bytes) -> Iterator[bytes]:
        """The messages in these bytes. Raises SocketClosed after the last one."""
        self._pinged = False
        yield from self._socket.incoming(data)
        self._heard_at = self._now()

    def goodbye(self) -> bytes:
        self._socket.leave()
        return self._socket.outgoing()
