"""A worker process for the queue's tests; arguments: URL DIR CONCURRENCY LEASE_S NATS_URL.

It writes one line into DIR/log for whatever happens: `<what> <upload id> <pid> <crashes>`. A job
whose id begins with `quick` ends at once, every other when the test makes the file DIR/<id>.go.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from sse_progress.runtime.lean_imports import lean_imports

with lean_imports():
    from sse_progress.queue.queue import Job
    from sse_progress.runtime.redis.client import connect
    from tests.helpers.queues import queue_of


async def main(url: str, directory: Path, concurrency: int, lease_s: float, nats_url: str) -> None:
    log = os.open(directory / "log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def note(what: str, upload_id: str = "-", crashes: int = 0) -> None:
        os.write(log, f"{what} {upload_id} {os.getpid()} {crashes}\n".encode())

    async def handler(job: Job) -> None:
        note("start", job.upload_id, job.attempts)
        try:
            if not job.upload_id.startswith("quick"):
                while not (directory / f"{job.upload_id}.go").exists():
                    await asyncio.sleep(0.01)
            note("end", job.upload_id, job.attempts)
        except asyncio.CancelledError:
            note("cancelled", job.upload_id, job.attempts)
            raise

    redis = connect(url)
    queue = queue_of(redis, nats_url, lease_s=lease_s)
    running = asyncio.ensure_future(
        queue.run(handler, concurrency=concurrency, on_ready=lambda: note("ready"))
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        note("stopped")
    await queue.aclose()
    await redis.aclose()


if __name__ == "__main__":
    where, folder, at_once, lease, nats = sys.argv[1:]
    asyncio.run(main(where, Path(folder), int(at_once), float(lease), nats))
