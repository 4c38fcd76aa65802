"""Fixtures that every test may use: real servers, a clean database, a running service."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import shutil
import signal
import sys
import tempfile
from asyncio import runners
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG, create_ssl_context
from httpx._transports import default as transports

from sse_progress.runtime.concurrency import end_tasks
from tests.distribution import ByService, beginning_elsewhere, turn
from tests.helpers.postgres import PostgresServer
from tests.helpers.redis_server import RedisServer
from tests.helpers.s3_server import S3Server
from tests.helpers.service import Service

os.environ["LC_ALL"] = "C.UTF-8"  # commands speak the reader's language, and tests read English

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # Under nohup(1), what tests start would ignore a hang-up, too; a handler is not inherited.
    signal.signal(signal.SIGHUP, lambda *_: None)

# Tests start hundreds of processes. Without bytecode each would compile whatever it imports: a
# service costs twice the CPU time, and so does the collection of these tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def _retrieved(record: logging.LogRecord) -> bool:
    """Not how Hypothesis stops an async test, which anyio's runner leaves in a task.

    asyncio logs it when garbage is collected, and formatting its traceback parses source. CPython
    3.11 fails where that interrupts other parsing: "AST constructor recursion depth mismatch".
    """
    return not (record.exc_info and type(record.exc_info[1]).__name__ == "StopTest")


logging.getLogger("asyncio").addFilter(_retrieved)


def _cancel_all_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """What a loop does with tasks that a failed test has left, but again and again.

    redis-py loses a cancellation that meets the end of a connection, and asyncio cancels once: the
    run would stand still, beyond any test's time limit.
    """
    if tasks := asyncio.all_tasks(loop):
        loop.run_until_complete(end_tasks(*tasks))


runners._cancel_all_tasks = _cancel_all_tasks  # type: ignore[attr-defined]

# The 5 s that httpx waits by default are too short for a busy machine.
DEFAULT_TIMEOUT_CONFIG.connect = DEFAULT_TIMEOUT_CONFIG.read = 60
DEFAULT_TIMEOUT_CONFIG.write = DEFAULT_TIMEOUT_CONFIG.pool = 60
# Each client would read all certificates again, for 20 ms of CPU; tests make thousands of clients.
transports.create_ssl_context = functools.cache(create_ssl_context)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run tests that take minutes")


def pytest_configure(config: pytest.Config) -> None:
    process = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if process and config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        count = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        config.args[:] = beginning_elsewhere(Path(__file__).parent, int(process), count)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Tests and all modules stay until the end: garbage is looked for without walking them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests marked `long` are left out, not skipped, unless `--long` is given."""
    paths = {item: item.nodeid.partition("::")[0] for item in items}
    items.sort(key=lambda item: (*turn(paths[item]), paths[item]))  # equal in all processes
    if config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.timeout(3600))
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByService | None:
    return ByService(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def session_dir() -> Iterator[Path]:
    """A directory with a short path: unix sockets allow 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="sp-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """The same for one test."""
    path = Path(tempfile.mkdtemp(prefix="sp-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def redis_server(session_dir: Path) -> Iterator[RedisServer]:
    """The session's server. A test that kills, stops or rewinds one takes `own_redis`."""
    server = RedisServer(session_dir)
    server.start()
    yield server
    server.close()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """URL of an empty database on the session's server."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture(scope="session")
def s3_server(session_dir: Path) -> Iterator[S3Server]:
    """The session's S3 server, with the bucket `media`. Tests use a prefix of their own."""
    with S3Server(session_dir / "s3") as server:
        server.bucket("media")
        yield server


@pytest.fixture(scope="session")
def usual_service(session_dir: Path) -> Iterator[Service]:
    """One service in open mode with its usual settings, for all tests that leave it as it is."""
    with Service(session_dir / "usual") as service:
        yield service


@pytest.fixture
def own_redis(short_dir: Path) -> Iterator[RedisServer]:
    """A server for this test alone, to be killed, stopped, restarted and rewound at will."""
    server = RedisServer(short_dir)
    server.start()
    yield server
    server.close()


@pytest.fixture
def sure_redis(short_dir: Path) -> Iterator[RedisServer]:
    """The same, and what it has answered is on the disk: a kill loses nothing, ever.

    With `everysec` a server whose disk is busy answers up to two seconds before it writes.
    """
    server = RedisServer(short_dir, append_fsync="always")
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgres(session_dir: Path) -> Iterator[PostgresServer]:
    """The session's server; a test that kills or stops one makes its own."""
    server = PostgresServer(session_dir)
    server.start()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def archive_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'archive.sqlite3'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def service(short_dir: Path) -> Iterator[Callable[..., Service]]:
    """A maker of running services: `service()`, `service({"SSE_PROGRESS_…": "…"})`, many at once.

    `name` gives a second service its own directory; equal names share data. All are ended, and
    checked to be gone, after the test.
    """
    made: list[Service] = []

    def make(
        env: Mapping[str, str] | None = None,
        *,
        name: str = "service",
        arguments: tuple[str, ...] = (),
        start: bool = True,
    ) -> Service:
        one = Service(short_dir / name, env, arguments=arguments)
        made.append(one)
        if start:
            one.start()
        return one

    yield make
    problems = []
    for one in reversed(made):
        try:
            one.close()
        except AssertionError as error:
            problems.append(str(error))
    assert not problems, "\n".join(problems)
