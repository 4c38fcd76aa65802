"""Limits that hold across processes, on a real Redis: leases, rates, ceilings."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from sse_progress.access.backlogs import Backlogs
from sse_progress.access.leases import Lease
from sse_progress.access.limits import Limits
from sse_progress.access.spending import Spending
from sse_progress.model.errors import (
    RateLimited,
    TooManyStreams,
    TooManyUploads,
    Unavailable,
)
from sse_progress.runtime.redis.client import connect
from sse_progress.settings import load_settings
from tests.helpers.processes import bound
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually, wait_until

ROOT = Path(__file__).resolve().parents[3]
SECRET = "an honest secret of more than 32 bytes"
_STREAMS = f"sp:lim:streams:{{{hashlib.sha256(b'alice').hexdigest()[:32]}}}"


@pytest.fixture(autouse=True)
def _a_busy_machine_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Redis does not answer in time a process counts by itself; tests of that shorten it."""
    monkeypatch.setattr("sse_progress.access.redis_guard.COMMAND_LIMIT_S", 60.0)


@asynccontextmanager
async def limits_on(url: str, **changes: Any) -> AsyncIterator[Limits]:
    """One process' limits with their upkeep running, on a client of their own.

    Over the limit a stream is refused at once, unless `patience_s` is given.
    """
    clock: Callable[[], float] = changes.pop("clock", time.monotonic)
    patience_s: float = changes.pop("patience_s", 0)
    settings = load_settings(**changes)
    redis = connect(url)
    try:
        async with anyio.create_task_group() as group:
            limits = Limits(redis, settings, clock=clock)
            limits._patience_s = patience_s
            group.start_soon(limits.run)
            yield limits
            group.cancel_scope.cancel()
    finally:
        await redis.aclose()


@asynccontextmanager
async def keys_of(url: str) -> AsyncIterator[Redis]:
    redis = connect(url)
    try:
        yield redis
    finally:
        await redis.aclose()


async def gone(redis: Redis) -> bool:
    return not await redis.exists(_STREAMS)


async def streams(limits: Limits, count: int, sub: str = "alice") -> list[Lease]:
    return [await limits.stream(sub) for _ in range(count)]


# ---- streams


async def test_streams_of_one_user_are_counted_over_processes(redis_url: str) -> None:
    """Two processes together admit the limit and no more; another user is not concerned."""
    async with (
        limits_on(redis_url, max_streams_per_user=3) as here,
        limits_on(redis_url, max_streams_per_user=3) as there,
    ):
        await streams(here, 2)
        await streams(there, 1)
        for one in (here, there):
            with pytest.raises(TooManyStreams) as caught:
                await one.stream("alice")
            assert caught.value.retry_after_s == 5
        await streams(there, 3, "bob")


async def test_a_place_given_back_is_free_everywhere(redis_url: str) -> None:
    """`release` makes room in this process at once and in others as soon as Redis hears of it;
    saying it twice gives back one place."""
    async with (
        limits_on(redis_url, max_streams_per_user=2) as here,
        limits_on(redis_url, max_streams_per_user=2, patience_s=6) as there,
    ):
        first, _ = await streams(here, 2)
        first.release()
        first.release()
        again = await here.stream("alice")
        with pytest.raises(TooManyStreams):
            await here.stream("alice")
        again.release()
        await there.stream("alice")
        there._patience_s = 0
        with pytest.raises(TooManyStreams):
            await there.stream("alice")


async def test_a_place_given_back_is_free_before_redis_was_told(redis_url: str) -> None:
    """A process that has not come round to telling Redis still takes its own word for it."""
    async with keys_of(redis_url) as redis:
        limits = Limits(redis, load_settings(max_streams_per_user=2))  # no upkeep
        for _ in range(3):
            for lease in await streams(limits, 2):
                lease.release()


async def test_admission_is_atomic(redis_url: str) -> None:
    """Of forty who ask at once through two processes, exactly the limit gets in."""
    admitted: list[Lease] = []

    async def ask(limits: Limits) -> None:
        try:
            admitted.append(await limits.stream("alice"))
        except TooManyStreams:
            pass

    async with (
        limits_on(redis_url, max_streams_per_user=7) as here,
        limits_on(redis_url, max_streams_per_user=7) as there,
        anyio.create_task_group() as group,
    ):
        for n in range(40):
            group.start_soon(ask, (here, there)[n % 2])
    assert len(admitted) == 7


async def test_leases_are_renewed_while_their_process_lives(redis_url: str) -> None:
    """Leases outlive their own time several times over, and their key always has an end."""
    async with (
        limits_on(redis_url, max_streams_per_user=2, lease_s=0.3) as limits,
        keys_of(redis_url) as redis,
    ):
        await streams(limits, 2)
        first = await redis.zrange(_STREAMS, 0, 0, withscores=True)

        async def renewed_often() -> bool:
            now = await redis.zrange(_STREAMS, 0, 0, withscores=True)
            return bool(now and now[0][1] > first[0][1] + 1000)

        await eventually(renewed_often, "expiry moved by more than three lease times")
        assert await redis.zcard(_STREAMS) == 2
        assert 0 < await redis.pttl(_STREAMS) <= 300


async def test_a_new_stream_waits_for_places_about_to_be_free(redis_url: str) -> None:
    """A reloaded page asks before its old streams are seen to end: it is let in, not refused."""
    async with limits_on(redis_url, max_streams_per_user=2, patience_s=6) as limits:
        first, _ = await streams(limits, 2)
        async with anyio.create_task_group() as group:
            group.start_soon(limits.stream, "alice")
            await eventually(lambda: limits._waiting, "the third waits")
            first.release()
        assert limits._waiting == {}


async def test_those_who_wait_are_bounded(redis_url: str) -> None:
    """As many may wait as may stream; the next is refused at once, without asking Redis."""
    async with limits_on(redis_url, max_streams_per_user=2, patience_s=6) as limits:
        held = await streams(limits, 2)
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(limits.stream, "alice")
            await eventually(lambda: list(limits._waiting.values()) == [2], "two wait")
            with pytest.raises(TooManyStreams):
                await limits.stream("alice")
            assert list(limits._waiting.values()) == [2]  # it was not its turn that ended first
            for lease in held:
                lease.release()


CHILD = """
import asyncio, sys
from sse_progress.access.limits import Limits
from sse_progress.runtime.redis.client import connect
from sse_progress.settings import load_settings

async def main():
    settings = load_settings(max_streams_per_user=4, max_uploads_per_user=2, lease_s=3)
    limits = Limits(connect(sys.argv[1]), settings)
    upkeep = asyncio.create_task(limits.run())
    for _ in range(3):
        await limits.stream("alice")
    async with limits.uploads("alice"):
        print("held", flush=True)
        await upkeep

asyncio.run(main())
"""


def start_child(url: str) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        bound([sys.executable, "-c", CHILD, url]),
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    return child


async def test_a_killed_process_loses_its_leases(redis_url: str) -> None:
    """Another process' leases count while it lives; killed with -9, they are soon free, without
    anybody's doing, and a stream that comes back right away is not refused."""
    async with limits_on(
        redis_url, max_streams_per_user=4, max_uploads_per_user=2, lease_s=3, patience_s=2
    ) as limits:
        child = await asyncio.to_thread(start_child, redis_url)
        try:
            mine = await limits.stream("alice")
            with pytest.raises(TooManyStreams):
                await limits.stream("alice")
            async with limits.uploads("alice"):
                with pytest.raises(TooManyUploads):
                    async with limits.uploads("alice"):
                        pass
        finally:
            child.kill()
            child.wait()
            assert child.stdout is not None
            child.stdout.close()
        mine.release()
        await streams(limits, 4)

        async def two_bodies() -> bool:
            try:
                async with limits.uploads("alice"), limits.uploads("alice"):
                    return True
            except TooManyUploads:
                return False

        await eventually(two_bodies, "both places for bodies are free")


async def test_a_stopped_upkeep_gives_back_what_was_released(redis_url: str) -> None:
    """Streams that end because the process does are given back before it is gone."""
    async with keys_of(redis_url) as redis:
        limits = Limits(redis, load_settings(max_streams_per_user=5))
        upkeep = asyncio.create_task(limits.run())
        held = await streams(limits, 5)
        upkeep.cancel()
        for lease in held:
            lease.release()
        with pytest.raises(asyncio.CancelledError):
            await upkeep
        assert await redis.keys("sp:lim:streams:*") == []


async def test_a_renewal_does_not_revive_what_was_given_back(redis_url: str) -> None:
    """Taking and giving back under constant renewals leaves no ghost behind."""
    async with (
        keys_of(redis_url) as redis,
        limits_on(redis_url, max_streams_per_user=20, lease_s=0.1, patience_s=5) as limits,
    ):

        async def come_and_go() -> None:
            for _ in range(30):
                lease = await limits.stream("alice")
                await anyio.sleep(0)
                lease.release()

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(come_and_go)
        assert limits._leases._held == {}
        await eventually(lambda: limits._leases._released == {}, "Redis has them")
        assert await redis.keys("sp:lim:streams:*") == []


async def test_a_cancelled_admission_holds_nothing(redis_url: str) -> None:
    """A client that leaves when Redis has given it a place, but nobody was told yet, costs none."""
    async with (
        limits_on(redis_url, max_streams_per_user=3) as limits,
        keys_of(redis_url) as redis,
    ):
        take = limits._leases._take

        async def never_told(**arguments: Any) -> None:
            await take(**arguments)
            await anyio.sleep_forever()

        limits._leases._take = never_told  # type: ignore[assignment]
        task = asyncio.create_task(limits.stream("alice"))
        await eventually(lambda: redis.exists(_STREAMS), "Redis has the lease")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        limits._leases._take = take
        await eventually(lambda: gone(redis), "it was given back")
        await streams(limits, 3)


async def test_cancelled_commands_spoil_nobody_elses_answers(redis_url: str) -> None:
    """Clients that leave at any moment of their admission do no harm to those who stay."""
    async with limits_on(redis_url, max_streams_per_user=3) as limits:
        for n in range(60):
            task = asyncio.create_task(limits.stream("alice"))
            for _ in range(n % 6):
                await asyncio.sleep(0)
            task.cancel()
            try:
                (await task).release()
            except asyncio.CancelledError:
                pass
        assert limits._leases._held == {}
        await streams(limits, 3)
        with pytest.raises(TooManyStreams):
            await limits.stream("alice")


# ---- bodies


async def test_bodies_of_one_user_are_counted_over_processes(redis_url: str) -> None:
    """The limit holds over processes, and an ended body's place is free when its block is left."""
    async with (
        limits_on(redis_url, max_uploads_per_user=2) as here,
        limits_on(redis_url, max_uploads_per_user=2) as there,
        here.uploads("alice"),
    ):
        for one, other in ((here, there), (there, here)) * 5:
            async with one.uploads("alice"):
                with pytest.raises(TooManyUploads) as caught:
                    async with other.uploads("alice"):
                        pass
                assert caught.value.retry_after_s == 5
                async with other.uploads("bob"):
                    pass


async def test_a_failed_body_gives_its_place_back(redis_url: str) -> None:
    """Whatever ends the block, a place is held once and given back."""
    async with limits_on(redis_url, max_uploads_per_user=1, max_open_bodies=1) as limits:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with limits.uploads("alice"):
                    1 / 0  # noqa: B018


async def test_one_process_receives_no_more_bodies_than_it_can(redis_url: str) -> None:
    """The ceiling is over all users and also holds in open mode; the answer is 503, try again."""
    async with limits_on(redis_url, max_open_bodies=3) as limits, AsyncExitStack() as open_bodies:
        for n in range(2):
            await open_bodies.enter_async_context(limits.uploads(f"user {n}"))
        for _ in range(2):  # a refusal neither takes a place nor frees one
            async with limits.uploads("the third"):
                with pytest.raises(Unavailable) as caught:
                    async with limits.uploads("one more"):
                        pass
                assert caught.value.retry_after_s == 5


# ---- rates


async def test_requests_of_a_user_are_counted_over_processes(redis_url: str) -> None:
    """The minute's requests are shared by all processes; whoever is over is told when to return."""
    async with (
        limits_on(redis_url, requests_per_minute=6) as here,
        limits_on(redis_url, requests_per_minute=6) as there,
    ):
        for _ in range(3):
            await here.rate("alice", "192.0.2.1")
            await there.rate("alice", "192.0.2.2")
        for one in (here, there):
            with pytest.raises(RateLimited) as caught:
                await one.rate("alice", None)
            assert caught.value.retry_after_s is not None
            assert 1 <= caught.value.retry_after_s <= 60
        await here.rate("bob", None)


@pytest.mark.parametrize(
    ("addresses", "other"),
    [
        (["192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1"], "192.0.2.2"),
        (["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::1"], "2001:db8:0:1::1"),
        (["fe80::1%eth0", "fe80::2%eth1", "fe80::3"], "fe80:0:0:1::1"),
        (["", "unix:", "no address"], "192.0.2.3"),
    ],
)
async def test_an_address_stands_for_one_client(
    redis_url: str, addresses: list[str], other: str
) -> None:
    """IPv4 counts by address however it is written, IPv6 by its /64."""
    async with limits_on(redis_url, requests_per_minute_per_address=2) as limits:
        for address in addresses[:2]:
            await limits.rate(None, address)
        with pytest.raises(RateLimited):
            await limits.rate(None, addresses[2])
        await limits.rate(None, other)


async def test_a_rate_is_not_of_names_that_look_alike(redis_url: str) -> None:
    """Users whose names contain separators, braces or long text are still told apart."""
    names = ["a", "a/b", "a/b/1", "{a}", "a" * 255, "ä", "a:b"]
    async with limits_on(redis_url, requests_per_minute=1) as limits:
        for name in names:
            await limits.rate(name, None)
        for name in names:
            with pytest.raises(RateLimited):
                await limits.rate(name, None)


# ---- keys


async def test_every_key_has_an_end_and_names_nobody(redis_url: str) -> None:
    """Each key in Redis has a TTL not far beyond its use, and shows no user or address."""
    async with (
        limits_on(redis_url, jwt_secret=SECRET, lease_s=5) as limits,
        keys_of(redis_url) as redis,
    ):
        await limits.rate("alice@example.org", "192.0.2.1")
        await limits.stream("alice@example.org")
        async with limits.uploads("alice@example.org"):
            keys = await redis.keys("*")
            assert len(keys) == 4
            for key in keys:
                assert key.startswith(b"sp:lim:")
                assert b"alice" not in key
                assert 0 < await redis.pttl(key) <= (5_000 if b"s:{" in key else 120_000)


async def test_a_limit_that_is_off_asks_nobody(short_dir: Path) -> None:
    """In open mode nothing is limited by default, and Redis, which is not there, is not missed."""
    async with limits_on(f"unix://{short_dir}/nobody.sock") as limits:
        for _ in range(100):
            await limits.rate("anonymous", "127.0.0.1")
            (await limits.stream("anonymous")).release()
            async with limits.uploads("anonymous"):
                pass
        assert limits._leases._guard._away is False


# ---- outages


async def test_an_outage_stops_bodies_and_lets_streams_in(own_redis: RedisServer) -> None:
    """While Redis is away a body is answered 503, a stream is admitted up to the limit of this
    process, a request is not refused; streams are registered once Redis is back."""
    limit = {"max_streams_per_user": 2, "max_uploads_per_user": 2, "requests_per_minute": 1}
    limit["lease_s"] = 3
    async with limits_on(own_redis.url, **limit) as limits:
        await streams(limits, 1)
        own_redis.kill()
        with pytest.raises(Unavailable):
            async with limits.uploads("alice"):
                pass
        for _ in range(3):
            await limits.rate("alice", None)
        await streams(limits, 1)
        with pytest.raises(TooManyStreams):
            await limits.stream("alice")
        own_redis.start()
        async with keys_of(own_redis.url) as redis:

            async def registered() -> bool:
                keys = await redis.keys("sp:lim:streams:*")
                return bool(keys) and await redis.zcard(keys[0]) == 2

            await eventually(registered, "both leases are in Redis")
        async with limits_on(own_redis.url, **limit) as elsewhere:
            with pytest.raises(TooManyStreams):
                await elsewhere.stream("alice")

            async def bodies_again() -> bool:
                try:
                    async with limits.uploads("alice"):
                        return True
                except Unavailable:
                    return False

            await eventually(bodies_again, "bodies are received again")


async def test_a_redis_that_hangs_delays_the_first_alone(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that says nothing costs one deadline, not one per request, and leaves nothing held;
    when it speaks again its late answers reach nobody."""
    monkeypatch.setattr("sse_progress.access.redis_guard.COMMAND_LIMIT_S", 0.2)
    now = 1000.0
    async with limits_on(
        own_redis.url, max_streams_per_user=50, max_uploads_per_user=3, clock=lambda: now
    ) as limits:
        asked = 0
        ask = limits._leases._take

        async def counting(**arguments: Any) -> Any:
            nonlocal asked
            asked += 1
            return await ask(**arguments)

        limits._leases._take = counting  # type: ignore[assignment]
        own_redis.stop()
        for lease in await streams(limits, 50):
            lease.release()
        with pytest.raises(Unavailable):
            async with limits.uploads("alice"):
                pass
        assert asked == 1
        own_redis.cont()
        wait_until(own_redis.answers, "redis answers again")
        now += 2
        assert limits._leases._held == {}
        async with limits.uploads("alice"), limits.uploads("alice"), limits.uploads("alice"):
            with pytest.raises(TooManyUploads):
                async with limits.uploads("alice"):
                    pass


async def test_an_outage_is_no_way_around_the_limit(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many who ask while Redis hangs, this process lets in its limit and no more."""
    monkeypatch.setattr("sse_progress.access.redis_guard.COMMAND_LIMIT_S", 0.2)
    admitted: list[Lease] = []

    async def ask(limits: Limits) -> None:
        try:
            admitted.append(await limits.stream("alice"))
        except TooManyStreams:
            pass

    async with limits_on(own_redis.url, max_streams_per_user=5) as limits:
        own_redis.stop()
        async with anyio.create_task_group() as group:
            for _ in range(12):
                group.start_soon(ask, limits)
        own_redis.cont()
    assert len(admitted) == 5


async def test_a_restarted_redis_learns_of_living_leases(own_redis: RedisServer) -> None:
    """A Redis that lost everything is told of all leases by the next renewal."""
    async with (
        limits_on(own_redis.url, max_streams_per_user=3, lease_s=0.6) as limits,
        keys_of(own_redis.url) as redis,
    ):
        await streams(limits, 3)
        own_redis.flush()

        async def three() -> bool:
            keys = await redis.keys("sp:lim:streams:*")
            return bool(keys) and await redis.zcard(keys[0]) == 3

        await eventually(three, "three leases are back")


# ---- what is worked on


async def test_waiting_uploads_of_a_user_are_bounded(redis_url: str) -> None:
    """Also in open mode; another user's are another number."""
    waiting = {"alice": 3, "bob": 2}

    async def backlog(sub: str) -> int:
        return waiting[sub]

    async with keys_of(redis_url) as redis:
        limits = Limits(redis, load_settings(max_queued_per_user=3), backlog=backlog)
        with pytest.raises(TooManyUploads, match="3 of your uploads wait") as caught:
            async with limits.uploads("alice"):
                pass
        assert caught.value.retry_after_s
        async with limits.uploads("bob"):
            pass


async def test_an_answer_about_waiting_uploads_holds_for_what_it_allows() -> None:
    """For a second and an eighth of what is left, of one user; near the limit for nothing."""
    waiting = {"alice": 0, "bob": 0, "carol": 0}
    asked: list[str] = []
    now = [0.0]

    async def ask(sub: str) -> int:
        asked.append(sub)
        return waiting[sub]

    backlogs = Backlogs(ask, most=20, clock=lambda: now[0])

    async def told(sub: str) -> tuple[int, int]:
        """What is said, and how often it was asked for that."""
        asked.clear()
        return await backlogs.before_one_more(sub), len(asked)

    waiting["alice"] = 4
    assert await told("alice") == (4, 1)
    waiting["alice"] = 7
    assert await told("alice") == (4, 0)
    assert await told("bob") == (0, 1)
    assert await told("alice") == (7, 1)  # two of sixteen have begun
    assert await told("carol") == (0, 1)
    now[0] = 0.99
    assert await told("bob") == (0, 0)
    now[0] = 1.01
    assert await told("carol") == (0, 1)
    waiting["alice"] = 13
    assert await told("alice") == (13, 1)
    assert await told("alice") == (13, 1)
    waiting["alice"] = 20
    assert await told("alice") == (20, 1)


async def test_processes_together_admit_no_more_than_is_left() -> None:
    """Eight of them, each with an answer of the same moment."""
    waiting = 0

    async def ask(_: str) -> int:
        return waiting

    processes = [Backlogs(ask, most=100, clock=lambda: 0.0) for _ in range(8)]
    begun = 0
    for _ in range(40):
        for process in processes:
            if await process.before_one_more("ann") < 100:
                begun += 1
                waiting += 1
    assert begun == 100


async def test_cpu_time_of_a_user_is_bounded_by_the_hour(redis_url: str) -> None:
    """What workers noted counts for an hour, and for that user alone."""
    async with keys_of(redis_url) as redis:
        limits = Limits(redis, load_settings(max_cpu_s_per_hour=10))
        for cpu_s in (4.5, 5.4):
            async with limits.uploads("alice"):
                pass
            await Spending(redis).note("alice", cpu_s)
        async with limits.uploads("alice"):
            pass
        await Spending(redis).note("alice", 0.2)
        with pytest.raises(RateLimited, match="CPU time") as caught:
            async with limits.uploads("alice"):
                pass
        assert caught.value.retry_after_s
        async with limits.uploads("bob"):
            pass


async def test_an_hour_slides(redis_url: str) -> None:
    """Of the clock hour before, the part counts that is less than an hour ago."""
    hours = [1000.0]
    async with keys_of(redis_url) as redis:
        spending = Spending(redis, now=lambda: hours[-1] * 3600)
        await spending.note("alice", 100)
        for hour, expected in ((1000.0, 100), (1001.0, 100), (1001.75, 25), (1002.0, 0)):
            hours.append(hour)
            assert await spending.of_last_hour("alice") == expected
        assert 0 < await redis.ttl(next(iter(await redis.keys("*cpu*")))) <= 7200
