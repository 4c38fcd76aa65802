"""The pool runs stages: results and reports, ends of every kind, limits, isolation, cancelling."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from sse_progress.model.errors import InsufficientStorage, Problem, Rejected, StageTimeout
from sse_progress.model.stage_api import Options, StageFunction, Upload
from sse_progress.sandbox import pool as pool_module
from sse_progress.sandbox.function_ref import NotAStage
from sse_progress.sandbox.messages import Task
from sse_progress.sandbox.outcomes import (
    CannotStart,
    ChildLost,
    StageFailed,
    StageUnavailable,
    meaning_of,
)
from sse_progress.sandbox.pool import Pool
from sse_progress.sandbox.process import Exit
from tests.helpers.processes import alive, children
from tests.helpers.waiting import eventually
from tests.stages_for_tests import asynchronous, ordinary, rough

ROOT = Path(__file__).parents[3]
MIB = 1024**2
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")


class Reports(list[tuple[float, str | None]]):
    """What a stage reported."""

    def __call__(self, fraction: float, message: str | None) -> None:
        self.append((fraction, message))

    @property
    def fractions(self) -> list[float]:
        return [fraction for fraction, _ in self]

    @property
    def messages(self) -> list[str]:
        return [message for _, message in self if message is not None]


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


@pytest.fixture
def upload(make_upload: Callable[..., Upload]) -> Upload:
    return make_upload()


@asynccontextmanager
async def open_pool(**options: Any) -> AsyncIterator[Pool]:
    """A pool whose children are checked to be gone in the end."""
    pool = Pool(**{"size": 1, "memory_bytes": 512 * MIB, "cpu_s": 20, **options})
    try:
        yield pool
    finally:
        pids = pool.pids
        await pool.aclose()
        assert not [pid for pid in pids if alive(pid)]
        assert pool.pids == []


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    """One child at most; 512 MiB, 20 s of CPU time."""
    async with open_pool() as one:
        yield one


async def run(
    pool: Pool,
    function: StageFunction,
    upload: Upload,
    report: Callable[[float, str | None], None] | None = None,
    timeout_s: float = 30,
) -> dict[str, Any]:
    receiver = Reports() if report is None else report
    return await pool.run(function, upload, receiver, timeout_s=timeout_s)


async def problem_of(pool: Pool, function: StageFunction, upload: Upload, **more: Any) -> Problem:
    """The problem that running `function` ends with."""
    with pytest.raises(Problem) as caught:
        await run(pool, function, upload, **more)
    return caught.value


async def gone(*pids: int) -> None:
    await eventually(lambda: not any(map(alive, pids)), f"{pids} are gone")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def maps(pid: int) -> str:
    """What a process has mapped, by file (proc(5))."""
    return Path(f"/proc/{pid}/maps").read_text()


# ---- what goes in and comes out


async def test_a_stage_gets_the_whole_upload(
    pool: Pool, make_upload: Callable[..., Upload]
) -> None:
    """All that the parent knows of an upload arrives in the child, earlier results included."""
    upload = make_upload(name='Jos\u00e9 \U0001f3b5 "quoted"\n')
    upload = Upload(
        **{
            **{name: getattr(upload, name) for name in upload.__struct_fields__},
            "results": {"validating": {"contentType": "image/png", "pages": [1, {"a": None}]}},
            "options": Options(max_pixels=7, allowed_types=("image/*",)),
        }
    )
    result = await run(pool, ordinary.echo, upload)
    seen = result["upload"]
    assert seen["fields"] == upload.fields
    assert seen["results"] == upload.results
    assert seen["options"]["max_pixels"] == 7
    assert seen["path"] == upload.path
    assert result["contentType"] == "image/png"


async def test_none_is_an_empty_result(pool: Pool, upload: Upload) -> None:
    """A stage that returns nothing has an empty result."""
    assert await run(pool, ordinary.nothing, upload) == {}


@pytest.mark.parametrize(
    "function",
    [
        ordinary.returns_bytes,
        ordinary.returns_an_object,
        ordinary.returns_too_much,
        ordinary.returns_odd_text,
    ],
)
async def test_a_result_that_cannot_be_kept_is_a_failure_told_in_the_log(
    pool: Pool, upload: Upload, function: StageFunction
) -> None:
    """Only a JSON object of at most 1 MiB is a result; the log says what is wrong with another."""
    with capture_logs() as logs:
        problem = await problem_of(pool, function, upload)
    assert isinstance(problem, StageFailed)
    assert [entry["reason"] for entry in logs if entry["event"] == "a stage failed"] == ["result"]
    assert await run(pool, ordinary.nothing, upload) == {}


# ---- reports


async def test_a_million_reports_pass_as_few_and_the_last_is_among_them(
    pool: Pool, upload: Upload
) -> None:
    """`report` may be called for every frame: at most 50 a second pass, the last among them."""
    reports = Reports()
    result = await run(pool, ordinary.many_reports, upload, reports)
    assert reports[-1] == (1.0, "the last")
    assert reports.fractions == sorted(reports.fractions)
    assert 2 <= len(reports) <= result["seconds"] / 0.02 + 3


async def test_the_last_report_of_a_burst_arrives_although_the_stage_then_says_nothing(
    pool: Pool, upload: Upload
) -> None:
    """What was withheld goes out by itself, not with the next report."""
    reports = Reports()
    async with anyio.create_task_group() as group:
        group.start_soon(run, pool, ordinary.burst_then_silence, upload, reports)
        await eventually(lambda: (19 / 40, "step 19") in reports, "the last of the burst")
        ordinary.field(upload, "go").touch()
    assert len(reports) < 20


async def test_fractions_grow_from_0_to_1_whatever_a_stage_reports(
    pool: Pool, upload: Upload
) -> None:
    """Falling, negative, infinite and undefined fractions are pulled into order."""
    reports = Reports()
    await run(pool, ordinary.odd_reports, upload, reports)
    assert reports.fractions == sorted(reports.fractions)
    assert set(reports.fractions) == {0.5, 1.0}
    assert reports.messages[-1] == "gave 0.1"


async def test_nothing_that_a_stage_keeps_is_there_for_the_next(pool: Pool, upload: Upload) -> None:
    """Neither its report nor a changed module: each task has a process of its own."""
    for _ in range(2):
        assert await run(pool, ordinary.keep_report, upload) == {"kept": False}


async def test_what_the_receiver_of_reports_raises_comes_out_of_run(
    pool: Pool, upload: Upload
) -> None:
    """A lost writer stops its stage: the child is gone and the exception is its own."""

    class WriterLostError(Exception):
        pass

    def lost(fraction: float, message: str | None) -> None:
        raise WriterLostError

    with pytest.raises(WriterLostError):
        await run(pool, rough.hang, upload, lost)
    assert pool.pids == []


# ---- refusals and failures


async def test_a_refusal_passes_with_its_code_and_a_clean_sentence(
    pool: Pool, make_upload: Callable[..., Upload]
) -> None:
    """`raise Rejected(code, detail)` in a child is the same in the worker, in one line."""
    refused = make_upload(code="rejected_type", detail="A\n.exe \x00is\u2028not accepted. " * 20)
    problem = await problem_of(pool, ordinary.refuse, refused)
    assert isinstance(problem, Rejected)
    assert (problem.code, problem.status) == ("rejected_type", 422)
    assert problem.detail.startswith("?A .exe is not accepted.")
    assert problem.detail.isprintable()
    assert len(problem.detail) <= 200


async def test_a_refusal_alone_in_a_group_is_that_refusal(pool: Pool, upload: Upload) -> None:
    """A stage that works with a task group may refuse from inside it."""
    assert (await problem_of(pool, ordinary.refuse_in_group, upload)).code == "too_loud"


@pytest.mark.parametrize("code", ["Not A Code", "", "x" * 65, "a\nb"])
async def test_a_code_that_is_none_is_a_failure(
    pool: Pool, make_upload: Callable[..., Upload], code: str
) -> None:
    """Codes are part of the wire, so only snake_case ones reach it."""
    problem = await problem_of(pool, ordinary.refuse, make_upload(code=code, detail="No."))
    assert isinstance(problem, StageFailed)


async def test_an_exception_is_told_to_the_log_and_not_to_clients(
    pool: Pool, upload: Upload
) -> None:
    """A bug in a stage is `internal`; its traceback is in the log, with function and upload."""
    with capture_logs() as logs:
        problem = await problem_of(pool, ordinary.fail, upload)
    assert (type(problem), problem.code) == (StageFailed, "internal")
    assert "secret" not in problem.detail
    (entry,) = [entry for entry in logs if entry["event"] == "a stage failed"]
    assert "RuntimeError: secret path /srv/private" in entry["exception"]
    assert entry["upload_id"] == "one"
    assert entry["function"] == "tests.stages_for_tests.ordinary:fail"


@pytest.mark.parametrize(
    "function",
    [ordinary.unprintable, rough.leave, rough.interrupt, ordinary.asynchronous_in_disguise],
)
async def test_odd_exceptions_fail_the_stage_and_keep_the_child(
    pool: Pool, upload: Upload, function: StageFunction
) -> None:
    """sys.exit, Ctrl-C and exceptions without a text are failures like others."""
    from sse_progress.sandbox.function_ref import Reference

    await pool.start()
    pids = pool.pids
    name = Reference(f"tests.stages_for_tests.{function.__module__[23:]}:{function.__name__}")
    assert isinstance(await problem_of(pool, name, upload), StageFailed)
    assert pool.pids == pids


async def test_a_stage_that_ends_its_process_fails(pool: Pool, upload: Upload) -> None:
    """os._exit(0) is no success."""
    assert isinstance(await problem_of(pool, rough.leave_at_once, upload), StageFailed)
    assert await run(pool, ordinary.nothing, upload) == {}


# ---- crashes


async def test_a_crash_of_a_decoder_is_one_corrupt_file_and_one_child(
    pool: Pool, upload: Upload
) -> None:
    """A segmentation fault refuses the upload; the next gets a new child; the log says where."""
    await pool.start()
    (before,) = pool.pids
    reports = Reports()
    with capture_logs() as logs:
        problem = await problem_of(pool, rough.read_null, upload, report=reports)
    assert isinstance(problem, Rejected)
    assert (problem.code, problem.status) == ("corrupt_file", 422)
    assert reports == [(0.5, "about to crash")]
    assert any("rough.py" in entry.get("text", "") for entry in logs)
    assert await run(pool, ordinary.nothing, upload) == {}
    assert not alive(before)
    assert pool.pids != [before]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SIGABRT", "corrupt_file"),
        ("SIGBUS", "corrupt_file"),
        ("SIGFPE", "corrupt_file"),
        ("SIGILL", "corrupt_file"),
        ("SIGXCPU", "stage_timeout"),
        ("SIGXFSZ", "too_demanding"),
    ],
)
async def test_the_signal_tells_what_happened(
    pool: Pool, make_upload: Callable[..., Upload], name: str, code: str
) -> None:
    """Signals that a process brings upon itself are about the file."""
    assert (await problem_of(pool, rough.by_signal, make_upload(signal=name))).code == code


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
async def test_a_child_ended_from_outside_is_lost_and_may_be_tried_again(
    pool: Pool, make_upload: Callable[..., Upload], name: str
) -> None:
    """The kernel short of memory, or an operator, is no verdict about the file."""
    with pytest.raises(ChildLost):
        await run(pool, rough.by_signal, make_upload(signal=name))
    assert await run(pool, ordinary.nothing, make_upload()) == {}


@pytest.mark.parametrize("uvloop", [False, True])
def test_a_child_ended_while_it_is_told_its_task_is_lost(
    make_upload: Callable[..., Upload], uvloop: bool
) -> None:
    """A task larger than the channel's buffer is on its way when the child ends."""
    large = make_upload(text="x" * (4 * MIB))

    async def main() -> None:
        async with open_pool() as pool, anyio.create_task_group() as group:
            await pool.start()
            (pid,) = pool.pids
            os.kill(pid, signal.SIGSTOP)

            async def lost() -> None:
                with pytest.raises(ChildLost):
                    await run(pool, ordinary.nothing, large)

            group.start_soon(lost)
            await eventually(lambda: pool._idle == [], "the child was taken")
            await anyio.wait_all_tasks_blocked()
            os.kill(pid, signal.SIGKILL)

    anyio.run(main, backend_options={"use_uvloop": uvloop})


async def test_an_idle_child_that_is_killed_is_replaced(pool: Pool, upload: Upload) -> None:
    """Nobody is told of a child that had nothing to do."""
    await pool.start()
    (pid,) = pool.pids
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: pool.pids == [], "the pool knows")
    assert await run(pool, ordinary.nothing, upload) == {}


# ---- limits


async def test_a_stage_that_hangs_is_killed_at_its_time_out(pool: Pool, upload: Upload) -> None:
    """Wall-clock time is limited also for a stage that ignores signals."""
    reports = Reports()
    problem = await problem_of(pool, rough.hang, upload, report=reports, timeout_s=0.5)
    assert isinstance(problem, StageTimeout)
    assert (problem.code, problem.status) == ("stage_timeout", 422)
    assert problem.detail == "Working on this file takes more time than the 0.5 s allowed."
    assert not alive(int(reports.messages[0]))
    assert pool.pids == []


async def test_cpu_time_is_limited_for_each_task(upload: Upload) -> None:
    """A second task has the whole allowance again; one that spins is ended."""
    async with open_pool(cpu_s=1) as pool:
        first = await run(pool, ordinary.burn, upload)
        second = await run(pool, ordinary.whoami, upload)
        assert second["zygote"] == first["zygote"]
        assert second["pid"] != first["pid"]
        assert second["cpuLimit"] - second["cpu"] >= 1
        problem = await problem_of(pool, rough.spin, upload)
    assert isinstance(problem, StageTimeout)
    assert "CPU" in problem.detail


async def test_memory_is_limited_and_the_child_lives_on(upload: Upload) -> None:
    """A MemoryError is `too_demanding`, and the same child does the next task. Memory that an
    earlier one freed, but that malloc still holds, is no extra allowance."""
    async with open_pool(memory_bytes=256 * MIB) as pool:
        await pool.start()
        pids = pool.pids
        await run(pool, ordinary.fragment, upload)
        for _ in range(2):
            reports = Reports()
            problem = await problem_of(pool, rough.hoard, upload, report=reports)
            assert problem.code == "too_demanding"
            assert 128 <= int(reports.messages[-1]) <= 256
        assert await run(pool, ordinary.nothing, upload) == {}
        assert pool.pids == pids


@pytest.mark.parametrize(
    ("limit", "code"), [(256 * MIB, "too_demanding"), (1024 * MIB, "corrupt_file")]
)
async def test_a_crash_at_the_memory_limit_is_not_the_files_fault(
    upload: Upload, limit: int, code: str
) -> None:
    """A library that aborts when it gets no more memory has taken too much for a sound file too."""
    pool = Pool(size=1, memory_bytes=limit, cpu_s=20)
    end = Exit(code=-signal.SIGABRT, peak_rss_bytes=200 * MIB, killed=False)
    problem = meaning_of(end, Task(function="a:b", upload=upload, limits=pool.limits))
    assert isinstance(problem, Problem)
    assert problem.code == code


async def test_what_the_parent_held_is_not_taken_for_the_childs(upload: Upload) -> None:
    """A large parent makes no small crash look like one at the memory limit."""
    held = b"x" * (256 * MIB)
    async with open_pool(memory_bytes=len(held)) as pool:
        assert (await problem_of(pool, rough.read_null, upload)).code == "corrupt_file"


async def test_the_size_of_files_is_limited(upload: Upload) -> None:
    """A stage cannot fill the disk."""
    async with open_pool(file_bytes=8 * MIB) as pool:
        assert (await problem_of(pool, rough.write_for_ever, upload)).code == "too_demanding"
        large = Path(upload.scratch) / "large"
        assert large.stat().st_size == 8 * MIB
        assert await run(pool, ordinary.nothing, upload) == {}


async def test_a_full_disk_is_no_fault_of_the_file(pool: Pool, upload: Upload) -> None:
    """ENOSPC in a stage is told as what it is."""
    problem = await problem_of(pool, rough.write_to_full_disk, upload)
    assert isinstance(problem, InsufficientStorage)


async def test_open_files_are_limited(upload: Upload) -> None:
    """A stage gets only so many descriptors."""
    async with open_pool(open_files=32) as pool:
        result = await run(pool, rough.open_for_ever, upload)
    assert result["opened"] < 32
    assert os.strerror(result["errno"]) == "Too many open files"


async def test_a_child_is_replaced_after_so_many_tasks(upload: Upload) -> None:
    """What leaks in a library leaks for so many uploads at most."""
    async with open_pool(uploads_per_child=2) as pool:
        zygotes = [(await run(pool, ordinary.whoami, upload))["zygote"] for _ in range(3)]
    assert zygotes[0] == zygotes[1] != zygotes[2]


# ---- what a stage finds around it


async def test_a_stage_finds_a_place_of_its_own_and_no_secrets(
    monkeypatch: pytest.MonkeyPatch, upload: Upload
) -> None:
    """Environment by allow-list, own session and scratch, nothing inherited, nothing to gain."""
    for name in ("SSE_PROGRESS_JWT_SECRET", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "LD_PRELOAD"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("TZ", "Europe/Zurich")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("PYTHONPATH", f"extra:{ROOT}")
    held = os.dup(0)
    os.set_inheritable(held, True)
    try:
        async with open_pool(open_files=64, file_bytes=7 * MIB) as pool:
            seen = await run(pool, ordinary.surroundings, upload)
    finally:
        os.close(held)
    environment = seen["environment"]
    assert set(environment) <= {
        *("PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "PYTHONPATH", "HOME", "TMPDIR"),
        "LD_LIBRARY_PATH",
        "ORT_DISABLE_TELEMETRY",
        "GLIBC_TUNABLES",
    }
    assert environment["TZ"] == "Europe/Zurich"
    assert environment["HOME"] == environment["TMPDIR"] == upload.scratch
    assert seen["directory"] == seen["temporary"] == upload.scratch
    assert str(Path.cwd() / "extra") in seen["path"]
    assert "" not in seen["path"]
    assert upload.scratch not in seen["path"]
    assert seen["isolated"]
    assert seen["session"] == seen["group"] == seen["zygote"] != seen["pid"]
    assert seen["umask"] == 0o077
    assert seen["niceness"] == os.nice(0) + 5
    assert seen["oomScore"] == 500
    assert seen["input"] == ""
    assert seen["descriptors"][:3] == [0, 1, 2]
    assert len(seen["descriptors"]) == 5  # and the pipes for its reports and further tasks
    assert seen["status"]["NoNewPrivs"] == "1"
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        if name != "CapBnd" or os.geteuid() == 0:
            assert int(seen["status"][name], 16) == 0
    assert seen["deathSignal"] == signal.SIGKILL
    assert seen["dumpable"] == 0
    assert seen["core"] == 0
    assert seen["openFiles"] == [64, 64]
    assert seen["fileSize"] == [7 * MIB, 7 * MIB]


async def test_a_task_leaves_nothing_to_the_next(
    pool: Pool, make_upload: Callable[..., Upload]
) -> None:
    """Environment, directory and mask are what they were for another upload."""
    left = await run(pool, ordinary.disturb, make_upload("first"))
    second = make_upload("second")
    seen = await run(pool, ordinary.surroundings, second)
    assert seen["zygote"] == left["zygote"]
    assert "LEFT_BEHIND" not in seen["environment"]
    assert "PATH" in seen["environment"]
    assert seen["umask"] == 0o077
    assert seen["directory"] == seen["temporary"] == second.scratch


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a process that owns a pool: `parent(mode)`."""
    started: list[subprocess.Popen[str]] = []

    def start(mode: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.stages_for_tests.parent", mode, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "SSE_PROGRESS_JWT_SECRET": "a secret of the parent process alone"},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=60)


@pytest.mark.parametrize("mode", ["look", "look-as-equal", "look-unhardened"])
async def test_a_stage_cannot_look_into_its_parent(
    parent: Callable[..., subprocess.Popen[str]], mode: str
) -> None:
    """Environment, memory, descriptors and ptrace of the worker are closed to its stages, to root's
    as well, and a program that a stage starts regains nothing. Two walls stand for root: a parent
    without capabilities is behind one of them, a parent that forgot to harden itself behind the
    other."""
    if mode == "look-unhardened" and os.geteuid() != 0:
        pytest.skip("an ordinary user's processes have only the one wall")
    process = parent(mode)
    out, _ = await anyio.to_thread.run_sync(functools.partial(process.communicate, timeout=30))
    seen = json.loads(out)
    assert seen["uid"] == os.geteuid()
    for name in ("environ", "mem", "maps", "auxv", "fd", "cwd"):
        assert seen[name] == "PermissionError", name
    assert seen["ptrace"] == "Operation not permitted"
    gained = {name: value for name, value in seen["program"].items() if int(value, 16)}
    assert set(gained) <= ({"CapBnd"} if seen["uid"] else set())


@as_root
async def test_root_keeps_the_right_to_read_where_the_file_is_in_a_closed_directory(
    pool: Pool, upload: Upload, tmp_path: Path
) -> None:
    """Run by root over another user's closed directory, stages still read the upload, and that is
    all they may do more than others."""
    os.chown(tmp_path, NOBODY, NOBODY)
    await anyio.Path(tmp_path).chmod(0o700)
    with capture_logs() as logs:
        assert await run(pool, ordinary.read_original, upload) == {"text": "bytes"}
    assert any("root's right to read" in entry.get("text", "") for entry in logs)
    seen = await run(pool, ordinary.surroundings, upload)
    assert int(seen["status"]["CapEff"], 16) == 1 << 2  # CAP_DAC_READ_SEARCH


# ---- what a stage prints


async def test_what_a_stage_prints_goes_to_the_log_and_never_into_the_protocol(
    pool: Pool, upload: Upload
) -> None:
    """Lines reach the log one by one, cleaned and cut; frames on stdout mean nothing."""
    with capture_logs() as logs:
        assert await run(pool, ordinary.prints, upload) == {"printed": True}
    texts = [entry["text"] for entry in logs if entry["event"] == "stage output"]
    assert "ready a printed line [31m" in texts
    assert "to stderr" in texts
    assert "{}" in texts
    assert "from a program" in texts
    assert any(text.endswith("not utf-8") for text in texts)
    assert "x" * 499 + "\u2026" in texts
    assert all(text.isprintable() and len(text) <= 500 for text in texts)
    assert {entry["upload_id"] for entry in logs} == {"one"}


async def test_a_stage_that_prints_for_ever_fills_no_log(pool: Pool, upload: Upload) -> None:
    """A hundred lines of a task are kept, the next one may speak again."""
    for _ in range(2):
        with capture_logs() as logs:
            assert await run(pool, ordinary.prints_for_ever, upload) == {"printed": True}
        assert len([entry for entry in logs if entry["event"] == "stage output"]) == 100
        assert len([entry for entry in logs if entry["log_level"] == "warning"]) == 1


# ---- processes that a stage starts


async def test_cancelling_kills_the_child_and_all_that_it_started(
    pool: Pool, upload: Upload
) -> None:
    """run() returns when the child is gone; programs in their own sessions, and orphans, go too."""
    reports = Reports()
    async with anyio.create_task_group() as group:
        group.start_soon(run, pool, rough.with_family, upload, reports)
        await eventually(lambda: reports.messages, "the family is there")
        child, *family = map(int, reports.messages[0].split())
        assert len(family) == 3
        assert all(map(alive, (child, *family)))
        group.cancel_scope.cancel()
    assert not alive(child)
    assert pool.pids == []
    await gone(*family)
    assert await run(pool, ordinary.nothing, upload) == {}


async def test_cancelling_the_task_itself_does_the_same(pool: Pool, upload: Upload) -> None:
    """asyncio's own cancellation kills the child as well, before the task has ended."""
    reports = Reports()
    task = asyncio.get_running_loop().create_task(run(pool, rough.hang, upload, reports))
    await eventually(lambda: reports.messages, "the stage hangs")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(int(reports.messages[0]))
    assert pool.pids == []


async def test_cancelling_at_any_moment_leaves_a_working_pool(upload: Upload) -> None:
    """Also while a child starts, or is about to answer."""
    async with open_pool() as pool:
        for milliseconds in range(0, 80, 5):
            with anyio.move_on_after(milliseconds / 1000):
                await run(pool, ordinary.burn if milliseconds % 10 else ordinary.nothing, upload)
            assert len(pool.pids) <= 1
        assert await run(pool, ordinary.nothing, upload) == {}


async def test_processes_left_running_are_ended_with_their_task(pool: Pool, upload: Upload) -> None:
    """A stage that ends well but leaves programs running has them taken away."""
    result = await run(pool, rough.orphan_maker, upload)
    assert len(result["family"]) == 3
    await gone(result["pid"], *result["family"])


async def test_a_crash_takes_the_programs_of_the_stage_with_it(pool: Pool, upload: Upload) -> None:
    """What a crashed stage had started does not work on."""
    reports = Reports()
    async with anyio.create_task_group() as group:

        async def crash() -> None:
            assert (await problem_of(pool, rough.crash_with_child, upload, report=reports)).code

        group.start_soon(crash)
        await eventually(lambda: reports.messages, "the program runs")
        child, program = map(int, reports.messages[0].split())
        assert alive(program)
        ordinary.field(upload, "go").touch()
    await gone(child, program)


async def test_a_crowd_of_forks_is_gone_with_its_task(pool: Pool, upload: Upload) -> None:
    """Two hundred copies of a child do not outlive their task, nor speak for it."""
    result = await run(pool, rough.crowd, upload)
    assert len(result["pids"]) == 100
    await gone(*result["pids"])
    assert await run(pool, ordinary.nothing, upload) == {}


async def test_a_forked_copy_has_no_say(pool: Pool, upload: Upload) -> None:
    """A copy has no channel and its report is mute; one that returns or raises just ends."""
    reports = Reports()
    assert await run(pool, rough.fork_and_report, upload, reports) == {"code": 3}
    assert reports.messages == ["from the child"]
    for function in (rough.fork_and_return, rough.fork_and_raise):
        with capture_logs() as logs:
            assert await run(pool, function, upload) == {"copy": False, "code": 0}
        assert logs == []


async def test_a_killed_worker_takes_its_children_with_it(
    parent: Callable[..., subprocess.Popen[str]],
) -> None:
    """kill -9 of the parent ends the child and the program that its stage runs."""
    process = parent("work")
    assert process.stdout is not None
    line = await anyio.to_thread.run_sync(process.stdout.readline)
    child, program, *strays = map(int, line.split())
    try:
        assert alive(child)
        assert alive(program)
        process.kill()
        await gone(child, program)
    finally:
        for stray in strays:  # they left the group, which is what the kernel kills
            os.kill(stray, signal.SIGKILL)


# ---- against the protocol


@pytest.mark.parametrize(
    "function", [rough.write_nonsense, rough.write_long_frame, rough.close_channel]
)
async def test_a_child_that_breaks_the_protocol_is_ended(
    pool: Pool, upload: Upload, function: StageFunction
) -> None:
    """Whatever comes through the channel, run() ends and the child with it."""
    assert isinstance(await problem_of(pool, function, upload), StageFailed)
    assert pool.pids == []


# ---- the pool itself


async def test_so_many_tasks_at_once_and_no_more(make_upload: Callable[..., Upload]) -> None:
    """Two of five run in a pool of two; the others wait, and all end."""
    uploads = [make_upload(f"upload-{at}") for at in range(5)]
    place, results = ordinary.field(uploads[0], "place"), []
    others = set(children(os.getpid()))
    async with open_pool(size=2) as pool, anyio.create_task_group() as group:

        async def one(upload: Upload) -> None:
            results.append(await run(pool, ordinary.meet, upload))

        for upload in uploads:
            group.start_soon(one, upload)
        await eventually(lambda: len(list(place.glob("upload-?"))) == 2, "two run")
        assert len(pool.pids) == 2
        await eventually(lambda: len(set(children(os.getpid())) - others) == 2, "no child more")
        assert len(list(place.glob("upload-?"))) == 2
        ordinary.field(uploads[0], "go").touch()
    assert len(results) == 5
    assert len({result["zygote"] for result in results}) == 2


async def test_a_child_that_has_imported_the_module_is_preferred(
    tmp_path: Path, make_upload: Callable[..., Upload]
) -> None:
    """Kinds of files find their warm child again, although another one was used since."""
    first = {name: make_upload(name, go=str(tmp_path / f"{name}.go")) for name in ("a", "b")}
    ended: list[int] = []
    async with open_pool(size=2) as pool:

        async def meet(upload: Upload) -> None:
            ended.append((await run(pool, ordinary.meet, upload))["zygote"])

        warm = (await run(pool, rough.open_for_ever, make_upload()))["zygote"]
        async with anyio.create_task_group() as group:  # both busy at once, so there are two
            for upload in first.values():
                group.start_soon(meet, upload)
            await eventually(lambda: all((tmp_path / name).exists() for name in first), "both run")
            where = {int((tmp_path / name).read_text()): name for name in first}
            assert warm in where
            (tmp_path / f"{where.pop(warm)}.go").touch()
            await eventually(lambda: ended == [warm], "the warm one has ended first")
            (tmp_path / f"{where.popitem()[1]}.go").touch()
        assert (await run(pool, rough.open_for_ever, make_upload()))["zygote"] == warm


async def test_a_child_cannot_make_up_reports_beyond_their_bounds(
    pool: Pool, upload: Upload
) -> None:
    """What comes through the channel is bounded again, whoever wrote it."""
    reports = Reports()
    assert await run(pool, rough.forge_reports, upload, reports) == {}
    assert reports
    assert reports.fractions == sorted(reports.fractions)
    assert all(0 <= fraction <= 1 for fraction in reports.fractions)


async def test_two_hundred_tasks_leave_no_descriptor_and_no_process(upload: Upload) -> None:
    """Many tasks, refusals, crashes and cancellations in one pool, and all is as before."""
    others = set(children(os.getpid()))
    async with open_pool(size=2, uploads_per_child=50) as pool:
        await run(pool, ordinary.nothing, upload)
        before = descriptors() - 4 * len(pool.pids)
        for at in range(200):
            if at % 40 == 39:
                await problem_of(pool, rough.leave_at_once, upload)
                continue
            await run(pool, ordinary.nothing, upload)
        assert len(set(children(os.getpid())) - others) == len(pool.pids) <= 2
        after = descriptors() - 4 * len(pool.pids)
        assert after == before
    assert set(children(os.getpid())) <= others


async def test_closing_the_pool_ends_what_runs(upload: Upload) -> None:
    """Work in hand is lost, not failed; nothing starts afterwards."""
    pool = Pool(size=1, memory_bytes=512 * MIB, cpu_s=20)
    reports = Reports()
    async with anyio.create_task_group() as group:

        async def lost() -> None:
            with pytest.raises(ChildLost):
                await run(pool, rough.hang, upload, reports)

        group.start_soon(lost)
        await eventually(lambda: reports.messages, "the stage hangs")
        await pool.aclose()
        assert not alive(int(reports.messages[0]))
    with pytest.raises(ChildLost):
        await run(pool, ordinary.nothing, upload)


@pytest.mark.parametrize("executable", ["/bin/false", "/no/such/python"])
async def test_children_that_cannot_start_are_told_at_start(
    monkeypatch: pytest.MonkeyPatch, upload: Upload, executable: str
) -> None:
    """A broken installation is found when the worker starts, not with the first upload."""
    monkeypatch.setattr(sys, "executable", executable)
    before, others = descriptors(), set(children(os.getpid()))
    async with open_pool() as pool:
        with pytest.raises(CannotStart):
            await pool.start()
        with pytest.raises(ChildLost):
            await run(pool, ordinary.nothing, upload)
        assert set(children(os.getpid())) <= others
    assert descriptors() == before


async def test_a_child_that_never_gets_ready_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Starting has a deadline."""
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho stuck at start\nexec sleep 300\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(pool_module, "START_S", 0.5)
    async with open_pool() as pool:
        with pytest.raises(CannotStart, match="stuck at start"):
            await pool.start()
        assert pool.pids == []


async def test_an_idle_child_has_imported_next_to_nothing(pool: Pool, upload: Upload) -> None:
    """A child carries none of the service's libraries, and of a stage's only what it has used."""
    await pool.start()
    (pid,) = pool.pids
    for _ in range(2):
        for library in ("pydantic", "hiredis", "uvloop", "yaml", "/av/", "onnxruntime", "PIL"):
            assert library not in maps(pid)
        await run(pool, ordinary.nothing, upload)
        assert pool.pids == [pid]


async def test_a_function_without_an_importable_name_is_no_stage(
    pool: Pool, upload: Upload
) -> None:
    """A lambda, a closure and a partial cannot be run in a child, and the error says why."""

    def closure(upload: Upload, report: object) -> None:
        pass

    with pytest.raises(NotAStage, match="is a lambda, which a child process cannot import"):
        await run(pool, lambda upload, report: None, upload)
    with pytest.raises(NotAStage, match="is defined inside a function"):
        await run(pool, closure, upload)
    with pytest.raises(NotAStage, match="is not a function"):
        await run(pool, functools.partial(ordinary.nothing), upload)
    assert pool.pids == []


def test_the_pool_works_on_uvloop(make_upload: Callable[..., Upload]) -> None:
    """The worker's loop in production does all this too."""
    upload = make_upload()

    async def main() -> None:
        async with open_pool() as pool:
            reports = Reports()
            await run(pool, ordinary.many_reports, upload, reports)
            assert reports[-1] == (1.0, "the last")
            assert (await problem_of(pool, rough.read_null, upload)).code == "corrupt_file"
            assert (await problem_of(pool, rough.hang, upload, timeout_s=0.2)).code
            large = make_upload("large", text="x" * (4 * MIB))
            echoed = await problem_of(pool, ordinary.echo, large)
            assert isinstance(echoed, StageFailed)  # more than a result may be, but it arrived
            with anyio.move_on_after(0.2):
                await run(pool, rough.spin, upload)
            assert pool.pids == []

    anyio.run(main, backend_options={"use_uvloop": True})


# ---- stages on the loop


async def test_an_async_stage_runs_here(pool: Pool, upload: Upload) -> None:
    """No child; a result of plain JSON values; reports pulled into order and mute after the end."""
    reports = Reports()
    result = await run(pool, asynchronous.here, upload, reports)
    assert result == {"pid": os.getpid(), "tuple": [1, 2]}
    assert reports.fractions == [0.5, 0.5, 0.5, 1.0, 1.0]
    assert await run(pool, asynchronous.report_late, upload, reports) == {}
    assert len(reports) == 5
    assert await run(pool, asynchronous.Caller(), upload) == {"called": True}
    assert pool.pids == []


async def test_an_async_stage_that_hangs_is_stopped_at_its_time_out(
    pool: Pool, upload: Upload
) -> None:
    """Its own cleaning up runs."""
    reports = Reports()
    problem = await problem_of(pool, asynchronous.hang, upload, report=reports, timeout_s=0.05)
    assert isinstance(problem, StageTimeout)
    assert reports.messages == ["cleaned up"]


async def test_an_async_stage_is_cancelled_with_its_caller(pool: Pool, upload: Upload) -> None:
    """Cancelling run() is no failure of the stage."""
    reports = Reports()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(run, pool, asynchronous.hang, upload, reports)
            await anyio.lowlevel.checkpoint()
            scope.cancel()
    assert scope.cancelled_caught
    assert reports.messages == ["cleaned up"]


async def test_ends_of_async_stages_mean_the_same(pool: Pool, upload: Upload) -> None:
    """Refused in a task group, cancelled by itself, wrong result: as in a child."""
    problem = await problem_of(pool, asynchronous.refuse, upload)
    assert (problem.code, problem.detail) == ("too_loud", "The sound is too loud.")
    for function in (asynchronous.cancel_itself, asynchronous.returns_bytes):
        with capture_logs() as logs:
            problem = await problem_of(pool, function, upload)
        assert isinstance(problem, StageFailed)
        assert "secret" not in problem.detail
        assert logs[0]["upload_id"] == "one"


async def test_an_async_stage_that_raises_may_be_tried_again(pool: Pool, upload: Upload) -> None:
    """Its service may be away: no verdict on the file, and the log has the traceback."""
    with capture_logs() as logs, pytest.raises(StageUnavailable):
        await run(pool, asynchronous.fail, upload, Reports())
    assert (logs[0]["event"], logs[0]["upload_id"]) == ("a stage failed", "one")


async def test_what_the_receiver_of_an_async_stages_reports_raises_comes_out_of_run(
    pool: Pool, upload: Upload
) -> None:
    """It is not taken for a failure of the stage."""

    class WriterLostError(Exception):
        pass

    def lost(fraction: float, message: str | None) -> None:
        raise WriterLostError

    with pytest.raises(WriterLostError):
        await run(pool, asynchronous.reports_once, upload, lost)
