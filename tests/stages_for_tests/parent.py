"""A process that owns a pool, for tests that look at it, or kill it, from outside.

python -m tests.stages_for_tests.parent MODE DIRECTORY

`look`: a stage looks at this hardened process; its result is printed as one line of JSON.
`look-as-equal`: the same, and this process has no capabilities either.
`look-unhardened`: the same, and this process has all that it was given, but is not hardened.
`work`: a stage starts a family of processes and waits; their ids are printed, the child's first.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import anyio

from sse_progress.model.stage_api import Upload
from sse_progress.runtime.linux import drop_capabilities, harden_this_process
from sse_progress.sandbox.pool import Pool
from tests.stages_for_tests import rough


async def main(mode: str, directory: Path) -> None:
    scratch = directory / "scratch"
    scratch.mkdir(exist_ok=True)
    original = directory / "original"
    original.write_bytes(b"bytes")
    upload = Upload(
        id="one",
        path=str(original),
        scratch=str(scratch),
        filename="one.bin",
        claimed_type="application/octet-stream",
        size=5,
        sha256="00",
        created_at="2026-01-15T10:30:00.000Z",
        fields={"go": str(directory / "go")},
    )
    pool = Pool(size=1, memory_bytes=1024**3, cpu_s=30)
    if mode.startswith("look"):
        print(json.dumps(await pool.run(rough.look_at_parent, upload, _ignore, timeout_s=30)))
        await pool.aclose()
        return
    for _ in range(8):  # a worker has threads; which of them ends first must not matter
        threading.Thread(target=time.sleep, args=(300,), daemon=True).start()

    def tell(fraction: float, message: str | None) -> None:
        print(message, flush=True)

    await pool.run(rough.with_family, upload, tell, timeout_s=300)


def _ignore(fraction: float, message: str | None) -> None:
    pass


if __name__ == "__main__":
    if sys.argv[1] == "look-as-equal":
        drop_capabilities()
    if sys.argv[1] != "look-unhardened":
        harden_this_process()
    anyio.run(main, sys.argv[1], Path(sys.argv[2]))
