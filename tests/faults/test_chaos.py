"""Runs of faults against everything at once; the seed is printed, so that each can be repeated."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.faults.chaos import KINDS, Plan, run_chaos

SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10_000)

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("rewind", [False, True], ids=["nothing lost", "redis rewound"])
async def test_promises_hold_in_a_storm(short_dir: Path, rewind: bool) -> None:
    """Kills, stops and losses of every kind, each with work in flight, break no promise."""
    print(f"seed {SEED}")
    report = await run_chaos(Plan(seed=SEED, rewind=rewind), short_dir)
    print(report)
    assert set(KINDS) <= set(report.struck)
    assert all(report.in_flight[kind] > 0 for kind in report.struck)
    assert report.accepted > 0
    assert report.reconnects > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEED, SEED + 20))
async def test_promises_hold_in_many_storms(short_dir: Path, seed: int) -> None:
    """The long run: a hundred uploads, two hundred readers, every fault three times."""
    plan = Plan(
        seed=seed, uploads=100, readers=200, faults=KINDS * 3, rewind=seed % 3 == 0, rest_s=180
    )
    report = await run_chaos(plan, short_dir)
    print(report)
    assert all(report.in_flight[kind] > 0 for kind in report.struck)
