"""Which files of tests begin first, and which stay together, where processes share them.

pytest-xdist hands out whole files, in the order of collection, to whichever process has next to
nothing left to do. Files that share a service go to one process, which starts it once.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from xdist.scheduler import LoadScopeScheduling

__all__ = ["ByService", "beginning_elsewhere", "turn"]

APART = {
    "tests/attacks": (
        *("connections", "fuzz", "greed", "hostile_load", "limits", "no_sockets", "sandbox"),
    ),
    "tests/docs": ("cookbook", "growing", "site"),
    "tests/browser": ("kinds", "many", "queue", "resuming", "review", "snippets"),
    "tests/wire": (
        *("compression", "jobs", "kinds", "moderation_services", "nginx", "request_log"),
        *("reviews", "roles", "shortened", "storage_prefix", "traces", "webhooks"),
    ),
}
"""Folders whose files share a service, and those of `browser` a Chromium too; in each, what has
services of its own. In `browser` that goes to one process, with what makes two parts of equal
length of it."""


def turn(path: str) -> tuple[int, str]:
    """What takes longest begins first, so that no process is alone at the end with it.

    Tests of faults and of the queue wait for most of their time, those of stages work: sorted by
    the names of their files, one kind runs beside the other.
    """
    if path.startswith(("tests/faults", "tests/unit/stages", "tests/unit/queue")):
        return 1, PurePosixPath(path).name
    if path.startswith("tests/unit"):
        return 3, path
    return (0 if unit_of(path) != path else 2), path


def beginning_elsewhere(folder: Path, number: int, processes: int) -> list[str]:
    """All files of tests for process `number`, beginning with its share of them.

    Each process collects all of them. Where none is compiled yet, those that begin together would
    compile the same ones, each for itself.
    """
    files = sorted(map(str, folder.rglob("test_*.py")))
    first = len(files) * number // processes
    return files[first:] + files[:first]


def unit_of(path: str) -> str:
    """What goes to a process as one: a file, or those that share something."""
    file = PurePosixPath(path)
    folder = str(file.parent)
    if folder not in APART:
        return path
    if file.stem.removeprefix("test_") not in APART[folder]:
        return folder
    return f"{folder}, apart" if folder == "tests/browser" else path


class ByService(LoadScopeScheduling):
    """`--dist loadfile`, with files that share a service as one."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid.partition("::")[0])
