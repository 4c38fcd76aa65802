"""How long the rest will take: said only where there is a basis for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from sse_progress.runtime.redis.client import connect
from sse_progress.worker.eta import History
from tests.helpers.redis_server import RedisServer

STAGES = ("validating", "analyzing", "processing")


class Clock:
    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url) as client:
        yield client


async def one_upload(history: History, clock: Clock, *seconds: float, size: int = 1000) -> None:
    """An upload whose stages take so long."""
    estimate = await history.estimate(
        kind="upload", stages=STAGES, content_type="image/png", size=size
    )
    for stage, took in zip(STAGES, seconds, strict=True):
        estimate.begin(stage)
        clock.now += took
        await estimate.finish()


async def test_nothing_is_said_without_a_basis(redis: Redis) -> None:
    """The first upload of its kind: its own pace says nothing about the stages after it."""
    clock = Clock()
    history = History(redis, clock=clock)
    estimate = await history.estimate(
        kind="upload", stages=STAGES, content_type="image/png", size=1000
    )
    estimate.begin("validating")
    clock.now += 10
    assert estimate.remaining_s(0.5) is None
    estimate.begin("processing")
    assert estimate.remaining_s(0.0) is None
    assert estimate.remaining_s(0.5) is None
    clock.now += 10
    assert estimate.remaining_s(0.05) is None


async def test_the_last_stage_needs_its_own_pace_alone(redis: Redis) -> None:
    """A quarter done in 10 s: 30 s more."""
    clock = Clock()
    history = History(redis, clock=clock)
    estimate = await history.estimate(
        kind="upload", stages=STAGES, content_type="image/png", size=1000
    )
    estimate.begin("processing")
    clock.now += 10
    assert estimate.remaining_s(0.25) == 30
    assert estimate.remaining_s(1.0) == 0


async def test_history_is_a_basis_from_the_first_moment(redis: Redis) -> None:
    """Stages to come count as they took before; a stage's own pace outweighs what it took."""
    clock = Clock()
    history = History(redis, clock=clock)
    await one_upload(history, clock, 10, 20, 40)
    estimate = await history.estimate(
        kind="upload", stages=STAGES, content_type="image/jpeg", size=900
    )
    estimate.begin("validating")
    assert estimate.remaining_s(0.0) == 70
    clock.now += 4
    assert estimate.remaining_s(0.0) == 66
    assert estimate.remaining_s(0.5) == 4 + 60
    estimate.begin("processing")
    clock.now += 4
    assert estimate.remaining_s(0.01) == 36


async def test_it_is_never_negative(redis: Redis) -> None:
    """An upload that takes far longer than those before it has 0 s left, not less."""
    clock = Clock()
    history = History(redis, clock=clock)
    await one_upload(history, clock, 1, 1, 1)
    estimate = await history.estimate(
        kind="upload", stages=STAGES, content_type="image/png", size=1000
    )
    estimate.begin("processing")
    clock.now += 1000
    assert estimate.remaining_s(0.0) == 0
    assert estimate.remaining_s(1.0) == 0


async def test_the_average_runs(redis: Redis) -> None:
    """The newest measurement weighs 0.3; an old one fades."""
    clock = Clock()
    history = History(redis, clock=clock)
    await one_upload(history, clock, 0, 0, 100)
    await one_upload(history, clock, 0, 0, 200)
    estimate = await history.estimate(
        kind="upload", stages=STAGES, content_type="image/png", size=1000
    )
    estimate.begin("processing")
    assert estimate.remaining_s(0.0) == 130
    for _ in range(30):
        await one_upload(history, clock, 0, 0, 10)
    estimate = await history.estimate(
        kind="upload", stages=STAGES, content_type="image/png", size=1000
    )
    estimate.begin("processing")
    assert estimate.remaining_s(0.0) == 10


async def test_kinds_and_sizes_are_told_apart(redis: Redis) -> None:
    """A large picture says nothing of a small one, nor of a video."""
    clock = Clock()
    history = History(redis, clock=clock)
    await one_upload(history, clock, 1, 2, 3, size=50_000_000)
    for content_type, size in (("image/png", 1000), ("video/mp4", 50_000_000)):
        estimate = await history.estimate(
            kind="upload", stages=STAGES, content_type=content_type, size=size
        )
        estimate.begin("validating")
        assert estimate.remaining_s(0.0) is None
    estimate = await history.estimate(
        kind="upload", stages=STAGES, content_type="image/webp", size=60_000_000
    )
    estimate.begin("validating")
    assert estimate.remaining_s(0.0) == 6


async def test_clients_cannot_make_keys_without_bound(redis: Redis) -> None:
    """A claimed type is a client's word: kinds that nobody knows share a key; keys expire."""
    clock = Clock()
    history = History(redis, clock=clock)
    for n in range(50):
        estimate = await history.estimate(
            kind="upload", stages=STAGES, content_type=f"x{n}/y", size=1000
        )
        estimate.begin("validating")
        await estimate.finish()
    keys = await redis.keys("*")
    assert len(keys) == 1
    assert 0 < await redis.ttl(keys[0]) <= 90 * 24 * 3600


async def test_losing_redis_is_harmless(own_redis: RedisServer) -> None:
    """Without it there is no history, and what is measured is not kept; nothing is raised."""
    clock = Clock()
    async with connect(own_redis.url) as redis:
        history = History(redis, clock=clock)
        await one_upload(history, clock, 1, 1, 1)
        before = await history.estimate(
            kind="upload", stages=STAGES, content_type="image/png", size=1000
        )
        own_redis.kill()
        before.begin("validating")
        assert before.remaining_s(0.0) == 3
        await before.finish()
        during = await history.estimate(
            kind="upload", stages=STAGES, content_type="image/png", size=1000
        )
        during.begin("processing")
        assert during.remaining_s(0.0) is None
        clock.now += 5
        assert during.remaining_s(0.5) == 5
        await during.finish()
