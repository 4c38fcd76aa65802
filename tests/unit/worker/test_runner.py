"""One upload's work: order, checkpoints, and what happens when anything of it breaks off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sse_progress.access.spending import Spending
from sse_progress.journal.frames import Page
from sse_progress.journal.writer import JournalWriter
from sse_progress.model.errors import InsufficientStorage, Rejected
from sse_progress.model.events import decode_json, encode_json
from sse_progress.model.kinds import Kind
from sse_progress.model.labels import Labels
from sse_progress.model.messages import END
from sse_progress.model.stage_api import Options, Report, StageFunction, Upload
from sse_progress.model.stage_table import DEFAULT_TABLE
from sse_progress.queue.queue import Job, Outcome, Park, RetryLater
from sse_progress.sandbox.outcomes import ChildLost
from sse_progress.sandbox.pool import Pool
from sse_progress.sandbox.session import Session
from sse_progress.storage.disk import DiskStorage
from sse_progress.storage.disk_objects import DiskObjects
from sse_progress.uploads.components import Components
from sse_progress.uploads.queries import state_of
from sse_progress.uploads.reviews import Reviews
from sse_progress.worker.context import KindOfWork, WorkerConfig, WorkerContext
from sse_progress.worker.eta import History
from sse_progress.worker.room import Room
from sse_progress.worker.runner import Runner
from tests.helpers.components import (
    begin,
    components,
    draft,
    events_of,
    left_over,
    page_of,
    store,
    stored,
    story_of,
)
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually
from tests.stages_for_tests import ordinary, rough

MIB = 1024**2

Stage = Callable[[Upload, Report], Awaitable[dict[str, Any] | None]]


class Losing(Pool):
    """A pool whose next `losses` children are ended by something outside."""

    def __init__(self, losses: int = 0) -> None:
        super().__init__(size=1, memory_bytes=2**30, cpu_s=10)
        self.losses, self.calls = losses, 0

    @asynccontextmanager
    async def session(self, **limits: Any) -> AsyncIterator[Session]:
        async with super().session(**limits) as session:
            call = session.call

            async def losing(*args: Any, **how: Any) -> dict[str, Any]:
                self.calls += 1
                if self.losses:
                    self.losses -= 1
                    raise ChildLost("gone")
                return await call(*args, **how)

            session.call = losing  # type: ignore[method-assign]
            yield session


def runner_of(
    core: Components,
    *stages: tuple[str, StageFunction],
    pool: Pool | None = None,
    **changes: Any,
) -> Runner:
    config: dict[str, Any] = {
        "kinds": {
            "upload": KindOfWork(
                pipeline=stages, options=Options(max_pixels=77), table=DEFAULT_TABLE
            )
        },
        "prefix": "/api",
        "stage_timeout_s": 20,
        "child_attempts": 3,
        "job_attempts": 5,
        **changes,
    }
    history = History(core.redis, clock=asyncio.get_running_loop().time)
    return Runner(
        WorkerContext(
            components=core,
            pool=pool or Losing(),
            history=history,
            spending=Spending(core.redis),
            reviews=Reviews(core, {}),
            config=WorkerConfig(**config),
        )
    )


async def run(runner: Runner, *, attempts: int = 0) -> Outcome:
    return await asyncio.wait_for(runner.run(Job("up", attempts)), 60)


class Calls(list[str]):
    """Makes stages that record their calls."""

    def stage(
        self,
        name: str,
        result: dict[str, Any] | None = None,
        *,
        then: Callable[[Upload, Report], Coroutine[Any, Any, Any]] | None = None,
    ) -> Stage:
        async def stage(upload: Upload, report: Report) -> dict[str, Any] | None:
            self.append(name)
            if then is not None:
                await then(upload, report)
            return result

        return stage


async def for_ever(upload: Upload, report: Report) -> None:
    await asyncio.Event().wait()


def stages_in(story: list[tuple[str, int]]) -> list[str]:
    """Stage names in the order of their first events; fails if one comes back later."""
    names = [name for name, _ in story]
    order = list(dict.fromkeys(names))
    assert names == sorted(names, key=order.index)
    return order


async def ended_with(core: Components, code: str, stage: str) -> dict[str, Any]:
    """The journal has ended with this error, nothing is left, and nobody will look again."""
    (*_, last) = await events_of(core)
    assert last["stage"] == "error"
    assert (last["error"]["code"], last["error"]["stage"]) == (code, stage)
    assert left_over(core) == []
    assert await core.index.open_uploads() == []
    return last


# ---- well


async def test_stages_run_in_order_and_the_object_is_published(
    redis_url: str, tmp_path: Path
) -> None:
    """Each from 0 to 100, with the results of those before it; then the record, then the end."""
    seen: dict[str, Any] = {}
    calls = Calls()

    async def look(upload: Upload, report: Report) -> None:
        seen["results"], seen["type"] = upload.results, upload.content_type
        seen["options"], seen["scratch"] = upload.options.max_pixels, Path(upload.scratch)
        seen["text"] = Path(upload.path).read_text()
        (Path(upload.scratch) / "thumb.webp").write_bytes(b"x" * 33)

    files = {"files": [{"name": "thumb.webp", "contentType": "image/webp"}]}
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        await run(
            runner_of(
                core,
                ("validating", calls.stage("a", {"contentType": "image/png"})),
                ("analyzing", calls.stage("b", {"width": 5})),
                ("moderating", calls.stage("c", {"verdict": "approved"})),
                ("processing", calls.stage("d", files, then=look)),
            )
        )
        assert calls == ["a", "b", "c", "d"]
        assert seen["results"] == {
            "validating": {"contentType": "image/png"},
            "analyzing": {"width": 5},
            "moderating": {"verdict": "approved"},
        }
        assert (seen["type"], seen["options"], seen["text"]) == ("image/png", 77, "some bytes")
        story = await story_of(core)
        names = ["validating", "analyzing", "moderating", "processing", "finalizing"]
        assert story[3:] == [
            *[(name, percent) for name in names for percent in (0, 100)],
            ("complete", 100),
        ]
        media = (await events_of(core))[-1]["media"]
        assert (media["contentType"], media["analysis"]) == ("image/png", {"width": 5})
        assert media["url"] == "/api/upload/up/files/some.txt"
        assert [(f["name"], f["size"]) for f in media["files"]] == [("thumb.webp", 33)]
        found = core.storage.objects.find("up")
        assert found is not None
        assert found.done
        derived = found.file("thumb.webp")
        assert derived is not None
        assert derived.read_bytes() == b"x" * 33
        assert not seen["scratch"].exists()
        assert await core.index.open_uploads() == []


async def test_files_of_one_name_never_meet(redis_url: str, tmp_path: Path) -> None:
    """A client's name, two functions' derived files and a rewritten original called the same: each
    has an address of its own with its own bytes."""

    def make(content: bytes, *, original: bool = False) -> StageFunction:
        async def stage(upload: Upload, report: Report) -> dict[str, Any]:
            assert list(Path(upload.scratch).iterdir()) == []
            (Path(upload.scratch) / "some.txt").write_bytes(content)
            made = {"name": "some.txt", "contentType": "text/plain"}
            return {"original": made} if original else {"files": [made]}

        return stage

    async with components(redis_url, tmp_path) as core:
        await stored(core)  # as some.txt
        functions = (make(b"clean", original=True), make(b"built in"), make(b"plugged in"))
        await run(runner_of(core, *(("processing", one) for one in functions)))
        media = (await events_of(core))[-1]["media"]
        found = core.storage.objects.find("up")
        assert found is not None
        served = {}
        for name in [media["filename"], *(file["name"] for file in media["files"])]:
            path = found.file(name)
            assert path is not None
            served[name] = path.read_bytes()
        assert served == {
            "some.txt": b"clean",
            "some-2.txt": b"built in",
            "some-3.txt": b"plugged in",
        }
        assert [(file["size"], file["url"][-10:]) for file in media["files"]] == [
            (8, "some-2.txt"),
            (10, "some-3.txt"),
        ]


async def test_functions_of_a_stage_share_its_percent_equally(
    redis_url: str, tmp_path: Path
) -> None:
    """Half of the second of four is 37 percent of the stage; their results become one."""

    def half(message: str, shown: int) -> Callable[[Upload, Report], Coroutine[Any, Any, None]]:
        async def tell(upload: Upload, report: Report) -> None:
            report(0.5, message)

            async def there() -> bool:
                return ("analyzing", shown) in await story_of(core)

            await eventually(there, f"{shown} percent are shown")

        return tell

    calls = Calls()
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        await run(
            runner_of(
                core,
                ("analyzing", calls.stage("a", {"a": 1}, then=half("first", 12))),
                ("analyzing", calls.stage("b", {"b": 2}, then=half("second", 37))),
                ("analyzing", calls.stage("c", None, then=half("third", 62))),
                ("analyzing", calls.stage("d", {"d": 4}, then=half("fourth", 87))),
            )
        )
        events = [event for event in await events_of(core) if event["stage"] == "analyzing"]
        assert [(event["stageProgress"], event["message"]) for event in events[1:-1]] == [
            (12, "first"),
            (37, "second"),
            (62, "third"),
            (87, "fourth"),
        ]
        assert (await events_of(core))[-1]["media"]["analysis"] == {"a": 1, "b": 2, "d": 4}


# ---- again


async def test_a_redelivered_job_goes_on_after_the_last_finished_stage(
    redis_url: str, tmp_path: Path
) -> None:
    """A worker that is lost in the second stage: the first is not done again, its result is there,
    and no first event is repeated."""
    calls, seen = Calls(), {}

    async def look(upload: Upload, report: Report) -> None:
        seen.update(upload.results)

    first = ("validating", calls.stage("first", {"n": 1}))
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        lost = asyncio.ensure_future(
            runner_of(core, first, ("analyzing", calls.stage("second", then=for_ever))).run(
                Job("up", 0)
            )
        )
        await eventually(lambda: calls == ["first", "second"], "the second stage runs")
        lost.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lost
        assert not (await page_of(core)).terminal
        await run(runner_of(core, first, ("analyzing", calls.stage("again", then=look))))
        assert calls == ["first", "second", "again"]
        assert seen == {"validating": {"n": 1}}
        story = await story_of(core)
        assert story.count(("validating", 0)) == story.count(("analyzing", 0)) == 1
        assert stages_in(story)[-1] == "complete"


async def test_a_job_whose_journal_has_ended_does_nothing_at_all(
    redis_url: str, tmp_path: Path
) -> None:
    """Delivered once more after the end: neither stage nor journal nor file is touched."""
    calls = Calls()
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        runner = runner_of(core, ("analyzing", calls.stage("a")))
        await run(runner)
        before = (await story_of(core), left_over(core), (await page_of(core)).fence)
        await run(runner)
        await run(runner, attempts=9)
        assert calls == ["a"]
        assert (await story_of(core), left_over(core), (await page_of(core)).fence) == before
        assert any(name.startswith("objects/") for name in before[1])


async def test_a_cancelled_upload_is_not_worked_on(redis_url: str, tmp_path: Path) -> None:
    """Whoever cancelled it died before its bytes went: no stage is begun, and they are left to the
    reconciler."""
    calls = Calls()
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        await core.journal.cancel("up", owner="ann", draft=draft("cancelled"))
        before = left_over(core)
        await run(runner_of(core, ("analyzing", calls.stage("a"))))
        assert calls == []
        assert left_over(core) == before


@pytest.mark.parametrize("forgets", [False, True])
async def test_a_crash_between_publishing_and_the_end_is_made_up_for(
    redis_url: str,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    forgets: bool,
) -> None:
    """The record is on the disk, its event is not: told from the record, no stage runs again.

    Also where Redis lost the lists in a stage before: the reconciler still finds the upload.
    """
    calls = Calls()

    async def forget(upload: Upload, report: Report) -> None:
        if forgets:
            redis_server.flush()

    async with components(redis_url, tmp_path) as core:
        await stored(core)
        runner = runner_of(core, ("analyzing", calls.stage("a", {"n": 1}, then=forget)))
        with monkeypatch.context() as patched:
            patched.setattr(JournalWriter, "end", lambda *_: asyncio.Event().wait())
            crashing = asyncio.ensure_future(runner.run(Job("up", 0)))

            async def finalized() -> bool:
                page = await core.journal.head("up")  # none for a moment, where Redis forgets it
                last = page.last if isinstance(page, Page) else None
                return last is not None and decode_json(last.data)["message"] == END["finalizing"]

            await eventually(finalized, "it is published")
            crashing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await crashing
        assert [upload_id for upload_id, _ in await core.index.open_uploads()] == ["up"]
        await run(runner)
        assert calls == ["a"]
        (*_, last) = await events_of(core)
        assert (last["stage"], last["media"]["analysis"]) == ("complete", {"n": 1})
        assert (await story_of(core)).count(("finalizing", 100)) == 1


async def test_results_that_redis_lost_are_put_back(
    redis_url: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Everything is forgotten in the second stage: its end brings the first one's result along, so
    that another worker could go on from there."""
    calls, found = Calls(), {}

    async def forget(upload: Upload, report: Report) -> None:
        redis_server.flush()

    async def look(upload: Upload, report: Report) -> None:
        found.update(await core.journal.results("up"))

    async with components(redis_url, tmp_path) as core:
        await stored(core)
        old = (await page_of(core)).end
        await run(
            runner_of(
                core,
                ("validating", calls.stage("a", {"n": 1})),
                ("analyzing", calls.stage("b", {"n": 2}, then=forget)),
                ("moderating", calls.stage("c", then=look)),
            )
        )
        assert {k: v for k, v in found.items() if k != "moderating"} == {
            "validating": b'{"n":1}',
            "analyzing": b'{"n":2}',
        }
        page = await page_of(core)
        assert page.end.epoch != old.epoch
        assert (page.term, calls) == ("complete", ["a", "b", "c"])


async def test_a_rewound_redis_begins_a_new_epoch(redis_url: str, tmp_path: Path) -> None:
    """The storage knows a later place than the journal has: what was shown is not shown again."""
    calls = Calls()
    async with components(redis_url, tmp_path) as core:
        answer = await stored(core)
        core.storage.objects.mark("up", type((await page_of(core)).end)(answer.epoch, 40))
        await run(runner_of(core, ("analyzing", calls.stage("a"))))
        assert (await page_of(core)).end.epoch != answer.epoch
        assert (await story_of(core))[0] == ("analyzing", 0)


async def test_the_storage_knows_how_far_the_journal_is(redis_url: str, tmp_path: Path) -> None:
    """While a stage runs, the place that Redis acknowledged last is noted beside the file."""
    calls = Calls()
    async with components(redis_url, tmp_path) as core:
        await stored(core)

        async def noted(upload: Upload, report: Report) -> None:
            async def same() -> bool:
                end = (await page_of(core)).end
                return end.seq == 4 and core.storage.objects.marked("up") == end

            await eventually(same, "it is noted")

        await run(runner_of(core, ("analyzing", calls.stage("a", then=noted))))
        assert (await page_of(core)).term == "complete"


# ---- refused and failed


async def _reject(upload: Upload, report: Report) -> None:
    (Path(upload.scratch) / "half").write_bytes(b"x")
    raise Rejected("too_loud", "The sound is too loud.")


def broken(upload: Upload, report: Report) -> None:
    """A `def`, so it runs in a child."""
    raise RuntimeError("secret path /srv/private")


@pytest.mark.parametrize(
    ("stage", "changes", "code"),
    [
        (_reject, {}, "too_loud"),
        (broken, {}, "internal"),
        (for_ever, {"stage_timeout_s": 0.05}, "stage_timeout"),
    ],
)
async def test_a_failed_stage_ends_the_upload_with_its_code(
    stage: Stage, changes: dict[str, Any], code: str, redis_url: str, tmp_path: Path
) -> None:
    """Refused, broken, or too slow: the stages after it do not run and nothing stays."""
    calls = Calls()
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        pool = Losing()
        rows = (("analyzing", stage), ("processing", calls.stage("later")))
        await run(runner_of(core, *rows, pool=pool, **changes))
        await pool.aclose()
        last = await ended_with(core, code, "analyzing")
        assert "private" not in str(last)
        assert calls == []
        assert ("analyzing", 100) not in await story_of(core)


async def test_a_result_that_cannot_be_told_is_an_error_of_ours(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`media` over its 64 KiB: ended with `internal` before it is published, nothing is left."""
    calls = Calls()
    published: list[Any] = []
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        monkeypatch.setattr(DiskObjects, "publish", lambda *call, **_: published.append(call))
        await run(runner_of(core, ("analyzing", calls.stage("a", {"text": "x" * 100_000}))))
        await ended_with(core, "internal", "finalizing")
        assert published == []


@pytest.mark.parametrize("crash_in", ["take_back", "end"])
async def test_a_verdict_survives_a_crash(
    crash_in: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decided, and then the worker is lost, before its bytes went or before it was told: the next
    attempt says the same, and asks no stage again."""
    calls = Calls()
    reached = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def hang(*_: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    def crash(*_: Any) -> None:
        loop.call_soon_threadsafe(reached.set)
        raise SystemError("killed here")  # in a thread there is no other way to stop

    async with components(redis_url, tmp_path) as core:
        await stored(core)
        runner = runner_of(core, ("analyzing", calls.stage("a", then=_reject)))
        with monkeypatch.context() as patched:
            if crash_in == "take_back":
                patched.setattr(DiskStorage, "take_back", crash)
            else:
                patched.setattr(JournalWriter, "end", hang)
            crashing = asyncio.ensure_future(runner.run(Job("up", 0)))
            await reached.wait()
            crashing.cancel()
            await asyncio.wait([crashing])
        assert not (await page_of(core)).terminal
        assert (core.storage.objects.find("up") is None) == (crash_in == "end")
        await run(runner)
        (*_, last) = await events_of(core)
        assert (last["error"]["code"], last["error"]["detail"]) == (
            "too_loud",
            "The sound is too loud.",
        )
        assert calls == ["a"]
        assert left_over(core) == []


async def test_what_another_attempt_has_published_is_not_refused(
    redis_url: str, tmp_path: Path
) -> None:
    """It may have been announced before Redis lost all, and a client may have its file: the attempt
    that fails afterwards, and knows nothing of it, says the same."""

    async def published(upload: Upload, report: Report) -> None:
        objects = core.storage.objects
        await asyncio.to_thread(objects.publish, upload.id, encode_json({"id": "up"}))
        await core.redis.flushall()
        raise Rejected("too_loud", "The sound is too loud.")

    async with components(redis_url, tmp_path) as core:
        await stored(core)
        await run(runner_of(core, ("analyzing", Calls().stage("a", then=published))))
        (*_, last) = await events_of(core)
        assert (last["stage"], last["media"]) == ("complete", {"id": "up"})
        found = core.storage.objects.find("up")
        assert found is not None
        assert found.done


async def test_an_attempt_that_is_superseded_refuses_nothing(
    redis_url: str, tmp_path: Path
) -> None:
    """Its fence may be the highest that Redis knows, if its clock was set back meanwhile."""

    async def superseded(upload: Upload, report: Report) -> None:
        await asyncio.to_thread(core.storage.objects.scratch, upload.id)

    async with components(redis_url, tmp_path) as core:
        await stored(core)
        outcome = await run(runner_of(core, ("analyzing", Calls().stage("a", then=superseded))))
        assert isinstance(outcome, RetryLater)
        assert not (await page_of(core)).terminal
        assert core.storage.objects.find("up") is not None


async def test_a_job_that_redis_gave_away_twice_is_the_later_attempts(
    redis_url: str, tmp_path: Path
) -> None:
    """An attempt that has taken the job, but comes to the storage only after a later one has begun,
    leaves it alone; also where the clock of Redis was set back before the later one."""
    began = asyncio.Event()

    async def wait(upload: Upload, report: Report) -> None:
        began.set()
        await eventually((tmp_path / "go").exists, "the earlier one is over")
        (Path(upload.scratch) / "made").touch()

    async with components(redis_url, tmp_path) as core:
        await stored(core)
        later_us = int(time.time() * 1e6) + 3_600_000_000
        core.storage.objects.scratch("up", later_us)
        taken = await core.journal.take("up", owner="ann")
        later = asyncio.create_task(
            run(runner_of(core, ("analyzing", Calls().stage("a", then=wait))))
        )
        async with asyncio.timeout(60):
            await began.wait()
        with pytest.raises(ValueError, match="latest attempt"):
            core.storage.objects.scratch("up", taken.fence)
        (tmp_path / "go").touch()
        await later
        assert (await events_of(core))[-1]["stage"] == "complete"


async def test_a_job_without_its_file_is_an_error(redis_url: str, tmp_path: Path) -> None:
    """The storage lost it: said once, as our fault. A job that nobody knows is nothing."""
    async with components(redis_url, tmp_path) as core:
        runner = runner_of(core)
        await run(runner)
        assert await core.journal.head("up") is None
        await stored(core)
        core.storage.remove("up")
        await run(runner)
        last = await ended_with(core, "internal", "file_received")
        assert last["error"]["detail"] == "The stored file could not be found."
        await run(runner)
        assert len(await events_of(core)) == 4


# ---- CPU time


async def test_cpu_time_is_noted_for_the_owner(redis_url: str, tmp_path: Path) -> None:
    """What all stages took counts, in whichever process, also where the file was refused."""
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        pool = Losing()
        rows = (("validating", ordinary.burn), ("moderating", ordinary.burn))
        rows = (*rows, ("processing", ordinary.fail))
        await run(runner_of(core, *rows, pool=pool))
        await pool.aclose()
        assert (await page_of(core)).term == "error"
        assert await Spending(core.redis).of_last_hour("ann") >= 2
        assert await Spending(core.redis).of_last_hour("somebody else") == 0


async def test_an_upload_has_so_much_cpu_time_in_all(redis_url: str, tmp_path: Path) -> None:
    """Its stages together, by its size: no stage begins that has nothing left."""
    calls = Calls()
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        pool = Losing()
        rows = (("validating", ordinary.burn), ("moderating", ordinary.burn))
        rows = (*rows, ("processing", calls.stage("later")))
        await run(runner_of(core, *rows, pool=pool, cpu_s=1, cpu_s_per_mib=0))
        await pool.aclose()
        last = await ended_with(core, "too_demanding", "moderating")
        assert "CPU time" in last["error"]["detail"]
        assert calls == []


async def test_an_upload_has_so_much_time_in_all(redis_url: str, tmp_path: Path) -> None:
    """By its size or its kind, however many functions share it: the rest is what the next has."""
    calls = Calls()
    by_size = WorkerConfig(
        kinds={}, stage_timeout_s=9, child_attempts=1, job_attempts=1, timeout_s_per_mib=5
    )
    of_kind = KindOfWork(pipeline=(), options=Options(), table=DEFAULT_TABLE, timeout_s=0.4)
    plain = replace(of_kind, timeout_s=None)
    assert by_size.timeout_s_of(plain, 3 * MIB) == by_size.timeout_s + 15
    assert by_size.timeout_s_of(of_kind, 3 * MIB) == 0.4

    async def pause(*_: Any) -> None:
        await asyncio.sleep(0.3)

    async with components(redis_url, tmp_path) as core:
        await stored(core)
        rows = tuple(
            (name, calls.stage(name, then=pause))
            for name in ("validating", "analyzing", "moderating", "processing")
        )
        await run(runner_of(core, *rows, timeout_s=0.4, timeout_s_per_mib=0))
        last = await ended_with(core, "too_demanding", "analyzing")
        assert "more time than the 0.4 s allowed" in last["error"]["detail"]
        assert calls == ["validating", "analyzing"]


@pytest.mark.parametrize("room", [Room(8 * MIB, 0), Room(2**40, 2**60)])
async def test_stages_may_write_so_much(redis_url: str, tmp_path: Path, room: Room) -> None:
    """All of an upload's together: a file that makes them write more is refused. One that only
    meets a short disk is tried again later; either way what was written is gone at once."""
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        pool = Losing()
        rows = (("validating", ordinary.nothing), ("processing", rough.write_for_ever))
        outcome = await run(runner_of(core, *rows, pool=pool, room=room))
        await pool.aclose()
        assert list(tmp_path.rglob("large")) == []
        if room.reserve_bytes:
            assert isinstance(outcome, RetryLater)
            assert [event["stage"] for event in await events_of(core)][-1] == "processing"
        else:
            last = await ended_with(core, "too_demanding", "processing")
            assert f"{8 * MIB} bytes" in last["error"]["detail"]


# ---- crashes


async def test_a_lost_child_is_tried_again(redis_url: str, tmp_path: Path) -> None:
    """Ended by something outside twice: the third time it comes through, and nobody noticed."""
    calls = Calls()
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        pool = Losing(2)
        await run(runner_of(core, ("analyzing", calls.stage("a")), pool=pool))
        assert pool.calls == 3
        assert (await page_of(core)).term == "complete"


async def test_children_that_are_always_lost_end_the_upload(redis_url: str, tmp_path: Path) -> None:
    """As often as there are attempts, then no more."""
    calls = Calls()
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        pool = Losing(99)
        await run(runner_of(core, ("analyzing", calls.stage("a")), pool=pool))
        assert pool.calls == 3
        last = await ended_with(core, "internal", "analyzing")
        assert last["error"]["detail"] == "The work was given up after several crashes."


async def test_a_stage_whose_service_is_away_is_tried_again(redis_url: str, tmp_path: Path) -> None:
    """Later, each time twice as late; the stream says so, and what is finished stays finished."""
    calls = Calls()
    away = True

    async def ask(upload: Upload, report: Report) -> None:
        report(0.5, "asking")
        if away:
            raise RuntimeError("secret path /srv/private")

    async with components(redis_url, tmp_path) as core:
        await stored(core)
        runner = runner_of(
            core, ("analyzing", calls.stage("a")), ("moderating", calls.stage("m", then=ask))
        )
        for attempts, about_s in enumerate((1, 2, 4)):
            outcome = await run(runner, attempts=attempts)
            assert isinstance(outcome, RetryLater)
            assert 0.75 * about_s < outcome.delay_s < 1.25 * about_s
            (*_, last) = await events_of(core)
            assert (last["stage"], last["type"]) == ("moderating", "progress")
            assert "trying again in" in last["message"]
            assert "private" not in str(last)
        assert core.storage.objects.find("up") is not None
        away = False
        assert await run(runner, attempts=3) is None
        assert (await page_of(core)).term == "complete"
        assert calls == ["a", "m", "m", "m", "m"]


@pytest.mark.parametrize("attempts", [4, 5, 6])
async def test_an_upload_is_parked_with_its_bytes(
    attempts: int, redis_url: str, tmp_path: Path
) -> None:
    """After five attempts that were not its fault: its stream says so, its file stays, and an
    attempt that an operator asks for brings it to its end."""
    calls = Calls()
    away = True

    async def ask(upload: Upload, report: Report) -> None:
        report(0.5, "asking")
        if away:
            raise ConnectionError

    async with components(redis_url, tmp_path) as core:
        await stored(core)
        runner = runner_of(core, ("analyzing", calls.stage("a", then=ask)))
        await run(runner)
        assert await run(runner, attempts=attempts) == Park()
        assert len(calls) == (2 if attempts == 4 else 1)
        (*_, last) = await events_of(core)
        assert (last["stage"], last["type"]) == ("analyzing", "progress")
        assert last["message"].startswith("The work is paused until an operator")
        assert core.storage.objects.find("up") is not None
        away = False
        assert await run(runner) is None
        assert (await page_of(core)).term == "complete"


async def test_a_full_storage_ends_no_upload(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the storage refuses in an attempt is tried again, and the file stays."""
    calls = Calls()

    def full(*_: Any, **__: Any) -> None:
        raise InsufficientStorage

    async with components(redis_url, tmp_path) as core:
        await stored(core)
        runner = runner_of(core, ("analyzing", calls.stage("a")))
        with monkeypatch.context() as patched:
            patched.setattr(DiskObjects, "publish", full)
            assert isinstance(await run(runner), RetryLater)
        assert core.storage.objects.find("up") is not None
        assert await run(runner, attempts=1) is None
        assert (await page_of(core)).term == "complete"
        assert calls == ["a"]


async def test_the_log_answers_what_became_of_an_upload(redis_url: str, tmp_path: Path) -> None:
    """One line when a job begins and one when it ends: id, attempt, outcome and duration."""
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        with capture_logs() as lines:
            await run(runner_of(core, ("analyzing", _reject)), attempts=1)
        lines = [line for line in lines if line["event"].startswith("job")]
        assert [line["event"] for line in lines] == ["job started", "job finished"]
        for line in lines:
            assert (line["upload_id"], line["attempt"]) == ("up", 2)
        assert lines[1]["outcome"] == "too_loud"
        assert lines[1]["duration_s"] >= 0


# ---- others


async def test_a_cancellation_stops_the_stage_and_removes_the_bytes(
    redis_url: str, tmp_path: Path
) -> None:
    """From another process, in the middle of a stage; what the stage wrote goes, too."""
    calls = Calls()

    async def write_for_ever(upload: Upload, report: Report) -> None:
        (Path(upload.scratch) / "half").write_bytes(b"x")
        await asyncio.Event().wait()

    async with components(redis_url, tmp_path) as core, components(redis_url, tmp_path) as other:
        await stored(core)
        running = asyncio.ensure_future(
            run(runner_of(core, ("analyzing", calls.stage("a", then=write_for_ever))))
        )
        await eventually(lambda: calls == ["a"], "the stage runs")
        await other.journal.cancel("up", owner="ann", draft=draft("cancelled"))
        await running
        assert (await story_of(core))[-1] == ("cancelled", 0)
        assert left_over(core) == []


@pytest.mark.parametrize("moment", ["published", "told"])
async def test_a_cancellation_in_the_last_moment_removes_the_object(
    moment: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Published, and then the race for the end is lost: before the last event but one, or after
    it. The object goes, the journal stands."""
    loop = asyncio.get_running_loop()
    publish, end = DiskObjects.publish, JournalWriter.end

    def publish_and_cancel(self: DiskObjects, *args: Any, **named: Any) -> bytes:
        record = publish(self, *args, **named)
        cancelling = core.journal.cancel("up", owner="ann", draft=draft("cancelled"))
        asyncio.run_coroutine_threadsafe(cancelling, loop).result(20)
        return record

    async def cancel_and_end(self: JournalWriter, *args: Any) -> None:
        await core.journal.cancel("up", owner="ann", draft=draft("cancelled"))
        await end(self, *args)

    if moment == "published":
        monkeypatch.setattr(DiskObjects, "publish", publish_and_cancel)
    else:
        monkeypatch.setattr(JournalWriter, "end", cancel_and_end)
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        await run(runner_of(core, ("analyzing", Calls().stage("a"))))
        story = await story_of(core)
        assert story[-1] == ("cancelled", 0)
        assert "complete" not in [stage for stage, _ in story]
        assert (("finalizing", 100) in story) == (moment == "told")
        assert left_over(core) == []


async def test_a_slower_twin_stops_and_touches_nothing(redis_url: str, tmp_path: Path) -> None:
    """Taken for dead, its job runs elsewhere: it hears so with its next word, and leaves file and
    journal to the other one."""
    calls = Calls()
    go = asyncio.Event()

    async def wait(upload: Upload, report: Report) -> None:
        await go.wait()

    async with components(redis_url, tmp_path) as core, components(redis_url, tmp_path) as other:
        await stored(core)
        slow = asyncio.ensure_future(
            run(runner_of(core, ("analyzing", calls.stage("slow", {"by": "slow"}, then=wait))))
        )
        await eventually(lambda: calls == ["slow"], "the first one is at it")

        async def let_go(upload: Upload, report: Report) -> None:
            go.set()
            await slow

        fast = ("analyzing", calls.stage("fast", {"by": "fast"}, then=let_go))
        await run(runner_of(other, fast))
        (*_, last) = await events_of(core)
        assert (last["stage"], last["media"]["analysis"]) == ("complete", {"by": "fast"})
        assert (await story_of(core)).count(("analyzing", 100)) == 1
        assert core.storage.objects.find("up") is not None


async def test_an_outage_ends_no_upload(sure_redis: RedisServer, tmp_path: Path) -> None:
    """Redis is killed while a stage works: it goes on, and all is told when Redis is back."""
    calls = Calls()

    async def outage(upload: Upload, report: Report) -> None:
        sure_redis.kill()
        report(0.5, "half")
        await eventually(lambda: not core.journal.appends.connected, "it is noticed")
        sure_redis.start()

    async with components(sure_redis.url, tmp_path) as core:
        await stored(core)
        epoch = (await page_of(core)).end.epoch
        await run(runner_of(core, ("analyzing", calls.stage("a", {"n": 1}, then=outage))))
        page = await page_of(core)
        assert (page.term, page.end.epoch) == ("complete", epoch)
        assert calls == ["a"]


async def test_a_job_that_cannot_be_done_now_raises_nothing(redis_url: str, tmp_path: Path) -> None:
    """A manifest that cannot be read: logged, and left for the reconciler to enqueue again."""
    async with components(redis_url, tmp_path) as core:
        await stored(core)
        (manifest,) = core.settings.data_dir.glob("open/*/manifest.json")
        whole = manifest.read_bytes()
        manifest.write_bytes(b"{")
        runner = runner_of(core, ("analyzing", Calls().stage("a")))
        await run(runner)
        assert not (await page_of(core)).terminal
        manifest.write_bytes(whole)
        await run(runner)
        assert (await page_of(core)).term == "complete"


async def test_a_stored_file_without_a_journal_is_worked_on(redis_url: str, tmp_path: Path) -> None:
    """Redis lost all that it knew of it: a new epoch tells the work and its end."""
    async with components(redis_url, tmp_path) as core:
        store(core)
        await run(runner_of(core, ("analyzing", Calls().stage("a"))))
        assert await story_of(core) == [
            ("analyzing", 0),
            ("analyzing", 100),
            ("finalizing", 0),
            ("finalizing", 100),
            ("complete", 100),
        ]
        assert (await page_of(core)).owner == "ann"


async def test_a_kind_has_stages_and_options_of_its_own(redis_url: str, tmp_path: Path) -> None:
    """Names and ranges of its table; its functions see labels and options; the result says so."""
    seen: list[Upload] = []

    async def look(upload: Upload, report: Report) -> dict[str, Any]:
        report(0.5, "Half")
        seen.append(upload)
        return {"n": 1}

    kind = Kind(
        name="lesson",
        stages=[("transcoding", 20, 59), ("subtitling", 60, 94)],
        pipeline="some.module:stages",
    )
    work = KindOfWork(
        pipeline=[("transcoding", look), ("subtitling", look)],
        options=Options(allowed_types=("video/*",)),
        table=kind.table,
    )
    labels = Labels(kind="lesson", context={"course": "c1"})
    async with components(redis_url, tmp_path) as core:
        answer = await begin(core)
        store(core, epoch=answer.epoch, labels=labels)
        await run(runner_of(core, kinds={"lesson": work}))
        story = [(e["stage"], e["progress"]) for e in await events_of(core)]
        assert ("transcoding", 20) in story
        assert ("subtitling", 94) in story
        assert stages_in([(name, 0) for name, _ in story])[-4:] == [
            "transcoding",
            "subtitling",
            "finalizing",
            "complete",
        ]
        (*_, last) = await events_of(core)
        assert (last["kind"], last["context"]) == ("lesson", {"course": "c1"})
        assert last["media"]["results"] == {"transcoding": {"n": 1}, "subtitling": {"n": 1}}
        assert (seen[0].kind, seen[0].context) == ("lesson", {"course": "c1"})
        assert seen[0].options.allowed_types == ("video/*",)


async def test_a_job_of_an_unknown_kind_is_given_back(redis_url: str, tmp_path: Path) -> None:
    """A worker of another release may know it: nothing is ended, the bytes stay."""
    async with components(redis_url, tmp_path) as core:
        answer = await begin(core)
        store(core, epoch=answer.epoch, labels=Labels(kind="hologram"))
        assert isinstance(await run(runner_of(core)), RetryLater)
        assert not (await page_of(core)).terminal
        assert left_over(core) != []


async def test_a_state_says_what_the_file_is(redis_url: str, tmp_path: Path) -> None:
    """Size, type and fields, also once Redis has lost them; in the end those of the result."""
    calls = Calls()
    seen = []

    async def look(upload: Upload, report: Report) -> None:
        page = await core.journal.read("up", about=True)
        assert isinstance(page, Page)
        seen.append(state_of("up", page))

    async with components(redis_url, tmp_path) as core:
        answer = await begin(core)
        store(core, epoch="lost", fields={"album": "x"})
        del answer
        stages = (("analyzing", calls.stage("a")), ("moderating", calls.stage("b", then=look)))
        await core.redis.flushdb()
        await run(runner_of(core, *stages))
        about = {"size": 10, "contentType": "text/plain", "fields": {"album": "x"}}
        assert {name: seen[0][name] for name in about} == about
        page = await core.journal.read("up")
        assert isinstance(page, Page)
        last = state_of("up", page)
        assert last["contentType"] == "application/octet-stream"  # no stage looked at it
        assert (last["size"], last["fields"]) == (10, {"album": "x"})


async def test_a_kind_that_this_worker_does_not_know_is_given_back(
    redis_url: str, tmp_path: Path
) -> None:
    """A worker of another release may know it: the file stays, its journal is not touched, and
    however often it comes it is not parked."""
    async with components(redis_url, tmp_path) as core:
        answer = await begin(core)
        store(core, epoch=answer.epoch, labels=Labels(kind="hologram"))
        before = await story_of(core)
        for attempts in (0, 4, 5):
            outcome = await run(runner_of(core), attempts=attempts)
            assert isinstance(outcome, RetryLater)
        assert await story_of(core) == before
        assert core.storage.objects.find("up") is not None
