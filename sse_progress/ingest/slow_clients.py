"""How long and how slow a client may be while its body arrives."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.model.errors import ReceiveTimeout

__all__ = ["SlowClientLimit"]

_LATE_S = 1.0
"""A timer that fires later than this was held up by this process, seconds."""


class SlowClientLimit:
    """How long and how slow a client may be. Only time spent waiting for it counts, not ours.

    What happens within its block ends with ReceiveTimeout when no byte comes for `stall_s`. It is
    cancelled once, as by `asyncio.timeout`; a scope of anyio costs 30 Python calls for each body.
    The rate is looked at over a window of `stall_s` of waiting, which moves in sixteenths. For a
    client that sends nothing at all there is one timer, moved when it fires, not with every chunk.
    """

    def __init__(self, limits: ReceiveLimits, clock: Callable[[], float]) -> None:
        self._window_s = limits.stall_s
        self._min_rate = limits.min_rate_bytes_s
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._waiting_since: float | None = None
        self._waited_s = 0.0
        self._bytes = 0
        self._marks = deque([(0.0, 0)])

    def wait(self) -> None:
        self._waiting_since = self._clock()

    def arrived(self, count: int) -> None:
        """`count` bytes have come. Raises ReceiveTimeout if they come too slowly."""
        if self._waiting_since is not None:
            self._waited_s += self._clock() - self._waiting_since
            self._waiting_since = None
        self._bytes += count
        if self._waited_s - self._marks[-1][0] >= self._window_s / 16:
            self._look_back()

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "not in a task"
        self._task, self._cancelling, self._stalled = task, task.cancelling(), False
        self._set_alarm(self._window_s)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, _: Any) -> None:
        self._alarm.cancel()
        if not self._stalled:
            return
        cancelling = self._task.uncancel()
        if cancelling <= self._cancelling and kind is asyncio.CancelledError:
            raise ReceiveTimeout(f"No byte came for {self._window_s:g} seconds.") from error

    def _look_back(self) -> None:
        marks = self._marks
        marks.append((self._waited_s, self._bytes))
        while self._waited_s - marks[1][0] >= self._window_s:
            marks.popleft()
        seconds = self._waited_s - marks[0][0]
        count = self._bytes - marks[0][1]
        if seconds >= self._window_s and count < self._min_rate * seconds:
            raise ReceiveTimeout(
                f"The body came at {count / seconds:.0f} bytes a second, "
                f"the least is {self._min_rate}."
            )

    def _set_alarm(self, after_s: float) -> None:
        due = self._loop.time() + after_s
        self._alarm = self._loop.call_at(due, self._ring, due)

    def _ring(self, due: float) -> None:
        left_s = self._window_s
        if self._waiting_since is not None:
            left_s -= self._clock() - self._waiting_since
        if self._loop.time() - due > _LATE_S:
            # It was this process that stood still: what came meanwhile is not read yet.
            left_s = max(left_s, _LATE_S)
        if left_s > 0:
            self._set_alarm(left_s)
        else:
            self._stalled = True
            self._task.cancel()
