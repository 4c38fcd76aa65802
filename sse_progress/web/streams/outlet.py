"""The writing side of one connection: sends at once where the transport takes it, else in a task.

Frames are pushed: the holder of one drives the ASGI `send()` itself, so that a thousand connections
need no task each to be written to. Only one message is under way at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from sse_progress.runtime.concurrency import rest_of

__all__ = ["Outlet"]


class Outlet:
    """`busy_since` and `written_at` are of the loop's clock, s; the former is None while free."""

    def __init__(self, now: Callable[[], float], began_at: float) -> None:
        self._now = now
        self._free: asyncio.Event | None = None
        self.busy_since: float | None = None
        self.written_at = began_at

    def drive(self, sending: Awaitable[None]) -> Awaitable[None] | None:
        """Send, while it is free; an awaitable says that it is sent once that is done."""
        assert isinstance(sending, Coroutine)
        try:
            waiting_for = sending.send(None)
        except StopIteration:
            self.written_at = self._now()
            return None
        self.busy_since = self._now()
        return self._finish(sending, waiting_for)

    async def free(self) -> None:
        """Wait until nothing is under way."""
        while self.busy_since is not None:
            if self._free is None:
                self._free = asyncio.Event()
            self._free.clear()
            await self._free.wait()

    async def _finish(self, sending: Coroutine[Any, Any, None], waiting_for: Any) -> None:
        try:
            await rest_of(sending, waiting_for)
        finally:
            self.busy_since = None
            self.written_at = self._now()
            if self._free is not None:
                self._free.set()
