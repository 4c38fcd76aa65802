"""All appends of one process, in order, through one micro-batching pipeline.

It owns delivery: an operation is sent until Redis answered it, however often the connection breaks.
It does not own meaning: what an operation does is decided by `lua/append.lua`.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import structlog
from redis.asyncio import Redis
from redis.exceptions import (
    ClusterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from sse_progress.journal.scripts import APPEND, Script

__all__ = ["Answer", "AppendBatcher", "Operation"]

log = structlog.get_logger(__name__)

BATCH = 128
PURGE_FROM = 1000
"""Number of waiting operations from which on abandoned ones are dropped."""
_PASSING = (ClusterDownError, NoScriptError, OutOfMemoryError, ReadOnlyError, TryAgainError)
_PASSING_WORDS = ("MISCONF", "BUSY", "NOREPLICAS")
"""Errors of a server that is failing over, full or busy: they pass, so we wait."""


class Answer(NamedTuple):
    """What an append did: `status` as in append.lua, and where the journal stands after it.

    `wait_ms`: of what came too early, how long until it may be written.
    """

    status: str
    epoch: str
    seq: int
    fence: int
    term: str
    wait_ms: int = 0


class Operation:
    """One call of append.lua. A number is taken at the first sending, and never again."""

    __slots__ = ("_numbers", "_values", "future", "keys", "submitted_at")

    def __init__(
        self, keys: tuple[str, str], values: dict[str, Any], *, numbers: Iterable[int] | None = None
    ) -> None:
        self.keys = keys
        self._values = {"n": 0, **values}
        self._numbers = numbers
        loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Answer] = loop.create_future()
        self.submitted_at = loop.time()

    @property
    def abandoned(self) -> bool:
        """No caller waits for it, and leaving it out makes no gap in a writer's numbers."""
        return self.future.done() and self._values["n"] == 0

    def values(self) -> dict[str, Any]:
        if self._values["n"] == 0 and self._numbers is not None:
            self._values["n"] = next(iter(self._numbers))
        return self._values


class AppendBatcher:
    """Sends operations in the order they were submitted; one batch is under way at a time.

    `observe` receives the seconds from submission to answer of each.
    """

    def __init__(self, redis: Redis, *, observe: Callable[[float], object]) -> None:
        self._redis = redis
        self._observe = observe
        self._script = Script("append", APPEND)
        self._waiting: deque[Operation] = deque()
        self._purge_from = PURGE_FROM
        self._wake = asyncio.Event()
        self.connected = True
        """False while something that was to be delivered waits for Redis."""

    def submit(self, operation: Operation) -> asyncio.Future[Answer]:
        if len(self._waiting) >= self._purge_from:
            self._waiting = deque(waiting for waiting in self._waiting if not waiting.abandoned)
            self._purge_from = max(PURGE_FROM, 2 * len(self._waiting))
        self._waiting.append(operation)
        self._wake.set()
        return operation.future

    async def run(self) -> None:
        """Deliver until cancelled; what is still waiting then is cancelled too."""
        batch: list[Operation] = []
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    batch = self._next_batch()
                    await self._deliver(batch)
        finally:
            for operation in (*batch, *self._waiting):
                operation.future.cancel()

    def _next_batch(self) -> list[Operation]:
        """One operation of each upload at most, so that none can overtake one that is refused.

        Within a pipeline a server may refuse the first and take the second: it has just loaded its
        data, found memory or become a master. The second one's number would then tell of a loss.
        """
        batch: dict[tuple[str, str], Operation] = {}
        later: list[Operation] = []
        while self._waiting and len(batch) < BATCH and len(later) < BATCH:
            operation = self._waiting.popleft()
            if batch.setdefault(operation.keys, operation) is not operation:
                later.append(operation)
        self._waiting.extendleft(reversed(later))
        return list(batch.values())

    async def _deliver(self, batch: list[Operation]) -> None:
        pause_s = 0.02
        while batch := [operation for operation in batch if not operation.abandoned]:
            try:
                replies = await self._send(batch)
                batch = self._unanswered(batch, replies)
                if all(isinstance(reply, NoScriptError) for reply in replies):
                    await self._redis.script_load(self._script.source)
                    continue
            except (RedisError, OSError) as exc:
                self._lost(exc)
            else:
                if not batch:
                    break
                self._lost(next(reply for reply in replies if isinstance(reply, Exception)))
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  # jitter
            pause_s = min(pause_s * 2, 1.0)
        self.connected = True

    async def _send(self, batch: list[Operation]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for operation in batch:
                pipe.evalsha(
                    self._script.sha,
                    2,
                    *operation.keys,
                    *self._script.arguments(operation.values()),
                )
            return await pipe.execute(raise_on_error=False)

    def _unanswered(self, batch: list[Operation], replies: list[Any]) -> list[Operation]:
        now = asyncio.get_running_loop().time()
        left = []
        for operation, reply in zip(batch, replies, strict=True):
            if _take(operation, reply):
                self._observe(now - operation.submitted_at)
            else:
                left.append(operation)
        return left

    def _lost(self, exc: Exception) -> None:
        if self.connected:
            log.warning("journal waits for Redis", error=type(exc).__name__)
        self.connected = False


def _take(operation: Operation, reply: Any) -> bool:
    """Give an operation its answer; False if it has to be sent again."""
    if isinstance(reply, Exception):
        passing = isinstance(reply, _PASSING) or str(reply).startswith(_PASSING_WORDS)
        if passing or not isinstance(reply, ResponseError):
            return False
        if not operation.future.done():
            operation.future.set_exception(reply)
        return True
    if not operation.future.done():
        status, epoch, seq, fence, term, wait_ms = reply
        operation.future.set_result(
            Answer(status.decode(), epoch.decode(), seq, fence, term.decode(), wait_ms)
        )
    return True
