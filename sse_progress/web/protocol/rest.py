"""What is left of a response when all middlewares have returned: the life of an open stream.

Offered by our HTTP protocol, so that an open stream holds none of the coroutines around its route,
which are half of its memory (8 KB of 20). Under another server, and to HTTP/1.0, a stream lives
within them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sse_progress.web.request_fields import forget_fields

__all__ = ["Rest", "at_end"]


class Rest:
    """One request's application, which is given `send`, and after it what is left of its response;
    then `over` is called."""

    __slots__ = ("_app", "_ends", "_live", "_over", "_send")

    def __init__(self, app: ASGIApp, send: Send, *, over: Callable[[], None]) -> None:
        self._app, self._send, self._over = app, send, over
        self._live: Callable[[Receive], Awaitable[None]] | None = None
        self._ends: list[Callable[[], None]] = []

    def goes_on(self, live: Callable[[Receive], Awaitable[None]]) -> None:
        """The response has begun; `live` ends it, or sees that its client has left."""
        self._live = live

    def at_end(self, callback: Callable[[], None]) -> bool:
        """Call back once it has ended; False: it does not go on, so do it now."""
        if self._live is None:
            return False
        self._ends.append(callback)
        return True

    async def __call__(self, scope: Scope, receive: Receive, _: Send) -> None:
        try:
            try:
                await self._app(scope, receive, self._send)
            except BaseException:
                receive = _gone  # what the stream holds is given back
                raise
            finally:
                if self._live is not None:
                    forget_fields(scope)  # a stream lives long
                    await self._live(receive)
        finally:
            for callback in self._ends:
                callback()
            self._over()


def at_end(scope: Scope, callback: Callable[[], None]) -> None:
    """For a middleware whose application has returned: call back once the response has ended."""
    rest: Rest | None = scope.get("extensions", {}).get("sse_progress", {}).get("rest")
    if rest is None or not rest.at_end(callback):
        callback()


async def _gone() -> Message:
    return {"type": "http.disconnect"}
