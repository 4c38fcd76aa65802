"""One supervised process: started, signalled to end, restarted after a back-off.

It owns the process and its readiness pipe. When to do what is decided by the supervisor.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from sse_progress.runtime.handed_over import hand_over
from sse_progress.runtime.linux import die_with_parent

__all__ = ["READY_FD", "ManagedProcess"]

READY_FD = "SSE_PROGRESS_READY_FD"
"""Environment variable naming a descriptor: one byte `1` on it, then closing, means "ready"."""
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0
STEADY_S = 10.0
"""Seconds of uptime after which the back-off starts again from its minimum."""


@dataclass(kw_only=True)
class ManagedProcess:
    """`role` groups processes that end together; `name` is what log lines call this one.

    A process with `says_ready` is ours: it gets a readiness pipe, and its environment is handed
    over. Another one's `ready` is set from outside. `told` is what standard input tells it.
    """

    role: str
    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path | None = None
    descriptors: tuple[int, ...] = ()
    says_ready: bool = True
    told: bytes = field(default=b"", repr=False)

    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    ready: bool = field(default=False, init=False)
    ready_pipe: int | None = field(default=None, init=False)
    restart_at: float | None = field(default=None, init=False)
    failures: int = field(default=0, init=False)
    """Ends in a row without a steady life between them."""
    _started_at: float = field(default=0.0, init=False)

    def successor(self) -> ManagedProcess:
        """One that is to do the same in its place."""
        return replace(self)

    def start(self, now: float) -> None:
        """Start it; `now` is monotonic seconds. Raises OSError if the command cannot be run."""
        self.ready = False
        self.restart_at = None
        self._started_at = now
        environment = dict(self.environment)
        theirs: list[int] = []
        try:
            if self.says_ready:
                self.ready_pipe, says = os.pipe()
                theirs.append(says)
                environment, handed = hand_over({**environment, READY_FD: str(says)})
                theirs.append(handed)
            self.process = subprocess.Popen(  # noqa: S603  # our own commands
                self.command,
                stdin=_pipe_of(self.told, theirs) if self.told else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if self.told else None,  # it says that it was told
                env=environment,
                cwd=self.directory,
                pass_fds=(*self.descriptors, *theirs),
                process_group=0,  # Ctrl-C reaches only the supervisor, which keeps the order
                # SIGKILL: all promises hold after a crash, and the next start of the service
                # needs its port and its files now.
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509  # one thread
            )
        finally:
            for descriptor in theirs:
                os.close(descriptor)

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def read_ready(self) -> None:
        """To be called when the pipe is readable: a byte or its end."""
        if self.ready_pipe is not None:
            self.ready = os.read(self.ready_pipe, 1) == b"1"
            self.close_pipe()

    def close_pipe(self) -> None:
        if self.ready_pipe is not None:
            os.close(self.ready_pipe)
            self.ready_pipe = None

    def terminate(self) -> None:
        if self.process is not None:
            self.process.terminate()

    def kill(self) -> None:
        """End it and everything it left in its process group, at once."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def reap(self) -> int:
        """Collect the ended process; its exit code (negative: the signal)."""
        assert self.process is not None
        self.kill()  # what it left behind; the group's id is ours as long as it is not reaped
        code = self.process.wait()
        self.process = None
        self.ready = False
        self.close_pipe()
        return code

    def plan_restart(self, now: float) -> float:
        """Set `restart_at`; the seconds until then: 0.1, doubled by each early end, 5 at most."""
        if now - self._started_at >= STEADY_S:
            self.failures = 0
        delay_s = min(FIRST_BACKOFF_S * 2.0**self.failures, LONGEST_BACKOFF_S)
        self.failures += 1
        self.restart_at = now + delay_s
        return delay_s


def _pipe_of(data: bytes, opened: list[int]) -> int:
    """A pipe to read `data` from, a few lines; noted in `opened`."""
    reading, writing = os.pipe()
    opened.append(reading)
    os.write(writing, data)
    os.close(writing)
    return reading
