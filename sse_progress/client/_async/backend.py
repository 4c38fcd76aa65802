"""What differs between asyncio and threads, for asyncio. `_sync/backend.py` is its counterpart."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx

from sse_progress.client.body import Body, SourceFile
from sse_progress.client.pace import Ask
from sse_progress.client.sending import News
from sse_progress.model.events import Event

if TYPE_CHECKING:
    from sse_progress.client._async.streams import AsyncFollow

__all__ = [
    "AsyncSides",
    "AsyncStop",
    "OnEvent",
    "call",
    "closing_anyway",
    "pause",
    "read_limit_s",
    "sleep",
    "two_sides",
    "within",
]

OnEvent: TypeAlias = Callable[[Event], Awaitable[None] | None]

_NEWS_LIMIT = 256

sleep = asyncio.sleep
"""`await sleep(seconds)`."""

within = asyncio.timeout
"""`async with within(seconds)`: TimeoutError after `seconds`."""


def read_limit_s(_ask: Ask) -> float | None:
    """The longest wait for a byte that httpx has to watch: none, since `within` does it."""
    return None


@asynccontextmanager
async def closing_anyway(response: httpx.Response) -> AsyncIterator[None]:
    """Closes `response` after the block, also if that is cancelled while it closes.

    httpx lets go of the connection without closing it then.
    """
    try:
        yield
    finally:
        closing = asyncio.ensure_future(response.aclose())
        cancelled: asyncio.CancelledError | None = None
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled


async def call(on_event: OnEvent, event: Event) -> None:
    """Tell the caller of an event, and wait for a coroutine function to return."""
    result = on_event(event)
    if inspect.isawaitable(result):
        await result


async def pause(_file: SourceFile, seconds: float) -> None:
    """Between two requests of an upload; its end cancels this."""
    await asyncio.sleep(seconds)


class AsyncStop:
    """Ends a follow: between two requests, or in the middle of one."""

    def __init__(self) -> None:
        self._stopped = False

    def is_set(self) -> bool:
        return self._stopped

    async def wait(self, seconds: float) -> bool:
        """Pause for `seconds`; whether to stop."""
        await asyncio.sleep(seconds)
        return self._stopped

    def watch(self, response: httpx.Response) -> None:
        """`response` is what is being read: only threads need it."""

    async def close(self, events: AsyncGenerator[Event]) -> None:
        """Stop, and end the iteration of `events`."""
        self._stopped = True
        await events.aclose()


class AsyncSides:
    """The two sides of an upload as tasks, and what they report."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: list[asyncio.Task[None]] = []
        self._news: asyncio.Queue[News] = asyncio.Queue(_NEWS_LIMIT)

    def start(self, side: Callable[..., Awaitable[None]], *args: Any) -> None:
        async def run() -> None:
            await side(self, *args)

        self._tasks.append(self._group.create_task(run()))

    async def put(self, news: News) -> None:
        await self._news.put(news)

    async def next(self, limit_s: float | None) -> News:
        """The next report; raises TimeoutError after `limit_s`, and what a side did not expect."""
        async with within(limit_s):
            return await self._news.get()

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def two_sides(body: Body, follow: AsyncFollow[Event]) -> AsyncIterator[AsyncSides]:
    """At its exit the tasks have ended and both are closed; the first error of any task is raised
    as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            sides = AsyncSides(group)
            try:
                yield sides
            finally:
                sides.cancel()
    except BaseExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    finally:
        body.close()
        await follow.aclose()
