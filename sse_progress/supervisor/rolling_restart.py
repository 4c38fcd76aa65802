"""Replacing a service's processes one after the other, without a moment in which none listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sse_progress.supervisor.checks import Failed
from sse_progress.supervisor.managed_process import ManagedProcess
from sse_progress.supervisor.process_table import ProcessTable

__all__ = ["RollingRestart"]

ROLL_READY_S = 60.0


class Say(Protocol):
    def __call__(self, text: str, level: str = "info") -> None: ...


class RollingRestart:
    """`turn_until` waits for a condition, at most so many seconds, while the rest goes on;
    `stopping`: whether the service is to end. `leaving` is the process that is asked to end now:
    its end is no failure."""

    def __init__(
        self,
        table: ProcessTable,
        *,
        turn_until: Callable[[Callable[[], bool], float], None],
        stopping: Callable[[], bool],
        say: Say,
        end_grace_s: float,
    ) -> None:
        self.leaving: ManagedProcess | None = None
        self._table, self._turn_until, self._stopping = table, turn_until, stopping
        self._say, self._end_grace_s = say, end_grace_s

    def roll(self) -> None:
        """Replace web processes and workers.

        Each new one is ready before its predecessor is asked to end, so a connection always finds
        a listener. Stops at the first that does not become ready: the old one stays.
        """
        self._say("Rolling restart: web processes, then workers.")
        for old in [each for each in self._table.all if each.role != "redis"]:
            if not self._replace(old):
                return
        self._say("Rolling restart: all processes are new.")

    def _replace(self, old: ManagedProcess) -> bool:
        new = old.successor()
        self._turn_until(lambda: old.ready, ROLL_READY_S)  # it may be restarting just now
        try:
            self._table.add(new)
        except Failed as error:
            self._table.drop(new)
            self._say(f"Rolling restart given up: {error}", "error")
            return False
        self._turn_until(lambda: new.ready or new.restart_at is not None, ROLL_READY_S)
        if self._stopping():
            return False
        if not new.ready:
            self._table.drop(new)
            self._say(f"Rolling restart given up: the new {new.name} is not ready.", "error")
            return False
        self.leaving = old
        old.terminate()
        self._turn_until(lambda: old.process is None, self._end_grace_s)
        self.leaving = None
        if not self._stopping():
            self._table.drop(old)
        return not self._stopping()
