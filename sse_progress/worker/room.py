"""What the stages of one attempt may write: so much each, and little once the disk is nearly full.

The kernel limits single files only, and the reserve of the disk is Redis' and the journals'. What
is written to files that have no name any more is not seen here; it is gone with the process.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from sse_progress.model.errors import InsufficientStorage, Problem, Rejected
from sse_progress.runtime.concurrency import beside, blocking

__all__ = ["Room"]

POLL_S = 0.2
"""Between looks at the disk: at 1 GB/s less than the reserve can be written meanwhile."""
LOOKS_PER_COUNT = 5
"""Looks at the disk for each count of what was written."""
SPARE_BYTES = 16 * 1024**2
"""What an attempt may have written while the disk is short, so that small files go on."""
MOST_FILES = 100_000


@dataclass(frozen=True, slots=True)
class Room:
    """`scratch_bytes`: of one attempt. `reserve_bytes`: free space that large files must leave."""

    scratch_bytes: int = 4 * 1024**3
    reserve_bytes: int = 0

    @asynccontextmanager
    async def kept(self, scratch: Path) -> AsyncIterator[None]:
        """Cancel the block where `scratch` has too much in it. Then raises Rejected, or
        InsufficientStorage if it is the disk that is short."""
        problem: Problem | None = None
        scope = anyio.CancelScope()

        async def watch() -> None:
            nonlocal problem
            problem = await self._excess(scratch)
            scope.cancel()

        with scope:
            async with beside(watch()):
                yield
        if problem is not None and scope.cancelled_caught:
            raise problem

    async def _excess(self, scratch: Path) -> Problem:
        look = 0
        while True:
            await anyio.sleep(POLL_S)
            look += 1
            if problem := await blocking(self._look, scratch, look % LOOKS_PER_COUNT == 0):
                return problem

    def _look(self, scratch: Path, count: bool) -> Problem | None:
        try:
            free = os.statvfs(scratch)
        except OSError:
            return None  # removed meanwhile, or the storage is away: then writing fails
        short = free.f_bavail * free.f_frsize < self.reserve_bytes
        if not (short or count):
            return None
        limit = min(SPARE_BYTES, self.scratch_bytes) if short else self.scratch_bytes
        if _holds(scratch, limit):
            return None
        if short and limit < self.scratch_bytes:
            return InsufficientStorage()
        return Rejected(
            "too_demanding",
            f"Working on this file takes more room than the {self.scratch_bytes} bytes allowed.",
        )


def _holds(directory: Path, limit_bytes: int) -> bool:
    """Whether what lies there takes no more than that."""
    taken = 0
    for number, size in enumerate(_sizes(directory)):
        taken += size
        if taken > limit_bytes or number >= MOST_FILES:
            return False
    return True


def _sizes(directory: Path) -> Iterator[int]:
    """What each file takes of the disk."""
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                yield entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    yield from _sizes(Path(entry.path))
    except OSError:
        return  # removed while it was read
