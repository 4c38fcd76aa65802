# Made from sse_progress/client/_async/streams.py by scripts/generate: change that.
"""What a client gives out piece by piece: events that are followed, a file that is downloaded."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Generic, Self

import httpx
from httpcore import NetworkStream

from sse_progress.client._sync.backend import Stop, closing_anyway, read_limit_s, within
from sse_progress.client.base import in_words
from sse_progress.client.failures import Unreachable
from sse_progress.client.following import Following, Phase
from sse_progress.client.pace import Ask
from sse_progress.client.reading import E
from sse_progress.client.sockets import SocketClosed, network_errors
from sse_progress.client.talking import Talk

if TYPE_CHECKING:
    from sse_progress.client._sync.requests import Requests

__all__ = ["Download", "Follow"]

_READ_BYTES = 65_536
_GOODBYE_S = 1.0


class Follow(Generic[E]):
    """Events as they come: `for event in follow`; `follow.close()` leaves early."""

    def __init__(self, client: Requests, following: Following[E]) -> None:
        self._client, self._following = client, following
        self._stop = Stop()
        self._events = self._run()

    @property
    def last_event_id(self) -> str:
        """The position after the latest event, to go on from in another process."""
        return self._following.last_event_id

    @property
    def phase(self) -> Phase:
        """`connecting`, `live`, `reconnecting` or `polling`."""
        return self._following.phase

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> E:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave early, also in the middle of a wait."""
        self._stop.close(self._events)

    def _run(self) -> Generator[E]:
        following, stop = self._following, self._stop
        while not (following.done or stop.wait(following.pause_s())):
            try:
                with closing(self._attempt(following.ask())) as events:
                    for event in events:
                        yield event
            except SocketClosed as closed:
                if not stop.is_set():
                    following.closed(closed.code, closed.reason)
            except (TimeoutError, httpx.RequestError) as error:
                if not stop.is_set():
                    silent = isinstance(error, TimeoutError | httpx.ReadTimeout)
                    following.lost(in_words(error), silent=silent)

    def _attempt(self, ask: Ask) -> Generator[E]:
        following, client, stop = self._following, self._client, self._stop
        timeout = client._stream_timeout(read_limit_s(ask))
        with within(ask.opening_s):
            response = client._open("GET", ask.path, ask.params, ask.headers, timeout=timeout)
        with closing_anyway(response):
            stop.watch(response)
            status, headers = response.status_code, response.headers
            match following.answered(status, headers):
                case "stream":
                    chunks = response.iter_bytes()
                    while not (following.done or stop.is_set()):
                        with within(following.silence_s):
                            chunk = next(chunks, None)
                        if chunk is not None:
                            for event in following.feed(chunk):
                                yield event
                        elif not stop.is_set():
                            following.ended()
                            return
                case "messages":
                    talk = following.talk(client._renewal(response.request))
                    stream = response.extensions["network_stream"]
                    with closing(self._listen(talk, stream, ask.opening_s)) as messages:
                        for message in messages:
                            for event in following.message(message):
                                yield event
                case "state":
                    with within(ask.opening_s):
                        body = client._read(response)
                    for event in following.state(body, headers):
                        yield event
                case "refusal":
                    with within(ask.opening_s):
                        body = client._read(response)
                    for event in following.refused(status, headers, body):
                        yield event

    def _listen(self, talk: Talk, stream: NetworkStream, write_s: float) -> Generator[bytes]:
        following, stop = self._following, self._stop
        while not (following.done or stop.is_set()):
            with network_errors():
                stream.write(talk.due(following.silence_s), write_s)
            try:
                with network_errors():
                    data = stream.read(_READ_BYTES, talk.wait_s(following.silence_s))
            except TimeoutError:
                continue
            for message in talk.heard(data):
                yield message
        if not stop.is_set():
            with suppress(TimeoutError, httpx.NetworkError), network_errors():
                stream.write(talk.goodbye(), _GOODBYE_S)


class Download:
    """A file that is being downloaded: `for chunk in download`.

    `size` in bytes, None if the answer does not say; `content_type`; `etag`.
    """

    def __init__(self, url: str, response: httpx.Response) -> None:
        self._url, self._response = url, response
        length = response.headers.get("content-length", "")
        self.size = int(length) if length.isdigit() else None
        self.content_type: str = response.headers.get("content-type", "")
        self.etag: str | None = response.headers.get("etag")

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._response.iter_raw():
                yield chunk
        except httpx.RequestError as error:
            raise Unreachable(self._url, in_words(error)) from error
