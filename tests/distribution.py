"""Which files of tests begin first, and which stay together, where processes share them.

pytest-xdist hands out whole files, in the order of collection, to whichever process has next to
nothing left to do. Files that share a service go to one process, which starts it once.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling

__all__ = ["ByService", "turn"]

TOGETHER = ("tests/wire", "tests/attacks")
"""Folders whose files share a service."""
APART = (
    *("connections", "fuzz", "greed", "hostile_load", "limits", "no_sockets", "sandbox"),
    *("compression", "jobs", "kinds", "moderation_services", "nginx", "request_log", "reviews"),
    *("roles", "shortened", "traces", "webhooks"),
)
"""Files in these folders that have services of their own."""


def turn(path: str) -> int:
    """What takes longest begins first, so that no process is alone at the end with it."""
    folder = unit_of(path)
    if folder in TOGETHER:
        return 0
    if folder.startswith("tests/faults"):
        return 1
    if not folder.startswith("tests/unit"):
        return 2
    return 3 if folder.startswith(("tests/unit/stages", "tests/unit/queue")) else 4


def unit_of(path: str) -> str:
    """What goes to a process as one: a file, or the files that share a service."""
    file = PurePosixPath(path)
    folder = str(file.parent)
    together = folder in TOGETHER and file.stem.removeprefix("test_") not in APART
    return folder if together else path


class ByService(LoadScopeScheduling):
    """`--dist loadfile`, with files that share a service as one."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid.partition("::")[0])
