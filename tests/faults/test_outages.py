"""One fault at a time, at the worst moment, against a whole running service."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.faults.scene import HASTY, KILL, STOP, TERM, Scene, of, reading
from tests.helpers.sse import EventStream
from tests.helpers.waiting import eventually

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """Two web processes, one worker, a Redis to break; every test leaves it whole."""
    directory = Path(tempfile.mkdtemp(prefix="sp-"))
    scene = Scene(directory)
    try:
        scene.start()
        yield scene
    finally:
        scene.close()
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def hasty() -> Iterator[Scene]:
    """One whose waits for Redis and for bodies at its end are short; left whole as well."""
    directory = Path(tempfile.mkdtemp(prefix="sp-"))
    scene = Scene(directory, HASTY)
    try:
        scene.start()
        yield scene
    finally:
        scene.close()
        shutil.rmtree(directory)


@pytest.fixture(autouse=True)
async def _hang_up(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    yield
    for name in {"scene", "hasty"} & set(request.fixturenames):
        request.getfixturevalue(name).hang_up()


# ---- Redis away


async def test_a_body_goes_on_while_redis_is_away(scene: Scene) -> None:
    """Its bytes reach the disk, its events wait, and it is answered when Redis is back."""
    sending = await scene.sending("away-body").send_half()
    await eventually(scene.receivers, "the body arrives")
    async with reading(scene.url, "away-body") as (reader,):
        scene.redis.kill()
        await sending.send_all()
        await eventually(lambda: scene.files("open/"), "the body is stored without Redis")
        scene.redis.start()
        status, answer = await sending.answer()
    assert (status, answer["success"]) == (200, True)
    frames = await scene.journal("away-body")
    assert reader.raw == [frame.raw for frame in frames]
    assert [frame.json["stageProgress"] for frame in of("receiving", frames)][-1] == 100


async def test_a_body_that_waited_too_long_for_redis_is_refused_and_told(hasty: Scene) -> None:
    """503 with Retry-After, nothing on the disk, and the journal's own error once Redis is back."""
    sending = await hasty.sending("away-long").send_half()
    await eventually(hasty.receivers, "the body arrives")
    async with reading(hasty.url, "away-long") as (reader,), hasty.stopped_redis():
        await sending.send_all()
        status, answer = await sending.answer()
        assert (status, answer["code"]) == (503, "unavailable")
        assert b"retry-after" in sending.headers.lower()
        assert hasty.files("incoming/", "open/") == []
        refused = await hasty.sending("away-new", respond_async=True).send_all()
        status, answer = await refused.answer()
        assert (status, answer["code"]) == (503, "unavailable")
        assert b"retry-after" in refused.headers.lower()
        assert httpx.get(f"{hasty.url}/healthz", timeout=60).status_code == 200
        assert httpx.get(f"{hasty.url}/readyz", timeout=60).status_code == 503
    assert reader.seen.ended == "error"
    frames = await hasty.journal("away-long")
    assert frames[-1].json["error"]["code"] == "unavailable"
    assert reader.raw == [frame.raw for frame in frames]
    await hasty.ready()


async def test_a_stage_goes_on_while_redis_is_away_and_streams_stay(scene: Scene) -> None:
    """Away past every lease: the stage is done once, streams have heartbeats, then the rest."""
    sending = await scene.held("away-stage", "analyzing")
    async with reading(scene.url, "away-stage") as (reader,):
        await eventually(
            lambda: reader.seen.frames and reader.seen.frames[-1][0].stage == "analyzing",
            "the reader has caught up",
        )
        async with scene.stopped_redis():
            beats = reader.comments
            await eventually(lambda: reader.comments > beats, "what was on its way has arrived")
            told, beats = len(reader.raw), reader.comments
            scene.go("away-stage")
            await eventually(
                lambda: "analyzing done" in scene.tally("away-stage"), "the stage ends by itself"
            )
            await eventually(lambda: reader.comments >= beats + 6, "six heartbeats")
            assert (len(reader.raw), reader.seen.live) == (told, True)
        status, _ = await sending.answer()
    assert status == 200
    assert scene.tally("away-stage") == [
        f"{stage} {what}"
        for stage in ("validating", "analyzing", "processing")
        for what in ("begun", "done")
    ]
    assert reader.raw == [frame.raw for frame in await scene.journal("away-stage")]
    assert reader.seen.connections == 1
    await scene.ready()


async def test_the_stream_of_all_shows_what_it_could_not_read_at_first(scene: Scene) -> None:
    """A stream that opens while Redis hangs shows the open uploads when Redis answers again."""
    sending = await scene.held("away-list", "analyzing")
    async with AsyncExitStack() as stack:
        for _ in range(8):  # so that either process listens already, and the next looks at once
            await stack.enter_async_context(EventStream(f"{scene.url}/uploads/progress"))
        await stack.enter_async_context(scene.stopped_redis())
        async with asyncio.timeout(60):
            stream = EventStream(f"{scene.url}/uploads/progress?id=away-list", timeout_s=60)
            async with stream:
                beats = 0
                async for frame in stream:
                    beats += frame.comment
                    if beats == 6:
                        scene.redis.cont()
                    if frame.json.get("uploadId") == "away-list":
                        break
    assert beats >= 6
    scene.go("away-list")
    assert (await sending.answer())[0] == 200
    assert (await scene.journal("away-list"))[-1].stage == "complete"
    await scene.ready()


@pytest.mark.parametrize("how", ["empty", "rewound"])
async def test_redis_comes_back_without_what_it_knew(scene: Scene, how: str) -> None:
    """In a body, in a stage and after the end: a new epoch, a reset, and everything goes on."""
    in_body, in_stage, ended = (f"{how}-{at}" for at in ("body", "stage", "ended"))
    last = await scene.held(ended, "processing")
    staged = await scene.held(in_stage, "analyzing")
    body = await scene.sending(in_body).send_half()
    await eventually(scene.receivers, "the body arrives")
    older = scene.redis.data_dir.with_name("older")
    async with reading(scene.url, in_body, in_stage) as (of_body, of_stage):
        await eventually(lambda: of_body.raw and of_stage.raw, "both have events")
        scene.redis.kill()
        shutil.copytree(scene.redis.data_dir, older)
        scene.redis.start()
        scene.go(ended)
        assert (await last.answer())[0] == 200
        position = str((await scene.journal(ended))[-1].id)
        await body.send(1000)
        scene.redis.kill()
        shutil.rmtree(scene.redis.data_dir)
        if how == "rewound":
            shutil.move(older, scene.redis.data_dir)
        else:
            shutil.rmtree(older)
            scene.redis.data_dir.mkdir()
        scene.redis.start()
        scene.go(in_stage)
        await body.send_all()
        assert (await body.answer())[0] == 200
        assert (await staged.answer())[0] == 200
    if how == "empty":
        for reader in (of_body, of_stage):
            assert reader.resets >= 1
            assert len(reader.epochs()) == 2
    for upload_id, reader in ((in_body, of_body), (in_stage, of_stage)):
        frames = await scene.journal(upload_id)
        assert (reader.seen.ended, reader.position) == ("complete", frames[-1].id)
    assert scene.tally(in_stage).count("analyzing begun") == 1
    async with asyncio.timeout(90):
        async with EventStream(
            f"{scene.url}/upload/{ended}/progress",
            headers={"Last-Event-ID": position},
            timeout_s=60,
        ) as stream:
            frames = [frame async for frame in stream if frame.id]
    assert frames[0].json["type"] == "reset"
    assert frames[-1].stage == "complete"
    assert str(frames[-1].id).rpartition("-")[0] != position.rpartition("-")[0]


async def test_a_body_begun_before_redis_was_emptied_ends_even_if_its_server_dies(
    scene: Scene,
) -> None:
    """What Redis forgot is listed again, so the loss of the receiver is noticed afterwards."""
    sending = await scene.sending("forgotten").send_half()
    await eventually(scene.receivers, "the body arrives")
    scene.empty_redis()

    async def told_again() -> bool:
        return (await scene.state("forgotten")).get("status") == "receiving"

    await eventually(told_again, "its journal goes on")
    for pid in scene.receivers():
        scene.signal(pid, KILL)
    assert (await sending.answer())[0] == 0
    async with reading(scene.url, "forgotten") as (reader,):
        pass
    assert reader.seen.ended == "error"
    assert (await scene.journal("forgotten"))[-1].json["error"]["code"] == "server_lost"
    await eventually(lambda: not scene.files("incoming/"), "nothing is left of it")
    await scene.all_up()


# ---- processes


async def test_a_web_process_killed_between_storing_and_queueing(scene: Scene) -> None:
    """The file is in its place, nobody was told: the upload completes all the same."""
    sending = await scene.sending("orphan").send_half()
    await eventually(scene.receivers, "the body arrives")
    (pid,) = scene.receivers()
    async with scene.stopped_redis():
        await sending.send_all()
        await eventually(lambda: scene.files("open/"), "the body is stored")
        scene.signal(pid, KILL)
        assert (await sending.answer())[0] == 0
    frames = await scene.journal("orphan")
    assert frames[-1].stage == "complete"
    assert frames[-1].json["media"]["size"] == len(await _content(scene, "orphan"))
    await scene.all_up()


async def test_a_worker_killed_between_a_stages_work_and_its_event(scene: Scene) -> None:
    """The stage is done again, what was finished before it is not, and the journal shows one."""
    sending = await scene.held("redone", "analyzing")
    (pid,) = scene.service.pids()["worker"]
    scene.signal(pid, STOP)
    scene.go("redone")
    await eventually(lambda: "analyzing done" in scene.tally("redone"), "the work is done")
    scene.signal(pid, KILL)
    assert (await sending.answer())[0] == 200
    tally = scene.tally("redone")
    assert (tally.count("validating done"), tally.count("analyzing done")) == (1, 2)
    frames = await scene.journal("redone")
    assert [f.json["stageProgress"] for f in of("analyzing", frames)].count(0) == 1
    assert [f.json["stageProgress"] for f in of("analyzing", frames)].count(100) == 1
    await scene.all_up()


async def test_what_redis_forgot_of_finished_stages_is_told_it_again(scene: Scene) -> None:
    """Redis emptied in a stage, the worker killed in the next: what was finished stays so."""
    sending = await scene.held("retold", "analyzing")
    scene.empty_redis()
    scene.go("retold")
    await eventually(lambda: "analyzing done" in scene.tally("retold"), "the stage ends")
    (pid,) = scene.service.pids()["worker"]

    async def kept() -> bool:
        keys = scene.redis.command("HKEYS", "sp:{retold}:meta")
        return b"r:analyzing" in keys and b"r:validating" in keys

    await eventually(kept, "Redis knows both stages again")
    scene.signal(pid, KILL)
    assert (await sending.answer())[0] == 200
    tally = scene.tally("retold")
    assert (tally.count("validating begun"), tally.count("analyzing begun")) == (1, 1)
    await scene.all_up()


async def test_deaths_of_workers_cost_no_upload(scene: Scene) -> None:
    """Its worker is killed four times in a stage: the fifth one completes it."""
    sending = await scene.sending("survivor", hold="analyzing").send_all()
    for number in range(1, 5):
        await eventually(
            lambda number=number: scene.tally("survivor").count("analyzing begun") == number,
            f"attempt {number}",
        )
        for pid in scene.service.pids()["worker"]:
            scene.signal(pid, KILL)
    scene.go("survivor")
    assert (await sending.answer())[0] == 200
    tally = scene.tally("survivor")
    assert (tally.count("validating begun"), tally.count("analyzing begun")) == (1, 5)
    assert (await scene.journal("survivor"))[-1].stage == "complete"
    await scene.all_up()


async def test_a_cancel_stops_the_stage_itself(scene: Scene) -> None:
    """Not at its next word, which may be hours away: its process ends, and its bytes are gone."""
    sending = await scene.held("stopped", "analyzing")
    assert len(scene.at_work()) == 1
    async with httpx.AsyncClient(base_url=scene.url, timeout=60) as client:
        assert (await client.delete("/upload/stopped")).status_code == 204
    await eventually(lambda: not scene.at_work(), "no stage runs")
    status, answer = await sending.answer()
    assert (status, answer["code"]) == (409, "cancelled")
    scene.go("stopped")
    assert "analyzing done" not in scene.tally("stopped")
    await eventually(lambda: not scene.files("open/", "trash/"), "nothing is left of it")


async def test_sigterm_of_a_web_process_with_everything_in_flight(hasty: Scene) -> None:
    """A body past its grace gets 503 `unavailable`, a waiting POST 202, a stream a whole end."""
    bodies = [await hasty.sending(f"term-{n}").send_half() for n in range(4)]
    waiting = [await hasty.held(f"term-wait-{n}", "analyzing") for n in range(2)]
    await eventually(lambda: len(hasty.files("incoming/")) == 4, "the bodies arrive")
    ids = [sending.upload_id for sending in (*bodies, *waiting)]
    async with reading(hasty.url, *ids) as readers:
        for pid in hasty.service.pids()["web"]:
            hasty.signal(pid, TERM)
        for sending in waiting:
            status, answer = await sending.answer()
            assert (status, answer["status"]) == (202, "processing")
        for sending in bodies:
            status, answer = await sending.answer()
            assert (status, answer["code"]) == (503, "unavailable")
        for sending in waiting:
            hasty.go(sending.upload_id)
    assert [reader.seen.cut for reader in readers] == [0] * len(readers)
    for reader in readers:
        frames = await hasty.journal(reader.seen.upload_id)
        assert reader.raw == [frame.raw for frame in frames]
        error = frames[-1].json.get("error", {})
        assert error.get("code") == (None if "wait" in reader.seen.upload_id else "unavailable")
    assert hasty.files("incoming/", "open/") == []
    await hasty.all_up()


async def begun(scene: Scene, upload_id: str) -> bool:
    return (await scene.state(upload_id))["status"] != "pending"


async def test_a_rolling_restart_loses_nothing(scene: Scene) -> None:
    """Two web processes end one after the other; every body and every reader gets through."""
    ids = [f"roll-{number}" for number in range(6)]
    old = scene.service.pids()["web"]
    sendings = [await scene.sending(upload_id).send(20_000) for upload_id in ids]
    await eventually(lambda: len(scene.files("incoming/")) == 6, "the bodies arrive")
    async with reading(scene.url, *ids) as readers:

        async def trickle() -> None:
            while left := [one for one in sendings if one.sent < len(one.raw)]:
                for sending in left:  # in turn, so that no body stands still for too long
                    await sending.send(60_000)
                await asyncio.sleep(0.1)

        async with asyncio.TaskGroup() as group:
            group.create_task(trickle())
            for at, pid in enumerate(old):
                scene.signal(pid, TERM)
                await eventually(
                    lambda pid=pid: pid not in scene.service.pids()["web"], "it has ended"
                )
                await scene.all_up()
                ids.append(f"roll-between-{at}")
                sendings.append(await scene.sending(ids[-1]).send_all())
                await eventually(partial(begun, scene, ids[-1]), "its request is read")
        answers = {sending.upload_id: await sending.answer() for sending in sendings}
    refused = {name: answer for name, answer in answers.items() if answer[0] not in (200, 202)}
    assert refused == {}
    for reader in readers:
        assert reader.raw == [f.raw for f in await scene.journal(reader.seen.upload_id)]
        assert (reader.seen.ended, reader.seen.cut) == ("complete", 0)
    for upload_id in ids:
        assert (await scene.journal(upload_id))[-1].stage == "complete"


async def test_what_a_killed_process_had_open_is_not_counted_for_ever(scene: Scene) -> None:
    """The gauges of a process that was killed leave the metrics with it."""
    ids = [f"gauge-{number}" for number in range(8)]
    streams = [EventStream(f"{scene.url}/upload/{upload_id}/progress") for upload_id in ids]
    try:
        for stream in streams:
            await stream.__aenter__()
        await eventually(lambda: _gauge(scene, "streams") == 8, "all streams are counted")
        for pid in scene.service.pids()["web"]:
            scene.signal(pid, KILL)
    finally:
        for stream in streams:
            await stream.aclose()
    await scene.all_up()
    await eventually(lambda: _gauge(scene, "streams") == 0, "none is counted any more")


# ---- storage


async def test_a_stored_file_that_disappears_is_an_error(scene: Scene) -> None:
    """Removed by somebody else in the middle of the work: the upload ends, nothing hangs."""
    sending = await scene.held("vanished", "validating")
    for path in (scene.service.data_dir / "open").iterdir():
        path.rename(scene.place / path.name)  # at once: something may be written into it
    scene.go("vanished")
    status, _ = await sending.answer()
    assert status >= 400
    frames = await scene.journal("vanished")
    assert frames[-1].stage == "error"
    assert scene.files("open/", "incoming/") == []


async def test_a_storage_that_cannot_be_written_is_named(scene: Scene) -> None:
    """A body is answered 503, its journal says the same, and it works again afterwards."""
    incoming = scene.service.data_dir / "incoming"
    incoming.rmdir()
    incoming.touch()
    try:
        sending = await scene.sending("unwritable").send_all()
        status, answer = await sending.answer()
    finally:
        incoming.unlink()
        incoming.mkdir(mode=0o700)
    assert (status, answer["code"]) == (503, "unavailable")
    assert (await scene.journal("unwritable"))[-1].json["error"]["code"] == "unavailable"
    again = await scene.sending("written").send_all()
    assert (await again.answer())[0] == 200


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 4 MiB."""
    yield from _mounted("size=4m")


@pytest.fixture
def few_inodes() -> Iterator[Path]:
    """A file system that has room for 100 files and directories."""
    yield from _mounted("size=64m,nr_inodes=100")


def _mounted(options: str) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="sp-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(directory)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        directory.rmdir()
        pytest.skip("a small file system cannot be mounted here")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)
    directory.rmdir()


async def test_a_full_disk_is_named_and_nothing_is_left(short_dir: Path, small_disk: Path) -> None:
    """507 from the header or in the middle of the body, the journal the same, and room again."""
    scene = Scene(
        short_dir,
        {
            "SSE_PROGRESS_DATA_DIR": str(small_disk / "data"),
            "SSE_PROGRESS_DISK_RESERVE_BYTES": "0",
            "SSE_PROGRESS_WEB_PROCESSES": "1",
        },
    )
    scene.service.data_dir = small_disk / "data"
    try:
        scene.start()
        filler = small_disk / "filler"
        sending = await scene.sending("full").send_half()
        await eventually(scene.receivers, "the body arrives")
        free = os.statvfs(small_disk)
        filler.write_bytes(bytes(max(free.f_bavail * free.f_frsize - 16 * 1024, 0)))
        await sending.send_all()
        status, answer = await sending.answer()
        assert (status, answer["code"]) == (507, "insufficient_storage")
        told = await scene.sending("full-told").send_all()
        assert (await told.answer())[0] == 507
        assert scene.files("incoming/", "open/", "objects/") == []
        left = os.statvfs(small_disk)
        with filler.open("ab") as file:  # what the refused body had taken is free again
            file.write(bytes(left.f_bavail * left.f_frsize))
        ready = httpx.get(f"{scene.url}/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["checks"]["storage"] == "full"
        filler.unlink()
        frames = await scene.journal("full")
        assert frames[-1].json["error"]["code"] == "insufficient_storage"
        again = await scene.sending("fits").send_all()
        assert (await again.answer())[0] == 200
    finally:
        scene.hang_up()
        scene.close()


async def test_a_disk_without_inodes_is_named_before_it_is_full(
    short_dir: Path, few_inodes: Path
) -> None:
    """New uploads get 507 while accepted ones still end well, and `/readyz` says why."""
    scene = Scene(
        short_dir,
        {
            "SSE_PROGRESS_DATA_DIR": str(few_inodes / "data"),
            "SSE_PROGRESS_DISK_RESERVE_BYTES": "0",
            "SSE_PROGRESS_DISK_RESERVE_INODES": "10",
            "SSE_PROGRESS_WEB_PROCESSES": "1",
        },
    )
    scene.service.data_dir = few_inodes / "data"
    try:
        scene.start()
        answers = []
        for number in range(40):
            sending = await scene.sending(f"small-{number}").send_all()
            answers.append(await sending.answer())
            if answers[-1][0] != 200:
                break
        (*accepted, (status, answer)) = answers
        assert len(accepted) >= 3
        assert {status for status, _ in accepted} == {200}
        assert (status, answer["code"]) == (507, "insufficient_storage")
        assert os.statvfs(few_inodes).f_favail >= 10
        ready = httpx.get(f"{scene.url}/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["checks"]["storage"] == "out_of_inodes"
    finally:
        scene.hang_up()
        scene.close()


# ---- peers


async def test_dead_peers_are_looked_for(scene: Scene) -> None:
    """The kernel probes every accepted connection: its timer is the keepalive's (RFC 1122)."""
    async with EventStream(f"{scene.url}/upload/quiet/progress") as stream:
        assert stream.status == 200
        port = int(scene.url.rpartition(":")[2])
        timers = [
            line.split()[5].partition(":")[0]
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
            if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01"
        ]
    assert "02" in timers, timers  # proc(5): 02 is the keepalive timer


async def _content(scene: Scene, upload_id: str) -> bytes:
    media = (await scene.state(upload_id))["media"]
    async with httpx.AsyncClient(base_url=scene.url) as client:
        return (await client.get(media["url"])).content


def _gauge(scene: Scene, name: str) -> float:
    text = httpx.get(f"{scene.url}/metrics", timeout=60).text
    lines = [line for line in text.splitlines() if line.startswith(f"sse_progress_{name} ")]
    return float(lines[0].split()[1])
