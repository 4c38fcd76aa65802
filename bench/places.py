"""What is measured, on cores of its own: our web process on one, Redis and the load on the other.

Everything is started as its documentation says and ended by process id.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ROOT, children, free_port, wait_for
from sse_progress.supervisor.service_processes import WEB_MEMORY

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]

GUARDS = {
    "MAX_CONNECTIONS_PER_ADDRESS": "100000",  # all of the load comes from one address
    "MAX_UPLOAD_BYTES": str(4 * 1024**3),
    "DISK_RESERVE_BYTES": "0",
    "ALLOWED_TYPES": "*/*",
    "ARCHIVE_URL": "off",
    "HEARTBEAT_S": "60",
    "LOG_LEVEL": "error",
}
"""Settings that differ from the defaults; every guard stays on."""


def pin_load() -> None:
    """Keep this process, and the load that it starts, off the server's core."""
    os.sched_setaffinity(0, {LOAD_CORE})


def tree(pid: int) -> list[int]:
    found = [pid]
    for child in children(pid):
        found += tree(child)
    return found


@contextmanager
def pinned(
    command: Sequence[str],
    *,
    port: int,
    core: int = SERVER_CORE,
    env: Mapping[str, str] | None = None,
    settle_s: float = 1.0,
) -> Iterator[int]:
    """A server on one core; its process id, once it listens."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            try:
                wait_for(port)
            except OSError:
                said.seek(0)
                raise RuntimeError(f"{command}: {said.read()[-2000:].decode()}") from None
            time.sleep(settle_s)
            yield process.pid
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Ours:
    port: int
    pid: int
    redis_url: str
    redis_pid: int
    data: Path


@contextmanager
def place() -> Iterator[Path]:
    """A directory in memory: what is measured is code, not this machine's disk."""
    directory = Path(tempfile.mkdtemp(prefix="sse-bench-", dir="/dev/shm"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def redis(directory: Path) -> Iterator[tuple[str, int]]:
    port = free_port()
    socket = directory / "redis.sock"
    command = [
        *("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)),
        *("--unixsocket", str(socket), "--save", "", "--appendonly", "yes"),
        *("--maxclients", "15000", "--tcp-backlog", "4096"),
    ]
    with pinned(command, port=port, core=LOAD_CORE, settle_s=0.2) as pid:
        yield f"unix://{socket}", pid


@contextmanager
def web(
    directory: Path, redis_url: str, *, data: Path | None = None, **settings: str
) -> Iterator[tuple[int, int]]:
    """One web process as the supervisor starts it: its port and process id."""
    port = free_port()
    env = {
        **WEB_MEMORY,
        **{f"SSE_PROGRESS_{name}": value for name, value in {**GUARDS, **settings}.items()},
        "SSE_PROGRESS_REDIS_URL": redis_url,
        "SSE_PROGRESS_DATA_DIR": str(data or directory / "data"),
        "SSE_PROGRESS_PORT": str(port),
    }
    command = [sys.executable, "-m", "sse_progress", "web"]
    with pinned(command, port=port, env=env, settle_s=0) as pid:
        deadline = time.monotonic() + 60
        while not _answers(port):
            if time.monotonic() > deadline:
                raise RuntimeError("the web process does not get ready")
            time.sleep(0.1)
        time.sleep(1)
        yield port, pid


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
            return True
    except (OSError, urllib.error.URLError):
        return False


@contextmanager
def ours(**settings: str) -> Iterator[Ours]:
    """Our web process with a Redis of its own, nothing in it yet."""
    with (
        place() as directory,
        redis(directory) as (url, redis_pid),
        web(directory, url, **settings) as (port, pid),
    ):
        yield Ours(port, pid, url, redis_pid, directory / "data")
