"""The client for programs without an event loop: same methods, same answers."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Self, TypeVar

import httpx

from sse_progress.client.answers import (
    BODY_LIMIT_BYTES,
    check,
    file_path,
    read_shape,
    upload_path,
)
from sse_progress.client.body import Body, Fields, Source, Stopped
from sse_progress.client.core import LIMITS, Core, Token, in_use, in_words
from sse_progress.client.failures import BadAnswer, ClientError, NotFound, Unreachable
from sse_progress.client.following import Ask, Following, Pace, Phase
from sse_progress.client.sending import Followed, News
from sse_progress.client.shapes import Media, Page, State
from sse_progress.model.events import Event
from sse_progress.model.ids import new_upload_id

__all__ = ["Client", "Download", "Follow"]

T = TypeVar("T")


class Follow:
    """Events as they come: `for event in follow`; `close()` leaves early, from any thread.

    `last_event_id` is the position after the latest event, to go on from in another process;
    `phase` is `connecting`, `live`, `reconnecting` or `polling`.
    """

    def __init__(self, client: Client, following: Following) -> None:
        self._client, self._following = client, following
        self._closed = threading.Event()
        self._response: httpx.Response | None = None
        self._events = self._run()

    @property
    def last_event_id(self) -> str:
        return self._following.last_event_id

    @property
    def phase(self) -> Phase:
        return self._following.phase

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closed.set()
        response = self._response
        if response is not None and (stream := response.extensions.get("network_stream")):
            # Only this wakes a thread that waits for the next byte.
            with suppress(OSError):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        # A generator that runs in another thread cannot be closed from here; it ends by itself.
        with suppress(ValueError):
            self._events.close()

    def _run(self) -> Generator[Event, None, None]:
        following = self._following
        while not (following.done or self._closed.wait(following.pause_s())):
            try:
                yield from self._attempt(following.ask())
            except httpx.RequestError as error:
                if not self._closed.is_set():
                    following.lost(in_words(error), silent=isinstance(error, httpx.ReadTimeout))

    def _attempt(self, ask: Ask) -> Generator[Event, None, None]:
        following, client = self._following, self._client
        timeout = client._stream_timeout(ask.silence_s)
        with closing(client._open("GET", ask.path, ask.params, ask.headers, timeout)) as response:
            self._response = response
            status, headers = response.status_code, response.headers
            match following.answered(status, headers):
                case "stream":
                    for chunk in response.iter_bytes():
                        yield from following.feed(chunk)
                        if following.done or self._closed.is_set():
                            return
                    if not self._closed.is_set():
                        following.ended()
                case "state":
                    yield from following.state(client._read(response), headers)
                case "refusal":
                    yield from following.refused(status, headers, client._read(response))


@dataclass(frozen=True, slots=True)
class _Raised:
    """What one side of an upload cannot deal with: the caller's to see."""

    error: Exception


def _side(news: queue.SimpleQueue[News | _Raised], run: Callable[[], None]) -> None:
    """Run one side of an upload in a thread that does not keep the program alive."""

    def side() -> None:
        try:
            run()
        except Exception as error:  # whatever it is, the caller raises it
            news.put(_Raised(error))

    threading.Thread(target=side, daemon=True, name="sse-progress upload").start()


class Download:
    """A file that is being downloaded: `for chunk in download`; `size` bytes."""

    def __init__(self, url: str, response: httpx.Response) -> None:
        self._url, self._response = url, response
        length = response.headers.get("content-length", "")
        self.size = int(length) if length.isdigit() else None
        self.content_type: str = response.headers.get("content-type", "")
        self.etag: str | None = response.headers.get("etag")

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.iter_raw()
        except httpx.RequestError as error:
            raise Unreachable(self._url, in_words(error)) from error


class Client(Core):
    """One service, one caller; see AsyncClient, whose methods these are.

    Following happens in the calling thread. An upload has two sides at once, the body and its
    journal: two threads carry them, `on_event` is called in the calling one.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        token: Token = None,
        timeout: float = 30.0,
        pace: Pace | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(url, token=token, timeout=timeout, pace=pace)
        self._http = httpx.Client(transport=transport, timeout=self._timeout, limits=LIMITS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # ---- one upload

    def upload(
        self,
        file: Source,
        *,
        id: str | None = None,
        fields: Fields | None = None,
        filename: str | None = None,
        content_type: str | None = None,
        on_event: Callable[[Event], object] | None = None,
        on_phase: Callable[[Phase], None] | None = None,
    ) -> Media:
        """Send a file (a path, or a binary file object) and follow its journal to the end.

        As AsyncClient.upload; an exception in `on_event`, Ctrl-C among them, stops the body.
        """
        upload_id = new_upload_id() if id is None else id
        upload_path(upload_id)
        if id is not None:
            self._check_free(id)
        body = Body(file, fields=fields, filename=filename, content_type=content_type)
        sending = self._sending(upload_id)
        news: queue.SimpleQueue[News | _Raised] = queue.SimpleQueue()
        follow = self.follow(upload_id, on_phase=on_phase)
        _side(news, lambda: self._follow_into(news, follow))
        _side(news, lambda: self._post_into(news, upload_id, body))
        try:
            while not sending.over:
                try:
                    latest = news.get(timeout=sending.wait_s())
                except queue.Empty:
                    sending.expired()
                    continue
                if isinstance(latest, _Raised):
                    raise latest.error
                sending.take(latest)
                if isinstance(latest, Event) and on_event is not None:
                    on_event(latest)
        finally:
            body.stop()
            follow.close()
        return sending.media()

    def follow(
        self,
        id: str,
        *,
        last_event_id: str | None = None,
        on_phase: Callable[[Phase], None] | None = None,
    ) -> Follow:
        """Every event of an upload's journal; see AsyncClient.follow."""
        return Follow(self, self._following(id, last_event_id, on_phase))

    def state(self, id: str) -> State:
        """How far an upload is. Raises NotFound."""
        return self._get(State, upload_path(id))

    def cancel(self, id: str) -> None:
        """End an upload, also one that has not begun. Raises NotFound, Conflict once it ended."""
        self._call("DELETE", upload_path(id))

    @contextmanager
    def file(self, id: str, name: str) -> Iterator[Download]:
        """A stored or derived file of a complete upload, as it comes. Raises NotFound.

        `with client.file(id, name) as download: for chunk in download: …`
        """
        try:
            response = self._open("GET", file_path(id, name), (), {"Accept": "*/*"})
        except httpx.RequestError as error:
            raise Unreachable(self.url, in_words(error)) from error
        with closing(response):
            if response.status_code != 200:
                check(self.url, response.status_code, response.headers, self._read(response))
            yield Download(self.url, response)

    # ---- all of them

    def uploads(
        self, *, status: str | None = None, limit: int | None = None, after: str | None = None
    ) -> Page:
        """The caller's uploads, newest first; `after` takes the `next` of the page before."""
        return self._get(Page, "/uploads", self._page_params(status, limit, after))

    def follow_all(
        self, ids: Iterable[str] = (), *, on_phase: Callable[[Phase], None] | None = None
    ) -> Follow:
        """Events of all the caller's uploads (or of `ids`); see AsyncClient.follow_all."""
        return Follow(self, self._following_all(ids, on_phase))

    # ---- inside

    def _check_free(self, upload_id: str) -> None:
        try:
            state = self.state(upload_id)
        except NotFound:
            return
        if state.status != "pending":
            raise in_use(state)

    def _follow_into(self, news: queue.SimpleQueue[News | _Raised], follow: Follow) -> None:
        error: ClientError | None = None
        try:
            for event in follow:
                news.put(event)
        except ClientError as caught:
            error = caught
        news.put(Followed(error))

    def _post_into(
        self, news: queue.SimpleQueue[News | _Raised], upload_id: str, body: Body
    ) -> None:
        request = self._http.build_request(
            "POST",
            f"{self.url}/upload",
            content=iter(body),
            headers=self._post_headers(upload_id, body.headers),
            timeout=self._post_timeout,
        )
        try:
            with closing(self._http.send(request, stream=True)) as response:
                text = self._read(response)
            told = self._told(response.status_code, response.headers, text)
        except httpx.RequestError as error:
            told = self._broken(error)
        except BadAnswer as error:
            told = error
        except Stopped:
            return
        finally:
            body.close()
        news.put(told)

    def _get(self, kind: type[T], path: str, params: Iterable[tuple[str, str]] = ()) -> T:
        status, body = self._call("GET", path, params)
        return read_shape(kind, self.url, status, body)

    def _call(
        self, method: str, path: str, params: Iterable[tuple[str, str]] = ()
    ) -> tuple[int, bytes]:
        try:
            with closing(self._open(method, path, params)) as response:
                body = self._read(response)
        except httpx.RequestError as error:
            raise Unreachable(self.url, in_words(error)) from error
        check(self.url, response.status_code, response.headers, body)
        return response.status_code, body

    def _open(
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
        return self._http.send(request, stream=True)

    def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > BODY_LIMIT_BYTES:
                raise BadAnswer(self.url, response.status_code, f"over {BODY_LIMIT_BYTES} bytes")
        return bytes(body)
