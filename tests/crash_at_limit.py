"""Runs one crashing stage under two memory limits and prints the codes; a process of its own,
since what a child is told to have held at most includes what its parent held when it began."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from sse_progress.errors import Problem
from sse_progress.pool import Pool
from sse_progress.stage import Upload
from tests.stages_for_tests import rough

MIB = 1024 * 1024


async def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        original = Path(place) / "original"
        original.write_bytes(b"12345")
        upload = Upload(
            id="one",
            path=str(original),
            scratch=place,
            filename="one.bin",
            claimed_type="application/octet-stream",
            size=5,
            sha256="00",
            created_at="2026-01-15T10:30:00.000Z",
        )
        for limit in (256, 1024):
            pool = Pool(size=1, memory_bytes=limit * MIB, cpu_s=20)
            try:
                await pool.run(rough.heavy_abort, upload, lambda *_: None, timeout_s=60)
            except Problem as problem:
                print(f"code {problem.code}")
            finally:
                await pool.aclose()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
