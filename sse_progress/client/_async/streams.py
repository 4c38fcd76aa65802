"""What a client gives out piece by piece: events that are followed, a file that is downloaded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Generic, Self

import httpx
from httpcore import AsyncNetworkStream

from sse_progress.client._async.backend import AsyncStop, closing_anyway, read_limit_s, within
from sse_progress.client.base import in_words
from sse_progress.client.failures import Unreachable
from sse_progress.client.following import Following, Phase
from sse_progress.client.pace import Ask
from sse_progress.client.reading import E
from sse_progress.client.sockets import SocketClosed, network_errors
from sse_progress.client.talking import Talk

if TYPE_CHECKING:
    from sse_progress.client._async.requests import AsyncRequests

__all__ = ["AsyncDownload", "AsyncFollow"]

_READ_BYTES = 65_536
_GOODBYE_S = 1.0


class AsyncFollow(Generic[E]):
    """Events as they come: `async for event in follow`; `await follow.aclose()` leaves early."""

    def __init__(self, client: AsyncRequests, following: Following[E]) -> None:
        self._client, self._following = client, following
        self._stop = AsyncStop()
        self._events = self._run()

    @property
    def last_event_id(self) -> str:
        """The position after the latest event, to go on from in another process."""
        return self._following.last_event_id

    @property
    def phase(self) -> Phase:
        """`connecting`, `live`, `reconnecting` or `polling`."""
        return self._following.phase

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        return await anext(self._events)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave early, also in the middle of a wait."""
        await self._stop.close(self._events)

    async def _run(self) -> AsyncGenerator[E]:
        following, stop = self._following, self._stop
        while not (following.done or await stop.wait(following.pause_s())):
            try:
                async with aclosing(self._attempt(following.ask())) as events:
                    async for event in events:
                        yield event
            except SocketClosed as closed:
                if not stop.is_set():
                    following.closed(closed.code, closed.reason)
            except (TimeoutError, httpx.RequestError) as error:
                if not stop.is_set():
                    silent = isinstance(error, TimeoutError | httpx.ReadTimeout)
                    following.lost(in_words(error), silent=silent)

    async def _attempt(self, ask: Ask) -> AsyncGenerator[E]:
        following, client, stop = self._following, self._client, self._stop
        timeout = client._stream_timeout(read_limit_s(ask))
        async with within(ask.opening_s):
            response = await client._open("GET", ask.path, ask.params, ask.headers, timeout=timeout)
        async with closing_anyway(response):
            stop.watch(response)
            status, headers = response.status_code, response.headers
            match following.answered(status, headers):
                case "stream":
                    chunks = response.aiter_bytes()
                    while not (following.done or stop.is_set()):
                        async with within(following.silence_s):
                            chunk = await anext(chunks, None)
                        if chunk is not None:
                            for event in following.feed(chunk):
                                yield event
                        elif not stop.is_set():
                            following.ended()
                            return
                case "messages":
                    talk = following.talk(client._renewal(response.request))
                    stream = response.extensions["network_stream"]
                    async with aclosing(self._listen(talk, stream, ask.opening_s)) as messages:
                        async for message in messages:
                            for event in following.message(message):
                                yield event
                case "state":
                    async with within(ask.opening_s):
                        body = await client._read(response)
                    for event in following.state(body, headers):
                        yield event
                case "refusal":
                    async with within(ask.opening_s):
                        body = await client._read(response)
                    for event in following.refused(status, headers, body):
                        yield event

    async def _listen(
        self, talk: Talk, stream: AsyncNetworkStream, write_s: float
    ) -> AsyncGenerator[bytes]:
        following, stop = self._following, self._stop
        while not (following.done or stop.is_set()):
            with network_errors():
                await stream.write(talk.due(following.silence_s), write_s)
            try:
                with network_errors():
                    data = await stream.read(_READ_BYTES, talk.wait_s(following.silence_s))
            except TimeoutError:
                continue
            for message in talk.heard(data):
                yield message
        if not stop.is_set():
            with suppress(TimeoutError, httpx.NetworkError), network_errors():
                await stream.write(talk.goodbye(), _GOODBYE_S)


class AsyncDownload:
    """A file that is being downloaded: `async for chunk in download`.

    `size` in bytes, None if the answer does not say; `content_type`; `etag`.
    """

    def __init__(self, url: str, response: httpx.Response) -> None:
        self._url, self._response = url, response
        length = response.headers.get("content-length", "")
        self.size = int(length) if length.isdigit() else None
        self.content_type: str = response.headers.get("content-type", "")
        self.etag: str | None = response.headers.get("etag")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.aiter_raw():
                yield chunk
        except httpx.RequestError as error:
            raise Unreachable(self._url, in_words(error)) from error
