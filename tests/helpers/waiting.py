"""Waiting on conditions with a bound; nothing here sleeps and hopes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")

STEP_S = 0.01


def wait_until(condition: Callable[[], T], what: str, *, timeout_s: float = 60) -> T:
    """Return the first true value of `condition`; fail with `what` after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what} (last: {value!r})")
        time.sleep(STEP_S)


async def eventually(
    condition: Callable[[], T | Awaitable[T]], what: str, *, timeout_s: float = 60
) -> T:
    """The same on an event loop; `condition` may be a function or a coroutine function."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what} (last: {value!r})")
        await anyio.sleep(STEP_S)
