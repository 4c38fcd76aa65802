"""The limits of one upload's process: memory, CPU time, size of files, descriptors, processes."""

from __future__ import annotations

import ctypes
import math
import resource
from typing import NamedTuple

from sse_progress.sandbox.messages import Limits

__all__ = ["allow_cpu", "limit"]

SPARE_PROCESSES = 512
"""Processes and threads that may come on top of all that run when a task begins."""
CPU_GRACE_S = 2


def limit(limits: Limits) -> None:
    """Bound this process and all that it starts, for good: CPU time and memory count from now."""
    with open("/proc/loadavg", encoding="ascii") as file:  # noqa: PTH123
        running = int(file.read().split()[3].partition("/")[2])
    bounds = {
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_AS: _memory().taken + limits.memory_bytes,
        resource.RLIMIT_NPROC: running + SPARE_PROCESSES,
    }
    for which, value in bounds.items():
        _, hard = resource.getrlimit(which)
        bound = _least(value, hard)
        resource.setrlimit(which, (bound, bound))
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    top = _least(_cpu_s() + limits.all_cpu_s + CPU_GRACE_S, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (top, top))
    allow_cpu(limits)


def allow_cpu(limits: Limits) -> None:
    """CPU time for one more task, if that much is left of what this process may have.

    At the soft limit comes SIGXCPU, which tells more than the SIGKILL at the hard one.
    """
    _, top = resource.getrlimit(resource.RLIMIT_CPU)
    soft = min(_cpu_s() + limits.cpu_s, top - CPU_GRACE_S)
    resource.setrlimit(resource.RLIMIT_CPU, (max(soft, 1), top))


def _least(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def _cpu_s() -> int:
    """CPU time that this process has taken."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return math.ceil(used.ru_utime + used.ru_stime)


class _Memory(NamedTuple):
    """Bytes of address space, of those that are resident, and of those that malloc holds free."""

    space: int
    resident: int
    free: int

    @property
    def taken(self) -> int:
        """Address space in use: what is free is had again without growing."""
        return self.space - self.free


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _memory() -> _Memory:
    """From proc(5), statm, and mallinfo2(3), which glibc has from 2.33 on."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        space, resident = file.read().split()[:2]
    page, free = resource.getpagesize(), 0
    if mallinfo2 := getattr(ctypes.CDLL(None), "mallinfo2", None):
        mallinfo2.restype = _Mallinfo2
        free = mallinfo2().fordblks
    return _Memory(int(space) * page, int(resident) * page, free)
