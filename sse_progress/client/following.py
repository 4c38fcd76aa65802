"""Following a progress stream to its end, over drops, refusals and blocked streams. No I/O.

The machine says what to ask and how long to wait; a driver (async or not) does it and tells the
machine what came. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, Literal, TypeAlias

import msgspec

from sse_progress.client.answers import refusal, retry_after_s
from sse_progress.client.failures import BadAnswer, ClientError, Unreachable
from sse_progress.client.pace import Ask, Pace
from sse_progress.client.reading import E, Reader
from sse_progress.client.sockets import FollowBy, subscribe
from sse_progress.model.sse import Decoder

__all__ = ["Following", "Phase"]

Phase: TypeAlias = Literal["connecting", "live", "reconnecting", "polling"]
Expected: TypeAlias = Literal["stream", "state", "refusal", "nothing"]

_NOT_NOW = frozenset((408, 425, 429))
_POLICY = 1008


class Following(Generic[E]):
    """One stream, from the first request to its end.

    Its events are of the type `kind`. `subject` is the member that names what is followed, such as
    `{"uploadId": …}`; without it (the stream of all uploads) nothing is polled, and no event ends
    it. `now` is a monotonic clock, `chance` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        url: str,
        path: str,
        *,
        kind: type[E],
        now: Callable[[], float],
        chance: Callable[[], float],
        subject: Mapping[str, str] | None = None,
        params: Iterable[tuple[str, str]] = (),
        last_event_id: str | None = None,
        pace: Pace | None = None,
        on_phase: Callable[[Phase], None] | None = None,
        follow_by: FollowBy = "sse",
    ) -> None:
        self._reader = Reader(kind, subject, last_event_id or "")
        self.phase: Phase = "connecting"
        self._url, self._path = url, path
        self._subject = subject
        self._params = (*params, ("heartbeat", "event"))
        self._now, self._chance, self._pace = now, chance, pace or Pace()
        self._on_phase = on_phase
        self._decoder = Decoder()
        self._polling = False
        upload_id = (subject or {}).get("uploadId", "")
        self._sockets = upload_id if follow_by != "sse" else ""
        self._by_socket = bool(self._sockets) and follow_by == "ws"
        self._hold = True
        self._etag: str | None = None
        self._proven = False
        self._opened = self._spoke = False
        self._mute = self._failures = 0
        self._pause_s = 0.0
        self._retry_s: float | None = None
        self._asked_at = self._heard_at = now()

    @property
    def done(self) -> bool:
        """Nothing more will come."""
        return self._reader.done

    @property
    def last_event_id(self) -> str:
        """The position after the latest event."""
        return self._reader.position

    # ---- what to do next

    def pause_s(self) -> float:
        """How long to wait before the next request."""
        return self._pause_s

    def ask(self) -> Ask:
        """The next request, which starts a new attempt."""
        self._decoder = Decoder()
        self._opened = self._spoke = False
        self._asked_at = self._now()
        headers: dict[str, str] = {"Cache-Control": "no-cache"}
        if self._polling:
            headers["Accept"] = "application/json"
            opening_s = self._pace.opening_s
            if self._etag is not None:
                headers["If-None-Match"] = self._etag
                if self._hold:
                    headers["Prefer"] = f"wait={self._pace.poll_wait_s}"
                    opening_s += self._pace.poll_wait_s
            return Ask(self._path, (), headers, opening_s, opening_s)
        if self._by_socket:
            opening_s = self._pace.opening_s
            message = subscribe(self._sockets, self.last_event_id)
            return Ask("/ws", (), {}, opening_s, self._pace.silence_s, message)
        headers["Accept"] = "text/event-stream"
        headers["Accept-Encoding"] = "identity"
        if self.last_event_id:
            headers["Last-Event-ID"] = self.last_event_id
        opening_s, silence_s = self._pace.opening_s, self._pace.silence_s
        if not self._proven:
            silence_s = min(opening_s + self._pace.heartbeat_s, silence_s)
        return Ask(self._path, self._params, headers, opening_s, silence_s)

    @property
    def silence_s(self) -> float:
        """The longest wait for the next byte as things are now."""
        return self._pace.silence_s if self._spoke else self._pace.opening_s

    # ---- what came

    def answered(self, status: int, headers: Mapping[str, str]) -> Expected:
        """What the body is to be read as. Raises BadAnswer for what this service never sends."""
        if status >= 400:
            return "refusal"
        self._heard_at = self._now()
        if status == 204:
            self._reader.done = True
            return "nothing"
        if status == 304 and self._polling:
            self._polled(changed=False)
            return "nothing"
        if status != 200:
            where = headers.get("location")
            raise BadAnswer(self._url, status, f"moved to {where}" if where else "not expected")
        self._opened = True
        if self._polling:
            return "state"
        if headers.get("content-type", "").partition(";")[0].strip() != "text/event-stream":
            self._blocked(f"{headers.get('content-type') or 'no type'}, not an event stream")
            return "nothing"
        return "stream"

    def feed(self, chunk: bytes) -> Iterator[E]:
        """Bytes of a stream. Raises BadAnswer for what is not an event of this service."""
        if not chunk:
            return
        self._heard_at = self._now()
        if not self._spoke:
            self._spoke = self._proven = True
            self._mute = self._failures = 0
            self._phase("live")
        try:
            for frame in self._decoder.feed(chunk):
                event = None
                if frame.event == "message":
                    event = self._reader.event(frame.data, frame.id)
                if event is not None:
                    yield event
                if self.done:
                    return
        except ValueError as error:
            raise BadAnswer(self._url, 200, f"not an event of this service ({error})") from error
        if self._decoder.retry_ms is not None:
            self._retry_s = min(self._decoder.retry_ms / 1000, self._pace.retry_limit_s)

    def state(self, body: bytes, headers: Mapping[str, str]) -> Iterator[E]:
        """A polled state. Raises BadAnswer for what is not a state."""
        self._polled(changed=True)
        self._etag = headers.get("etag")
        try:
            fields = msgspec.json.decode(body, type=dict[str, Any])
            if "status" not in fields:
                raise ValueError("no status")
            position = (self._etag or "").removeprefix("W/").strip('"')
            event = self._reader.state(fields, position)
        except ValueError as error:
            raise BadAnswer(self._url, 200, f"not a state of this service ({error})") from error
        if event is not None:
            yield event

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Iterator[E]:
        """An answer of 400 or more. Raises it if trying again cannot help."""
        error = refusal(status, headers, body)
        if status == 404 and self._polling and error.code == "unknown_upload":
            self._heard_at = self._now()
            if self.last_event_id:
                yield self._reader.forgotten()
            self._polled(changed=False)
            return
        if status < 500 and status not in _NOT_NOW:
            raise error
        self._again(error, at_least_s=retry_after_s(headers))

    def ended(self) -> None:
        """The stream ended in good order, as streams do before their upload does."""
        self._lost("the stream ended at once", blocked=False)

    def lost(self, reason: str, *, silent: bool = False) -> None:
        """The connection failed, or (`silent`) nothing came for too long. Raises to give up."""
        self._lost(reason, blocked=silent)

    # ---- by WebSocket

    @property
    def socket_wait_s(self) -> float | None:
        """The longest wait for a message; None: its pings tell that it lives."""
        return None if self._spoke else self._pace.opening_s

    def connected(self) -> None:
        """The WebSocket is open."""
        self._opened, self._heard_at = True, self._now()

    def message(self, text: str | bytes) -> Iterator[E]:
        """What came on the WebSocket. Raises BadAnswer for what is no message of this service."""
        self._heard_at = self._now()
        try:
            said = msgspec.json.decode(text, type=dict[str, Any])
            match said.get("type"):
                case "connected" | "subscribed":
                    self._spoke = self._proven = True
                    self._mute = self._failures = 0
                    self._phase("live")
                case "progress" | "reset":
                    event = self._reader.event(text, str(said.get("id", "")))
                    if event is not None:
                        yield event
                case "unsubscribed" if said.get("reason") == "forbidden":
                    raise refusal(403, {}, b"")
                case "error":
                    raise ValueError(f"{said.get('code')}: {said.get('detail')}")
        except ValueError as error:
            raise BadAnswer(self._url, 200, f"not an event of this service ({error})") from error

    def closed(self, code: int, reason: str) -> None:
        """The WebSocket is over. Raises NotAllowed where coming back cannot help."""
        if code == _POLICY and not self._spoke:
            problem = {"code": "unauthenticated", "detail": reason}
            kind = {"content-type": "application/problem+json"}
            raise refusal(401, kind, msgspec.json.encode(problem))
        self._lost(reason or f"the WebSocket was closed ({code})", blocked=False)

    def not_upgraded(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """The handshake got another answer. Raises it if it is the service's refusal."""
        if status in (401, 403):
            raise refusal(status, headers, body)
        if status in (429, 503):
            self._again(refusal(status, headers, body), at_least_s=retry_after_s(headers))
            return
        self._poll()
        self._again(Unreachable(self._url, f"a WebSocket was answered {status}"))
        self._pause_s = 0.0

    # ---- inside

    def _lost(self, reason: str, *, blocked: bool) -> None:
        was_polling, was_socket = self._polling, self._by_socket
        if was_polling:
            # What breaks long requests may still let short ones pass.
            self._polling, self._hold = self._hold and self._etag is not None, False
        elif not self._spoke and (self._opened or blocked):
            # An open stream showed nothing: something in between collects it, or cuts it. Where
            # streams have passed before, it may as well be a service that is starting again.
            self._mute += 1
            if (blocked and not self._proven) or self._mute > 1:
                self._next_way()
        self._again(Unreachable(self._url, reason))
        if (self._polling, self._by_socket) != (was_polling, was_socket):
            self._pause_s = 0.0

    def _blocked(self, what: str) -> None:
        if self._subject is None:
            raise BadAnswer(self._url, 200, what)
        self._next_way()
        self._pause_s = 0.0

    def _next_way(self) -> None:
        """Nothing comes this way: a WebSocket, if that was not it, else requests."""
        if self._sockets and not self._by_socket:
            self._by_socket, self._mute = True, 0
        else:
            self._poll()

    def _poll(self) -> None:
        if self._subject is not None:
            self._polling = self._hold = True
            self._by_socket = False
            self._mute = 0

    def _polled(self, *, changed: bool) -> None:
        self._heard_at = self._now()
        self._failures = 0
        self._phase("polling")
        held = self._heard_at - self._asked_at >= self._pace.poll_s
        quick = changed or held
        self._pause_s = self._pace.poll_s / 8 if quick else self._pace.poll_s

    def _again(self, error: ClientError, *, at_least_s: float | None = None) -> None:
        if self._now() - self._heard_at > self._pace.give_up_s:
            raise error
        self._phase("connecting" if self.phase == "connecting" else "reconnecting")
        if self._spoke and self._retry_s is not None:
            self._pause_s = self._retry_s
        else:
            doubled = self._pace.retry_first_s * 2.0 ** min(self._failures, 20)
            self._failures += 1
            self._pause_s = min(doubled, self._pace.retry_limit_s) * (0.5 + self._chance() / 2)
        if at_least_s is not None:
            self._pause_s = max(self._pause_s, at_least_s * (1 + self._chance() / 10))

    def _phase(self, phase: Phase) -> None:
        if phase != self.phase:
            self.phase = phase
            if self._on_phase is not None:
                self._on_phase(phase)
