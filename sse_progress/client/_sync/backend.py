"""What differs between asyncio and threads, for threads. `_async/backend.py` is its counterpart."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx

from sse_progress.client.body import Body, SourceFile
from sse_progress.client.pace import Ask
from sse_progress.client.sending import News
from sse_progress.model.events import Event

if TYPE_CHECKING:
    from sse_progress.client._sync.streams import Follow

__all__ = [
    "OnEvent",
    "Sides",
    "Stop",
    "call",
    "closing_anyway",
    "pause",
    "read_limit_s",
    "sleep",
    "two_sides",
    "within",
]

OnEvent: TypeAlias = Callable[[Event], object]

_LINGER_S = 1.0
"""Longest wait for an upload's threads after its end."""


sleep = time.sleep
"""`sleep(seconds)`."""


def within(_seconds: float | None) -> AbstractContextManager[None]:
    """No limit here: httpx watches the time of each read."""
    return nullcontext()


def read_limit_s(ask: Ask) -> float | None:
    """The longest wait for a byte, for httpx to watch."""
    return ask.silence_s


closing_anyway = closing
"""Closes a response after the block."""


def call(on_event: OnEvent, event: Event) -> None:
    """Tell the caller of an event."""
    on_event(event)


def pause(file: SourceFile, seconds: float) -> None:
    """Between two requests of an upload. Raises Stopped once its file is closed."""
    file.pause(seconds)


class Stop:
    """Ends a follow from any thread: between two requests, or in the middle of one."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._response: httpx.Response | None = None

    def is_set(self) -> bool:
        return self._stopped.is_set()

    def wait(self, seconds: float) -> bool:
        """Pause for so long; whether to stop."""
        return self._stopped.wait(seconds)

    def watch(self, response: httpx.Response) -> None:
        """`response` is what is being read."""
        self._response = response

    def close(self, events: Generator[Event]) -> None:
        """Stop, and end the iteration of `events`."""
        self._stopped.set()
        response = self._response
        if response is not None and (stream := response.extensions.get("network_stream")):
            # Only this wakes a thread that waits for the next byte.
            with suppress(OSError):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        # A generator that runs in another thread cannot be closed from here; it ends by itself.
        with suppress(ValueError):
            events.close()


@dataclass(frozen=True, slots=True)
class _Raised:
    """What one side of an upload cannot deal with: the caller's to see."""

    error: Exception


class Sides:
    """The two sides of an upload as threads, and what they report.

    The threads do not keep the program alive. They end when the body is closed and the follow is.
    """

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._news: queue.SimpleQueue[News | _Raised] = queue.SimpleQueue()

    def start(self, side: Callable[..., None], *args: Any) -> None:
        def run() -> None:
            try:
                side(self, *args)
            except Exception as error:  # whatever it is, the caller raises it
                self._news.put(_Raised(error))

        thread = threading.Thread(target=run, daemon=True, name="sse-progress upload")
        self._threads.append(thread)
        thread.start()

    def put(self, news: News) -> None:
        self._news.put(news)

    def next(self, limit_s: float | None) -> News:
        """The next report; raises TimeoutError after `limit_s`, and what a side did not expect."""
        try:
            news = self._news.get(timeout=limit_s)
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(news, _Raised):
            raise news.error
        return news

    def join(self, limit_s: float) -> None:
        """Wait until both have ended, but no longer than `limit_s`."""
        until = time.monotonic() + limit_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))


@contextmanager
def two_sides(body: Body, follow: Follow[Event]) -> Iterator[Sides]:
    """At its exit both are closed, and the threads have ended, unless one waits for a server that
    does not answer.

    A client that is closed while one of them connects leaves that connection open: httpcore
    closes what a pool has at that moment.
    """
    sides = Sides()
    try:
        yield sides
    finally:
        body.close()
        follow.close()
        sides.join(_LINGER_S)
