"""The one door through which blocking work leaves the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import anyio.to_thread

__all__ = ["blocking"]

P = ParamSpec("P")
T = TypeVar("T")


async def blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `function` in a worker thread (anyio's pool, 40 at most) and wait for it.

    A cancelled caller still waits for the thread to finish, so nothing goes on behind its back.
    """
    return await anyio.to_thread.run_sync(lambda: function(*args, **kwargs))
