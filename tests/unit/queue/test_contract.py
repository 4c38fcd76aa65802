"""What every queue promises to a job, whatever dies around it, on real servers of each engine."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from anyio import CancelScope, sleep
from anyio.lowlevel import checkpoint
from redis.exceptions import RedisError

from sse_progress.queue.queue import Job, Outcome, Park, Queue, RetryLater
from sse_progress.runtime.concurrency import beside
from sse_progress.runtime.redis.client import connect
from sse_progress.runtime.redis.keys import open_key
from tests.helpers.nats_server import NatsServer
from tests.helpers.queues import (
    FOR_EVER_S,
    IDLE,
    Desk,
    Engine,
    Workers,
    at_work,
    left_in,
    no_jobs,
)
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually

LEASE_S = 2
"""Where a worker must not lose its job though Redis is away: a busy machine takes a second."""


@pytest.fixture(params=["redis", "nats"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """Each engine that may carry jobs."""
    server = NatsServer(tmp_path)
    if request.param == "nats":
        server.start()
    made = Engine(server.url if request.param == "nats" else "")
    yield made
    await made.aclose()
    server.close()


@pytest.fixture
def workers(own_redis: RedisServer, engine: Engine, tmp_path: Path) -> Iterator[Workers]:
    own_redis.command("CONFIG", "SET", "appendfsync", "always")  # what is answered is kept
    made = Workers(own_redis.url, tmp_path, nats_url=engine.nats_url)
    yield made
    made.close()


@asynccontextmanager
async def queue_at(engine: Engine, url: str, *, lease_s: float = 1) -> AsyncIterator[Queue]:
    async with connect(url) as redis:
        yield engine(redis, lease_s=lease_s)


async def test_enqueue_is_harmless_twice(redis_url: str, engine: Engine) -> None:
    """A job enqueued again while it waits, and while it runs, runs once."""
    async with queue_at(engine, redis_url) as queue:
        desk = Desk()
        await queue.enqueue("a")
        await queue.enqueue("a")
        assert await queue.depth() == (1, 0)
        async with at_work(queue, desk):
            await eventually(lambda: desk.started, "job starts")
            await queue.enqueue("a")
            assert await queue.depth() == (0, 1)
            desk.ends.set()
            await no_jobs(queue)
        assert desk.started == [Job("a", 0)]
        assert desk.ended == ["a"]


async def test_a_finished_job_may_come_again(redis_url: str, engine: Engine) -> None:
    """Enqueueing an upload after its job has ended starts a new job."""
    async with queue_at(engine, redis_url) as queue:
        desk = Desk()
        desk.ends.set()
        async with at_work(queue, desk):
            for times in (1, 2):
                await queue.enqueue("a")
                await eventually(lambda n=times: len(desk.ended) == n, "job ends")
                await no_jobs(queue)


async def test_a_new_job_rings(redis_url: str, engine: Engine) -> None:
    """An idle worker gets a job when it comes, not when it next reports of its own accord."""
    async with queue_at(engine, redis_url, lease_s=FOR_EVER_S) as queue:
        desk = Desk()
        async with at_work(queue, desk):
            for upload_id in ("a", "b"):
                await queue.enqueue(upload_id)
                await eventually(lambda u=upload_id: u in desk.ids, "job starts")


async def test_jobs_run_in_the_order_of_their_coming(redis_url: str, engine: Engine) -> None:
    """One worker of concurrency 1 runs one job at a time, by the time of its first enqueue."""
    async with queue_at(engine, redis_url) as queue:
        ids = [f"u{n}" for n in (3, 1, 2, 5, 4)]
        for upload_id in ids:
            await queue.enqueue(upload_id)
            await sleep(0.002)  # jobs of one millisecond have no order
        await queue.enqueue(ids[0])
        seen, now, most = [], 0, 0

        async def handler(job: Job) -> None:
            nonlocal now, most
            seen.append(job.upload_id)
            now += 1
            most = max(most, now)
            await sleep(0.005)
            now -= 1

        async with at_work(queue, handler, concurrency=1):
            await eventually(lambda: len(seen) == 5, "all jobs run")
            await no_jobs(queue)
        assert (seen, most) == (ids, 1)


async def test_concurrency_is_used_and_kept(redis_url: str, engine: Engine) -> None:
    """A worker of concurrency 3 holds three of five jobs, and takes the rest as they end."""
    async with queue_at(engine, redis_url, lease_s=FOR_EVER_S) as queue:
        for n in range(5):
            await queue.enqueue(f"u{n}")
        desk = Desk()
        async with at_work(queue, desk, concurrency=3):
            await eventually(lambda: len(desk.started) == 3, "three jobs start")
            assert await queue.depth() == (2, 3)
            desk.ends.set()
            await eventually(lambda: len(desk.ended) == 5, "all end")


async def test_queues_of_two_storages_are_apart(redis_url: str, engine: Engine) -> None:
    """A worker gets jobs of its own storage alone."""
    async with connect(redis_url) as redis:
        here, there = engine(redis, name="here"), engine(redis, name="there")
        await there.enqueue("far")
        await here.enqueue("near")
        desk = Desk()
        desk.ends.set()
        async with at_work(here, desk):
            await no_jobs(here)
        assert desk.ids == ["near"]
        assert await there.depth() == (1, 0)


async def test_a_handler_that_raises_costs_its_job_alone(redis_url: str, engine: Engine) -> None:
    """After an exception, and after a stray CancelledError, the worker works on; no retry."""
    async with queue_at(engine, redis_url) as queue:
        seen: list[str] = []

        async def handler(job: Job) -> None:
            seen.append(job.upload_id)
            if job.upload_id == "error":
                raise RuntimeError("boom")
            if job.upload_id == "stray":
                raise asyncio.CancelledError

        async with at_work(queue, handler, concurrency=1):
            for upload_id in ("error", "stray", "good"):
                await queue.enqueue(upload_id)
                await eventually(lambda u=upload_id: u in seen, "job runs")
            await no_jobs(queue)
        assert seen == ["error", "stray", "good"]


async def test_many_jobs_on_two_workers_leave_nothing(redis_url: str, engine: Engine) -> None:
    """A thousand jobs on two workers of concurrency 8 run once each; Redis is as before."""
    async with connect(redis_url) as redis:
        queue = engine(redis)
        seen: list[str] = []

        async def handler(job: Job) -> None:
            seen.append(job.upload_id)
            await checkpoint()

        async with at_work(queue, handler, concurrency=8), at_work(queue, handler, concurrency=8):
            for n in range(1000):
                await queue.enqueue(f"u{n}")
            await eventually(lambda: len(seen) >= 1000, "all jobs run")
            await no_jobs(queue)
        assert sorted(seen) == sorted(f"u{n}" for n in range(1000))
        assert await left_in(redis) == IDLE


async def test_owners_take_turns(redis_url: str, engine: Engine) -> None:
    """However many jobs one owner has queued, another's waits behind one of them at most; high and
    low priority move a job by some turns, and none waits forever."""
    async with connect(redis_url) as redis:
        queue = engine(redis)
        order: list[str] = []

        async def handler(job: Job) -> None:
            order.append(job.upload_id)
            if job.upload_id == "bulk-4":
                await queue.enqueue("late", owner="carol")
                await queue.enqueue("urgent", owner="carol", priority="high")

        for n in range(60):
            await queue.enqueue(f"bulk-{n}", owner="ann")
        await queue.enqueue("low", owner="dora", priority="low")
        for n in range(3):
            await queue.enqueue(f"bob-{n}", owner="bob")
        assert [await queue.backlog(who) for who in ("ann", "bob", "carol")] == [60, 3, 0]
        places = await queue.positions(["unknown", "bob-0", "bulk-59"])
        assert places.pop("bob-0") in (1, 2)
        assert places == {"bulk-59": 64}
        async with at_work(queue, handler, concurrency=1):
            await eventually(lambda: len(order) == 66, "all jobs run")
        assert [await queue.backlog(who) for who in ("ann", "bob", "carol")] == [0, 0, 0]
        assert all(order.index(f"bob-{n}") <= 2 * n + 1 for n in range(3))
        assert order.index("late") - order.index("bulk-4") <= 3
        assert order.index("urgent") - order.index("bulk-4") <= 2
        assert 20 <= order.index("low") <= 30


async def test_jobs_are_spread_over_idle_workers(redis_url: str, engine: Engine) -> None:
    """Each goes to the one with the most room, and all that fit are begun at once."""
    async with connect(redis_url) as redis, AsyncExitStack() as workers:
        queue, desks = engine(redis, lease_s=FOR_EVER_S), [Desk() for _ in range(4)]
        for desk in desks:
            await workers.enter_async_context(at_work(queue, desk, concurrency=3))
        for n in range(12):
            await queue.enqueue(f"u{n}")
            await eventually(lambda n=n: sum(len(d.started) for d in desks) == n + 1, "it runs")
            assert max(len(d.started) for d in desks) == n // 4 + 1


async def test_cancelled_work_is_handed_over(redis_url: str, engine: Engine) -> None:
    """A cancelled worker's job goes on in another at once, before others, and not as a crash."""
    async with queue_at(engine, redis_url, lease_s=FOR_EVER_S) as queue:
        first, second = Desk(), Desk()
        await queue.enqueue("a")
        async with at_work(queue, first, concurrency=1) as scope:
            await eventually(lambda: first.started, "job starts")
            await queue.enqueue("younger")
            scope.cancel()
        assert await queue.depth() == (2, 0)
        async with at_work(queue, second, concurrency=1):
            await eventually(lambda: second.started, "job goes on")
        assert (first.ended, second.started) == ([], [Job("a", 0)])


async def test_a_handler_cleans_up_before_its_job_goes_on(redis_url: str, engine: Engine) -> None:
    """While a cancelled handler cleans up, for several leases, nobody else gets its job."""
    async with queue_at(engine, redis_url, lease_s=1) as queue:
        desk = Desk()
        cleaned = False

        async def slow(job: Job) -> None:
            nonlocal cleaned
            started.set()
            try:
                await sleep(60)
            finally:
                with CancelScope(shield=True):
                    await sleep(3)
                assert not desk.started
                cleaned = True

        started = asyncio.Event()
        async with at_work(queue, slow) as scope:
            await queue.enqueue("a")
            await started.wait()
            async with at_work(queue, desk):
                scope.cancel()
                await eventually(lambda: desk.started, "job goes on")
                assert cleaned
                assert desk.started == [Job("a", 0)]


async def test_a_handler_that_ends_in_spite_of_the_cancellation_is_done(
    redis_url: str, engine: Engine
) -> None:
    """What a handler finishes under a shield is finished: its job does not run again."""
    async with queue_at(engine, redis_url, lease_s=FOR_EVER_S) as queue:
        started = asyncio.Event()

        async def stubborn(job: Job) -> None:
            with CancelScope(shield=True):
                started.set()
                await sleep(0.1)

        await queue.enqueue("a")
        async with at_work(queue, stubborn) as scope:
            await started.wait()
            scope.cancel()
        assert await queue.depth() == (0, 0)


async def test_a_handler_that_raises_when_cancelled_hands_over(
    redis_url: str, engine: Engine
) -> None:
    """An exception out of a cancelled handler's clean-up loses no job."""
    async with queue_at(engine, redis_url, lease_s=FOR_EVER_S) as queue:
        started = asyncio.Event()

        async def clumsy(job: Job) -> None:
            started.set()
            try:
                await sleep(60)
            finally:
                raise RuntimeError("while cleaning up")

        await queue.enqueue("a")
        async with at_work(queue, clumsy) as scope:
            await started.wait()
            scope.cancel()
        assert await queue.depth() == (1, 0)


async def test_sigterm_hands_over(own_redis: RedisServer, engine: Engine, workers: Workers) -> None:
    """A worker process told to end gives its job to another at once, and ends by itself."""
    first = workers.start(lease_s=FOR_EVER_S)
    async with queue_at(engine, own_redis.url, lease_s=FOR_EVER_S) as queue:
        await queue.enqueue("a")
        await workers.until("start", "a")
        second = workers.start(lease_s=FOR_EVER_S)
        await workers.ready(second)
        first.terminate()
        again = await workers.until("start", "a", 2)
        assert (again.pid, again.crashes) == (second.pid, 0)
        assert first.wait(60) == 0
        workers.let_end("a")
        await no_jobs(queue)
    assert workers.pids("end", "a") == [second.pid]


async def test_a_killed_workers_job_goes_on(
    own_redis: RedisServer, engine: Engine, workers: Workers
) -> None:
    """A job whose worker is killed goes on in another, told of the crash, and ends once."""
    first, second = workers.start(), workers.start()
    await workers.ready(first, second)
    async with queue_at(engine, own_redis.url) as queue:
        await queue.enqueue("a")
        pid = (await workers.until("start", "a")).pid
        victim, heir = (first, second) if pid == first.pid else (second, first)
        victim.kill()
        again = await workers.until("start", "a", 2)
        assert (again.pid, again.crashes) == (heir.pid, 1)
        workers.let_end("a")
        await no_jobs(queue)
    assert workers.pids("end", "a") == [heir.pid]


async def test_crashes_add_up_and_handovers_do_not(
    own_redis: RedisServer, engine: Engine, workers: Workers
) -> None:
    """Kill, SIGTERM, kill: the fourth worker is told of two crashes; after the end of none."""
    async with connect(own_redis.url) as redis:
        queue = engine(redis)
        await queue.enqueue("a")
        for times, end in enumerate((signal.SIGKILL, signal.SIGTERM, signal.SIGKILL), start=1):
            worker = workers.start(lease_s=0.5)
            await workers.until("start", "a", times)
            worker.send_signal(end)
            worker.wait(60)
        workers.start(lease_s=0.5)
        await workers.until("start", "a", 4)
        assert [line.crashes for line in workers.lines("start", "a")] == [0, 1, 1, 2]
        workers.let_end("a")
        await no_jobs(queue)
        assert await left_in(redis) == IDLE


async def test_a_live_workers_lease_holds(
    own_redis: RedisServer, engine: Engine, workers: Workers
) -> None:
    """A job that runs for many leases is not taken by an idle worker beside."""
    await workers.ready(workers.start(lease_s=2), workers.start(lease_s=2))
    async with queue_at(engine, own_redis.url) as queue:
        await queue.enqueue("a")
        await workers.until("start", "a")
        await sleep(5)
        workers.let_end("a")
        await no_jobs(queue)
    assert len(workers.lines("start", "a")) == 1


async def test_a_worker_that_was_frozen_stops_what_another_has_got(
    own_redis: RedisServer, engine: Engine, workers: Workers
) -> None:
    """A worker stopped for longer than its lease cancels its handler when it wakes up."""
    first = workers.start(lease_s=0.5)
    async with queue_at(engine, own_redis.url) as queue:
        await queue.enqueue("a")
        await workers.until("start", "a")
        second = workers.start(lease_s=0.5)
        await workers.ready(second)
        os.kill(first.pid, signal.SIGSTOP)
        again = await workers.until("start", "a", 2)
        os.kill(first.pid, signal.SIGCONT)
        assert (again.pid, again.crashes) == (second.pid, 1)
        assert (await workers.until("cancelled", "a")).pid == first.pid
        workers.let_end("a")
        await no_jobs(queue)
        await queue.enqueue("quick")
        await workers.until("end", "quick")
    assert workers.pids("end", "a") == [second.pid]
    assert len(workers.lines("start", "a")) == 2


async def test_a_worker_that_was_frozen_keeps_what_nobody_took(
    own_redis: RedisServer, engine: Engine, workers: Workers
) -> None:
    """A job taken for crashed too early, but not by anybody, goes on where it is; no crash."""
    first = workers.start(lease_s=0.5, concurrency=1)
    async with connect(own_redis.url) as redis:
        queue = engine(redis)
        await queue.enqueue("a")
        await workers.until("start", "a")
        workers.start(lease_s=0.5, concurrency=1)
        await queue.enqueue("b")
        await workers.until("start", "b")
        os.kill(first.pid, signal.SIGSTOP)

        async def given_up() -> bool:
            return await queue.depth() == (1, 1)

        await eventually(given_up, "the frozen worker's job waits")
        os.kill(first.pid, signal.SIGCONT)

        async def got_back() -> bool:
            return await queue.depth() == (0, 2)

        await eventually(got_back, "it has its job again")
        assert await redis.hget("sp:q:{storage}:jobs", "crashes/a") in (None, b"0")
        workers.let_end("a")
        workers.let_end("b")
        await no_jobs(queue)
        assert await left_in(redis) == IDLE
    assert workers.pids("start", "a") == workers.pids("end", "a") == [first.pid]


async def after_an_outage(queue: Queue, workers: Workers) -> None:
    """What must hold after each: job `a`, started before, runs on alone; new jobs are taken."""
    await queue.enqueue("new")
    await workers.until("start", "new")
    await queue.enqueue("a")
    await sleep(1.5 * LEASE_S)  # more than a lease and a report: a worker that could take `a` has
    workers.let_end("a")
    workers.let_end("new")
    await no_jobs(queue)
    assert workers.pids("start", "a") == workers.pids("end", "a")
    assert len(workers.lines("start", "a")) == 1
    assert not workers.lines("cancelled", "a")


async def test_a_stopped_redis(own_redis: RedisServer, engine: Engine, workers: Workers) -> None:
    """Redis silent for several leases: the handler goes on, once; workers take new jobs after."""
    started = [workers.start(lease_s=LEASE_S), workers.start(lease_s=LEASE_S)]
    await workers.ready(*started)
    async with queue_at(engine, own_redis.url) as queue:
        await queue.enqueue("a")
        await workers.until("start", "a")
        own_redis.stop()
        await sleep(2.5 * LEASE_S)
        own_redis.cont()
        await after_an_outage(queue, workers)
    assert [process.poll() for process in started] == [None, None]


async def test_a_killed_redis(own_redis: RedisServer, engine: Engine, workers: Workers) -> None:
    """Redis killed and back after several leases: the handler goes on, once; new jobs after."""
    started = [workers.start(lease_s=LEASE_S), workers.start(lease_s=LEASE_S)]
    await workers.ready(*started)
    async with queue_at(engine, own_redis.url) as queue:
        await queue.enqueue("a")
        await workers.until("start", "a")
        own_redis.kill()
        with pytest.raises(RedisError):
            await queue.enqueue("nowhere")
        await sleep(2.5 * LEASE_S)
        own_redis.start()
        await after_an_outage(queue, workers)
    assert [process.poll() for process in started] == [None, None]


async def test_an_empty_redis(own_redis: RedisServer, engine: Engine, workers: Workers) -> None:
    """Redis forgets everything, scripts too: running jobs are made known to it again."""
    process = workers.start(lease_s=LEASE_S)
    async with queue_at(engine, own_redis.url) as queue:
        await queue.enqueue("a")
        await workers.until("start", "a")
        own_redis.flush()
        await after_an_outage(queue, workers)
    assert process.poll() is None


async def test_a_job_that_ends_while_redis_is_away(
    own_redis: RedisServer, engine: Engine, workers: Workers
) -> None:
    """The end of a job is told when Redis is back; it is not done again."""
    workers.start(lease_s=LEASE_S)
    async with queue_at(engine, own_redis.url) as queue:
        await queue.enqueue("a")
        await workers.until("start", "a")
        own_redis.kill()
        workers.let_end("a")
        await workers.until("end", "a")
        await sleep(0.8)  # the worker tries to tell it, several times
        own_redis.start()
        await no_jobs(queue)
    assert len(workers.lines("start", "a")) == 1


async def test_a_worker_may_start_before_redis(
    own_redis: RedisServer, engine: Engine, workers: Workers
) -> None:
    """A worker started during an outage waits, is ready when Redis is, and can be stopped."""
    own_redis.kill()
    waiting, stopped = workers.start(), workers.start()
    await sleep(0.5)
    assert waiting.poll() is stopped.poll() is None
    stopped.terminate()
    assert stopped.wait(60) in (0, -signal.SIGTERM)
    assert not workers.lines("ready", "-")
    own_redis.start()
    assert (await workers.until("ready", "-")).pid == waiting.pid
    async with queue_at(engine, own_redis.url) as queue:
        await queue.enqueue("quick")
        await workers.until("end", "quick")


class Outcomes(list[Outcome]):
    """A handler that answers one of these each time, and the attempts that it was told of."""

    def __init__(self, *outcomes: Outcome) -> None:
        super().__init__(outcomes)
        self.attempts: list[int] = []

    async def __call__(self, job: Job) -> Outcome:
        self.attempts.append(job.attempts)
        return self.pop(0)


async def test_a_job_is_tried_again_after_its_delay(redis_url: str, engine: Engine) -> None:
    """Not before, told of each attempt, and nothing is left of it in the end."""
    async with connect(redis_url) as redis:
        queue = engine(redis, lease_s=FOR_EVER_S)
        handler = Outcomes(RetryLater(0.3), RetryLater(0.1), None)
        await queue.enqueue("a")
        async with at_work(queue, handler):
            await eventually(lambda: handler.attempts == [0], "the first attempt")

            async def delayed() -> bool:
                return [job.upload_id for job in (await queue.overview()).jobs["delayed"]] == ["a"]

            await eventually(delayed, "it is delayed")
            await queue.enqueue("a")  # as the reconciler does
            assert await queue.depth() == (0, 0)
            await eventually(lambda: handler.attempts == [0, 1, 2], "the others")
            await no_jobs(queue)
        assert await left_in(redis) == IDLE


async def test_a_delayed_job_can_be_worked_on_now(redis_url: str, engine: Engine) -> None:
    """An operator need not wait for its time; its attempts are forgotten."""
    async with queue_at(engine, redis_url, lease_s=FOR_EVER_S) as queue:
        handler = Outcomes(RetryLater(FOR_EVER_S), None)
        await queue.enqueue("a")
        async with at_work(queue, handler):

            async def delayed() -> bool:
                return await queue.place("a") == ("delayed", 1)

            await eventually(delayed, "it is delayed")
            assert await queue.requeue("a") == "delayed"
            await eventually(lambda: handler.attempts == [0, 0], "it is tried again")


async def test_a_parked_job_waits_for_an_operator(redis_url: str, engine: Engine) -> None:
    """Enqueueing does not wake it, requeueing does, with its attempts forgotten."""
    async with connect(redis_url) as redis:
        queue = engine(redis, lease_s=FOR_EVER_S)
        handler = Outcomes(RetryLater(0), Park(), None, Park())
        await queue.enqueue("a")
        async with at_work(queue, handler):

            async def parked() -> bool:
                return (await queue.overview()).counts["parked"] == 1

            await eventually(parked, "it is parked")
            await queue.enqueue("a")
            assert (await queue.overview()).counts == {
                "waiting": 0,
                "running": 0,
                "delayed": 0,
                "parked": 1,
            }
            assert await queue.requeue("a") == "parked"
            await eventually(lambda: handler.attempts == [0, 1, 0], "it is tried again")
            await no_jobs(queue)
            assert await left_in(redis) == IDLE
            await queue.enqueue("gone")
            await eventually(parked, "another is parked")
            await redis.zadd(open_key("storage"), {"gone": 1})
            await queue.drop_parked()
            assert await parked()
            await redis.delete(open_key("storage"))
            await queue.drop_parked()
        assert await left_in(redis) == IDLE


async def test_a_paused_queue_gives_out_nothing(redis_url: str, engine: Engine) -> None:
    """What runs goes on, what waits waits, until it is resumed."""
    async with queue_at(engine, redis_url, lease_s=0.6) as queue, at_work(queue, desk := Desk()):
        await queue.enqueue("first")
        await eventually(lambda: len(desk.started) == 1, "it runs")
        await queue.pause()
        await queue.enqueue("second")
        await sleep(0.7)
        assert len(desk.started) == 1
        overview = await queue.overview()
        assert overview.paused
        assert [job.upload_id for job in overview.jobs["waiting"]] == ["second"]
        await queue.resume()
        await eventually(lambda: len(desk.started) == 2, "it runs as well")


async def test_whether_anybody_serves_a_storage(redis_url: str, engine: Engine) -> None:
    """A worker of another storage does not count; the answer is remembered for seconds."""
    async with connect(redis_url) as redis:
        mine, other = engine(redis, name="mine"), engine(redis, name="other")

        async def nothing(job: Job) -> Outcome:
            return None

        ready = asyncio.Event()
        async with beside(other.run(nothing, concurrency=1, on_ready=ready.set)):
            await asyncio.wait_for(ready.wait(), 60)
            assert await mine.is_served() is False
            await eventually(engine(redis, name="other").is_served, "its own storage is served")
