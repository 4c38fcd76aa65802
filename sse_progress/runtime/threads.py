"""The threads that blocking work runs in: the fast path beside anyio's and asyncio's pools.

A small upload blocks three times. By `anyio.to_thread` each costs 150 Python calls (a limiter, a
cancel scope, a checkpoint), by asyncio's executor 80 (a second future, its locks and callbacks),
here 20: a queue whose `put` wakes one thread once, and one call of the loop. What a cancelled
caller does is decided in `concurrency`.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["Job", "Threads"]

_ONE = (1).to_bytes(8, sys.byteorder)


class Job:
    """A call that is to run, runs, or has run in a thread. Only `call` happens there."""

    __slots__ = ("_context", "_error", "_over", "_result", "_waiter", "call", "loop")

    def __init__(self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.call, self.loop = call, loop
        self._context = contextvars.copy_context()
        self._over, self._result = False, None
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] = loop.create_future()

    def over(self) -> asyncio.Future[None]:
        """Done once the call is over. Who cancels it only stops waiting, and may ask again."""
        if self._waiter.cancelled():
            self._waiter = self.loop.create_future()
            if self._over:
                self._waiter.set_result(None)
        return self._waiter

    def result(self) -> Any:
        """What the call returned, once it is over; or what it raised, raised."""
        if self._error is not None:
            raise self._error
        return self._result

    def run(self) -> None:
        try:
            self._result = self._context.run(self.call)
        except BaseException as error:  # it is the caller's
            self._error = error

    def told(self) -> None:
        self._over = True
        if not self._waiter.done():
            self._waiter.set_result(None)


class _Jobs:
    """Jobs from the loop to the threads, first in, first out.

    In place of `queue.SimpleQueue`, which holds the interpreter's lock while it wakes a thread:
    that thread gets the core, finds the lock taken and sleeps again, two changes of threads for
    nothing. A write to a descriptor lets go of the lock first.
    """

    __slots__ = ("_descriptor", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        # Counts the jobs: each read takes one, and waits where there is none.
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_SEMAPHORE)

    def put(self, job: Job) -> None:
        self._waiting.append(job)
        os.write(self._descriptor, _ONE)

    def get(self) -> Job:
        os.read(self._descriptor, 8)
        return self._waiting.popleft()


class Threads:
    """At most `most`, made as they are needed and kept; what comes then waits its turn."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._process = 0

    def _reset(self) -> None:
        self._process = os.getpid()
        self._jobs = _Jobs()
        self._count = self._busy = 0

    def submit(self, call: Callable[[], Any]) -> Job:
        """Run `call` in a thread."""
        if self._process != os.getpid():
            self._reset()  # the first one; and threads do not outlive a fork
        job = Job(call, asyncio.get_running_loop())
        self._busy += 1
        self._jobs.put(job)
        if self._busy > self._count < self._most:
            self._count += 1
            threading.Thread(target=self._work, args=(self._jobs,), daemon=True).start()
        return job

    def _work(self, jobs: _Jobs) -> None:
        while True:
            self._do(jobs.get())

    def _do(self, job: Job) -> None:
        """A function of its own: a thread that waits holds nothing of its last job."""
        job.run()
        try:  # in place of contextlib.suppress, which takes nine calls for each job
            job.loop.call_soon_threadsafe(self._done, job)
        except RuntimeError:  # the loop is closed: no task waits any more
            pass

    def _done(self, job: Job) -> None:
        self._busy -= 1
        job.told()
