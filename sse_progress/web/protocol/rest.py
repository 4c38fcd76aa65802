"""What is left of a response when all middlewares have returned: an open stream, without a task.

Offered by our HTTP protocol. A stream that is open waits for nothing but its end, so it needs
neither the coroutines around its route, which were half of its memory (8 KB of 20), nor a task that
waits in `receive`, which was a quarter of what was left (3 KB) and twelve calls of its opening.
Under another server, and to HTTP/1.0, a stream lives within its middlewares, in their task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn

from starlette.types import ASGIApp, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from sse_progress.web.request_fields import forget_fields

__all__ = ["Rest", "at_end"]


class Rest:
    """One request's application, and after it what is left of its response; then `over` is called.

    It stands among uvicorn's tasks, which are cancelled when the server ends (`cancel`). Once only
    the stream is left, it takes the place of the event that is set when something has happened to
    the request (`set`).
    """

    __slots__ = ("_cycle", "_ending", "_ends", "_goes_on", "_over", "_task", "_tasks")

    def __init__(
        self,
        cycle: RequestResponseCycle,
        *,
        tasks: set[Any],
        over: Callable[[], None],
    ) -> None:
        self._cycle: RequestResponseCycle | None = cycle
        self._tasks, self._over = tasks, over
        self._goes_on = self._ending = False
        self._ends: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None

    def start(self, app: ASGIApp, send: Send, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._run(app, send))
        self._tasks.add(self)

    def goes_on(self, left: Callable[[], None]) -> None:
        """The response has begun. Call `left` once it has ended, or its client has left."""
        self._goes_on = True
        self._ends.append(left)

    def at_end(self, callback: Callable[[], None]) -> bool:
        """Call back once it has ended; False: it does not go on, so do it now."""
        if self._goes_on:
            self._ends.append(callback)
        return self._goes_on

    async def _run(self, app: ASGIApp, send: Send) -> None:
        """In the place of uvicorn's `run_asgi`, which is left with what an application does not do
        as it should."""
        cycle: Any = self._cycle
        try:
            await app(cycle.scope, cycle.receive, send)
            while self._goes_on and (cycle.more_body or cycle.body):  # an unread body
                if (await cycle.receive())["type"] == "http.disconnect":
                    break
        except BaseException as error:
            self._end()
            await cycle.run_asgi(_raising(error))
            return
        if not self._goes_on:
            self._end()
            if not cycle.response_complete:
                await cycle.run_asgi(_returning)
            cycle.on_response = _nothing
            return
        self._task = None
        forget_fields(cycle.scope)  # a stream lives long
        if cycle.flow.read_paused:  # for a request behind it; then its client would leave unseen
            cycle.flow.resume_reading()
        cycle.message_event = self
        self.set()

    # ---- when all middlewares have returned

    def set(self) -> None:
        """Something has happened to the request."""
        cycle = self._cycle
        if cycle is not None and (cycle.disconnected or cycle.response_complete):
            self._end_soon()

    def cancel(self, msg: str = "") -> None:
        """The server waits no longer."""
        if self._task is not None:
            self._task.cancel(msg)
        elif self._cycle is not None:
            self._cycle.transport.close()
            self._end_soon()

    def _end_soon(self) -> None:
        """Not at once: who ends a stream is still writing to it."""
        if not self._ending:
            self._ending = True
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        cycle, self._cycle = self._cycle, None  # they lead to each other
        ends, self._ends = self._ends, []
        if self._goes_on and cycle is not None:
            cycle.on_response = _nothing
        self._tasks.discard(self)
        try:
            for callback in ends:
                callback()
        finally:
            self._over()


def at_end(scope: Scope, callback: Callable[[], None]) -> None:
    """For a middleware whose application has returned: call back once the response has ended."""
    rest: Rest | None = scope.get("extensions", {}).get("sse_progress", {}).get("rest")
    if rest is None or not rest.at_end(callback):
        callback()


def _nothing() -> None:
    pass


async def _returning(*_: object) -> None:
    pass


def _raising(error: BaseException) -> ASGIApp:
    async def application(*_: object) -> NoReturn:
        raise error

    return application
