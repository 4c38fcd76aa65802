"""All processes of one supervisor, and the one wait for their ends, their readiness, and signals.

What an end or a signal means is the supervisor's decision.
"""

from __future__ import annotations

import os
import selectors
import signal
from collections.abc import Callable
from types import FrameType

from sse_progress.supervisor.checks import Failed
from sse_progress.supervisor.managed_process import ManagedProcess

__all__ = ["STOPS", "ProcessTable", "has_terminal"]

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class ProcessTable:
    """`on_signal` is called with a signal's number, `on_end` with an ended process, the process id
    that it had, and its exit code (negative: the signal)."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        on_signal: Callable[[int], None],
        on_end: Callable[[ManagedProcess, int, int], None],
    ) -> None:
        self.all: list[ManagedProcess] = []
        self._clock, self._on_signal, self._on_end = clock, on_signal, on_end
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = os.pipe()

    # ---- processes

    def add(self, process: ManagedProcess) -> None:
        """Start it, and keep it from then on. Raises Failed."""
        self.all.append(process)
        self._launch(process)

    def drop(self, process: ManagedProcess) -> None:
        """Keep it no longer; what is left of it is killed."""
        self.all.remove(process)
        if process.ready_pipe is not None:
            self._selector.unregister(process.ready_pipe)
            process.close_pipe()
        process.kill()

    def start_due(self) -> None:
        """Start again those whose back-off is over."""
        now = self._clock()
        for process in self.all:
            if process.restart_at is not None and process.restart_at <= now:
                self._launch(process)

    def living(self, role: str) -> list[ManagedProcess]:
        return [process for process in self.all if process.role == role and process.process]

    def kill_all(self) -> None:
        for process in self.all:
            process.kill()

    def _launch(self, process: ManagedProcess) -> None:
        try:
            process.start(self._clock())
        except OSError as error:
            raise Failed(f"{process.name} cannot be started: {error}", 1) from None
        if process.ready_pipe is not None:
            self._selector.register(process.ready_pipe, selectors.EVENT_READ, process)

    # ---- waiting

    def listen_to_signals(self) -> None:
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        signal.set_wakeup_fd(self._wake_out, warn_on_full_buffer=False)
        self._selector.register(self._wake_in, selectors.EVENT_READ, None)
        signal.signal(signal.SIGCHLD, _wake)
        for sig in STOPS:
            if sig != signal.SIGHUP or signal.getsignal(sig) != signal.SIG_IGN:  # nohup
                signal.signal(sig, _wake)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    def pump_until(self, condition: Callable[[], bool], limit_s: float) -> None:
        deadline = self._clock() + limit_s
        while not condition() and (left_s := deadline - self._clock()) > 0:
            self.pump(left_s)

    def pump(self, timeout_s: float | None) -> None:
        """Wait at most `timeout_s` for a signal or a readiness byte, and take what came."""
        for key, _ in self._selector.select(timeout_s):
            process = key.data
            if process is None:
                for number in os.read(self._wake_in, 512):
                    self._on_signal(number)
            else:
                self._selector.unregister(key.fd)
                process.read_ready()
        self._reap()

    def _reap(self) -> None:
        """Collect every ended process, also strangers that became ours (as process 1)."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            process = next((each for each in self.all if each.pid == ended.si_pid), None)
            if process is None:
                os.waitpid(ended.si_pid, 0)
                continue
            if process.ready_pipe is not None:
                self._selector.unregister(process.ready_pipe)
            self._on_end(process, ended.si_pid, process.reap())


def _wake(_number: int, _frame: FrameType | None) -> None:
    """The wake-up descriptor tells the loop; nothing is done inside a handler."""


def has_terminal() -> bool:
    """SIGHUP to a program in a terminal says that the terminal is gone."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
