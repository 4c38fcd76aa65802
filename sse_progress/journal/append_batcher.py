"""All appends of one process, in order, through micro-batching pipelines, one for each server.

It owns delivery: an operation is sent until Redis answered it, however often the connection breaks.
It does not own meaning: what an operation does is decided by `lua/append.lua`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import structlog
from anyio import create_task_group, sleep_forever
from anyio.abc import TaskGroup
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
from redis.exceptions import ConnectionError as RedisConnectionError

from sse_progress.journal.scripts import APPEND, APPEND_OPTIONAL, Script
from sse_progress.runtime.redis.client import asked, lane_of, script_for, together

__all__ = ["Answer", "AppendBatcher", "Operation", "Queued"]

log = structlog.get_logger(__name__)

BATCH = 128
PAUSE_S = 0.02
"""After the first batch of which nothing was taken; it doubles up to a second."""
PURGE_FROM = 1000
"""Number of waiting operations from which on abandoned ones are dropped."""
_PASSING = (ClusterDownError, NoScriptError, OutOfMemoryError, ReadOnlyError, TryAgainError)
_PASSING_WORDS = ("MISCONF", "BUSY", "NOREPLICAS")
"""Errors of a server that is failing over, full or busy: they pass, so we wait."""


class Answer(NamedTuple):
    """What an append did: `status` as in append.lua, and where the journal stands after it.

    `wait_ms`: how long until what came too early may be written, or after a `tell` the next event.
    """

    status: str
    epoch: str
    seq: int
    fence: int
    term: str
    wait_ms: int = 0


class Queued:
    """A job that is put into the queue in an event's step: keys, and arguments of append.lua."""

    __slots__ = ("arguments", "keys")

    def __init__(self, keys: tuple[str, ...], arguments: Mapping[str, Any]) -> None:
        self.keys, self.arguments = keys, dict(arguments)

    def withdraw(self) -> None:
        """Where its event has not been sent yet, it will be sent without this."""
        self.keys, self.arguments = (), {}


class Operation:
    """One call of append.lua, of the upload whose meta hash is the first of its keys.

    Its number, `n` of the values, is taken at the first sending, and never again. `queued` is sent
    with it, unless it was withdrawn before.
    """

    __slots__ = ("_keys", "_numbers", "_queued", "_values", "future", "submitted_at", "upload")

    def __init__(
        self,
        keys: tuple[str, ...],
        values: dict[str, Any],
        *,
        numbers: Iterable[int] | None = None,
        queued: Queued | None = None,
    ) -> None:
        self._keys, self.upload = keys, keys[0]
        self._values, self._numbers, self._queued = values, numbers, queued
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
        if self._queued is not None:
            return self._values | self._queued.arguments
        return self._values

    @property
    def keys(self) -> tuple[str, ...]:
        return self._keys if self._queued is None else self._keys + self._queued.keys


class AppendBatcher:
    """Sends operations of each upload in the order they were submitted.

    `observe` receives the seconds from submission to answer of each. Operations for one server are
    a lane, with one batch under way at a time; on a Cluster a master that is away holds up those
    of its own uploads.
    """

    def __init__(
        self, redis: Redis, *, observe: Callable[[float], object], library: str = ""
    ) -> None:
        self._redis, self._observe = redis, observe
        self._script = Script(
            "append",
            APPEND,
            optional=APPEND_OPTIONAL,
            library=library,
            prepared=partial(script_for, redis),
        )
        self._lanes: dict[Hashable, _Lane] = {}
        self._group: TaskGroup | None = None

    @property
    def connected(self) -> bool:
        """False while something that was to be delivered waits for Redis."""
        return all(lane.connected for lane in self._lanes.values())

    @property
    def waiting(self) -> int:
        """How many operations wait to be sent."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def submit(self, operation: Operation) -> asyncio.Future[Answer]:
        self._lane(operation.upload).submit(operation)
        return operation.future

    async def run(self) -> None:
        """Deliver until cancelled; what is still waiting then is cancelled too."""
        try:
            async with create_task_group() as self._group:
                for lane in self._lanes.values():
                    self._group.start_soon(lane.run)
                await sleep_forever()
        finally:
            self._group = None
            for lane in self._lanes.values():
                lane.cancel()

    def _lane(self, upload: str) -> _Lane:
        """That of the upload's operations that wait, wherever its slot has gone meanwhile; else of
        its server."""
        for lane in self._lanes.values():
            if upload in lane.holds:
                return lane
        name = lane_of(self._redis, upload)
        if name not in self._lanes:
            lane = self._lanes[name] = _Lane(self._redis, self._script, self._observe)
            if self._group is not None:
                self._group.start_soon(lane.run)
        return self._lanes[name]


class _Lane:
    """`holds` counts the operations here, by their upload; `waiting` are those not under way.

    What is submitted in one turn of the loop leaves in one batch, by the client's link and without
    waking the task. Whatever else it meets than answers is the task's.
    """

    def __init__(self, redis: Redis, script: Script, observe: Callable[[float], object]) -> None:
        self._redis, self._script, self._observe = redis, script, observe
        self.holds: Counter[str] = Counter()
        self.waiting: deque[Operation] = deque()
        self._under_way: list[Operation] = []
        self._purge_from = PURGE_FROM
        self._wake = asyncio.Event()
        self._delivers = self._by_source = False
        self._busy = False
        """A send is scheduled or under way, and takes what waits when it is over."""
        self.connected = True

    def submit(self, operation: Operation) -> None:
        if len(self.waiting) >= self._purge_from:
            self._purge()
        self.holds[operation.upload] += 1
        self.waiting.append(operation)
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._send_by_link)

    def _send_by_link(self) -> None:
        batch = self._next_batch() if self._delivers else []
        commands = [self._command(operation) for operation in batch]
        future = asked(self._redis, commands) if commands else None
        if future is None:
            self._leave_to_task(batch)
        else:
            self._under_way = batch
            future.add_done_callback(self._answered)

    def _answered(self, future: asyncio.Future[list[Any]]) -> None:
        batch, self._under_way = self._under_way, []
        error = future.exception()
        replies = [error] * len(batch) if error is not None else future.result()
        if any(isinstance(reply, RedisConnectionError | ReadOnlyError) for reply in replies):
            left = batch  # of the link alone, it may be; what was answered is answered again
        else:
            left = self._settle(batch, replies)
        if left:
            self._leave_to_task(left)
        elif self.waiting:
            self._send_by_link()
        else:
            self._busy = False

    def _leave_to_task(self, left: list[Operation]) -> None:
        self.waiting.extendleft(reversed(left))
        self._wake.set()

    def cancel(self) -> None:
        self._delivers = False
        for operation in (*self._under_way, *self.waiting):
            operation.future.cancel()

    async def run(self) -> None:
        self._delivers = True
        while True:
            await self._wake.wait()
            self._wake.clear()
            pause_s = PAUSE_S
            while batch := self._next_batch():
                self._under_way = batch
                left = await self._deliver(batch)
                self._under_way = []
                self.waiting.extendleft(reversed(left))
                if len(left) < len(batch) or self._by_source:
                    pause_s = PAUSE_S
                    continue
                await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  # jitter
                pause_s = min(pause_s * 2, 1.0)
            self._busy, self.connected = False, True

    def _next_batch(self) -> list[Operation]:
        """One operation of each upload at most, so that none can overtake one that is refused.

        Within a pipeline a server may refuse the first and take the second: it has just loaded its
        data, found memory or become a master. The second one's number would then tell of a loss.
        """
        batch: dict[str, Operation] = {}
        later: list[Operation] = []
        while self.waiting and len(batch) < BATCH and len(later) < BATCH:
            operation = self.waiting.popleft()
            if operation.abandoned:
                self._gone(operation)
            elif batch.setdefault(operation.upload, operation) is not operation:
                later.append(operation)
        self.waiting.extendleft(reversed(later))
        return list(batch.values())

    async def _deliver(self, batch: list[Operation]) -> list[Operation]:
        """Send a batch once; those that have to be sent again, in order."""
        by_source, self._by_source = self._by_source, False
        commands = [self._command(operation, by_source=by_source) for operation in batch]
        try:
            replies = await together(self._redis, commands, raise_on_error=False)
        except (RedisError, OSError) as error:
            replies = [error] * len(batch)
        return self._settle(batch, replies, by_source=by_source)

    def _settle(
        self, batch: list[Operation], replies: list[Any], *, by_source: bool = False
    ) -> list[Operation]:
        """Give each operation its reply; those that have to be sent again, in order."""
        now = asyncio.get_running_loop().time()
        left = []
        for operation, reply in zip(batch, replies, strict=True):
            if _take(operation, reply):
                self._observe(now - operation.submitted_at)
                self._gone(operation)
            else:
                left.append(operation)
        errors = [reply for reply in replies if isinstance(reply, Exception)]
        unknown = [error for error in errors if isinstance(error, NoScriptError)]
        self._by_source = bool(unknown) and not by_source
        if left and len(unknown) < len(errors):
            self._lost(next(error for error in errors if not isinstance(error, NoScriptError)))
        elif not left:
            self.connected = True
        return left

    def _command(self, operation: Operation, *, by_source: bool = False) -> tuple[Any, ...]:
        script, keys = self._script, operation.keys
        called = ("EVAL", script.source) if by_source else ("EVALSHA", script.sha)
        return (*called, len(keys), *keys, *script.arguments(operation.values()))

    def _purge(self) -> None:
        waiting: deque[Operation] = deque()
        for operation in self.waiting:
            if operation.abandoned:
                self._gone(operation)
            else:
                waiting.append(operation)
        self.waiting = waiting
        self._purge_from = max(PURGE_FROM, 2 * len(waiting))

    def _gone(self, operation: Operation) -> None:
        self.holds[operation.upload] -= 1
        if not self.holds[operation.upload]:
            del self.holds[operation.upload]

    def _lost(self, error: Exception) -> None:
        if self.connected:
            log.warning("journal waits for Redis", error=type(error).__name__)
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
