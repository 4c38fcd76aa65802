"""Runs stage functions: a `def` in a warm child process with limits, an `async def` on this loop.

It owns the children and says what their ends mean for an upload. It knows nothing of stages' order,
journals or storage.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import msgspec
import structlog

from sse_progress.model.errors import InsufficientStorage, Internal, Rejected, StageTimeout
from sse_progress.model.stage_api import StageFunction, Upload
from sse_progress.model.text import clean_text
from sse_progress.sandbox.confinement import Confinement
from sse_progress.sandbox.function_ref import Reference, is_asynchronous
from sse_progress.sandbox.messages import (
    Failed,
    Finished,
    Limits,
    NotJson,
    Outcome,
    Refused,
    Task,
    encode_result,
    refusal_in,
)
from sse_progress.sandbox.process import Exit, Report, StageProcess, child_environment

__all__ = ["CannotStart", "ChildLost", "Pool", "StageFailed", "StageUnavailable"]

log = structlog.get_logger(__name__)

START_S = 30.0
"""A child that does not take tasks by then will not."""
CRASHES = frozenset(
    (
        signal.SIGSEGV,
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGTRAP,
        signal.SIGSYS,
    )
)
"""Signals that a process brings upon itself: a decoder met a file that it cannot cope with."""
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class StageUnavailable(Exception):
    """An `async def` stage raised: what it calls may be away, so another attempt may succeed."""


class StageFailed(Internal):
    """A stage broke for a reason of its own; the log has it, clients do not."""


class ChildLost(Exception):
    """Something outside ended the child in the middle of its work: trying again may help."""


class CannotStart(Exception):
    """Children do not start here; the text says why."""


class Pool:
    """At most `size` children, each doing one task at a time, started when needed and kept warm.

    Limits are per task: `memory_bytes` of address space on top of what the child holds, `cpu_s`
    seconds of CPU time of the child itself, `file_bytes` for each file written, `open_files`. Each
    task has a process of its own, forked from a warm child and confined by `confinement`; the warm
    child is replaced after `tasks_per_child` tasks.
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
        tasks_per_child: int = 100,
        confinement: Confinement | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._slots = anyio.Semaphore(size)
        self._limits = Limits(
            memory_bytes=memory_bytes, cpu_s=cpu_s, file_bytes=file_bytes, open_files=open_files
        )
        self._tasks_per_child = tasks_per_child
        self._confinement = confinement or Confinement()
        given = os.environ if environment is None else environment
        self._environment = child_environment(given, Path.cwd())
        self._children: set[StageProcess] = set()
        self._idle: list[StageProcess] = []
        """The one used last is at the end."""
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """Process ids of all children, working or not."""
        return sorted(child.pid for child in self._children)

    async def start(self) -> None:
        """Have one child ready, so that a first upload need not wait. Raises CannotStart."""
        self._idle.append(await self._start_child())

    async def aclose(self) -> None:
        """Kill all children and wait for them; what they worked on raises ChildLost."""
        self._closed = True
        for child in list(self._children):
            child.kill()
        for child in list(self._children):
            await child.end()

    async def run(
        self, function: StageFunction, upload: Upload, report: Report, *, timeout_s: float
    ) -> dict[str, Any]:
        """Call `function(upload, report)` and return its result, plain JSON values; `{}` for None.

        `report(fraction, message)` is called on this loop, 50 times a second at most for a `def`,
        with fractions 0.0-1.0 that never decrease; what it raises is raised here. `timeout_s` are
        seconds of wall-clock time, from when there is a child for it. Cancelling kills the child
        and waits until it is gone.

        Raises Rejected (the stage's own; `corrupt_file` if the child crashed; `too_demanding` if it
        met the limit of memory or file size), StageTimeout, InsufficientStorage, StageFailed,
        StageUnavailable (an `async def` raised),
        ChildLost, and NotAStage for what cannot be run at all.
        """
        if is_asynchronous(function):
            return await _run_here(function, upload, report, timeout_s=timeout_s)
        reference = Reference.to(function)
        task = Task(
            function=reference.name,
            upload=upload,
            limits=self._limits,
            confinement=self._confinement,
        )
        async with self._slots:
            return await self._run_in_child(reference.module, task, report, timeout_s=timeout_s)

    async def _run_in_child(
        self, module: str, task: Task, report: Report, *, timeout_s: float
    ) -> dict[str, Any]:
        try:
            child = await self._take(module)
        except CannotStart as error:
            raise ChildLost(str(error)) from error
        outcome = None
        try:
            with anyio.move_on_after(timeout_s) as deadline:
                outcome = await child.perform(task, report)
        finally:
            await self._give_back(child, outcome)
        if deadline.cancelled_caught:
            raise _too_slow(timeout_s)
        if outcome is None:
            assert child.exit is not None
            raise self._meaning(child.exit, task)
        return _result(outcome, task)

    # ---- children

    async def _take(self, module: str) -> StageProcess:
        """An idle child, best one that has imported `module` already; else a new one."""
        if self._closed:
            raise ChildLost("the pool is closed")
        if not self._idle:
            child = await self._start_child()
        else:
            warm = (child for child in reversed(self._idle) if module in child.modules)
            child = next(warm, self._idle[-1])
            self._idle.remove(child)
        child.modules.add(module)
        return child

    async def _give_back(self, child: StageProcess, outcome: Outcome | None) -> None:
        spent = child.tasks >= self._tasks_per_child
        if outcome is None or spent or self._closed or child.exit is not None:
            await child.end()
            return
        self._idle.append(child)

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

    # ---- what an end means

    def _meaning(self, end: Exit, task: Task) -> Exception:
        """What it says of the upload that the child ended without an outcome."""
        about = log.bind(function=task.function, upload_id=task.upload.id)
        if end.code >= 0:
            about.error("a stage ended its process", exit_code=end.code)
            return StageFailed()
        number = -end.code
        about.warning("a stage child was ended", signal=signal.strsignal(number))
        if number == signal.SIGXCPU:
            return _too_slow(self._limits.cpu_s, "CPU time")
        # A library in C that gets no memory mostly crashes; only the size it had tells.
        large = end.peak_rss_bytes >= self._limits.memory_bytes / 2
        if number == signal.SIGXFSZ or (number in CRASHES and large):
            return _too_demanding()
        if number in CRASHES:
            return Rejected("corrupt_file", "The file could not be decoded.")
        if end.killed and not self._closed:
            return StageFailed()
        return ChildLost(f"ended by signal {number}")


def _result(outcome: Outcome, task: Task) -> dict[str, Any]:
    """A finished task's result, or what its outcome means, raised."""
    if isinstance(outcome, Finished):
        assert isinstance(outcome.result, dict)
        return outcome.result
    about = log.bind(function=task.function, upload_id=task.upload.id)
    if isinstance(outcome, Refused):
        raise _refusal(outcome.code, outcome.detail, about)
    assert isinstance(outcome, Failed)
    about.error("a stage failed", reason=outcome.reason, exception=outcome.trace)
    if outcome.reason in ("memory", "file_size"):
        raise _too_demanding()
    if outcome.reason == "storage_full":
        raise InsufficientStorage
    raise StageFailed


def _refusal(code: str, detail: str, about: Any) -> Rejected | StageFailed:
    if _CODE.fullmatch(code):
        return Rejected(code, clean_text(detail))
    about.error("a refusal's code is not snake_case", code=clean_text(code))
    return StageFailed()


def _too_slow(limit_s: float, what: str = "time") -> StageTimeout:
    return StageTimeout(f"Working on this file takes more {what} than the {limit_s:g} s allowed.")


def _too_demanding() -> Rejected:
    return Rejected("too_demanding", "Working on this file takes more memory or room than allowed.")


# ---- stages on the worker's loop


class _Reporter:
    """The `report` of an `async def`: clamped, never decreasing, mute after the end."""

    def __init__(self, report: Report) -> None:
        self._report: Report | None = report
        self._fraction = 0.0
        self.error: Exception | None = None
        """What the receiver of the reports raised: not the stage's fault."""

    def __call__(self, fraction: float, message: str | None = None) -> None:
        if self._report is None:
            return
        if fraction > self._fraction:  # never true for a NaN
            self._fraction = min(float(fraction), 1.0)
        try:
            self._report(self._fraction, message)
        except Exception as error:
            self.error = error
            raise

    def close(self) -> None:
        self._report = None


async def _run_here(
    function: Callable[..., Any], upload: Upload, report: Report, *, timeout_s: float
) -> dict[str, Any]:
    about = log.bind(function=getattr(function, "__qualname__", repr(function)))
    about = about.bind(upload_id=upload.id)
    reporter = _Reporter(report)
    try:
        with anyio.move_on_after(timeout_s) as deadline:
            encoded = encode_result(await function(upload, reporter))
            plain: dict[str, Any] = msgspec.json.decode(encoded)
            return plain
    except NotJson as error:
        about.error("a stage failed", reason=str(error))
        raise StageFailed from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        about.exception("a stage cancelled itself")
        raise StageFailed from None
    except Exception as error:
        if reporter.error is not None:
            raise reporter.error from None
        rejection = refusal_in(error)
        if rejection is not None:
            raise _refusal(rejection.code, rejection.detail, about) from None
        about.exception("a stage failed")
        raise StageUnavailable from error
    finally:
        reporter.close()
    assert deadline.cancelled_caught
    raise _too_slow(timeout_s)
