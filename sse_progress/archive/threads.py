"""Blocking calls that may hang for good, such as those to a database whose host is gone."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import anyio

__all__ = ["Threads"]

T = TypeVar("T")


class Threads:
    """At most `most` calls at once. No caller waits longer than it wants, nor does the process'
    end: a call that hangs keeps its (daemon) thread and nothing else."""

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    async def run(self, function: Callable[[], T], *, wait_s: float) -> T:
        """What `function` returns or raises. Raises TimeoutError after `wait_s`; what has begun
        goes on."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with anyio.fail_after(wait_s):
            await self._free.acquire()
            thread = threading.Thread(
                target=self._call, args=(loop, function, future), name="archive", daemon=True
            )
            thread.start()
            return await future

    def _call(
        self,
        loop: asyncio.AbstractEventLoop,
        function: Callable[[], T],
        future: asyncio.Future[T],
    ) -> None:
        answer: Callable[[], None]
        try:
            answer = partial(future.set_result, function())
        except BaseException as error:  # raised where it is awaited
            answer = partial(future.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self._answer, future, answer)

    def _answer(self, future: asyncio.Future[T], answer: Callable[[], None]) -> None:
        self._free.release()
        if not future.done():
            answer()
