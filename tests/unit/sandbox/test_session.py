"""The functions of one upload share a process where they may, and no two uploads do."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from sse_progress.model.errors import Rejected, StageTimeout
from sse_progress.model.stage_api import Upload
from sse_progress.sandbox.messages import Limits, Progress
from sse_progress.sandbox.outcomes import ChildLost, check_cost
from sse_progress.sandbox.pool import Pool
from sse_progress.sandbox.session import Session
from tests.helpers.processes import alive
from tests.helpers.waiting import eventually
from tests.stages_for_tests import asynchronous, ordinary, rough

MIB = 1024**2


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    one = Pool(size=2, memory_bytes=512 * MIB, cpu_s=2)
    yield one
    await one.aclose()


@pytest.fixture
def make_upload(tmp_path: Path) -> Callable[..., Upload]:
    def make(upload_id: str = "one", **fields: str) -> Upload:
        scratch = tmp_path / f"scratch-{upload_id}"
        scratch.mkdir(exist_ok=True)
        original = tmp_path / "original"
        original.write_bytes(b"bytes")
        return Upload(
            id=upload_id,
            path=str(original),
            scratch=str(scratch),
            filename="one.bin",
            claimed_type="application/octet-stream",
            size=5,
            sha256="00",
            created_at="2026-01-15T10:30:00.000Z",
            fields={"go": str(tmp_path / "go"), "place": str(tmp_path), **fields},
        )

    return make


async def call(session: Session, function: Any, upload: Upload, **how: Any) -> dict[str, Any]:
    return await session.call(function, upload, lambda *_: None, timeout_s=how.get("timeout_s", 30))


async def test_one_process_for_one_upload(pool: Pool, make_upload: Callable[..., Upload]) -> None:
    """Calls in a session share a process until `renew`; another session never has it, and it is
    gone with its own."""
    async with pool.session() as session:
        first = await call(session, ordinary.whoami, make_upload())
        second = await call(session, ordinary.whoami, make_upload())
        assert second["pid"] == first["pid"]
        await session.renew()
        assert not alive(first["pid"])
        third = await call(session, ordinary.whoami, make_upload())
        assert third["pid"] != first["pid"]
        assert third["zygote"] == first["zygote"]
    assert not alive(third["pid"])
    async with pool.session() as session:
        other = await call(session, ordinary.whoami, make_upload("two"))
    assert other["zygote"] == first["zygote"]
    assert other["pid"] not in (first["pid"], third["pid"])


async def test_two_uploads_at_once_share_nothing(
    pool: Pool, make_upload: Callable[..., Upload]
) -> None:
    """Each has a child of its own for as long as its session lasts."""
    async with pool.session() as one, pool.session() as two:
        first = await call(one, ordinary.whoami, make_upload())
        other = await call(two, ordinary.whoami, make_upload("two"))
        again = await call(one, ordinary.whoami, make_upload())
    assert first["zygote"] == again["zygote"] != other["zygote"]
    assert first["pid"] == again["pid"]


async def test_a_later_call_finds_its_own_surroundings(
    pool: Pool, make_upload: Callable[..., Upload]
) -> None:
    """Environment, directory, mask and the allowance of CPU time, whatever the call before did."""
    async with pool.session() as session:
        await call(session, ordinary.disturb, make_upload("first"))
        second = make_upload("second")
        seen = await call(session, ordinary.surroundings, second)
    assert "LEFT_BEHIND" not in seen["environment"]
    assert seen["umask"] == 0o077
    assert seen["directory"] == seen["temporary"] == second.scratch


async def test_each_call_has_its_cpu_time_and_all_have_a_bound(
    pool: Pool, make_upload: Callable[..., Upload]
) -> None:
    """What one call used is not taken from the next, up to what the process may use in all."""
    async with pool.session() as session:
        await call(session, ordinary.burn, make_upload())
        seen = await call(session, ordinary.whoami, make_upload())
        assert seen["cpu"] >= 1
        assert seen["cpuLimit"] <= 3
        with pytest.raises(StageTimeout, match="CPU"):
            await call(session, rough.spin, make_upload())


@pytest.mark.parametrize(
    ("name", "error"), [("SIGSEGV", Rejected), ("SIGXCPU", StageTimeout), ("SIGKILL", ChildLost)]
)
async def test_an_end_in_a_later_call_means_the_same(
    pool: Pool, make_upload: Callable[..., Upload], name: str, error: type[Exception]
) -> None:
    """And the session goes on with another child."""
    async with pool.session() as session:
        await call(session, ordinary.whoami, make_upload())
        with pytest.raises(error):
            await call(session, rough.by_signal, make_upload(signal=name))
        assert await call(session, ordinary.nothing, make_upload()) == {}


async def test_a_process_that_ends_between_two_calls_is_lost(
    pool: Pool, make_upload: Callable[..., Upload]
) -> None:
    """The next call finds that out."""
    async with pool.session() as session:
        pid = (await call(session, ordinary.whoami, make_upload()))["pid"]
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ChildLost):
            await call(session, ordinary.nothing, make_upload())
        assert await call(session, ordinary.nothing, make_upload()) == {}


async def test_what_a_process_started_ends_with_the_session(
    pool: Pool, make_upload: Callable[..., Upload]
) -> None:
    """Programs in sessions of their own, and orphans."""
    async with pool.session() as session:
        result = await call(session, rough.orphan_maker, make_upload())
    family = [result["pid"], *result["family"]]
    await eventually(lambda: not any(map(alive, family)), "all are gone")
    assert len(pool.pids) == 1


async def test_all_calls_of_an_upload_share_its_cpu_time(
    pool: Pool, make_upload: Callable[..., Upload]
) -> None:
    """Also over processes, so that nobody gets more by being asked more often."""
    async with pool.session(cpu_s=2) as session:
        await call(session, ordinary.burn, make_upload())
        await session.renew()
        assert session.cpu_s >= 1
        seen = await call(session, ordinary.whoami, make_upload())
        assert seen["cpuLimit"] <= 2
        for function in (rough.spin, ordinary.nothing):
            with pytest.raises(Rejected, match="CPU time than the 2 s") as caught:
                await call(session, function, make_upload())
            assert caught.value.code == "too_demanding"


async def test_all_calls_of_an_upload_share_its_time(
    pool: Pool, make_upload: Callable[..., Upload]
) -> None:
    """In a process or on the loop; what one function may take is another limit and another code."""
    async with pool.session(timeout_s=30) as session:
        with pytest.raises(StageTimeout, match=r"0\.2 s"):
            await call(session, asynchronous.hang, make_upload(), timeout_s=0.2)
    async with pool.session(timeout_s=2) as session:
        await call(session, ordinary.nothing, make_upload())
        for function in (rough.hang, ordinary.nothing, asynchronous.hang):
            with pytest.raises(Rejected, match="more time than the 2 s") as caught:
                await call(session, function, make_upload())
            assert caught.value.code == "too_demanding"


async def test_a_process_that_ignores_its_limit_is_no_lost_child(
    pool: Pool, make_upload: Callable[..., Upload]
) -> None:
    """The kernel's last word is SIGKILL; nobody tries such a file again."""
    async with pool.session(cpu_s=1) as session:
        with pytest.raises(Rejected, match="CPU"):
            await call(session, rough.spin_on, make_upload())


async def test_work_that_would_take_far_too_long_is_stopped_early(
    pool: Pool, make_upload: Callable[..., Upload]
) -> None:
    """By its pace, and said plainly."""
    with pytest.raises(Rejected, match="would take about") as caught:
        async with pool.session() as session:
            await call(session, rough.crawl, make_upload())
    assert caught.value.code == "too_demanding"
    assert "2 s are allowed" in caught.value.detail
    assert session.cpu_s < 1.5


@pytest.mark.parametrize(
    ("fraction", "cpu_s", "stopped"),
    [
        *((0.01, 9.9, False), (0.01, 10.1, True), (0.1, 30.0, False), (0.1, 61.0, True)),
        *((0.0, 29.0, False), (1.0, 29.0, False)),
    ],
)
def test_the_pace_is_judged_by_what_is_allowed(
    fraction: float, cpu_s: float, stopped: bool
) -> None:
    """Not before there is something to judge, and not where the end may be easier."""
    limits = Limits(memory_bytes=1, cpu_s=300, all_cpu_s=300, file_bytes=1, open_files=1)
    progress = Progress(fraction, None, cpu_s)
    try:
        check_cost(progress, limits)
    except Rejected:
        assert stopped
    else:
        assert not stopped
