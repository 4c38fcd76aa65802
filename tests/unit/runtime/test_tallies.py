"""Counts that are told to Prometheus' client once a second."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from sse_progress.runtime import tallies
from sse_progress.runtime.tallies import HistogramTally, Total
from tests.helpers.waiting import eventually

BOUNDS = (0.5, 1, 2.5)


def histogram() -> tuple[Histogram, Callable[[], list[bytes]]]:
    registry = CollectorRegistry()
    made = Histogram("wait", "Of a test", buckets=BOUNDS, registry=registry)

    def lines() -> list[bytes]:
        everything = generate_latest(registry).splitlines()
        return [line for line in everything if b"_created" not in line]

    return made, lines


def is_told(counter: Counter, count: int) -> bool:
    return bool(counter._value.get() == count)


@given(amounts=st.lists(st.sampled_from((0, 0.25, 0.5, 0.75, 1, 2, 2.5, 3, 1000)), max_size=20))
async def test_a_histogram_is_told_what_it_would_have_observed(amounts: list[float]) -> None:
    """On a bound, between and above all of them; in two tellings as well as in one."""
    (plain, expected), (told, found) = histogram(), histogram()
    tally = HistogramTally(told)
    for at, amount in enumerate(amounts):
        plain.observe(amount)
        tally.observe(amount)
        if at % 7 == 3:
            tally.flush()
    tally.flush()
    assert found() == expected()


async def test_counts_are_told_by_themselves_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that come after it."""
    monkeypatch.setattr(tallies, "FLUSH_S", 0.01)
    counter = Counter("met", "Of a test", registry=CollectorRegistry())
    total = Total(counter)
    for expected in (3, 6):
        total.inc(2)
        total.inc()
        await eventually(partial(is_told, counter, expected), "it is told")
    total.flush()
    assert counter._value.get() == 6
