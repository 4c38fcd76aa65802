"""The queue on NATS, while NATS is away, frozen, or has forgotten everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from anyio import sleep
from redis.asyncio import Redis

from sse_progress.queue.nats_queue import NatsQueue
from sse_progress.queue.queue import Job
from sse_progress.runtime.nats_url import parse_nats_url
from sse_progress.runtime.redis.client import connect
from sse_progress.runtime.redis.keys import QueueKeys
from tests.helpers.certificates import make_certificate
from tests.helpers.nats_server import NatsServer
from tests.helpers.queues import FOR_EVER_S, Desk, Workers, at_work, no_jobs
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.close()


@pytest.fixture
def workers(own_redis: RedisServer, nats: NatsServer, tmp_path: Path) -> Iterator[Workers]:
    made = Workers(own_redis.url, tmp_path, nats_url=nats.url)
    yield made
    made.close()


@asynccontextmanager
async def queue_at(
    url: str, nats: NatsServer, *, lease_s: float = 1, lanes: int = 256
) -> AsyncIterator[tuple[NatsQueue, Redis]]:
    async with connect(url) as redis:
        queue = NatsQueue(
            redis, parse_nats_url(nats.url), name="storage", lease_s=lease_s, lanes=lanes
        )
        yield queue, redis
        await queue.aclose()


LEASE_S = 2.0
"""NATS gives a job to another worker where the one that has it is slower than this to connect again
and say so, as it can be on a busy machine."""


async def after_an_outage(queue: NatsQueue, workers: Workers) -> None:
    """What must hold after each: job `a`, started before, runs on alone; new jobs are taken."""
    await queue.enqueue("new")
    await workers.until("start", "new")
    await sleep(1.5 * LEASE_S)  # a lease and a report: a worker that could take `a` has
    workers.let_end("a")
    workers.let_end("new")
    await no_jobs(queue)
    assert workers.pids("start", "a") == workers.pids("end", "a")
    assert len(workers.lines("start", "a")) == 1
    assert not workers.lines("cancelled", "a")


async def test_a_killed_nats(own_redis: RedisServer, nats: NatsServer, workers: Workers) -> None:
    """Away for several leases: the handler goes on, once; a job that came meanwhile runs then, and
    nobody is said to work until it can."""
    await workers.ready(workers.start(lease_s=LEASE_S), workers.start(lease_s=LEASE_S))
    async with queue_at(own_redis.url, nats) as (queue, _):
        await queue.enqueue("a")
        await workers.until("start", "a")
        assert await queue.workers_alive() == 2
        nats.kill()
        await queue.enqueue("quick")
        with pytest.raises(OSError, match="NATS"):
            await queue.workers_alive()
        await sleep(1.5 * LEASE_S)
        assert not workers.lines("start", "quick")
        nats.start()
        await workers.until("end", "quick")
        assert len(workers.lines("start", "quick")) == 1
        await after_an_outage(queue, workers)


async def test_a_stopped_nats(own_redis: RedisServer, nats: NatsServer, workers: Workers) -> None:
    """Silent for several leases, after which it takes all jobs for lost: they run once."""
    await workers.ready(workers.start(lease_s=LEASE_S), workers.start(lease_s=LEASE_S))
    async with queue_at(own_redis.url, nats) as (queue, _):
        await queue.enqueue("a")
        await workers.until("start", "a")
        nats.stop()
        await sleep(2.2 * LEASE_S)
        nats.cont()
        await after_an_outage(queue, workers)


async def test_a_nats_that_forgot(own_redis: RedisServer, nats: NatsServer, tmp_path: Path) -> None:
    """Stream, consumers and messages are gone: what runs goes on, and what waits is told again."""
    async with queue_at(own_redis.url, nats) as (queue, _):
        await queue.enqueue("a")
        async with at_work(queue, desk := Desk(), concurrency=1):
            await eventually(lambda: desk.started, "it runs")
            await queue.enqueue("b")
            nats.kill()
            nats.forget()
            nats.start()
            desk.ends.set()
            await no_jobs(queue)
    assert desk.started == [Job("a", 0), Job("b", 0)]
    assert desk.ended == ["a", "b"]


async def test_a_message_of_a_job_that_is_over_is_not_run(redis_url: str, nats: NatsServer) -> None:
    """Its worker died after it had said so to Redis, and before NATS heard of it."""
    async with queue_at(redis_url, nats, lease_s=FOR_EVER_S) as (queue, redis):
        await queue.enqueue("over", owner="ann")
        keys = QueueKeys.of("storage")
        await redis.delete(*keys)
        desk = Desk()
        desk.ends.set()
        async with at_work(queue, desk, concurrency=1):
            await queue.enqueue("next", owner="ann")  # in the same lane, behind it
            await eventually(lambda: desk.ended, "the next runs")
            await queue.enqueue("over", owner="ann")
            await eventually(lambda: len(desk.ended) == 2, "it may come again")
            await no_jobs(queue)
        assert desk.ids == ["next", "over"]


async def test_a_job_runs_where_both_agree(redis_url: str, nats: NatsServer) -> None:
    """Redis has forgotten who has it: it is not begun again while NATS knows."""
    async with queue_at(redis_url, nats, lease_s=FOR_EVER_S) as (queue, redis):
        await queue.enqueue("a")
        async with at_work(queue, first := Desk(), concurrency=1):
            await eventually(lambda: first.started, "it runs")
            await redis.delete(*QueueKeys.of("storage"))
            await queue.enqueue("a")
            async with at_work(queue, second := Desk(), concurrency=1):
                await asyncio.sleep(0.6)  # it looks again every quarter of a second
                assert not second.started
            first.ends.set()
            await eventually(lambda: first.ended, "it ends")


async def test_what_redis_knows_to_run_is_not_begun_again(redis_url: str, nats: NatsServer) -> None:
    """NATS has forgotten who has it, and gives it to the next worker: that one goes on to the job
    behind it."""
    async with queue_at(redis_url, nats, lease_s=FOR_EVER_S) as (queue, _):
        await queue.enqueue("a", owner="ann")
        async with at_work(queue, first := Desk(), concurrency=1):
            await eventually(lambda: first.started, "it runs")
            jetstream = queue.store.jetstream
            lane = await jetstream.lane_of("a")
            assert lane is not None
            await jetstream.forget("a")
            await jetstream.publish("a", lane)
            await queue.enqueue("b", owner="ann")
            async with at_work(queue, second := Desk(), concurrency=2):
                await eventually(lambda: second.started, "the next one runs")
                assert second.ids == ["b"]


async def test_a_job_stays_its_workers_while_it_runs(redis_url: str, nats: NatsServer) -> None:
    """For many leases no other worker is given its message; after its end there is none."""
    async with queue_at(redis_url, nats, lease_s=0.6) as (queue, _):
        await queue.enqueue("a", owner="ann")
        async with (
            queue_at(redis_url, nats, lease_s=0.6) as (other, _),
            at_work(queue, desk := Desk(), concurrency=1),
        ):
            await eventually(lambda: desk.started, "it runs")
            jetstream = other.store.jetstream
            lane = await jetstream.lane_of("a")
            assert lane is not None
            for _ in range(10):
                await sleep(0.2)
                assert await jetstream.next(lane) is None
            desk.ends.set()
            await no_jobs(queue)

            async def gone() -> bool:
                return await jetstream.lane_of("a") is None

            await eventually(gone, "no message is left")


async def test_owners_of_one_lane_share_it(redis_url: str, nats: NatsServer) -> None:
    """They do not take turns, and nothing is lost by it."""
    async with queue_at(redis_url, nats, lanes=1) as (queue, _):
        for n in range(5):
            await queue.enqueue(f"a{n}", owner="ann")
        await queue.enqueue("b", owner="bob")
        desk = Desk()
        desk.ends.set()
        async with at_work(queue, desk, concurrency=1):
            await no_jobs(queue)
        assert desk.ids == [*(f"a{n}" for n in range(5)), "b"]


@pytest.mark.parametrize(
    ("url", "servers", "replicas"),
    [
        ("nats://host:4222", ["nats://host:4222"], 1),
        ("tls://u:p@a,b:1?replicas=3", ["tls://u:p@a", "tls://u:p@b:1"], 3),
        ("nats://[::1]:4222/", ["nats://[::1]:4222"], 1),
    ],
)
def test_urls(url: str, servers: list[str], replicas: int) -> None:
    """One server or several, with a login for all."""
    found = parse_nats_url(url)
    assert (found.servers, found.replicas) == (tuple(servers), replicas)
    assert (found.tls is not None) == url.startswith("tls:")


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "nats://",
        "nats://a b",
        "nats://h?x=1",
        "nats://h?replicas=9",
        "nats://h,",
        "nats://h?ssl_ca_certs=/a",
    ],
)
def test_urls_that_are_none(url: str) -> None:
    """What is wrong is said, and never a password."""
    with pytest.raises(ValueError, match="must be"):
        parse_nats_url(url)
    with pytest.raises(ValueError, match="must be") as wrong:
        parse_nats_url("nats://user:hush@a b:1")
    assert "hush" not in str(wrong.value)


def test_an_authority_that_is_not_there() -> None:
    """It is named at start."""
    with pytest.raises(ValueError, match="ssl_ca_certs=/none cannot be used"):
        parse_nats_url("tls://h?ssl_ca_certs=/none")


async def test_nats_over_tls(own_redis: RedisServer, tmp_path: Path) -> None:
    """With the authority that the URL names; without it, or where TLS is not spoken, no job's name
    and no login are sent."""
    make_certificate(tmp_path)
    authority = f"?ssl_ca_certs={tmp_path / 'certificate'}"
    with ExitStack() as stack:
        secret = NatsServer(tmp_path / "tls", tls=tmp_path)
        plain = NatsServer(tmp_path / "plain")
        for server, name in ((secret, "tls"), (plain, "plain")):
            (tmp_path / name).mkdir()
            server.start()
            stack.callback(server.close)
        async with connect(own_redis.url) as redis:
            for url, works in (
                (secret.url + authority, True),
                (secret.url, False),
                (plain.url.replace("nats:", "tls:") + authority, False),
            ):
                queue = NatsQueue(redis, parse_nats_url(url), name="storage")
                try:
                    await queue.store.jetstream.check()
                    assert works, url
                except ConnectionError:
                    assert not works, url
                finally:
                    await queue.aclose()
