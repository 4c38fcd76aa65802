"""How blocking work leaves the event loop, and tasks that run for the length of a block."""

from __future__ import annotations

import asyncio
import contextlib
import math
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any, ParamSpec, Self, TypeVar

import anyio
import structlog

from sse_progress.runtime.threads import Threads

__all__ = [
    "BackgroundTasks",
    "LongTasks",
    "beside",
    "blocking",
    "end_tasks",
    "first_of",
    "later",
    "reading",
    "rest_of",
    "shared",
    "within",
]

log = structlog.get_logger(__name__)

CANCEL_AGAIN_S = 1.0
FAILED = "background task failed"

_THREADS = Threads(40)

P = ParamSpec("P")
T = TypeVar("T")


async def blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `function` in a worker thread (40 at most) and wait for it.

    A caller that is cancelled still waits for the thread to finish, so nothing goes on behind its
    back; where a scope of anyio is cancelled, it gets what the thread returned, and is cancelled at
    its next wait.
    """
    job = _THREADS.submit(partial(function, *args, **kwargs))
    try:
        await job.over()
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):
            await job.over()
        if anyio.current_effective_deadline() > -math.inf:  # a Task.cancel(), which comes once
            raise
    return job.result()  # type: ignore[no-any-return]


async def reading(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for what changes nothing: a cancelled caller leaves the thread behind."""
    job = _THREADS.submit(partial(function, *args, **kwargs))
    await job.over()
    return job.result()  # type: ignore[no-any-return]


class within:  # noqa: N801  # reads as a statement
    """A block that may take so many seconds; then what it waits for is cancelled, again and again
    until it is left, and TimeoutError is raised.

    `anyio.fail_after` at a sixth of its cost (70 Python calls), for the waits of each request. A
    shielded scope within does not hold it up: use it around waits that may be left at any moment.
    """

    __slots__ = ("_cancelling", "_cancels", "_loop", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(self._loop)
        assert task is not None, "not in a task"
        self._task = task
        self._cancelling, self._cancels = task.cancelling(), 0
        self._timer = self._loop.call_later(self._seconds, self._late)

    def _late(self) -> None:
        self._cancels += 1
        self._task.cancel()
        # redis-py loses a cancellation that meets the end of a connection
        self._timer = self._loop.call_later(CANCEL_AGAIN_S, self._late)

    def __exit__(self, kind: type[BaseException] | None, error: Any, _: Any) -> None:
        self._timer.cancel()
        if not self._cancels:
            return
        for _ in range(self._cancels):
            cancelling = self._task.uncancel()
        if cancelling <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError(f"not done within {self._seconds:g} s") from error


class BackgroundTasks:
    """Tasks that run until they are done, or until the block ends: then they are cancelled.

    Unlike a TaskGroup's, one that fails does not end the others, and one whose cancellation got
    lost is cancelled again.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._tasks:
            await end_tasks(*self._tasks)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task for a caller that awaits it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def spawn(self, work: Awaitable[None]) -> None:
        """Finish `work` in the background; what it raises is logged."""
        self.start(_logged(work))

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """The same, but as far as it gets without waiting it is done at once, by the caller: it may
        not ask which task it is in until it has waited."""
        try:
            waiting_for = work.send(None)
        except StopIteration:
            return
        except Exception:
            log.exception(FAILED)
            return
        self.spawn(_going_on(work, waiting_for))


async def shared(task: asyncio.Task[T]) -> T:
    """What a task returns for which others wait as well: a caller that leaves does not cancel it.

    `asyncio.shield` at half its calls, for waits that each request has.
    """
    if task.done():
        return task.result()
    waiter: asyncio.Future[T] = task.get_loop().create_future()

    def tell(task: asyncio.Task[T]) -> None:
        if task.cancelled():
            waiter.cancel()
            return
        error = task.exception()  # fetched, or asyncio complains where every caller has left
        if waiter.done():
            return
        if error is not None:
            waiter.set_exception(error)
        else:
            waiter.set_result(task.result())

    task.add_done_callback(tell)
    return await waiter


@types.coroutine
def rest_of(coroutine: Coroutine[Any, Any, None], waiting_for: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that was started by hand and yielded `waiting_for`."""
    while True:
        try:
            value = yield waiting_for
        except BaseException as exc:
            step: Callable[[Any], Any] = coroutine.throw
            argument: Any = exc
        else:
            step, argument = coroutine.send, value
        try:
            waiting_for = step(argument)
        except StopIteration:
            return


async def _going_on(begun: Coroutine[Any, Any, None], waiting_for: Any) -> None:
    await rest_of(begun, waiting_for)


async def _logged(work: Awaitable[None]) -> None:
    try:
        await work
    except Exception:
        log.exception(FAILED)


class LongTasks:
    """Tasks that a process cannot do without, by name: none of them ends while it is used.

    One that ends all the same, or raises, is logged; `failed` is set, and the owner of the process
    ends it then with an exit code that makes the supervisor restart it.
    """

    def __init__(self) -> None:
        self._alive: dict[str, bool] = {}
        self.failed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(
        self, name: str, work: Coroutine[Any, Any, None], *, may_finish: bool = False
    ) -> AsyncIterator[None]:
        """Run `work` for the length of the block, as `beside` does.

        `may_finish`: it may have nothing to do and return.
        """
        task = asyncio.ensure_future(work)
        over = False

        def ended(task: asyncio.Task[None]) -> None:
            error = None if task.cancelled() else task.exception()
            if over or (may_finish and error is None and not task.cancelled()):
                return
            self._alive[name] = False
            self.failed.set()
            log.error("background task ended", task=name, exc_info=error)

        self._alive[name] = True
        task.add_done_callback(ended)
        try:
            await asyncio.sleep(0)
            yield
        finally:
            over = True
            await end_tasks(task)

    def dead(self) -> list[str]:
        """Names of those that have ended."""
        return [name for name, alive in self._alive.items() if not alive]


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
        await end_tasks(task)


class later:  # noqa: N801  # reads as a statement
    """The same, but begun only if the block takes longer than `after_s`."""

    __slots__ = ("_after_s", "_task", "_timer", "_work")

    def __init__(self, after_s: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._after_s, self._work = after_s, work
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._after_s, self._begin)

    def _begin(self) -> None:
        self._task = asyncio.ensure_future(self._work())
        self._task.add_done_callback(_tell_failure)

    async def __aexit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._task is not None:
            await end_tasks(self._task)


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("background work failed", exc_info=error)


async def first_of(*waits: Awaitable[Any], timeout_s: float | None = None) -> None:
    """Wait until one of `waits` is done, or for `timeout_s`; none of them goes on after that.

    Raises what the one that was done has raised.
    """
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_tasks(*tasks)
    for task in done:
        if not task.cancelled():
            task.exception()  # fetched of each, or asyncio complains about it
    for task in done:
        task.result()


async def end_tasks(*tasks: asyncio.Future[Any]) -> None:
    """Cancel and wait, in a scope that is itself cancelled too.

    Again and again: redis-py loses a cancellation that meets the end of a connection. Whoever ends
    this task in the same way does so too, so that is no reason to leave one behind.
    """
    left, cancelled = set(tasks), None
    with anyio.CancelScope(shield=True):
        while left:
            for task in left:
                task.cancel()
            try:
                _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)
            except asyncio.CancelledError as error:
                cancelled = error
                left = {task for task in left if not task.done()}
    if cancelled is not None:
        raise cancelled
