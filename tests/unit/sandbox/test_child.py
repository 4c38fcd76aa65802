"""A stage child by itself, with a test in the worker's place at the other end of its channel."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from sse_progress.sandbox.messages import READY, Frames
from tests.helpers.processes import alive, resident_bytes
from tests.helpers.waiting import wait_until

READY_FRAME = b"\0\0\0\5ready"


@dataclass
class Started:
    process: subprocess.Popen[bytes]
    channel: socket.socket
    lifeline: int


Start = Callable[..., Started]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as ends:

        def run(*, parent: int | None = None, lifeline_open: bool = True) -> Started:
            ours, theirs = socket.socketpair()
            ours.settimeout(20)
            ends.callback(ours.close)
            read_end, write_end = os.pipe()
            if not lifeline_open:
                os.close(write_end)
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "sse_progress.sandbox.child"),
                    *map(str, (theirs.fileno(), read_end, parent or os.getpid())),
                ],
                cwd=Path(__file__).parents[3],
                pass_fds=(theirs.fileno(), read_end),
                start_new_session=True,
            )
            theirs.close()
            os.close(read_end)
            ends.callback(process.wait, 20)
            ends.callback(process.kill)
            return Started(process, ours, write_end)

        yield run


def test_it_says_that_it_is_ready_and_then_waits(start: Start) -> None:
    """The first frame is READY; until a task comes the child is small."""
    child = start()
    assert list(Frames().feed(child.channel.recv(100))) == [READY]
    assert resident_bytes(child.process.pid) < 30 * 1024**2
    assert child.process.poll() is None
    os.close(child.lifeline)


def test_a_closed_channel_ends_it_well(start: Start) -> None:
    """A worker that has no more tasks closes the channel; that is no crash."""
    child = start()
    assert child.channel.recv(100) == READY_FRAME
    child.channel.close()
    assert child.process.wait(timeout=60) == 0
    os.close(child.lifeline)


def test_a_closed_lifeline_kills_it_at_once(start: Start) -> None:
    """The kernel closes a dead worker's descriptors, and that alone ends the child."""
    child = start()
    assert child.channel.recv(100) == READY_FRAME
    os.close(child.lifeline)
    assert child.process.wait(timeout=60) == -9


def test_a_lifeline_that_was_closed_before_it_looked_kills_it_too(start: Start) -> None:
    """A worker may end while its child starts."""
    child = start(lifeline_open=False)
    assert child.process.wait(timeout=60) == -9


def test_a_parent_that_is_another_one_by_now_kills_it(start: Start) -> None:
    """The same, seen by the parent's process id."""
    child = start(parent=1 << 22)
    assert child.process.wait(timeout=60) == -9
    os.close(child.lifeline)


def test_sigterm_ends_an_idle_child(start: Start) -> None:
    """An operator's kill works as for any program."""
    child = start()
    assert child.channel.recv(100) == READY_FRAME
    child.process.terminate()
    wait_until(lambda: not alive(child.process.pid), "the child is gone")
    os.close(child.lifeline)
