"""Runs the four built-in stages of whatever release is on PYTHONPATH, in a warm child, as a worker
does: a line of JSON with paths in, a line with the CPU seconds of the child and the outcomes out.
With `--in-process` it calls them itself: the stages without what children cost.

It imports nothing but the release itself, and only what every release has.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from sse_progress.model.stage_api import Options, Upload
from sse_progress.sandbox.pool import Pool
from sse_progress.stages.analysis import analyze
from sse_progress.stages.moderation import moderate
from sse_progress.stages.processing import process
from sse_progress.stages.validation import validate

STAGES = (
    ("validating", validate),
    ("analyzing", analyze),
    ("moderating", moderate),
    ("processing", process),
)


def cpu_s(pids: list[int]) -> float:
    """User and system time of the processes and of all that they started and waited for."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def upload_of(path: Path, scratch: str) -> Upload:
    data = path.read_bytes()
    return Upload(
        id="bench",
        path=str(path),
        scratch=scratch,
        filename=path.name,
        claimed_type="application/octet-stream",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        created_at="2026-01-15T10:30:00.000Z",
        options=Options(nsfw_refuse=1.0),
    )


def call(path: Path) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        upload = upload_of(path, scratch)
        for name, function in STAGES:
            try:
                result: dict[str, Any] = function(upload, lambda *_: None)
            except Exception as error:
                return f"{name}: {getattr(error, 'code', type(error).__name__)}"
            upload = msgspec.structs.replace(upload, results={**upload.results, name: result})
    return str(upload.results["validating"].get("contentType"))


async def run(pool: Pool, path: Path) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        upload = upload_of(path, scratch)
        async with pool.session() as session:
            for name, function in STAGES:
                if name == "moderating":
                    await session.renew()
                try:
                    result: dict[str, Any] = await session.call(
                        function, upload, lambda *_: None, timeout_s=600
                    )
                except Exception as error:
                    return f"{name}: {getattr(error, 'code', type(error).__name__)}"
                upload = msgspec.structs.replace(upload, results={**upload.results, name: result})
    return str(upload.results["validating"].get("contentType"))


def call_all() -> None:
    while line := sys.stdin.readline():
        paths = [Path(path) for path in json.loads(line)]
        began = cpu_s([os.getpid()])
        outcomes = [call(path) for path in paths]
        answer = {"cpu_s": cpu_s([os.getpid()]) - began, "outcomes": outcomes}
        print(json.dumps(answer), flush=True)


async def main() -> None:
    pool = Pool(size=1, memory_bytes=2 * 1024**3, cpu_s=3600, uploads_per_child=10**6)
    await pool.start()
    try:
        while line := await asyncio.to_thread(sys.stdin.readline):
            paths = [Path(path) for path in json.loads(line)]
            began = cpu_s(pool.pids)
            outcomes = [await run(pool, path) for path in paths]
            answer = {"cpu_s": cpu_s(pool.pids) - began, "outcomes": outcomes}
            print(json.dumps(answer), flush=True)
    finally:
        await pool.aclose()


if __name__ == "__main__":
    if sys.argv[1:] == ["--in-process"]:
        call_all()
    else:
        asyncio.run(main())
