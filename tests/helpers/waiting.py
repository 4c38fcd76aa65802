"""Waiting on conditions with a bound; nothing here sleeps and hopes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")

STEP_S = 0.01
LONGEST_STEP_S = 0.1
REST = 12
"""How many times as long as the last question took there is none, up to the longest step: requests
every 10 ms would take half a core from what the test waits for, and questions to a page as much."""


def wait_until(condition: Callable[[], T], what: str, *, timeout_s: float = 60) -> T:
    """Return the first true value of `condition`; fail with `what` after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while True:
        asked_at = time.monotonic()
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what} (last: {value!r})")
        time.sleep(_step_s(asked_at))


async def eventually(
    condition: Callable[[], T | Awaitable[T]], what: str, *, timeout_s: float = 60
) -> T:
    """The same on an event loop; `condition` may be a function or a coroutine function."""
    deadline = time.monotonic() + timeout_s
    while True:
        asked_at = time.monotonic()
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what} (last: {value!r})")
        await anyio.sleep(_step_s(asked_at))


def _step_s(asked_at: float) -> float:
    return min(max(REST * (time.monotonic() - asked_at), STEP_S), LONGEST_STEP_S)
