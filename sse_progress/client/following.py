"""Following a progress stream to its end, over drops, refusals and blocked streams. No I/O.

The machine says what to ask and how long to wait; a driver (async or not) does it and tells the
machine what came. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, Literal, TypeAlias

import msgspec

from sse_progress.client.answers import refusal, retry_after_s
from sse_progress.client.failures import BadAnswer, Busy, ClientError, NotAllowed, Unreachable
from sse_progress.client.pace import Ask, Pace, Patience
from sse_progress.client.reading import E, Reader, members
from sse_progress.client.shapes import QueuePlace, places_of
from sse_progress.client.sockets import LOST, WebSocket
from sse_progress.client.talking import Renewal, Talk
from sse_progress.client.ways import FollowBy, Ways
from sse_progress.model.sse import Decoder, ServerSentEvent

__all__ = ["Following", "Phase"]

Phase: TypeAlias = Literal["connecting", "live", "reconnecting", "polling"]
Expected: TypeAlias = Literal["stream", "messages", "state", "refusal", "nothing"]

_NOT_NOW = frozenset((408, 425, 429))
_POLICY, _LATER = 1008, 1013


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
        on_place: Callable[[QueuePlace], None] | None = None,
        follow_by: FollowBy = "sse",
    ) -> None:
        self._reader = Reader(kind, subject, last_event_id or "")
        self.phase: Phase = "connecting"
        self._url, self._path = url, path
        self._subject: Mapping[str, str] = subject or {}
        self._params = (*params, ("heartbeat", "event"))
        self._now, self._pace = now, pace or Pace()
        self._patience = Patience(self._pace, now=now, chance=chance)
        self._on_phase, self._on_place = on_phase, on_place
        self._decoder = Decoder()
        self._socket: WebSocket | None = None
        self._ways = Ways(follow_by, one=subject is not None, sockets="uploadId" in self._subject)
        self._hold = True
        self._etag: str | None = None
        self._opened = self._spoke = False
        self._retry_s: float | None = None
        self._asked_at = now()

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
        return self._patience.pause_s

    def ask(self) -> Ask:
        """The next request, which starts a new attempt."""
        self._decoder = Decoder()
        self._opened = self._spoke = False
        self._asked_at = self._now()
        headers: dict[str, str] = {"Cache-Control": "no-cache"}
        opening_s, silence_s = self._pace.opening_s, self._pace.silence_s
        if self._ways.current == "polling":
            headers["Accept"] = "application/json"
            if self._etag is not None:
                headers["If-None-Match"] = self._etag
                if self._hold:
                    headers["Prefer"] = f"wait={self._pace.poll_wait_s}"
                    opening_s += self._pace.poll_wait_s
            return Ask(self._path, (), headers, opening_s, opening_s)
        if self._ways.current == "socket":
            self._socket = WebSocket()
            return Ask("/ws", (), {**headers, **self._socket.headers}, opening_s, opening_s)
        headers["Accept"] = "text/event-stream"
        headers["Accept-Encoding"] = "identity"
        if self.last_event_id:
            headers["Last-Event-ID"] = self.last_event_id
        if not self._ways.proven:
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
        self._patience.heard()
        if status == 204:
            self._reader.done = True
            return "nothing"
        if status == 304 and self._ways.current == "polling":
            self._polled(changed=False)
            return "nothing"
        if self._ways.current == "socket" and status in (101, 200):
            return self._upgraded(status, headers)
        if status != 200:
            where = headers.get("location")
            raise BadAnswer(self._url, status, f"moved to {where}" if where else "not expected")
        self._opened = True
        if self._ways.current == "polling":
            return "state"
        what = headers.get("content-type") or "no type"
        streams = what.partition(";")[0].strip() == "text/event-stream"
        if not streams and not self._next_way():
            raise BadAnswer(self._url, 200, f"{what}, not an event stream")
        return "stream" if streams else "nothing"

    def feed(self, chunk: bytes) -> Iterator[E]:
        """Bytes of a stream. Raises BadAnswer for what is not an event of this service."""
        if not chunk:
            return
        self._patience.heard()
        self._live()
        try:
            for frame in self._decoder.feed(chunk):
                if (event := self._event(frame)) is not None:
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
        if status == 404 and self._ways.current == "polling" and error.code == "unknown_upload":
            self._patience.heard()
            if self.last_event_id:
                yield self._reader.forgotten()
            self._polled(changed=False)
            return
        if status < 500 and status not in _NOT_NOW:
            if self._ways.current == "socket":
                self._next_way()  # something in between may not know WebSockets; requests tell
                return
            raise error
        self._again(error, at_least_s=retry_after_s(headers))

    def ended(self) -> None:
        """The stream ended in good order, as streams do before their upload does."""
        self._lost("the stream ended at once", blocked=False)

    def lost(self, reason: str, *, silent: bool = False) -> None:
        """The connection failed, or (`silent`) nothing came for too long. Raises to give up."""
        self._lost(reason, blocked=silent)

    # ---- by WebSocket

    def talk(self, renewal: Renewal) -> Talk:
        """What is said on the WebSocket that is open now."""
        assert self._socket is not None
        return Talk(self._socket, renewal, heartbeat_s=self._pace.heartbeat_s, now=self._now)

    def message(self, text: bytes) -> Iterator[E]:
        """What the service said. Raises BadAnswer for what is no message of it, and NotAllowed."""
        self._patience.heard()
        try:
            said = members(text)
            match said["type"]:
                case "connected":
                    self._live()
                case "progress" | "reset":
                    event = self._reader.event(said, str(said.get("id", "")))
                    if event is not None:
                        yield event
                case "heartbeat":
                    self._tell_places(text)
                case "unsubscribed" if said.get("reason") == "forbidden":
                    raise NotAllowed(403, "forbidden", "You do not have access to this.")
                case "unsubscribed":
                    self._reader.done = True  # the position was that of the last event
                case "error":
                    raise ValueError(f"{said.get('code')}: {said.get('detail')}")
        except ValueError as error:
            raise BadAnswer(self._url, 101, f"not an event of this service ({error})") from error

    def closed(self, code: int, reason: str) -> None:
        """The WebSocket is over. Raises to give up."""
        reason = reason or f"the WebSocket was closed ({code})"
        if code == LOST:
            self._lost(reason, blocked=False)
        elif code == _POLICY and not self._spoke:
            self._next_way()  # an answer to a request tells more than a code
        elif code == _LATER:
            self._again(Busy(429, "too_many_streams", reason))
        else:
            self._again(Unreachable(self._url, reason))

    def _upgraded(self, status: int, headers: Mapping[str, str]) -> Expected:
        assert self._socket is not None
        try:
            if status != 101:
                raise ValueError("not upgraded")
            self._socket.opened(headers)
        except ValueError:
            self._next_way()
            return "nothing"
        self._opened = True
        asked = {"type": "subscribe", **self._subject}
        if self.last_event_id:
            asked["lastEventId"] = self.last_event_id
        self._socket.say(asked)
        return "messages"

    # ---- inside

    def _event(self, frame: ServerSentEvent) -> E | None:
        if frame.event == "heartbeat":
            self._tell_places(frame.data)
        if frame.event != "message":
            return None
        return self._reader.event(members(frame.data), frame.id)

    def _tell_places(self, heartbeat: str | bytes) -> None:
        if self._on_place is not None:
            for place in places_of(heartbeat):
                self._on_place(place)

    def _live(self) -> None:
        if not self._spoke:
            self._spoke = True
            self._ways.spoke()
            self._patience.well()
            self._phase("live")

    def _lost(self, reason: str, *, blocked: bool) -> None:
        moved = False
        if self._ways.current == "polling":
            # What breaks long requests may still let short ones pass.
            if not self._hold or self._etag is None:
                self._ways.again()
            self._hold = False
        elif not self._spoke and (self._opened or blocked):
            moved = self._ways.silent(blocked=blocked)
        self._again(Unreachable(self._url, reason))
        if moved:
            self._at_once()

    def _next_way(self) -> bool:
        """Nothing comes this way: at once the next one, if there is one."""
        moved = self._ways.next()
        if moved:
            self._at_once()
        return moved

    def _at_once(self) -> None:
        self._hold = True
        self._patience.pause_s = 0.0

    def _polled(self, *, changed: bool) -> None:
        self._patience.well()
        self._phase("polling")
        held = self._now() - self._asked_at >= self._pace.poll_s
        quick = changed or held
        self._patience.pause_s = self._pace.poll_s / 8 if quick else self._pace.poll_s

    def _again(self, error: ClientError, *, at_least_s: float | None = None) -> None:
        own_s = self._retry_s if self._spoke else None
        self._patience.failed(error, own_s=own_s, at_least_s=at_least_s)
        self._phase("connecting" if self.phase == "connecting" else "reconnecting")

    def _phase(self, phase: Phase) -> None:
        if phase != self.phase:
            self.phase = phase
            if self._on_phase is not None:
                self._on_phase(phase)
