"""The supervisor with stand-ins for web and worker: real processes, a real socket, a real Redis."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.helpers import raw_http
from tests.helpers.processes import alive, command, descendants
from tests.helpers.redis_server import RedisServer
from tests.helpers.service import ROOT, Service
from tests.helpers.waiting import wait_until

STAND_IN = (sys.executable, "-m", "tests.helpers.stand_in", "supervisor")


class Rig(Service):
    """A supervisor over stand-ins; `notes` is what these wrote down: (role, process id, what)."""

    @property
    def notes(self) -> list[tuple[str, int, str]]:
        path = Path(self.env["STAND_IN_LOG"])
        lines = path.read_text().splitlines() if path.exists() else []
        return [(r, int(pid), what) for r, pid, what in (line.split(" ", 2) for line in lines)]

    def said(self, role: str, what: str) -> list[int]:
        return [pid for who, pid, text in self.notes if (who, text) == (role, what)]

    def result(self) -> tuple[int, list[str]]:
        """Wait for its end: exit code and what it said."""
        assert self.process is not None
        code = self.process.wait(timeout=60)
        return code, self.log.splitlines()


Make = Callable[..., Rig]


@pytest.fixture
def rig(short_dir: Path) -> Iterator[Make]:
    made: list[Rig] = []

    def make(*, start: bool = True, name: str = "one", **env: str) -> Rig:
        environment = {"STAND_IN_LOG": str(short_dir / f"{name}.notes")}
        for key, value in env.items():
            environment[key if key.startswith("STAND_IN") else f"SSE_PROGRESS_{key}"] = value
        one = Rig(short_dir / name, environment, command=STAND_IN)
        made.append(one)
        if start:
            one.start()
        return one

    yield make
    for one in reversed(made):
        one.close()


def test_start_says_what_runs_where_and_what_to_try(rig: Make) -> None:
    """The first lines name the address, the Redis, the files, open mode, and two curl commands."""
    one = rig(WEB_PROCESSES="2", PREFIX="/api/media")
    port = one.env["SSE_PROGRESS_PORT"]
    assert port != "0"
    assert f"listening  http://127.0.0.1:{port}/api/media (2 web processes)" in one.log
    assert re.search(r"redis      (Redis|Valkey) \d+\.\d+\.\d+, private", one.log)
    assert str(one.data_dir) in one.log
    assert "everybody is anonymous" in one.log
    assert f"curl -N http://127.0.0.1:{port}/api/media/upload/demo/progress" in one.log
    assert f"-F file=@photo.jpg http://127.0.0.1:{port}/api/media/upload" in one.log
    found = one.pids()
    assert {role: len(pids) for role, pids in found.items()} == {
        "supervisor": 1,
        "web": 2,
        "worker": 1,
        "redis": 1,
        "stage": 1,
    }


def test_json_log_is_json_in_every_line(rig: Make) -> None:
    """With SSE_PROGRESS_LOG_FORMAT=json each line of the supervisor is one JSON object."""
    one = rig(LOG_FORMAT="json")
    os.kill(one.pids()["worker"][0], signal.SIGKILL)
    wait_until(lambda: "worker 1" in one.log, "the restart is logged")
    lines = [json.loads(line) for line in one.log.splitlines()]
    assert all(set(line) == {"timestamp", "level", "logger", "event"} for line in lines)
    assert [line["level"] for line in lines if "worker 1" in line["event"]] == ["warning"]


@pytest.mark.parametrize("silent", ["STAND_IN_WEB", "STAND_IN_WORKER"])
def test_ready_is_not_said_before_every_part_is(rig: Make, silent: str) -> None:
    """As long as one process has not said that it is ready, neither does the supervisor."""
    one = rig(start=False, **{silent: "mute"})
    one.launch()
    wait_until(lambda: one.said("web", "started") and one.said("worker", "started"), "both run")
    assert one.stop() == 0
    assert not one.ready


def test_ready_is_not_said_before_web_answers(rig: Make) -> None:
    """That a web process says it is ready is not enough: `/healthz` has to answer 200."""
    one = rig(start=False, STAND_IN_WEB="deaf")
    one.launch()
    wait_until(lambda: one.said("web", "asked"), "it was asked")
    assert one.stop() == 0
    assert not one.ready


def test_accepted_connections_inherit_the_dead_peer_options(rig: Make) -> None:
    """Keepalive and TCP_USER_TIMEOUT are set on what accept() returns in the web process."""
    one = rig()
    assert raw_http.request("GET", one.url).json["options"] == [1, 45, 90_000]


def test_allocator_settings_reach_web_processes_alone(rig: Make) -> None:
    """The raised malloc thresholds are in the environment of web, not of workers."""
    one = rig()
    assert one.said("web", "memory 268435456")
    assert one.said("worker", "memory untouched")


def test_secrets_are_on_no_command_line(rig: Make) -> None:
    """A key given in the environment appears in no process' argument list."""
    secret = "of-thirty-two-bytes-or-more-a-key"
    one = rig(JWT_SECRET=secret)
    everything = [pid for pids in one.pids().values() for pid in pids]
    assert len(everything) == 5
    assert not [pid for pid in everything if secret in " ".join(command(pid))]


def test_redis_gets_no_secrets(rig: Make, short_dir: Path) -> None:
    """Whatever is run as the private server sees none of our settings in its environment."""
    spy, record = short_dir / "bin" / "valkey-server", short_dir / "environment"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\nenv >> {record}\nexec {shutil.which("redis-server")} "$@"\n')
    spy.chmod(0o755)
    one = rig(start=False, JWT_SECRET="of-thirty-two-bytes-or-more-a-key")
    one.env["PATH"] = f"{spy.parent}:{os.environ['PATH']}"
    one.start()
    seen = record.read_text()
    assert seen.count("PATH=") == 2, "asked for its version, then run"
    assert "SSE_PROGRESS" not in seen


# ---- what dies comes back


@pytest.mark.faults
def test_a_killed_web_process_is_replaced_on_the_same_socket(rig: Make) -> None:
    """kill -9 of the only web process: the port answers again, from another process."""
    one = rig()
    first = raw_http.request("GET", one.url).json["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not alive(first), "it is gone")
    second = raw_http.request("GET", one.url).json["pid"]
    assert second != first
    assert f"web 1 (process {first}) was ended by SIGKILL; restarting in 0.1 s." in one.log


@pytest.mark.faults
@pytest.mark.parametrize("how", ["", "careless"], ids=["bound", "not bound to it"])
def test_a_killed_worker_is_replaced_and_its_children_go(rig: Make, how: str) -> None:
    """kill -9 of a worker: its stage children end, and another worker says that it is ready."""
    one = rig(STAND_IN_WORKER=how)
    before = one.pids()
    os.kill(before["worker"][0], signal.SIGKILL)
    wait_until(lambda: len(one.said("worker", "started")) == 2, "a second worker started")
    wait_until(lambda: not alive(before["stage"][0]), "the stage child has ended")


@pytest.mark.faults
def test_a_killed_redis_comes_back_with_its_data(rig: Make) -> None:
    """kill -9 of the private Redis: it is started again on its append-only file."""
    one = rig()
    before = one.pids()["redis"]
    with redis.Redis.from_url(one.redis_url) as client:
        client.set("kept", "yes")
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: "redis answers again." in one.log, "Redis is back")
    with redis.Redis.from_url(one.redis_url) as client:
        assert client.get("kept") == b"yes"
    assert one.pids()["redis"] != before
    assert len(one.said("web", "started")) == 1, "nobody else was restarted"


@pytest.mark.faults
def test_a_stranger_is_collected(rig: Make) -> None:
    """As process 1 in a container it inherits orphans: an ended one does not stay as a zombie."""
    one = rig(STAND_IN_WORKER="stray")
    (stray,) = one.said("stray", "ends")
    wait_until(lambda: not Path(f"/proc/{stray}").exists(), "the orphan is collected")
    assert one.stop() == 0


@pytest.mark.parametrize("part", ["web", "worker"])
def test_a_part_that_refuses_its_settings_ends_the_start(rig: Make, part: str) -> None:
    """A process that exits with 2 before all was ready has said what is wrong: serve exits 2."""
    one = rig(start=False, **{f"STAND_IN_{part.upper()}": "refuse"})
    one.launch()
    code, said = one.result()
    assert code == 2
    assert f"{part}: a setting is wrong" in said
    assert f"{part} 1 refuses to start." in said


def test_a_part_that_only_crashes_ends_the_start(rig: Make) -> None:
    """A process that crashes five times before all was ready is given up: serve exits 1."""
    one = rig(start=False, STAND_IN_WORKER="crash")
    one.launch()
    code, said = one.result()
    assert code == 1
    assert [line for line in said if "restarting" in line][-1].endswith("in 0.8 s.")
    assert said[-1] == "worker 1 ended 5 times before it was ready."


# ---- the end


def roles_ended(one: Rig) -> list[str]:
    return [role for role, _, what in one.notes if what == "ended"]


def test_sighup_replaces_one_after_the_other(rig: Make) -> None:
    """Each new process is ready before its predecessor ends; Redis stays."""
    one = rig(WEB_PROCESSES="2")
    before = one.pids()
    os.kill(before["supervisor"][0], signal.SIGHUP)
    wait_until(lambda: "all processes are new" in one.log, "all are replaced")
    after = one.pids()
    assert after["supervisor"] == before["supervisor"]
    assert after["redis"] == before["redis"]
    for role, count in (("web", 2), ("worker", 1)):
        assert len(after[role]) == count
        assert not set(after[role]) & set(before[role])
    order = [
        (who, what) for who, _, what in one.notes if what in ("started", "ended") and who != "stage"
    ]
    assert order[3:] == [(who, w) for who in ("web", "web", "worker") for w in ("started", "ended")]
    os.kill(after["worker"][0], signal.SIGKILL)
    wait_until(lambda: len(one.said("worker", "started")) == 3, "a new one is watched over as well")


def test_sighup_keeps_the_old_where_the_new_is_not_ready(rig: Make) -> None:
    """A release that does not start ends the rolling restart at its first process."""
    one = rig(STAND_IN_WEB="once", STAND_IN_ROLL_READY_S="1")
    before = one.pids()
    os.kill(before["supervisor"][0], signal.SIGHUP)
    wait_until(lambda: "given up: the new web 1 is not ready" in one.log, "it is given up")
    wait_until(lambda: one.pids()["web"] == before["web"], "the new one is gone")
    assert one.pids()["worker"] == before["worker"]
    assert raw_http.request("GET", f"{one.url}/healthz").status == 200


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_in_order(rig: Make, sig: signal.Signals) -> None:
    """SIGTERM, Ctrl-C, a closed terminal: web ends, then workers, then Redis; exit code 0."""
    one = rig(WEB_PROCESSES="2")
    assert one.stop(sig) == 0
    assert roles_ended(one) == ["web", "web", "worker"], one.notes
    assert one.left_over() == []


def test_ctrl_c_reaches_the_supervisor_alone(rig: Make) -> None:
    """SIGINT to the terminal's whole process group is the supervisor's to pass on, in its order."""
    one = rig()
    assert one.process is not None
    os.killpg(one.process.pid, signal.SIGINT)
    assert one.process.wait(timeout=60) == 0
    assert roles_ended(one) == ["web", "worker"]


def test_a_second_ctrl_c_ends_at_once(rig: Make) -> None:
    """With an hour of grace left, a second Ctrl-C kills what has not ended; exit code 1."""
    one = rig(STAND_IN_WEB="stubborn", SHUTDOWN_GRACE_S="3600")
    one.pids()
    assert one.process is not None
    one.process.send_signal(signal.SIGINT)
    wait_until(lambda: "Ctrl-C again" in one.log, "it says how to end at once")
    assert one.stop(signal.SIGINT) == 1
    assert one.left_over() == []


def test_what_does_not_end_is_killed_after_its_grace(rig: Make) -> None:
    """A web process that ignores SIGTERM is killed; the others still end in order; exit code 1."""
    one = rig(STAND_IN_WEB="stubborn", STAND_IN_END_GRACE_S="0.2")
    assert one.stop() == 1
    assert "web 1 did not end within 0.2 s; killing it." in one.log
    assert roles_ended(one) == ["worker"]
    assert one.left_over() == []


def test_a_stop_during_the_start_is_obeyed(rig: Make) -> None:
    """SIGTERM before anything is ready ends what was started; exit code 0."""
    one = rig(start=False, STAND_IN_WEB="mute")
    one.launch()
    wait_until(lambda: one.said("web", "started"), "web runs")
    assert one.stop() == 0
    assert one.left_over() == []


@pytest.mark.faults
def test_kill_9_of_the_supervisor_leaves_nothing(rig: Make) -> None:
    """All processes, grandchildren and Redis among them, end with a supervisor that cannot act."""
    one = rig(WEB_PROCESSES="2", WORKER_PROCESSES="2")
    assert one.process is not None
    everything = descendants(one.process.pid)
    assert len(everything) == 2 + 2 + 2 + 1
    assert one.stop(signal.SIGKILL) == -signal.SIGKILL
    wait_until(lambda: not any(map(alive, everything)), "all have ended")


@pytest.mark.faults
def test_it_starts_again_right_after_kill_9(rig: Make) -> None:
    """Port, lock and socket of a killed service are free for the next at once; data is there."""
    one = rig()
    with redis.Redis.from_url(one.redis_url) as client:
        client.set("kept", "yes")
    url = one.url
    one.stop(signal.SIGKILL)
    one.start()
    assert one.url == url
    with redis.Redis.from_url(one.redis_url) as client:
        assert client.get("kept") == b"yes"


@pytest.mark.faults
def test_kill_9_while_redis_is_stopped_leaves_nothing(rig: Make) -> None:
    """Even a Redis that cannot run (SIGSTOP) ends with the supervisor."""
    one = rig()
    (server,) = one.pids()["redis"]
    os.kill(server, signal.SIGSTOP)
    one.stop(signal.SIGKILL)
    wait_until(lambda: not alive(server), "Redis has ended")


def test_redis_holds_the_lock_too(rig: Make) -> None:
    """The data directory stays locked until Redis itself has ended, whatever ended the rest."""
    one = rig()
    (server,) = one.pids()["redis"]
    held = [os.path.realpath(entry) for entry in Path(f"/proc/{server}/fd").iterdir()]
    assert str(one.data_dir / "redis" / "lock") in held


# ---- what is wrong is said in one line, with exit code 2


def test_a_second_serve_on_the_same_data_is_refused(rig: Make) -> None:
    """It names the first one and three ways out, exits 2, and the first one goes on."""
    one = rig()
    other = rig(start=False, name="two", DATA_DIR=str(one.data_dir))
    other.launch()
    code, said = other.result()
    assert code == 2
    assert one.process is not None
    assert len(said) == 1
    assert f"(process {one.process.pid}, {one.url}) uses {one.data_dir}." in said[0]
    assert "SSE_PROGRESS_REDIS_URL" in said[0]
    assert raw_http.request("GET", one.url).status == 200


def test_two_serve_one_data_directory_with_one_redis(rig: Make, own_redis: RedisServer) -> None:
    """Pointed at one Redis by URL, two services share a data directory; neither starts a Redis."""
    one = rig(REDIS_URL=own_redis.url)
    other = rig(name="two", REDIS_URL=own_redis.url, DATA_DIR=str(one.data_dir))
    assert one.pids()["redis"] == other.pids()["redis"] == []
    assert f"redis      at {own_redis.socket_path}" in one.log
    assert one.said("worker", f"redis {own_redis.url}")


def test_a_given_redis_that_is_away_is_said(rig: Make, own_redis: RedisServer) -> None:
    """One line names it and the reason; serve waits for it and gets ready all the same."""
    own_redis.kill()
    one = rig(REDIS_URL=own_redis.url)
    assert f"Redis at {own_redis.socket_path} does not answer (Connection refused)" in one.log


def test_a_taken_port_is_said(rig: Make) -> None:
    """Another program on the port: its number, and another one to try."""
    one = rig()
    port = one.env["SSE_PROGRESS_PORT"]
    other = rig(start=False, name="two", PORT=port)
    other.launch()
    code, said = other.result()
    assert (code, len(said)) == (2, 1)
    assert said[0].startswith(f"Port {port} on 127.0.0.1 is taken. Choose another: --port ")


def test_a_data_directory_that_cannot_be_is_said(rig: Make, short_dir: Path) -> None:
    """A file where the directory should be: its path and the setting."""
    blocked = short_dir / "blocked"
    blocked.write_text("a file")
    one = rig(start=False, DATA_DIR=str(blocked / "data"))
    one.launch()
    code, said = one.result()
    assert (code, len(said)) == (2, 1)
    assert str(blocked) in said[0]
    assert "SSE_PROGRESS_DATA_DIR" in said[0]


def test_a_redis_that_does_not_start_is_said(rig: Make) -> None:
    """Broken append-only files: what Redis said about them, and where its log is."""
    one = rig()
    one.stop()
    (manifest,) = (one.data_dir / "redis").rglob("*.manifest")
    manifest.write_text("this is no manifest\n")
    one.launch()
    code, said = one.result()
    assert (code, len(said)) == (2, 1)
    assert "does not start: " in said[0]
    assert str(one.data_dir / "redis" / "redis.log") in said[0]


def test_a_redis_that_says_nothing_is_given_up(rig: Make, short_dir: Path) -> None:
    """A server that starts and never answers: which one, and where its log is."""
    mute = short_dir / "bin" / "valkey-server"
    mute.parent.mkdir()
    mute.write_text("#!/bin/sh\n[ $1 = --version ] && echo Valkey server v=8.0.0 || sleep 3600\n")
    mute.chmod(0o755)
    one = rig(start=False, STAND_IN_REDIS_START_S="0.2")
    one.env["PATH"] = f"{mute.parent}:{os.environ['PATH']}"
    one.launch()
    code, said = one.result()
    assert (code, len(said)) == (2, 1)
    assert said[0].startswith(f"Valkey 8.0.0 ({mute}) does not start: ")


def test_open_mode_is_refused_on_a_public_address(rig: Make) -> None:
    """Without a key nothing but loopback is bound; the line names the variables that change it."""
    one = rig(start=False, HOST="192.0.2.1")
    one.launch()
    code, said = one.result()
    assert (code, len(said)) == (2, 1)
    assert "SSE_PROGRESS_OPEN_MODE_ANYWHERE=1" in said[0]
    assert "SSE_PROGRESS_JWT_SECRET" in said[0]


@pytest.mark.parametrize(
    "env",
    [{"OPEN_MODE_ANYWHERE": "1"}, {"JWT_SECRET": "of-thirty-two-bytes-or-more-a-key"}],
    ids=["in so many words", "with a key"],
)
def test_other_addresses_are_bound_when_allowed(rig: Make, env: dict[str, str]) -> None:
    """Told to, or with a key, it tries: 192.0.2.1 (RFC 5737) is merely not this machine's."""
    one = rig(start=False, HOST="192.0.2.1", **env)
    one.launch()
    code, said = one.result()
    assert code == 2
    assert said == ["192.0.2.1 is not an address of this machine. Set --host (SSE_PROGRESS_HOST)."]


def test_the_supervisor_imports_little() -> None:
    """It is there all the time, so the large libraries stay out of it."""
    script = "import sys, sse_progress.supervisor.supervisor; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    loaded = set(found.stdout.split())
    assert "sse_progress.supervisor.private_redis" in loaded
    assert not loaded & {"asyncio", "pydantic", "starlette", "uvicorn", "redis", "typer", "httpx"}
