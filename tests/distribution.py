"""Which files of tests begin first, and which stay together, where processes share them.

pytest-xdist hands out whole files, in the order of collection, to whichever process has next to
nothing left to do. Files that share a service go to one process, which starts it once.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling

__all__ = ["ByService", "turn"]

LONG: tuple[str, ...] = ()
"""Those that take longest: one of them alone at the end would be waited for."""
TOGETHER = ("tests/wire", "tests/attacks")
"""Folders whose other files share a service."""


def turn(path: str) -> int:
    """Long files first, then whole services, then what decodes real files, then the rest."""
    if path in LONG:
        return LONG.index(path)
    if "unit" not in PurePosixPath(path).parts:
        return len(LONG)
    return len(LONG) + (1 if path.startswith("tests/unit/stages") else 2)


class ByService(LoadScopeScheduling):
    """`--dist loadfile`, with files that share a service as one."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        folder = str(PurePosixPath(path).parent)
        return folder if folder in TOGETHER and path not in LONG else path
