"""Journals on a real Redis Cluster: slots that move under them, and masters that die."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.crc import key_slot
from redis.exceptions import RedisError

from sse_progress.access.limits import Limits
from sse_progress.journal.redis_age import redis_age_s
from sse_progress.model.errors import RateLimited
from sse_progress.runtime.concurrency import beside
from sse_progress.runtime.redis.client import connect, servers
from sse_progress.settings import load_settings
from sse_progress.uploads.components import Components, check
from sse_progress.uploads.health import health
from tests.cluster.telling import Teller, following, telling
from tests.helpers.components import begin, components, page_of
from tests.helpers.redis_cluster import ClusterNode, RedisCluster
from tests.helpers.waiting import eventually

pytestmark = pytest.mark.faults


@pytest.fixture
async def core(shared_cluster: RedisCluster, tmp_path: Path) -> AsyncIterator[Components]:
    for node in shared_cluster.masters:
        node.ask("FLUSHALL")
    async with components(shared_cluster.url, tmp_path) as found:
        await eventually(lambda: found.emitter.connected, "every master is listened to")
        yield found


def slot(upload_id: str) -> int:
    return key_slot(f"{{{upload_id}}}".encode())


# ---- what is spread, and what is together


async def test_journals_are_on_every_master_and_all_are_heard(
    core: Components, shared_cluster: RedisCluster
) -> None:
    """Ten uploads on each of three masters, told at once: every frame, in order, live."""
    names = [name for node in shared_cluster.masters for name in shared_cluster.names_on(node, 10)]
    async with telling(core, *names) as tellers:
        await asyncio.gather(*(one.say() for _ in range(20) for one in tellers))
        for one in tellers:
            await eventually(lambda one=one: len(one.told.frames) == 21, "all is heard")  # type: ignore[misc]
            assert one.told.numbers == list(range(1, 22))
    assert all(node.ask("DBSIZE") >= 20 for node in shared_cluster.masters)


async def test_every_master_is_looked_at(core: Components, shared_cluster: RedisCluster) -> None:
    """Readiness writes to each; each has its own birth, so that one that lost its data is known."""
    assert (await health(core))["redis"] == "ok"
    assert await redis_age_s(core.journal.redis) == 0.0
    tags = dict(await servers(core.redis))
    assert len(tags) == 3
    for node in shared_cluster.masters:
        assert node.ask("KEYS", "sp:birth:*")
        assert node.ask("KEYS", "sp:health:*")
    first = shared_cluster.masters[0]
    on_first, elsewhere = (
        shared_cluster.names_on(node, 1)[0] for node in (first, shared_cluster.masters[1])
    )

    async def older() -> bool:
        return await redis_age_s(core.journal.redis) >= 1

    await eventually(older, "they have grown older")
    first.ask("FLUSHALL")
    assert await redis_age_s(core.journal.redis, on_first) == 0.0
    assert await redis_age_s(core.journal.redis, elsewhere) >= 1


async def test_a_changed_map_is_no_outage(core: Components, shared_cluster: RedisCluster) -> None:
    """What readiness and age are asked of has moved since it was last seen: it is found."""
    source, target = shared_cluster.masters[:2]
    tags = [tag for tag, _ in await servers(core.redis)]
    slots = [key_slot(tag.encode()) for tag in tags]
    moved = [slot for slot in slots if shared_cluster.owner_of(slot) is source]
    shared_cluster.move(moved, source, target)
    assert (await health(core))["redis"] == "ok"
    await redis_age_s(core.journal.redis)
    shared_cluster.move(moved, target, source)
    assert (await health(core))["redis"] == "ok"


async def test_limits_are_counted_on_a_cluster(core: Components) -> None:
    """Leases and rates, the library's among them."""
    settings = load_settings(
        jwt_secret="s" * 32, requests_per_minute=3, max_streams_per_user=2, lease_s=3
    )
    limits = Limits(core.redis, settings)
    async with beside(limits.run()):
        for _ in range(3):
            await limits.rate("ann", None)
        with pytest.raises(RateLimited):
            await limits.rate("ann", None)
        held = [await limits.stream("ann") for _ in range(2)]
        other = Limits(core.redis, settings)
        assert await other._leases.take("sp:lim:streams:{x}", 1) is not None
        await asyncio.sleep(4)  # longer than a lease: they are renewed
        with pytest.raises(Exception, match="Too many concurrent streams"):
            await other.stream("ann")
        for lease in held:
            lease.release()


def test_a_url_of_another_kind_is_refused(
    shared_cluster: RedisCluster, redis_url: str, tmp_path: Path
) -> None:
    """A node's plain URL is refused at start, with the form that it needs."""
    port = shared_cluster.masters[0].port
    settings = load_settings(redis_url=f"redis://127.0.0.1:{port}", data_dir=tmp_path)
    with pytest.raises(Exception, match=rf"write redis\+cluster://127.0.0.1:{port}$"):
        check(settings)
    check(load_settings(redis_url=shared_cluster.url, data_dir=tmp_path))
    check(load_settings(redis_url=redis_url, data_dir=tmp_path))


def test_a_worker_refuses_a_url_of_another_kind(
    shared_cluster: RedisCluster, tmp_path: Path
) -> None:
    """It ends with what to write, instead of waiting for jobs that it can never see."""
    port = shared_cluster.masters[0].port
    env = {
        **os.environ,
        "SSE_PROGRESS_REDIS_URL": f"redis://127.0.0.1:{port}",
        "SSE_PROGRESS_DATA_DIR": str(tmp_path),
    }
    words = [sys.executable, "-m", "sse_progress", "worker"]
    ended = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert f"write redis+cluster://127.0.0.1:{port}" in ended.stderr


async def test_a_plain_client_of_a_node_says_what_is_wrong(shared_cluster: RedisCluster) -> None:
    """Where nobody answered at start: it is an error of the connection, in plain words."""
    async with connect(f"redis://127.0.0.1:{shared_cluster.masters[0].port}") as redis:
        keys = {f"k{number}": 1 for number in range(10)}
        with pytest.raises(RedisError, match=r"write redis\+cluster://"):
            await asyncio.gather(*(redis.set(key, value) for key, value in keys.items()))


# ---- slots that move


async def test_a_slot_moves_while_its_journal_is_told(
    core: Components, shared_cluster: RedisCluster, tmp_path: Path
) -> None:
    """Halfway, and for as long as that lasts, and when it is over: every frame at once, none
    twice, and no reset."""
    source, target = shared_cluster.masters[:2]
    [name] = shared_cluster.names_on(source, 1, prefix="moved")
    async with (
        telling(core, name) as [one],
        following(shared_cluster.url, tmp_path / "other", name) as other,
    ):
        await one.say()
        await eventually(lambda: other.frames, "another process follows")
        shared_cluster.begin_move(slot(name), source, target)
        await one.say()
        shared_cluster.move_keys(slot(name), source, target)
        for _ in range(3):  # on a node that has the keys and not the slot
            answer = await one.say()
            await eventually(lambda: one.told.numbers[-1] == answer.seq, "it is heard")  # noqa: B023
        shared_cluster.end_move(slot(name), target)
        answer = await one.say()
        await eventually(lambda: one.told.numbers[-1] == answer.seq, "it is heard after it")
        await eventually(lambda: other.numbers[-1] == answer.seq, "it is heard there too")
        assert one.told.numbers == other.numbers == list(range(1, answer.seq + 1))
        assert one.told.resets == other.resets == 0
    shared_cluster.move([slot(name)], target, source)


async def test_new_uploads_wait_while_their_slot_moves(
    core: Components, shared_cluster: RedisCluster
) -> None:
    """A node that has none of its keys yet cannot run a script on them; others are not held up."""
    source, target = shared_cluster.masters[:2]
    late, other = shared_cluster.names_on(source, 2, prefix="late")
    async with telling(core, other) as [one]:
        shared_cluster.begin_move(slot(late), source, target)
        beginning = asyncio.ensure_future(begin(core, late))
        for _ in range(3):
            await asyncio.wait_for(one.say(), 60)
        assert not beginning.done()
        shared_cluster.end_move(slot(late), target)
        assert (await asyncio.wait_for(beginning, 60)).status == "ok"
    shared_cluster.move([slot(late)], target, source)


async def test_many_slots_move_while_many_uploads_are_told(
    core: Components, shared_cluster: RedisCluster
) -> None:
    """A third of a master's slots goes to another one, there and back: nothing is lost."""
    source, target = shared_cluster.masters[1:]
    names = shared_cluster.names_on(source, 20, prefix="many")
    slots = sorted({slot(name) for name in names})
    async with telling(core, *names) as tellers:
        over = asyncio.Event()

        async def tell(one: Teller) -> int:
            while True:
                answer = await one.say()
                assert answer.status == "ok"
                if over.is_set():
                    return answer.seq
                await asyncio.sleep(0.02)

        telling_all = [asyncio.ensure_future(tell(one)) for one in tellers]
        await asyncio.to_thread(shared_cluster.move, slots, source, target)
        await asyncio.to_thread(shared_cluster.move, slots, target, source)
        over.set()
        ends = await asyncio.wait_for(asyncio.gather(*telling_all), 60)
        for one, end in zip(tellers, ends, strict=True):
            await eventually(lambda one=one, end=end: one.told.numbers[-1] == end, "all is heard")  # type: ignore[misc]
            assert one.told.numbers == list(range(1, end + 1))
            assert one.told.resets == 0


# ---- masters that die


async def begun(
    core: Components, cluster: RedisCluster, node: ClusterNode, count: int
) -> list[str]:
    await eventually(lambda: core.emitter.connected, "every master is listened to")
    return cluster.names_on(node, count)


async def test_a_dead_master_stops_only_its_own_streams(
    failing_cluster: RedisCluster, tmp_path: Path
) -> None:
    """What others have is told and heard meanwhile; after the failover so is what it had. Nothing
    that was acknowledged is told twice or lost, since its replica had it."""
    dying, _, living = failing_cluster.masters
    patient = f"{failing_cluster.url}/?socket_timeout=60"
    async with components(patient, tmp_path) as core:
        here = await begun(core, failing_cluster, dying, 5)
        there = await begun(core, failing_cluster, living, 5)
        async with (
            telling(core, *here, *there) as tellers,
            following(failing_cluster.url, tmp_path / "other", here[0]) as other,
        ):
            await asyncio.gather(*(one.say() for one in tellers))
            await eventually(lambda: other.frames, "another process follows")
            dying.replicate()
            dying.stop()
            stuck = [one.say() for one in tellers[:5]]
            for _ in range(5):
                for one in tellers[5:]:
                    answer = await asyncio.wait_for(one.say(), 60)
                    await eventually(
                        lambda one=one, answer=answer: one.told.numbers[-1] == answer.seq,  # type: ignore[misc]
                        "a frame of another master is heard",
                    )
            assert not any(one.done() for one in stuck)
            dying.kill()
            await eventually(lambda: not core.emitter.connected, "its loss is noticed")
            await asyncio.to_thread(failing_cluster.fail_over, dying)
            answers = await asyncio.wait_for(asyncio.gather(*stuck), 60)
            assert {answer.status for answer in answers} == {"ok"}
            for one in tellers:
                answer = await asyncio.wait_for(one.say(), 60)
                await eventually(
                    lambda one=one, answer=answer: one.told.numbers[-1] == answer.seq,  # type: ignore[misc]
                    "all is heard again",
                )
                assert one.told.numbers == list(range(1, answer.seq + 1))
                assert one.told.resets == 0
            await eventually(lambda: other.numbers == tellers[0].told.numbers, "elsewhere as well")
        await eventually(lambda: core.emitter.connected, "every master is listened to again")
        assert (await health(core))["redis"] == "ok"


async def test_a_failover_that_loses_appends_gives_a_reset(
    failing_cluster: RedisCluster, tmp_path: Path
) -> None:
    """The new master never got the last events: its journal goes on in another epoch, and who had
    seen them is given the whole state, never a silent jump."""
    dying = failing_cluster.masters[1]
    async with components(failing_cluster.url, tmp_path) as core:
        [name] = await begun(core, failing_cluster, dying, 1)
        async with telling(core, name) as [one]:
            dying.replicate()
            with failing_cluster.cut_off(failing_cluster.replicas[1]):
                for _ in range(4):
                    answer = await one.say()
                await eventually(lambda: one.told.numbers[-1] == answer.seq, "they are heard")
                seen = one.told.frames[-1].position
                dying.kill()
            failing_cluster.fail_over(dying)
            answer = await asyncio.wait_for(one.say(), 60)
            assert answer.status == "new"
            end = (await page_of(core, name)).end
            await eventually(lambda: one.told.frames[-1].position == end, "the follower is told")
            assert end.epoch == answer.epoch != seen.epoch
            assert one.told.resets >= 1
