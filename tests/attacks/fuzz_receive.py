"""A coverage-guided fuzzer on the receive path: `python -m tests.attacks.fuzz_receive [corpus]`.

The first byte of an input chooses how the rest is cut into chunks. What must hold: a body is taken
or refused with a Problem of a 4xx status, however it is cut the outcome is the same, and after a
refusal nothing is on the disk. Options are libFuzzer's.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sse_progress", "python_multipart"]):
    from sse_progress.ingest.limits import ReceiveLimits
    from sse_progress.ingest.multipart import MultipartForm
    from sse_progress.ingest.to_disk import receive
    from sse_progress.model.errors import Problem
    from sse_progress.storage.disk import DiskStorage

from tests.helpers.multipart import BOUNDARY

LIMITS = ReceiveLimits(max_upload_bytes=4096, max_fields_bytes=1024, max_overhead_bytes=2048)
ROOT = Path(tempfile.mkdtemp(prefix="sp-fuzz-"))
STORAGE = DiskStorage.open(ROOT, reserve_bytes=0)
LOOP = asyncio.new_event_loop()


async def chunks(raw: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(raw), size):
        yield raw[at : at + size]


async def outcome(raw: bytes, size: int) -> tuple[object, ...]:
    try:
        received = await receive(
            chunks(raw, size),
            form=MultipartForm(BOUNDARY.encode(), LIMITS),
            incoming=lambda: STORAGE.bodies.incoming("fuzz"),
            limits=LIMITS,
            progress=lambda *_: None,
        )
    except Problem as problem:
        result: tuple[object, ...] = (problem.status,)
    else:
        result = (received.filename, received.fields, received.size, received.sha256)
        assert received.size <= LIMITS.max_upload_bytes
        assert "/" not in received.filename
        received.incoming.discard()
    assert len(result) > 1 or result[0] in (400, 413), result
    left = [path for path in (ROOT / "incoming").rglob("*") if path.is_file()]
    assert not left, left
    return result


def one_input(data: bytes) -> None:
    if not data:
        return
    raw, size = data[1:], data[0] + 1
    whole = LOOP.run_until_complete(outcome(raw, max(len(raw), 1)))
    cut = LOOP.run_until_complete(outcome(raw, size))
    assert whole == cut, (whole, cut)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(ROOT, ignore_errors=True)
