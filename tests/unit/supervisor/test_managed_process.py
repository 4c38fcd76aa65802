"""The back-off between restarts, by a clock that the test moves."""

from __future__ import annotations

import os

import pytest

from sse_progress.supervisor.managed_process import ManagedProcess


@pytest.fixture
def child() -> ManagedProcess:
    return ManagedProcess(role="web", name="web 1", command=["true"], environment={})


def live(child: ManagedProcess, start: float, end: float) -> float:
    child.start(start)
    assert child.pid is not None
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert child.reap() == 0
    return child.plan_restart(end)


def test_early_ends_double_the_delay_up_to_five_seconds(child: ManagedProcess) -> None:
    """0.1 s, then twice as long each time, never more than 5 s."""
    delays = [live(child, 100.0, 109.9) for _ in range(8)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert child.restart_at == pytest.approx(114.9)


def test_ten_steady_seconds_begin_anew(child: ManagedProcess) -> None:
    """A process that lived for 10 s was well: its restart is quick again."""
    for _ in range(5):
        live(child, 100.0, 100.5)
    assert live(child, 200.0, 210.0) == 0.1
    assert live(child, 300.0, 300.5) == 0.2
