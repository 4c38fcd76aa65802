"""Jobs in threads: their order, and processes that fork."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from sse_progress.runtime.threads import Threads


async def test_jobs_are_begun_in_the_order_in_which_they_came() -> None:
    """What waits for a thread waits its turn."""
    threads, begun = Threads(1), list[int]()

    def call(number: int) -> int:
        begun.append(number)
        return number

    jobs = [threads.submit(partial(call, number)) for number in range(50)]
    for job in jobs:
        await job.over()
    assert begun == [job.result() for job in jobs] == [*range(50)]


FORKS = """
import asyncio, os
from sse_progress.runtime.threads import Threads

threads = Threads(2)

async def ask():
    job = threads.submit(os.getpid)
    await asyncio.wait_for(job.over(), 20)
    return job.result()

assert asyncio.run(ask()) == os.getpid()
if (child := os.fork()) == 0:
    os._exit(asyncio.run(ask()) != os.getpid())
_, status = os.waitpid(child, 0)
assert status == 0, status
assert asyncio.run(ask()) == os.getpid()
"""


def test_a_forked_process_has_threads_of_its_own() -> None:
    """Those of its parent are not there, and the parent's go on."""
    done = subprocess.run(
        [sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
