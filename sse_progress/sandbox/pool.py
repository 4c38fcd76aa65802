"""The stage children of one worker: started when needed, kept warm, lent to one upload at a time.

It owns the children. What they are asked is up to the session of an upload, and it knows nothing of
stages' order, journals or storage.
"""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from sse_progress.model.stage_api import StageFunction, Upload
from sse_progress.sandbox.confinement import Confinement
from sse_progress.sandbox.environment import child_environment
from sse_progress.sandbox.messages import Limits
from sse_progress.sandbox.on_loop import Report
from sse_progress.sandbox.outcomes import CannotStart, ChildLost
from sse_progress.sandbox.process import StageProcess
from sse_progress.sandbox.session import Session

__all__ = ["Pool"]

START_S = 30.0
"""A child that does not take tasks by then will not."""


class Pool:
    """At most `size` children, each doing one task at a time, started when needed and kept warm.

    Limits are those of one process, in which one upload's functions run: `memory_bytes` of address
    space on top of what the child holds, `file_bytes` for each file written, `open_files`; `cpu_s`
    seconds of CPU time for each function. The process is forked from a warm child and confined by
    `confinement`; the warm child is replaced after `uploads_per_child` uploads.
    `environment` is that of this process by default; children see little of it.
    """

    def __init__(
        self,
        *,
        size: int,
        memory_bytes: int,
        cpu_s: int,
        file_bytes: int = 4 * 1024**3,
        open_files: int = 256,
        uploads_per_child: int = 100,
        confinement: Confinement | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._slots = anyio.Semaphore(size)
        self.limits = Limits(
            memory_bytes=memory_bytes,
            cpu_s=cpu_s,
            all_cpu_s=cpu_s,
            file_bytes=file_bytes,
            open_files=open_files,
        )
        self.confinement = confinement or Confinement()
        self.closed = False
        self._uploads_per_child = uploads_per_child
        given = os.environ if environment is None else environment
        self._environment = child_environment(given, Path.cwd())
        self._children: set[StageProcess] = set()
        self._idle: list[StageProcess] = []
        """The one used last is at the end."""

    @property
    def pids(self) -> list[int]:
        """Process ids of all children, working or not."""
        return sorted(child.pid for child in self._children)

    async def start(self) -> None:
        """Have one child ready, so that a first upload need not wait. Raises CannotStart."""
        self._idle.append(await self._start_child())

    async def aclose(self) -> None:
        """Kill all children and wait for them; what they worked on raises ChildLost."""
        self.closed = True
        for child in list(self._children):
            child.kill()
        for child in list(self._children):
            await child.end()

    @asynccontextmanager
    async def session(
        self, *, cpu_s: float | None = None, timeout_s: float = math.inf
    ) -> AsyncIterator[Session]:
        """For the functions of one upload; waits for a child's turn. What is left of the upload's
        process is gone at the end, whatever the end. `cpu_s`: CPU time of all the functions,
        `timeout_s`: wall-clock time."""
        async with self._slots:
            all_cpu_s = self.limits.all_cpu_s if cpu_s is None else cpu_s
            session = Session(self, cpu_s=all_cpu_s, timeout_s=timeout_s)
            try:
                yield session
            finally:
                await session.end()

    async def run(
        self, function: StageFunction, upload: Upload, report: Report, *, timeout_s: float
    ) -> dict[str, Any]:
        """One function in a session of its own."""
        async with self.session() as session:
            return await session.call(function, upload, report, timeout_s=timeout_s)

    # ---- for sessions

    async def take(self, module: str) -> StageProcess:
        """An idle child, best one that has imported `module` already; else a new one.

        Raises ChildLost.
        """
        if self.closed:
            raise ChildLost("the pool is closed")
        if self._idle:
            warm = (child for child in reversed(self._idle) if module in child.modules)
            child = next(warm, self._idle[-1])
            self._idle.remove(child)
            return child
        try:
            return await self._start_child()
        except CannotStart as error:
            raise ChildLost(str(error)) from error

    async def give_back(self, child: StageProcess, *, clean: bool) -> None:
        """`clean`: no process of an upload is left in it."""
        child.uploads += 1
        if not clean or child.uploads >= self._uploads_per_child or self.closed or child.exit:
            await child.end()
            return
        self._idle.append(child)

    # ---- children

    async def _start_child(self) -> StageProcess:
        child = StageProcess()
        try:
            child.start(self._environment, self._forget)
        except OSError as error:
            raise CannotStart(f"a stage child cannot be started: {error}") from error
        self._children.add(child)
        try:
            with anyio.move_on_after(START_S):
                if await child.ready():
                    return child
        except BaseException:
            await child.end()
            raise
        await child.end()
        raise CannotStart(
            f"a stage child ended or hung before it was ready ({child.exit}): {child.last_line}"
        )

    def _forget(self, child: StageProcess) -> None:
        self._children.discard(child)
        if child in self._idle:
            self._idle.remove(child)
