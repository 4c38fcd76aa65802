"""Following a progress stream to its end, over drops, refusals and blocked streams. No I/O.

The machine says what to ask and how long to wait; a driver (async or not) does it and tells the
machine what came. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import msgspec

from sse_progress.client.answers import refusal, retry_after_s
from sse_progress.client.failures import BadAnswer, ClientError, Unreachable
from sse_progress.client.pace import Ask, Pace
from sse_progress.client.shapes import QueuePlace, places_of
from sse_progress.model.events import Error, Event
from sse_progress.model.sse import Decoder, ServerSentEvent

__all__ = ["Following", "Phase"]

Phase: TypeAlias = Literal["connecting", "live", "reconnecting", "polling"]
Expected: TypeAlias = Literal["stream", "state", "refusal", "nothing"]

E = TypeVar("E", bound=Event)

_SEEN_LIMIT = 65_536
_NOT_NOW = frozenset((408, 425, 429))


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
    ) -> None:
        if last_event_id and not _is_position(last_event_id):
            raise ValueError(f"{last_event_id!r} is not an event id")
        self.done = False
        self.last_event_id = last_event_id or ""
        self.phase: Phase = "connecting"
        self._url, self._path = url, path
        self._kind, self._subject = kind, subject
        self._params = (*params, ("heartbeat", "event"))
        self._now, self._chance, self._pace = now, chance, pace or Pace()
        self._on_phase, self._on_place = on_phase, on_place
        self._seen: dict[str, None] = {}
        self._decoder = Decoder()
        self._polling = False
        self._hold = True
        self._etag: str | None = None
        self._proven = False
        self._opened = self._spoke = False
        self._mute = self._failures = 0
        self._pause_s = 0.0
        self._retry_s: float | None = None
        self._asked_at = self._heard_at = now()

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
            self.done = True
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
                event = self._event(frame)
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
            event = msgspec.convert({**fields, "type": "progress"}, self._kind)
        except ValueError as error:
            raise BadAnswer(self._url, 200, f"not a state of this service ({error})") from error
        if event.stage is None:
            return
        position = (self._etag or "").removeprefix("W/").strip('"')
        if position in self._seen:
            return
        self._moved(position)
        self.done = event.terminal
        yield event

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Iterator[E]:
        """An answer of 400 or more. Raises it if trying again cannot help."""
        error = refusal(status, headers, body)
        if status == 404 and self._polling and error.code == "unknown_upload":
            self._heard_at = self._now()
            if self.last_event_id:
                self.done = True
                yield self._forgotten()
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

    # ---- inside

    def _event(self, frame: ServerSentEvent) -> E | None:
        if frame.event == "heartbeat" and self._on_place is not None:
            for place in places_of(frame.data):
                self._on_place(place)
        if frame.event != "message":
            return None
        event = _read(frame.data, self._kind)
        if event is None:
            return None
        if event.type == "reset":
            self._seen.clear()
        if frame.id:
            if frame.id in self._seen:
                return None
            self._moved(frame.id)
        if self._subject is not None:
            gone = event.error is not None and event.error.code == "unknown_upload"
            self.done = event.terminal or gone
        return event

    def _moved(self, position: str) -> None:
        if not _is_position(position):
            return
        self.last_event_id = position
        self._seen[position] = None
        if len(self._seen) > _SEEN_LIMIT:
            del self._seen[next(iter(self._seen))]

    def _lost(self, reason: str, *, blocked: bool) -> None:
        was_polling = self._polling
        if was_polling:
            # What breaks long requests may still let short ones pass.
            self._polling, self._hold = self._hold and self._etag is not None, False
        elif not self._spoke and (self._opened or blocked):
            # An open stream showed nothing: something in between collects it, or cuts it. Where
            # streams have passed before, it may as well be a service that is starting again.
            self._mute += 1
            if (blocked and not self._proven) or self._mute > 1:
                self._poll()
        self._again(Unreachable(self._url, reason))
        if self._polling and not was_polling:
            self._pause_s = 0.0

    def _blocked(self, what: str) -> None:
        if self._subject is None:
            raise BadAnswer(self._url, 200, what)
        self._poll()
        self._pause_s = 0.0

    def _poll(self) -> None:
        if self._subject is not None:
            self._polling = self._hold = True
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

    def _forgotten(self) -> E:
        text = "Upload not found or expired."
        fields = {
            **(self._subject or {}),
            "type": "reset",
            "progress": 0,
            "stage": "error",
            "message": text,
            "error": Error("unknown_upload", text, "error"),
        }
        return msgspec.convert(fields, self._kind)


def _is_position(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()


def _read(data: str, kind: type[E]) -> E | None:
    """A journal's event; None for other types, known or not. Raises ValueError for the rest."""
    fields = msgspec.json.decode(data, type=dict[str, Any])
    if not isinstance(fields.get("type"), str):
        raise ValueError("no type")  # noqa: TRY004  # what came is wrong, not what was called
    return msgspec.convert(fields, kind) if fields["type"] in ("progress", "reset") else None
