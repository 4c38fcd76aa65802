"""What the sandbox costs: the built-in stages on real files, in one warm process, in a process for
each upload, and in confined ones; CPU seconds of one pass over the mixed set.

    python -m bench.sandbox_cost [--passes 5]

The files are those of `bench.stages_before`. The ways take turns, and every other pass backwards.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.stage_runner import call, cpu_s, run
from bench.stages_before import KINDS
from sse_progress.sandbox.confinement import Confinement
from sse_progress.sandbox.pool import Pool

Pass = Callable[[list[Path]], Awaitable[float]]


def in_one_process(channel: Any) -> None:
    """Do each upload's functions here, one after the other, as long as paths come."""
    while (paths := channel.recv()) is not None:
        began = time.process_time()
        for path in paths:
            call(path)
        channel.send(time.process_time() - began)


def passes_in_pool(pool: Pool) -> Pass:
    async def one_pass(paths: list[Path]) -> float:
        began = cpu_s(pool.pids)
        for path in paths:
            await run(pool, path)
        return cpu_s(pool.pids) - began

    return one_pass


async def main(passes: int) -> None:
    paths = [path for make in KINDS.values() for path in make()]
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=in_one_process, args=(there,), daemon=True)
    process.start()

    async def one_process(files: list[Path]) -> float:
        here.send(files)
        return float(await asyncio.to_thread(here.recv))

    pools = {
        name: Pool(
            size=1,
            memory_bytes=2 * 1024**3,
            cpu_s=3600,
            uploads_per_child=10**6,
            confinement=confinement,
        )
        for name, confinement in (
            ("a process each", Confinement(mode="off")),
            ("confined", Confinement(mode="best-effort", closed=("/nowhere",))),
        )
    }
    ways: dict[str, Pass] = {
        "one process": one_process,
        **{name: passes_in_pool(pool) for name, pool in pools.items()},
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(passes + 1):
        order = list(ways) if number % 2 else list(ways)[::-1]
        for name in order:
            seconds = await ways[name](paths)
            if number:  # the first one loads modules
                taken[name].append(seconds)
    base = statistics.median(taken["one process"])
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        spread = f"{min(seconds):.2f}-{max(seconds):.2f}"
        ratio = middle / base
        print(f"{name}: {middle:.2f} s ({spread}) for {len(paths)} files, {ratio:.3f} of the first")
    for pool in pools.values():
        await pool.aclose()
    here.send(None)


if __name__ == "__main__":
    words = argparse.ArgumentParser()
    words.add_argument("--passes", type=int, default=5)
    asyncio.run(main(words.parse_args().passes))
