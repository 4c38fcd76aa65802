"""The stages in real child processes: whole runs, cancel, crash and time-out of each of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from sse_progress.model.errors import Rejected, StageTimeout
from sse_progress.model.media import merged
from sse_progress.model.stage_api import StageFunction, Upload
from sse_progress.sandbox.pool import Pool
from sse_progress.stages import pipeline
from sse_progress.stages.scans.clamd import scan_with_clamd
from tests.helpers.media import jpeg
from tests.helpers.processes import alive
from tests.helpers.waiting import eventually
from tests.media_samples import clip, docx, pattern, pdf, slow_archive, slow_picture, tone
from tests.unit.stages.clamd_server import Clamd
from tests.unit.stages.helpers import STAGES, Desk
from tests.unit.stages.test_clamd import asking, never_answers, scripted

MEMORY_BYTES = 2 * 1024**3
TIMEOUT_S = 120.0


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    """One child, with the limits that the service sets by default."""
    one = Pool(size=1, memory_bytes=MEMORY_BYTES, cpu_s=900)
    await one.start()
    yield one
    await one.aclose()


def quiet(fraction: float, message: str | None) -> None:
    """A report that nobody reads."""


async def run_all(pool: Pool, upload: Upload, *, until: str = "") -> Upload:
    """The built-in pipeline, or what comes before the stage `until`; functions of one stage merged
    as the service does it."""
    for name, function in pipeline:
        if name == until:
            break
        got = await pool.run(function, upload, quiet, timeout_s=TIMEOUT_S)
        whole = merged(upload.results.get(name, {}), got)
        upload = msgspec.structs.replace(upload, results={**upload.results, name: whole})
    return upload


# ---- whole runs, under limits


async def test_every_kind_goes_through_one_warm_child(desk: Desk, pool: Pool) -> None:
    """All libraries together fit a child's limits, and one child serves kind after kind."""
    (child,) = pool.pids
    kinds = []
    for content, name in (
        (jpeg(), "a.jpg"),
        (clip("pool.mp4", *pattern(), *tone(), "-c:v", "mpeg4"), "a.mp4"),
        (clip("pool.mp3", *tone()), "a.mp3"),
        (pdf(), "a.pdf"),
        (docx("Good morning to all of you out there"), "a.docx"),
        (b"Good morning to all of you out there\n", "a.txt"),
    ):
        upload = await run_all(pool, desk.upload(content, name))
        kinds.append(upload.results["analyzing"]["kind"])
        assert upload.results["moderating"]["verdict"] == "approved"
        assert upload.results["moderating"]["notChecked"] == []
    assert kinds == ["image", "video", "audio", "document", "document", "text"]
    assert pool.pids == [child]


async def test_a_refusal_comes_back_as_it_was_raised(desk: Desk, pool: Pool) -> None:
    """Code and sentence of a stage's refusal cross the process border."""
    with pytest.raises(Rejected) as caught:
        await run_all(pool, desk.upload(jpeg()[:2000], "a.jpg"))
    assert (caught.value.code, caught.value.detail) == (
        "corrupt_file",
        "This JPEG picture is damaged and cannot be opened.",
    )


# ---- each stage stopped in the middle of real work

SLOW: dict[str, Callable[[], Path]] = {
    "validating": slow_archive,
    "analyzing": slow_archive,
    "moderating": slow_archive,
    "processing": slow_picture,
}
TYPES = {slow_archive: "application/zip", slow_picture: "image/png"}


def slow_upload(desk: Desk, stage: str) -> tuple[StageFunction, Upload]:
    """A stage, and an upload over which it works for a while."""
    make = SLOW[stage]
    before = {"validating": {"contentType": TYPES[make]}} if stage != "validating" else {}
    return dict(STAGES)[stage], desk.upload(make(), "slow", results=before)


class Interrupt:
    """A report that does something once, when the work is under way."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act: Callable[[], None] | None = act

    def __call__(self, fraction: float, message: str | None) -> None:
        if fraction > 0 and self._act is not None:
            act, self._act = self._act, None
            act()


async def assert_still_serves(desk: Desk, pool: Pool) -> None:
    """The next upload is none the wiser: whether it begins is enough, and spares the model."""
    upload = await run_all(pool, desk.upload(jpeg(64, 48), "a.jpg"), until="moderating")
    assert upload.results["analyzing"]["kind"] == "image"


@pytest.mark.parametrize("stage", SLOW)
async def test_cancel(desk: Desk, pool: Pool, stage: str) -> None:
    """A cancelled stage's child is gone when the cancellation is over; the pool goes on."""
    function, upload = slow_upload(desk, stage)
    (child,) = pool.pids
    under_way = asyncio.Event()
    work = asyncio.ensure_future(
        pool.run(function, upload, Interrupt(under_way.set), timeout_s=TIMEOUT_S)
    )
    await asyncio.wait_for(under_way.wait(), 60)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not alive(child)
    await assert_still_serves(desk, pool)


@pytest.mark.parametrize("stage", ["validating", "processing"])
async def test_crash(desk: Desk, pool: Pool, stage: str) -> None:
    """A decoder that crashes in the middle is a `corrupt_file` and costs one child."""
    function, upload = slow_upload(desk, stage)
    (child,) = pool.pids
    crash = Interrupt(lambda: os.kill(child, signal.SIGSEGV))
    with pytest.raises(Rejected) as caught:
        await pool.run(function, upload, crash, timeout_s=TIMEOUT_S)
    assert caught.value.code == "corrupt_file"
    assert not alive(child)
    await assert_still_serves(desk, pool)


@pytest.mark.parametrize("stage", ["moderating", "processing"])
async def test_time_out(desk: Desk, pool: Pool, stage: str) -> None:
    """A stage that stands still is ended at its time limit, stopped processes included."""
    function, upload = slow_upload(desk, stage)
    (child,) = pool.pids
    freeze = Interrupt(lambda: os.kill(child, signal.SIGSTOP))
    with pytest.raises(StageTimeout):
        await pool.run(function, upload, freeze, timeout_s=2)
    assert not alive(child)
    await assert_still_serves(desk, pool)


# ---- the stage that asks clamd, on the loop


async def test_clamd_time_out(desk: Desk, pool: Pool, short_dir: Path) -> None:
    """A clamd that never answers does not hold an upload beyond the stage's limit."""
    async with scripted(never_answers, short_dir) as address:
        with pytest.raises(StageTimeout):
            await pool.run(scan_with_clamd, asking(desk, b"x", address), quiet, timeout_s=0.3)


async def test_clamd_cancel(desk: Desk, pool: Pool, short_dir: Path) -> None:
    """Cancelling an upload that waits for clamd ends the wait at once."""
    async with scripted(never_answers, short_dir) as address:
        under_way = asyncio.Event()
        work = asyncio.ensure_future(
            pool.run(
                scan_with_clamd,
                asking(desk, b"x" * 1000, address),
                Interrupt(under_way.set),
                timeout_s=TIMEOUT_S,
            )
        )
        await asyncio.wait_for(under_way.wait(), 60)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work


async def test_clamd_crash(desk: Desk, pool: Pool, short_dir: Path) -> None:
    """A clamd killed in the middle of a scan ends the upload as `unavailable`; a new one serves."""
    folder = short_dir / "clamd"
    folder.mkdir()
    server = Clamd(folder)
    server.start()
    try:
        upload = asking(desk, slow_archive(), server.address)
        with pytest.raises(Rejected) as caught:
            await pool.run(scan_with_clamd, upload, Interrupt(server.kill), timeout_s=TIMEOUT_S)
        assert caught.value.code == "unavailable"
        server.start()
        assert await pool.run(
            scan_with_clamd, asking(desk, b"x", server.address), quiet, timeout_s=TIMEOUT_S
        )
    finally:
        server.close()


async def test_no_child_is_left(desk: Desk) -> None:
    """Closing the pool in the middle of work leaves no process."""
    pool = Pool(size=1, memory_bytes=MEMORY_BYTES, cpu_s=900)
    await pool.start()
    (child,) = pool.pids
    function, upload = slow_upload(desk, "analyzing")
    under_way = asyncio.Event()
    work = asyncio.ensure_future(
        pool.run(function, upload, Interrupt(under_way.set), timeout_s=TIMEOUT_S)
    )
    await asyncio.wait_for(under_way.wait(), 60)
    await pool.aclose()
    with pytest.raises(Exception):  # noqa: B017, PT011  # which one is the pool's own matter
        await work
    await eventually(lambda: not alive(child), "the child is gone")
