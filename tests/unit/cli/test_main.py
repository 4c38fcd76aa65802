"""The command line: what it hands over, how it refuses, and that it answers at once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sse_progress.cli import main as cli
from sse_progress.cli import work_summary
from sse_progress.settings import load_settings
from sse_progress.stages import pipeline
from sse_progress.supervisor import launch_plan
from sse_progress.supervisor.launch_plan import Plan
from sse_progress.worker.pipeline_loader import GROUP
from tests.helpers.service import ROOT

REDIS = {"SSE_PROGRESS_REDIS_URL": "unix:///nowhere.sock", "SSE_PROGRESS_PORT": "0"}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("SSE_PROGRESS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)  # no .env of ours


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sse_progress", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("arguments", [[], ["--help"], ["serve", "-h"], ["upload", "--help"]])
def test_help_exits_0(arguments: list[str]) -> None:
    """Help goes to standard output; no command at all means help."""
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: sse-progress")


@pytest.mark.parametrize(
    "command",
    ["serve", "web", "worker", "upload", "watch", "history", "list", "cancel", "delete"],
)
def test_help_says_every_exit_code(command: str) -> None:
    """Of each command that people type."""
    told = " ".join(CliRunner().invoke(cli.app, [command, "--help"]).stdout.split())
    codes = told.partition("Exit codes: ")[2]
    asked = ("0 ", "1 ", "2 ") if command in ("serve", "web", "worker") else ("0 ", "2 ", "130 ")
    assert all(code in codes for code in asked), told


def test_the_banner_says_what_is_done_with_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages, plug-ins, and what is not checked; with a pipeline of one's own, its name."""
    monkeypatch.setenv("SSE_PROGRESS_PIPELINE", "")
    monkeypatch.setattr(work_summary, "find_spec", lambda name: name != "py3langid" or None)
    point = EntryPoint("analyzing.words", "words:count", work_summary.GROUP)
    assert work_summary.work_summary(load_settings(), [point]) == (
        "  stages     validating, analyzing, moderating, processing",
        "  plug-ins   analyzing.words (words:count)",
        "  unchecked  viruses by ClamAV (SSE_PROGRESS_CLAMD is not set)",
        "             languages (py3langid is not installed)",
    )
    [line] = work_summary.work_summary(load_settings(pipeline="words:pipeline"))
    assert "words:pipeline" in line


def test_the_banner_names_the_stages_of_the_code() -> None:
    """Those of the built-in pipeline, and the group of its plug-ins."""
    assert list(work_summary.BUILT_IN) == list(dict.fromkeys(name for name, _ in pipeline))
    assert work_summary.GROUP == GROUP


def test_version() -> None:
    """`--version` names the program and a number."""
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, "sse-progress 0.1.0\n")


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["serv"], {}, "No such command 'serv'"),
        (["serve", "--prot", "1"], {}, "No such option: --prot"),
        (["serve", "--port"], {}, "'--port' requires an argument"),
        (["serve", "--port", "x"], {}, "Invalid value for '--port'"),
        (["serve", "--port", "70000"], {}, "SSE_PROGRESS_PORT: "),
        (["serve", "--web-processes", "0"], {}, "Invalid value for '--web-processes'"),
        (["serve"], {"SSE_PROGRESS_PORT": "x"}, "SSE_PROGRESS_PORT: "),
        (["serve"], {"SSE_PROGRESS_JWT_SECRET": "short"}, "is 5 bytes, needs at least 32"),
        (["serve"], {"SSE_PROGRESS_REDIS_URL": "http://x"}, "SSE_PROGRESS_REDIS_URL: "),
        (["web"], {}, "web needs a Redis"),
        (["worker"], {}, "worker needs a Redis"),
        (["serve"], {"SSE_PROGRESS_LOG_FORMAT": "xml"}, "is not console or json"),
        (["serve"], {"SSE_PROGRESS_PORT": "-1"}, "SSE_PROGRESS_PORT: is less than 0"),
        (["upload"], {}, "Missing argument 'FILE...'. See `sse-progress upload --help`."),
        (["ops", "show"], {}, "See `sse-progress ops show --help`."),
        (["cancel"], {}, "Name either uploads, or a --batch."),
        (["delete", "a", "--batch", "b"], {}, "Name either uploads, or a --batch."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_use_is_one_line_and_2(
    arguments: list[str],
    env: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Whatever is wrong is said in one line on standard error; no traceback; exit code 2."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    out, err = capfd.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("part", "env", "said"),
    [
        ("web", {"SSE_PROGRESS_JWT_PUBLIC_KEY": "x"}, "SSE_PROGRESS_JWT_PUBLIC_KEY: "),
        ("worker", {"SSE_PROGRESS_PIPELINE": "nowhere:x"}, "SSE_PROGRESS_PIPELINE=nowhere"),
    ],
)
def test_what_a_part_finds_wrong_is_one_line_and_2(
    part: str, env: Mapping[str, str], said: str
) -> None:
    """The same where the process has already imported what it is made of."""
    done = run(part, **REDIS, **env)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_every_wrong_setting_is_named(tmp_path: Path) -> None:
    """Two wrong settings give two lines, and `.env` counts like the environment."""
    (tmp_path / ".env").write_text("SSE_PROGRESS_PORT=x\nSSE_PROGRESS_LEASE_S=-1\n")
    done = run("serve")
    assert done.returncode == 2
    assert {line.split(":")[0] for line in done.stderr.splitlines()} == {
        "SSE_PROGRESS_PORT",
        "SSE_PROGRESS_LEASE_S",
    }


class Handed(Exception):
    """What `serve` would have become."""

    def __init__(self, plan: Plan, environment: Mapping[str, str]) -> None:
        self.plan, self.environment = plan, environment


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    def record(plan: Plan, environment: Mapping[str, str]) -> None:
        raise Handed(plan, environment)

    monkeypatch.setattr(launch_plan, "become", record)

    def start(*arguments: str) -> Handed:
        with pytest.raises(Handed) as caught:
            cli.main(["serve", *arguments])
        return caught.value

    return start


def test_options_override_the_environment(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option beats its variable, in the plan and in what the processes will read."""
    monkeypatch.setenv("SSE_PROGRESS_PORT", "9001")
    monkeypatch.setenv("SSE_PROGRESS_PREFIX", "/from/env")
    handed = serve("--port", "9002", "--web-processes", "3", "--log-format", "json")
    assert (handed.plan.port, handed.plan.prefix) == (9002, "/from/env")
    assert (handed.plan.web_processes, handed.plan.json_log) == (3, True)
    assert handed.environment["SSE_PROGRESS_PORT"] == "9002"
    assert handed.environment["SSE_PROGRESS_WEB_PROCESSES"] == "3"
    assert handed.environment["SSE_PROGRESS_PREFIX"] == "/from/env"
    assert "SSE_PROGRESS_HOST" not in handed.environment


def test_the_data_directory_is_absolute(serve: Any, tmp_path: Path) -> None:
    """Processes and stages have working directories of their own, so the default is made whole."""
    assert serve().plan.data_dir == str(tmp_path / "data")
    assert serve("--data-dir", "else/where").plan.data_dir == str(tmp_path / "else/where")


def test_the_plan_knows_no_secret(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither keys nor a Redis password are in what the supervisor is given to know."""
    monkeypatch.setenv("SSE_PROGRESS_JWT_SECRET", "of-thirty-two-bytes-or-more-a-key")
    monkeypatch.setenv("SSE_PROGRESS_REDIS_URL", "redis://user:hidden@redis.example:6380/1")
    plan = serve().plan
    assert plan.redis == "redis.example:6380"
    assert not plan.open_mode
    assert "of-thirty" not in repr(plan)
    assert "hidden" not in repr(plan)


def test_web_alone_listens_like_serve_does() -> None:
    """`sse-progress web` refuses a public address in open mode as well."""
    done = run("web", "--host", "0.0.0.0", SSE_PROGRESS_REDIS_URL="unix:///nowhere.sock")
    assert done.returncode == 2
    assert "SSE_PROGRESS_OPEN_MODE_ANYWHERE=1" in done.stderr


def test_the_command_line_imports_little() -> None:
    """Help and completion answer at once: what commands need is imported when they run."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys, sse_progress.cli.main; print(*sys.modules)"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "typer" in loaded
    assert not loaded & {"asyncio", "pydantic", "starlette", "redis", "rich", "httpx", "PIL"}


def test_an_upload_without_a_terminal_imports_nothing_to_draw(tmp_path: Path) -> None:
    """Neither rich nor click, which httpx would import for a command of its own."""
    file = tmp_path / "a.txt"
    file.touch()
    script = (
        "import atexit, sys; from sse_progress.cli.entry import main;"
        "atexit.register(lambda: print(*sys.modules)); main()"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, "upload", "--url", "http://127.0.0.1:9", file],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    loaded = set(run.stdout.split())
    assert "httpx" in loaded
    assert not loaded & {"rich.console", "click", "pygments"}


@pytest.mark.parametrize("words", [["serve"], ["web"], ["worker"]])
def test_a_part_without_options_is_told_what_is_wrong_as_one_with_options(
    words: list[str], tmp_path: Path
) -> None:
    """The short way and the command line answer alike: one line, no traceback, exit code 2."""
    ends = [
        subprocess.run(
            [sys.executable, "-m", "sse_progress", *words, *more],
            capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path,
            env={**os.environ, **REDIS, "PYTHONPATH": str(ROOT), "SSE_PROGRESS_LEASE_S": "0"},
        )
        for more in ([], ["--log-level", "info"])
    ]  # fmt: skip
    assert {(end.returncode, end.stdout, end.stderr) for end in ends} == {
        (2, "", "SSE_PROGRESS_LEASE_S: is not more than 0\n")
    }


@pytest.mark.parametrize("words", [["web", "--fd", "{fd}"], ["worker"]])
def test_a_process_of_the_service_imports_nothing_to_draw_or_to_count(words: list[str]) -> None:
    """redis-py and structlog would: 140 modules. What is imported later may have them. What reads
    command lines, or validates what is no setting, is not imported either."""
    script = (
        "import atexit, gc, sys; from sse_progress.cli.entry import main;"
        "later = ('rich.console', 'opentelemetry.metrics');"
        "atexit.register(lambda: print(*map(__import__, later)));"
        "atexit.register(lambda: print(gc.isenabled(), *sys.modules)); main()"
    )
    environment = {**os.environ, **REDIS, "SSE_PROGRESS_KINDS": "nowhere:kinds"}
    with socket.socket() as listening:
        run = subprocess.run(
            [sys.executable, "-c", script, *(each.format(fd=listening.fileno()) for each in words)],
            pass_fds=[listening.fileno()],
            capture_output=True, text=True, check=False, timeout=60,
            env={**environment, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert "SSE_PROGRESS_KINDS=nowhere:kinds: cannot be loaded" in run.stderr  # by what it serves
    at_the_end, later = run.stdout.splitlines()
    collecting, *loaded = at_the_end.split()
    assert collecting == "True"
    assert {"redis", "structlog"} < set(loaded)
    assert not {"rich", "colorama", "opentelemetry.metrics", "typer", "pydantic"} & set(loaded)
    assert "rich" in later
    assert "opentelemetry" in later
