"""Processes that tests start: bound to the test run's life, looked at through /proc."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

_SETPRIV = shutil.which("setpriv") or "setpriv"  # of util-linux


def bound(command: Sequence[str | os.PathLike[str]]) -> list[str]:
    """`command` for `Popen`, killed when the thread that starts it ends.

    A function between fork and exec could do the same. But then Python copies the page tables of
    all that this process holds, 10 ms of CPU, where it borrows them (vfork(2)) without one.
    """
    return [_SETPRIV, "--pdeathsig", "KILL", "--", *map(os.fspath, command)]


def _stat(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat from the state on (proc(5)); [] when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()


def alive(pid: int) -> bool:
    """The process exists and is not a zombie."""
    stat = _stat(pid)
    return bool(stat) and stat[0] not in "ZX"


def began_at(pid: int) -> str:
    """When the process began, in ticks since the machine did: with its id, it is no other one."""
    return (_stat(pid) or [""] * 20)[19]


def children(pid: int) -> list[int]:
    """Direct children, oldest first."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = _stat(int(entry.name))
            if stat and int(stat[1]) == pid and stat[0] not in "ZX":
                found.append(int(entry.name))
    return sorted(found)


def descendants(pid: int) -> list[int]:
    """Children, their children and so on."""
    below = []
    for child in children(pid):
        below += [child, *descendants(child)]
    return below


def command(pid: int) -> list[str]:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [os.fsdecode(part) for part in raw.rstrip(b"\0").split(b"\0")]


def resident_bytes(pid: int) -> int:
    """Resident memory; 0 when the process is gone."""
    stat = _stat(pid)
    return int(stat[21]) * os.sysconf("SC_PAGE_SIZE") if stat else 0


def open_files(pid: int) -> int:
    """Number of open file descriptors."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
