"""The functions of one upload, called one after the other: each in a process, or on this loop.

A process is for one upload and never for another. It may do several functions in a row, which saves
what a fork costs; which ones is the caller's decision, by `renew`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import anyio
from msgspec.structs import replace

from sse_progress.model.errors import StageTimeout
from sse_progress.model.stage_api import StageFunction, Upload
from sse_progress.sandbox.confinement import Confinement
from sse_progress.sandbox.function_ref import Reference, is_asynchronous
from sse_progress.sandbox.messages import Limits, Outcome, Progress, Task
from sse_progress.sandbox.on_loop import Report, run_on_loop
from sse_progress.sandbox.outcomes import check_cost, meaning_of, result_of, too_demanding, too_slow
from sse_progress.sandbox.process import StageProcess

__all__ = ["Session"]


class Children(Protocol):
    """Where a session has its child from: the pool."""

    limits: Limits
    confinement: Confinement
    closed: bool

    async def take(self, module: str) -> StageProcess: ...

    async def give_back(self, child: StageProcess, *, clean: bool) -> None: ...


class Session:
    """`has_process`: the next `def` goes on in the process of the one before. `cpu_s`: what the
    processes that have ended took of the CPU time that all may take together."""

    def __init__(self, pool: Children, *, cpu_s: float, timeout_s: float) -> None:
        self.has_process = False
        self.cpu_s = 0.0
        self._pool, self._all_cpu_s = pool, cpu_s
        self._timeout_s, self._time_left_s = timeout_s, timeout_s
        self._child: StageProcess | None = None
        self._counted_s = 0.0
        """Of the child's: what was there before, or is in `cpu_s`."""
        self._limits = pool.limits
        """Of the process that there is."""

    async def call(
        self,
        function: StageFunction,
        upload: Upload,
        report: Report,
        *,
        timeout_s: float,
        writable: Sequence[str] = (),
        followed_by: Sequence[StageFunction] = (),
    ) -> dict[str, Any]:
        """Call `function(upload, report)` and return its result, plain JSON values; `{}` for None.

        `report(fraction, message)` is called on this loop, 50 times a second at most for a `def`,
        with fractions 0.0-1.0 that never decrease; what it raises is raised here. `timeout_s` are
        seconds of wall-clock time, or what is left of the upload's. Cancelling kills the child
        and waits until it is gone.

        A new process may write the directories `writable` for as long as it lives, those of its
        later calls among them (by default `upload.scratch` alone), and finds loaded what the
        functions `followed_by` need.

        Raises Rejected (the stage's own; `corrupt_file` if the child crashed; `too_demanding` if it
        met the limit of memory or file size, or a limit of the whole upload), StageTimeout,
        InsufficientStorage, StageFailed, StageUnavailable (an `async def` raised),
        ChildLost, and NotAStage for what cannot be run at all.
        """
        with self._timed():
            return await self._call(
                function,
                upload,
                report,
                timeout_s=min(timeout_s, self._time_left_s),
                writable=tuple(writable) or (upload.scratch,),
                followed_by=followed_by,
            )

    async def _call(
        self,
        function: StageFunction,
        upload: Upload,
        report: Report,
        *,
        timeout_s: float,
        writable: tuple[str, ...],
        followed_by: Sequence[StageFunction],
    ) -> dict[str, Any]:
        if is_asynchronous(function):
            return await run_on_loop(function, upload, report, timeout_s=timeout_s)
        reference = Reference.to(function)
        if not self.has_process:
            self._limits = self._what_is_left()
        child = await self._take(reference.module)
        task = Task(
            function=reference.name,
            upload=upload,
            limits=self._limits,
            confinement=self._pool.confinement,
            fresh=not self.has_process,
            writable=writable,
            followed_by=tuple(Reference.to(each).name for each in followed_by),
        )
        return result_of(await self._perform(child, task, report, timeout_s=timeout_s), task)

    async def renew(self) -> None:
        """End the process, if there is one: the next function has one of its own."""
        if self.has_process and self._child is not None:
            self.has_process = False
            if not await self._child.finish():
                await self._let_go(clean=False)
            else:
                self._count(self._child)

    async def end(self) -> None:
        with anyio.CancelScope(shield=True):
            await self.renew()
            await self._let_go(clean=True)

    async def _take(self, module: str) -> StageProcess:
        if self._child is not None and self._child.exit is not None:
            await self._let_go(clean=False)
        if self._child is None:
            self._child = await self._pool.take(module)
            self._counted_s = self._child.tasks_cpu_s()
        self._child.modules.add(module)
        return self._child

    async def _perform(
        self, child: StageProcess, task: Task, report: Report, *, timeout_s: float
    ) -> Outcome:
        def hear(progress: Progress) -> None:
            check_cost(progress, task.limits)
            report(progress.fraction, progress.message)

        self.has_process = True
        outcome, before_s = None, self.cpu_s
        try:
            with anyio.move_on_after(timeout_s) as deadline:
                outcome = await child.perform(task, hear)
        finally:
            if outcome is None:
                await self._let_go(clean=False)
        if deadline.cancelled_caught:
            raise too_slow(timeout_s)
        if outcome is None:
            assert child.exit is not None
            took_s = self.cpu_s - before_s
            raise meaning_of(
                child.exit,
                task,
                took_s=took_s,
                all_cpu_s=self._all_cpu_s,
                closed=self._pool.closed,
            )
        return outcome

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """A function's time is its upload's. Raises Rejected where that has none left."""
        if self._time_left_s <= 0:
            raise too_demanding(self._timeout_s)
        began_s = anyio.current_time()
        try:
            yield
        except StageTimeout:
            if anyio.current_time() - began_s < self._time_left_s:
                raise
            raise too_demanding(self._timeout_s) from None
        finally:
            self._time_left_s -= anyio.current_time() - began_s

    def _what_is_left(self) -> Limits:
        """For a new process. Raises Rejected."""
        left_s = math.ceil(self._all_cpu_s - self.cpu_s)
        if left_s <= 0:
            raise too_demanding(self._all_cpu_s, "CPU time")
        return replace(self._pool.limits, all_cpu_s=left_s)

    def _count(self, child: StageProcess) -> None:
        used_s = child.tasks_cpu_s()
        self.cpu_s += max(used_s - self._counted_s, 0.0)
        self._counted_s = used_s

    async def _let_go(self, *, clean: bool) -> None:
        """Give the child back; it is ended where anything of the upload may be left in it."""
        child, self._child = self._child, None
        if child is not None:
            await self._pool.give_back(child, clean=clean and not self.has_process)
            self._count(child)
        self.has_process = False
