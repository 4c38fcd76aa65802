"""The client for asyncio."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Self, TypeAlias, TypeVar

import httpx

from sse_progress.client.answers import (
    BODY_LIMIT_BYTES,
    check,
    file_path,
    read_shape,
    upload_path,
)
from sse_progress.client.body import Body, Fields, Source
from sse_progress.client.core import LIMITS, Core, Token, in_use, in_words
from sse_progress.client.failures import BadAnswer, ClientError, NotFound, Unreachable
from sse_progress.client.following import Ask, Following, Pace, Phase
from sse_progress.client.sending import Followed, News
from sse_progress.client.shapes import Media, Page, State
from sse_progress.model.events import Event
from sse_progress.model.ids import new_upload_id

__all__ = ["AsyncClient", "AsyncDownload", "AsyncFollow"]

T = TypeVar("T")
OnEvent: TypeAlias = Callable[[Event], Awaitable[None] | None]

_NEWS_LIMIT = 256


class AsyncFollow:
    """Events as they come: `async for event in follow`; `aclose()` leaves early.

    `last_event_id` is the position after the latest event, to go on from in another process;
    `phase` is `connecting`, `live`, `reconnecting` or `polling`.
    """

    def __init__(self, client: AsyncClient, following: Following) -> None:
        self._client, self._following = client, following
        self._events = self._run()

    @property
    def last_event_id(self) -> str:
        return self._following.last_event_id

    @property
    def phase(self) -> Phase:
        return self._following.phase

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        return await anext(self._events)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._events.aclose()

    async def _run(self) -> AsyncGenerator[Event, None]:
        following = self._following
        while not following.done:
            await asyncio.sleep(following.pause_s())
            try:
                async with aclosing(self._attempt(following.ask())) as events:
                    async for event in events:
                        yield event
            except TimeoutError:
                following.lost("nothing came for too long", silent=True)
            except httpx.RequestError as error:
                following.lost(in_words(error))

    async def _attempt(self, ask: Ask) -> AsyncGenerator[Event, None]:
        following, client = self._following, self._client
        async with asyncio.timeout(ask.opening_s):
            response = await client._open(
                "GET", ask.path, ask.params, ask.headers, client._stream_timeout()
            )
        async with aclosing(response):
            status, headers = response.status_code, response.headers
            match following.answered(status, headers):
                case "stream":
                    chunks = response.aiter_bytes()
                    while not following.done:
                        async with asyncio.timeout(following.silence_s):
                            chunk = await anext(chunks, None)
                        if chunk is None:
                            following.ended()
                            return
                        for event in following.feed(chunk):
                            yield event
                case "state":
                    async with asyncio.timeout(ask.opening_s):
                        body = await client._read(response)
                    for event in following.state(body, headers):
                        yield event
                case "refusal":
                    async with asyncio.timeout(ask.opening_s):
                        body = await client._read(response)
                    for event in following.refused(status, headers, body):
                        yield event


class AsyncDownload:
    """A file that is being downloaded: `async for chunk in download`; `size` bytes."""

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


class AsyncClient(Core):
    """One service, one caller.

    `url` is where the service is, with its prefix if it has one; `timeout` the seconds that a
    connection, or an answer that is no stream, may take; `transport` replaces httpx's own.
    Every failure is a ClientError. Use it with `async with`, or call `aclose()`.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        token: Token = None,
        timeout: float = 30.0,
        pace: Pace | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(url, token=token, timeout=timeout, pace=pace)
        self._http = httpx.AsyncClient(transport=transport, timeout=self._timeout, limits=LIMITS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    # ---- one upload

    async def upload(
        self,
        file: Source,
        *,
        id: str | None = None,
        fields: Fields | None = None,
        filename: str | None = None,
        content_type: str | None = None,
        on_event: OnEvent | None = None,
        on_phase: Callable[[Phase], None] | None = None,
    ) -> Media:
        """Send a file (a path, or a binary file object) and follow its journal to the end.

        The body is read from disk while it is sent, and `on_event` sees every event of the
        journal meanwhile, from the first bytes that arrived to the last stage. Raises UploadFailed
        (UploadCancelled) with the code that ended it, Conflict if `id` names an upload already,
        NotAllowed, Busy, Unreachable, FileChanged, or OSError from reading the file. A retry takes
        a new id.
        """
        upload_id = new_upload_id() if id is None else id
        upload_path(upload_id)
        if id is not None:
            await self._check_free(id)
        body = Body(file, fields=fields, filename=filename, content_type=content_type)
        sending = self._sending(upload_id)
        news: asyncio.Queue[News] = asyncio.Queue(_NEWS_LIMIT)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._follow_into(news, upload_id, on_phase)),
                    group.create_task(self._post_into(news, upload_id, body)),
                ]
                try:
                    while not sending.over:
                        try:
                            async with asyncio.timeout(sending.wait_s()):
                                latest = await news.get()
                        except TimeoutError:
                            sending.expired()
                            continue
                        sending.take(latest)
                        if isinstance(latest, Event) and on_event is not None:
                            heard = on_event(latest)
                            if inspect.isawaitable(heard):
                                await heard
                finally:
                    for task in tasks:
                        task.cancel()
        except BaseExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        finally:
            body.close()
        return sending.media()

    def follow(
        self,
        id: str,
        *,
        last_event_id: str | None = None,
        on_phase: Callable[[Phase], None] | None = None,
    ) -> AsyncFollow:
        """Every event of an upload's journal, in order, once; ends after the terminal one.

        Begins at the beginning, or after `last_event_id`, and waits if the upload has not begun.
        Drops are resumed; where streams are blocked the state is polled (then events in between
        may be left out). A `reset` event carries the whole current state. Raises NotAllowed, and
        Unreachable after `pace.give_up_s` without any answer.
        """
        return AsyncFollow(self, self._following(id, last_event_id, on_phase))

    async def state(self, id: str) -> State:
        """How far an upload is. Raises NotFound."""
        return await self._get(State, upload_path(id))

    async def cancel(self, id: str) -> None:
        """End an upload, also one that has not begun. Raises NotFound, Conflict once it ended."""
        await self._call("DELETE", upload_path(id))

    @asynccontextmanager
    async def file(self, id: str, name: str) -> AsyncIterator[AsyncDownload]:
        """A stored or derived file of a complete upload, as it comes. Raises NotFound.

        `async with client.file(id, name) as download: async for chunk in download: …`
        """
        try:
            path = file_path(id, name)
            response = await self._open("GET", path, (), {"Accept": "*/*"})
        except httpx.RequestError as error:
            raise Unreachable(self.url, in_words(error)) from error
        async with aclosing(response):
            if response.status_code != 200:
                body = await self._read(response)
                check(self.url, response.status_code, response.headers, body)
            yield AsyncDownload(self.url, response)

    # ---- all of them

    async def uploads(
        self, *, status: str | None = None, limit: int | None = None, after: str | None = None
    ) -> Page:
        """The caller's uploads, newest first; `after` takes the `next` of the page before."""
        return await self._get(Page, "/uploads", self._page_params(status, limit, after))

    def follow_all(
        self, ids: Iterable[str] = (), *, on_phase: Callable[[Phase], None] | None = None
    ) -> AsyncFollow:
        """Events of all the caller's uploads (or of `ids`), for as long as it is iterated.

        First a `reset` with the state of each; after a reconnect these come again.
        """
        return AsyncFollow(self, self._following_all(ids, on_phase))

    # ---- inside

    async def _check_free(self, upload_id: str) -> None:
        try:
            state = await self.state(upload_id)
        except NotFound:
            return
        if state.status != "pending":
            raise in_use(state)

    async def _follow_into(
        self,
        news: asyncio.Queue[News],
        upload_id: str,
        on_phase: Callable[[Phase], None] | None,
    ) -> None:
        error: ClientError | None = None
        try:
            async with self.follow(upload_id, on_phase=on_phase) as events:
                async for event in events:
                    await news.put(event)
        except ClientError as caught:
            error = caught
        await news.put(Followed(error))

    async def _post_into(self, news: asyncio.Queue[News], upload_id: str, body: Body) -> None:
        request = self._http.build_request(
            "POST",
            f"{self.url}/upload",
            content=body.chunks(),
            headers=self._post_headers(upload_id, body.headers),
            timeout=self._post_timeout,
        )
        try:
            response = await self._http.send(request, stream=True)
            async with aclosing(response):
                text = await self._read(response)
            told = self._told(response.status_code, response.headers, text)
        except httpx.RequestError as error:
            told = self._broken(error)
        except BadAnswer as error:
            told = error
        await news.put(told)

    async def _get(self, kind: type[T], path: str, params: Iterable[tuple[str, str]] = ()) -> T:
        status, body = await self._call("GET", path, params)
        return read_shape(kind, self.url, status, body)

    async def _call(
        self, method: str, path: str, params: Iterable[tuple[str, str]] = ()
    ) -> tuple[int, bytes]:
        try:
            response = await self._open(method, path, params)
            async with aclosing(response):
                body = await self._read(response)
        except httpx.RequestError as error:
            raise Unreachable(self.url, in_words(error)) from error
        check(self.url, response.status_code, response.headers, body)
        return response.status_code, body

    async def _open(
        self,
        method: str,
        path: str,
        params: Iterable[tuple[str, str]],
        headers: Mapping[str, str] | None = None,
        timeout: httpx.Timeout | None = None,
    ) -> httpx.Response:
        request = self._http.build_request(
            method,
            self.url + path,
            params=list(params),
            headers=self._headers(headers),
            timeout=timeout or self._timeout,
        )
        return await self._http.send(request, stream=True)

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > BODY_LIMIT_BYTES:
                raise BadAnswer(self.url, response.status_code, f"over {BODY_LIMIT_BYTES} bytes")
        return bytes(body)
