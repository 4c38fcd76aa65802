"""Hosts that share a data directory see each other's locks, or do not start."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sse_progress.storage.presence import LocksNotShared, Presence

BEAT_S = 0.05


def no_lock(descriptor: int, operation: int) -> None:
    """What a file system does whose locks are kept by each host for itself."""


def own_locks(descriptor: int, operation: int) -> None:
    """Locks that hold among the processes of one host, and are seen by no other."""
    if (
        operation == fcntl.LOCK_EX | fcntl.LOCK_NB
        and Path(f"/proc/self/fd/{descriptor}").readlink().name == "b"
    ):
        raise BlockingIOError


@contextmanager
def alive(presence: Presence) -> Iterator[None]:
    over = threading.Event()

    def beats() -> None:
        while not over.wait(BEAT_S / 4):
            presence.beat()

    thread = threading.Thread(target=beats)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)


def test_hosts_that_see_each_other_start(tmp_path: Path) -> None:
    """Any number of processes on each."""
    hosts = [Presence(tmp_path, host=host, beat_s=BEAT_S) for host in ("a", "a", "b", "b")]
    for host in hosts:
        host.enter()
    for host in hosts:
        host.leave()
        host.leave()


def test_a_host_that_does_not_see_a_living_one_is_refused(tmp_path: Path) -> None:
    """By the name of the other; it holds nothing then."""
    first = Presence(tmp_path, host="a", beat_s=BEAT_S)
    first.enter()
    other = Presence(tmp_path, host="b", lock=own_locks, beat_s=BEAT_S)
    with alive(first), pytest.raises(LocksNotShared, match=os.uname().nodename[:10]):
        other.enter()
    first.leave()


def test_a_file_system_without_locks_is_refused(tmp_path: Path) -> None:
    """Even for one host alone."""
    with pytest.raises(LocksNotShared, match="this host"):
        Presence(tmp_path, host="a", lock=no_lock, beat_s=BEAT_S).enter()


def test_a_host_that_has_died_is_in_nobodys_way(tmp_path: Path) -> None:
    """Just now, which takes some beats; long ago, which takes none and is forgotten in a day."""
    dead = Presence(tmp_path, host="a", beat_s=BEAT_S)
    dead.enter()
    dead.leave()
    Presence(tmp_path, host="b", beat_s=BEAT_S).enter()
    os.utime(tmp_path / "hosts" / "a", (time.time() - 90_000,) * 2)
    Presence(tmp_path, host="c", beat_s=60).enter()
    assert sorted(path.name for path in (tmp_path / "hosts").iterdir()) == ["b", "c"]
