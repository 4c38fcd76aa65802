"""The one door through which blocking work leaves the event loop, and work beside a block."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

import anyio
import anyio.to_thread
import structlog

__all__ = ["beside", "blocking", "first_of"]

log = structlog.get_logger(__name__)

CANCEL_AGAIN_S = 1.0

P = ParamSpec("P")
T = TypeVar("T")


async def blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `function` in a worker thread (anyio's pool, 40 at most) and wait for it.

    A cancelled caller still waits for the thread to finish, so nothing goes on behind its back.
    """
    return await anyio.to_thread.run_sync(lambda: function(*args, **kwargs))


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` for the length of the block, which begins when `work` has; it is cancelled and
    waited for at its end."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_tell_failure)
    try:
        await asyncio.sleep(0)
        yield
    finally:
        await _end(task)


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("background work failed", exc_info=error)


async def first_of(*waits: Coroutine[Any, Any, Any], timeout_s: float | None = None) -> None:
    """Wait until one of `waits` is done, or for `timeout_s`; none of them goes on after that.

    Raises what the one that was done has raised.
    """
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(*tasks)
    for task in done:
        task.result()


async def _end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel and wait, in a scope that is itself cancelled too.

    Again and again: redis-py loses a cancellation that meets the end of a connection.
    """
    left = set(tasks)
    with anyio.CancelScope(shield=True):
        while left:
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)
