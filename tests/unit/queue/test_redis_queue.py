"""The queue in Redis: reports that are lost or late, who is woken, what is left."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from anyio import CancelScope, create_task_group, sleep
from redis.asyncio import Redis

from sse_progress.queue.consumer import Consumer
from sse_progress.queue.job_store import Answer, JobStore, JobUpdate
from sse_progress.queue.queue import Job, Queue
from sse_progress.queue.redis_queue import RedisQueue
from sse_progress.runtime.redis.client import connect
from sse_progress.runtime.redis.keys import QueueKeys
from tests.helpers.queues import FOR_EVER_S, Desk, at_work, no_jobs
from tests.helpers.waiting import eventually


@asynccontextmanager
async def queue_at(url: str, *, lease_s: float = 1) -> AsyncIterator[Queue]:
    async with connect(url) as redis:
        yield RedisQueue(redis, name="storage", lease_s=lease_s)


async def test_every_key_lapses(redis_url: str) -> None:
    """Each key has a TTL while jobs wait and run, and a report renews one that has grown old."""
    async with connect(redis_url) as redis:
        queue = RedisQueue(redis, name="storage", lease_s=0.3)
        for n in range(3):
            await queue.enqueue(f"u{n}")
        assert await redis.ttl("sp:q:{storage}:waiting") > 3600
        async with at_work(queue, desk := Desk(), concurrency=1):
            await eventually(lambda: desk.started, "job starts")
            keys = await redis.keys("*")
            assert len(keys) == 6
            for key in keys:
                assert await redis.ttl(key) > 3600
                await redis.expire(key, 100)

            async def renewed() -> bool:
                return min([await redis.ttl(key) for key in keys]) > 3600

            await eventually(renewed, "TTLs are renewed")


async def test_an_idle_worker_is_quiet(redis_url: str) -> None:
    """Without jobs, or with no room for more, a worker reports three times a lease, no more."""
    async with connect(redis_url) as redis:
        queue = RedisQueue(redis, name="storage", lease_s=FOR_EVER_S)

        async def reports() -> int:
            stats = await redis.info("commandstats")
            return int(stats["cmdstat_evalsha"]["calls"])

        async with at_work(queue, desk := Desk(), concurrency=1):
            await queue.enqueue("a")
            await eventually(lambda: desk.started, "job starts")
            before = await reports()
            for n in range(20):
                await queue.enqueue(f"u{n}")
            await sleep(0.2)
            assert await reports() - before <= 20 + 2


async def test_one_worker_is_woken_for_a_job(redis_url: str) -> None:
    """Of eight idle ones; the others stay quiet. A job costs three scripts: it is enqueued, taken,
    and done."""
    async with connect(redis_url) as redis, AsyncExitStack() as workers:
        queue = RedisQueue(redis, name="storage", lease_s=FOR_EVER_S)

        async def reports() -> int:
            stats = await redis.info("commandstats")
            return int(stats["cmdstat_evalsha"]["calls"])

        desk = Desk()
        desk.ends.set()
        for _ in range(8):
            await workers.enter_async_context(at_work(queue, desk))

        async def listening() -> bool:
            ((_, heard),) = await redis.pubsub_numsub(QueueKeys.channel("storage"))
            return int(heard) == 8

        await eventually(listening, "all of them listen")
        await sleep(0.1)
        before = await reports()
        for n in range(10):
            await queue.enqueue(f"u{n}")
            await eventually(lambda n=n: len(desk.ended) == n + 1, "it is done")
            await no_jobs(queue)
        assert await reports() - before < 10 * 5


async def test_a_dead_idle_worker_is_passed_over(redis_url: str) -> None:
    """It was killed while it had nothing to do: the job goes to the next one, and in time nothing
    is left of it."""
    async with connect(redis_url) as redis:
        queue, desk = RedisQueue(redis, name="storage", lease_s=FOR_EVER_S), Desk()
        desk.ends.set()
        keys = QueueKeys.of("storage")
        seconds, _ = await redis.time()
        await redis.zadd(keys.idle, {"dead:1:x": 99, "dead:2:x": 0.5})
        hour_ago_ms = 1000 * seconds - 3_600_000
        await redis.zadd(keys.workers, {"dead:1:x": hour_ago_ms, "dead:2:x": hour_ago_ms})
        async with at_work(queue, desk):
            await queue.enqueue("a")
            await eventually(lambda: desk.started, "job starts")
            await no_jobs(queue)
            assert await redis.zscore(keys.idle, "dead:1:x") is None
        assert await redis.zrange(keys.idle, 0, -1) == [b"dead:2:x"]
        await redis.zadd(keys.workers, {"dead:2:x": 1})
        async with at_work(queue, desk):
            pass
        assert await redis.exists(keys.idle) == 0


async def test_a_dead_workers_job_goes_on_when_its_lease_runs_out(redis_url: str) -> None:
    """A living worker looks in that moment, although its own next report is far off."""
    async with queue_at(redis_url, lease_s=FOR_EVER_S) as queue, connect(redis_url) as redis:
        await queue.enqueue("a")
        await JobStore(redis, name="storage", lease_s=0.3).report(
            "dead", 1, [], room=1, unsure=False
        )
        async with at_work(queue, desk := Desk()):
            await eventually(lambda: desk.started, "job goes on")
        assert desk.started == [Job("a", 1)]


class Deaf(JobStore):
    """JobStore whose answer to the report number `deaf_to` is lost on the way."""

    deaf_to = 1

    async def report(self, worker: str, number: int, *args: object, **more: object) -> Answer:
        answer = await super().report(worker, number, *args, **more)  # type: ignore[arg-type]
        if number == self.deaf_to:
            raise TimeoutError
        return answer


async def test_a_lost_answer_loses_no_job(redis_url: str) -> None:
    """A job given in an answer that never came is worked on soon after, and is no crash."""
    async with connect(redis_url) as redis:
        queue = RedisQueue(redis, name="storage", lease_s=FOR_EVER_S)
        await queue.enqueue("a")
        desk = Desk()
        leases = Deaf(redis, name="storage", lease_s=FOR_EVER_S)
        shift = Consumer(leases, desk, concurrency=1, on_ready=lambda: None)
        async with create_task_group() as group:
            group.start_soon(shift.work)
            await eventually(lambda: desk.started, "job starts")
            assert desk.started == [Job("a", 0)]
            desk.ends.set()
            await no_jobs(queue)
            group.cancel_scope.cancel()


class Slow(JobStore):
    """JobStore whose answer that gives the job `b` is held back until `gate` is open."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, name="storage", lease_s=FOR_EVER_S)
        self.gate = asyncio.Event()

    async def report(self, *args: object, **more: object) -> Answer:
        answer = await super().report(*args, **more)  # type: ignore[arg-type]
        if "b" in [job.upload_id for job in answer.taken]:
            await self.gate.wait()
        return answer


async def test_jobs_that_come_in_the_moment_of_leaving_are_given_back(redis_url: str) -> None:
    """Cancelled while an answer is on its way: the running job and the new one both wait again."""
    async with connect(redis_url) as redis:
        queue = RedisQueue(redis, name="storage")
        leases, desk = Slow(redis), Desk()
        shift = Consumer(leases, desk, concurrency=2, on_ready=lambda: None)

        async def given(waiting: int, running: int) -> bool:
            return await queue.depth() == (waiting, running)

        async with create_task_group() as group:
            group.start_soon(shift.work)
            await queue.enqueue("a")
            await eventually(lambda: desk.started, "job starts")
            await queue.enqueue("b")
            await eventually(lambda: given(0, 2), "the second is given")
            group.cancel_scope.cancel()
            with CancelScope(shield=True):
                await sleep(0.05)  # the handler ends while the answer is held back
                leases.gate.set()
        assert await queue.depth() == (2, 0)
        assert desk.ids == ["a"]


async def test_a_late_report_changes_nothing(redis_url: str) -> None:
    """What a worker said of a job before it took it again says nothing of the new attempt."""
    async with connect(redis_url) as redis:
        leases = JobStore(redis, name="storage", lease_s=FOR_EVER_S)

        async def report(number: int, *words: JobUpdate, room: int = 0) -> Answer:
            return await leases.report("w", number, words, room=room, unsure=True)

        await leases.add("a")
        assert (await report(1, room=1)).taken == [Job("a", 0)]
        await report(2, JobUpdate("done", "a", 1))
        await leases.add("a")
        assert (await report(3, room=1)).taken == [Job("a", 0)]
        for late in ([], [JobUpdate("done", "a", 1)], [JobUpdate("back", "a", 1)]):
            answer = await report(2, *late)
            assert (answer.lost, answer.taken) == (set(), [])
        assert await leases.count() == (0, 1)
        assert (await report(2, JobUpdate("held", "a", 1))).lost == {("a", 1)}
        assert (await report(4, JobUpdate("held", "a", 3))).lost == set()
        assert await leases.count() == (0, 1)


async def test_another_workers_job_cannot_be_settled(redis_url: str) -> None:
    """`done` and `back` of a job that another worker holds change nothing; `held` is told so."""
    async with connect(redis_url) as redis:
        leases = JobStore(redis, name="storage", lease_s=FOR_EVER_S)
        await leases.add("a")
        await leases.report("one", 1, [], room=1, unsure=False)
        for verb in ("done", "back", "held"):
            answer = await leases.report("two", 1, [JobUpdate(verb, "a", 1)], room=1, unsure=True)
            assert answer.lost == ({("a", 1)} if verb == "held" else set())
            assert answer.taken == []
            assert await leases.count() == (0, 1)


async def test_a_clock_set_back_does_not_strand_a_job(redis_url: str) -> None:
    """JobStore and last report far in the future, as after a clock jump: the job still goes on."""
    async with connect(redis_url) as redis:
        queue = RedisQueue(redis, name="storage", lease_s=0.3)
        leases = JobStore(redis, name="storage", lease_s=0.3)
        await queue.enqueue("a")
        await leases.report("dead", 1, [], room=1, unsure=False)
        later_ms = 10**13
        await redis.zadd("sp:q:{storage}:running", {"a": later_ms})
        await redis.hset("sp:q:{storage}:jobs", "seen", later_ms)
        async with at_work(queue, desk := Desk()):
            await eventually(lambda: desk.started, "job goes on")
        assert desk.started == [Job("a", 1)]


async def test_workers_are_listed_until_they_end(redis_url: str) -> None:
    """By host and process id; one that has ended is gone, one that died is no longer alive."""
    async with connect(redis_url) as redis:
        queue = RedisQueue(redis, name="storage", lease_s=0.3)
        async with at_work(queue, Desk(), concurrency=1):
            (worker,) = await eventually(queue.workers, "the worker has reported")
            host, pid, _ = worker.name.split(":")
            assert (host, int(pid)) == (socket.gethostname(), os.getpid())
            assert await queue.workers_alive() == 1
        assert await queue.workers() == []
        await JobStore(redis, name="storage", lease_s=0.3).report("w", 1, [], room=0, unsure=False)

        async def dead() -> bool:
            return await queue.workers_alive() == 0

        await eventually(dead, "a silent worker counts as dead")
        assert [worker.name for worker in await queue.workers()] == ["w"]
