"""What one process may ask of Linux about itself: to die with its parent, to keep its memory to
itself, to give up privileges. Nothing here starts a process, and importing it costs no memory.

Sources: prctl(2), capabilities(7), proc(5), fcntl(2).
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = [
    "cpu_s_of",
    "descendants",
    "die_with_lifeline",
    "die_with_parent",
    "drop_capabilities",
    "forbid_new_privileges",
    "harden_this_process",
    "keep_file_capabilities",
    "keep_orphans",
    "without_capabilities",
]

CAP_DAC_READ_SEARCH = 2
_OF_FILES = (0, 1, CAP_DAC_READ_SEARCH, 3)  # CHOWN, DAC_OVERRIDE, …, FOWNER

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_F_SETSIG = getattr(fcntl, "F_SETSIG", 10)  # named by Python from 3.13 on


def harden_this_process() -> None:
    """Keep this process' memory and environment from other processes of the same user.

    No ptrace, no reading of /proc/<pid>/environ, mem or fd, no core dump. A process that runs exec
    loses this again, so each one says it for itself. Root and CAP_SYS_PTRACE still see all.
    """
    _prctl(_PR_SET_DUMPABLE, 0)
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def die_with_parent(parent: int, signal_number: int = signal.SIGKILL) -> None:
    """Have the kernel send `signal_number` when the parent, process id `parent`, ends.

    More exactly: when the *thread* that started this process ends, so start processes from a
    thread that lives as long as they should. A parent that is already gone counts as well.
    """
    _prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal_number)


def die_with_lifeline(read_end: int) -> None:
    """Have the kernel kill this whole process group when a pipe's last write end is closed.

    `read_end` is the other end, kept open and never written to. Unlike a parent death signal this
    reaches grandchildren, and nothing of ours has to run for it.
    """
    fcntl.fcntl(read_end, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(read_end, _F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(read_end, fcntl.F_GETFL)
    fcntl.fcntl(read_end, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
    try:
        closed = os.read(read_end, 1) == b""
    except BlockingIOError:
        return
    if closed:
        os.killpg(0, signal.SIGKILL)


def keep_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none slips away."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def forbid_new_privileges() -> None:
    """No exec from here on gains anything, neither by set-user-id nor by file capabilities."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def keep_file_capabilities() -> None:
    """Give up what root may do more than others, but for reaching files, whoever owns them."""
    drop_capabilities(keep=_OF_FILES)
    forbid_new_privileges()


def drop_capabilities(keep: Iterable[int] = ()) -> None:
    """Give up every capability but `keep`, for good where that is allowed.

    Only the calling thread does, so call it before there are others. Root without capabilities
    still owns root's files, but may no longer look into a process that has more than itself
    (ptrace(2), "Ptrace access mode checking").
    """
    kept = sum(1 << capability for capability in set(keep))
    try:
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
        for capability in range(64):
            if not kept >> capability & 1:
                _prctl(_PR_CAPBSET_DROP, capability)
    except OSError:
        pass  # without CAP_SETPCAP the bounding set stays; past the last capability it is EINVAL
    words = _capabilities()
    for at, mask in ((0, kept & 0xFFFFFFFF), (3, kept >> 32)):
        words[at] = words[at + 1] = words[at + 1] & mask
        words[at + 2] = 0
    _set_capabilities(words)


@contextmanager
def without_capabilities() -> Iterator[None]:
    """Do something as an ordinary user would, and have the capabilities back afterwards."""
    words = _capabilities()
    _set_capabilities([0, *words[1:3], 0, *words[4:6]])
    try:
        yield
    finally:
        _set_capabilities(words)


def _capabilities() -> list[int]:
    """This thread's sets: effective, permitted, inheritable; the low 32 bits, then the high."""
    import ctypes

    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    words = (ctypes.c_uint32 * 6)()
    if _libc().capget(header, words) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    return list(words)


def _set_capabilities(words: list[int]) -> None:
    import ctypes

    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if _libc().capset(header, (ctypes.c_uint32 * 6)(*words)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def cpu_s_of(pid: int) -> tuple[float, float]:
    """CPU seconds of a process, and of those of its descendants that have ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            # utime, stime, cutime, cstime; the command's name may hold anything
            fields = file.read().rpartition(b")")[2].split()[11:15]
    except OSError:
        return 0.0, 0.0
    user, system, children_user, children_system = map(int, fields)
    ticks = os.sysconf("SC_CLK_TCK")
    return (user + system) / ticks, (children_user + children_system) / ticks


def descendants(pid: int) -> list[int]:
    """Process ids of all descendants of `pid`, whatever session or group they are in.

    A snapshot of /proc: what forks meanwhile may be missing.
    """
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208  # pathlib would cost the child its memory
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                # the command's name, in parentheses, may hold anything
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            continue  # it has ended
        children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        own = children.get(waiting.pop(), [])
        found += own
        waiting += own
    return found


def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    if sys.platform != "linux":
        raise OSError(f"prctl exists only on Linux, this is {sys.platform}")
    import ctypes

    number = ctypes.c_ulong
    if _libc().prctl(option, number(value), number(0), number(0), number(0)) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")
