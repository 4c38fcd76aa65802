"""The limits of one stage's process: memory, CPU time, size of files, descriptors, processes."""

from __future__ import annotations

import ctypes
import math
import resource
from typing import NamedTuple

from sse_progress.sandbox.messages import Limits

__all__ = ["limit"]

SPARE_PROCESSES = 512
"""Processes and threads that may come on top of all that run when a task begins."""
CPU_GRACE_S = 2


def limit(limits: Limits) -> None:
    """Bound this process and all that it starts, for good: CPU time and memory count from now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/loadavg", encoding="ascii") as file:  # noqa: PTH123
        running = int(file.read().split()[3].partition("/")[2])
    bounds = {
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CPU: math.ceil(used.ru_utime + used.ru_stime) + limits.cpu_s,
        resource.RLIMIT_AS: _memory().taken + limits.memory_bytes,
        resource.RLIMIT_NPROC: running + SPARE_PROCESSES,
    }
    for which, value in bounds.items():
        _, hard = resource.getrlimit(which)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # At the hard limit of CPU time comes SIGKILL, at the soft one SIGXCPU, which tells more.
        top = bound + CPU_GRACE_S if which == resource.RLIMIT_CPU else bound
        resource.setrlimit(
            which, (bound, top if hard == resource.RLIM_INFINITY else min(top, hard))
        )


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
