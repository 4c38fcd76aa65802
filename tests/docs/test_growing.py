"""One machine, two hosts with a bucket, a Cluster: by the commands of docs/operate.md."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import jwt
import pytest

from tests.docs.pages import DOCS, Block, commands
from tests.helpers.ports import free_port
from tests.helpers.processes import bound
from tests.helpers.redis_server import RedisServer
from tests.helpers.s3_server import ACCESS_KEY, SECRET_KEY, S3Server
from tests.helpers.service import ROOT, Service
from tests.helpers.waiting import wait_until
from tests.wire.words import new_id, post

SECRET = "growing-" * 4
NODES = 6
TIMEOUT_S = 120


def documented(heading: str) -> list[str]:
    """What is typed in a section, in its order: `host$ ` before it is kept."""
    section = (DOCS / "operate.md").read_text().partition(f"\n## {heading}\n")[2]
    typed: list[str] = []
    for text in re.findall(r"```console\n(.*?)```", section.partition("\n## ")[0], re.DOTALL):
        typed += commands(Block("console", text, ""))
        typed += [line for line in text.splitlines() if re.match(r"\w+\$ ", line)]
    return typed


class Shell:
    """A reader's, with what is exported there; `given` is in place of the names of an example."""

    def __init__(self, place: Path, given: dict[str, str]) -> None:
        self._place, self._given = place, given
        self._exported: list[str] = []
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SSE_PROGRESS_")}
        self._env = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SSE_PROGRESS_ARCHIVE_URL": "off",
            "SSE_PROGRESS_LEASE_S": "2",
        }

    def run(self, line: str) -> str:
        if line.startswith("export "):
            self._exported.append(self._here(line))
            return ""
        done = subprocess.run(
            ["bash", "-c", self._here(line)], cwd=self._place, env=self._env, timeout=TIMEOUT_S,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        return done.stdout

    @contextmanager
    def running(self, host: str, line: str) -> Iterator[Path]:
        """A program that goes on until the block ends, on a host of its own; its output."""
        place = self._place / host
        place.mkdir(exist_ok=True)
        words = self._here(line).replace("/var/lib/sse-progress", str(place / "data"))
        with (place / "log").open("ab") as log:
            process = subprocess.Popen(
                bound(["bash", "-c", "\n".join([*self._exported, words])]),
                cwd=place, env=self._env, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            yield place / "log"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=TIMEOUT_S)

    def _here(self, line: str) -> str:
        for name, given in self._given.items():
            line = line.replace(name, given)
        return line


@pytest.fixture
def place() -> Iterator[Path]:
    """With short paths, for sockets."""
    with tempfile.TemporaryDirectory(prefix="sp-grow-") as directory:
        yield Path(directory)


@pytest.fixture
def nodes() -> Iterator[dict[str, str]]:
    """Ports in place of those of the example; whoever listens there at the end is stopped."""
    ports = {f"700{number}": str(port) for number, port in enumerate(_ports(), 1)}
    yield ports
    for port in ports.values():
        subprocess.run(
            ["redis-cli", "-p", port, "shutdown", "nosave", "force"],
            capture_output=True,
            check=False,
        )


def _ports() -> range:
    """Neighbors that are free, also 10,000 above them, where nodes speak to each other."""
    while True:
        first = 10_000 + secrets.randbelow(10_000)
        with ExitStack() as taken, suppress(OSError):
            for port in [
                *range(first, first + NODES),
                *range(first + 10_000, first + 10_000 + NODES),
            ]:
                taken.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return range(first, first + NODES)


@pytest.mark.skipif(
    not (shutil.which("redis-server") and shutil.which("redis-cli")), reason="no redis-server here"
)
def test_one_machine_two_hosts_and_a_cluster(
    place: Path, s3_server: S3Server, own_redis: RedisServer, nodes: dict[str, str]
) -> None:
    """Each step serves. Over the one to the Cluster, what was complete is there with its file,
    and what waited for a worker is worked on; a slot's move and a failover stop nobody."""
    port = free_port()
    given = {
        "AWS_ACCESS_KEY_ID=…": f"AWS_ACCESS_KEY_ID={ACCESS_KEY}",
        "AWS_SECRET_ACCESS_KEY=…": f"AWS_SECRET_ACCESS_KEY={SECRET_KEY}",
        "SSE_PROGRESS_JWT_SECRET=…": f"SSE_PROGRESS_JWT_SECRET={SECRET}",
        "s3://media/uploads?endpoint=https://s3.internal:9000&region=eu-1": s3_server.setting(
            "media", prefix=f"g{secrets.token_hex(6)}"
        ),
        "rediss://user:secret@redis.internal:6379/0": own_redis.url,
        "--host 0.0.0.0": f"--host 0.0.0.0 --port {port}",
        "$PWD": str(place),
        **nodes,
    }
    alone = new_id()
    with Service(place / "one") as one, httpx.Client(base_url=one.url, timeout=60) as anonymous:
        assert post(anonymous, alone).json()["success"]

    shell = Shell(place, given)
    install, *exports, web, worker = documented("Two hosts with object storage")
    assert install.startswith("pip install ")
    for line in exports:
        assert line.startswith("export "), line
        shell.run(line)
    web, worker = web.removeprefix("web$ "), worker.removeprefix("worker$ ")
    done, waits = new_id(), new_id()
    with shell.running("web", web) as log, caller(port) as client:
        with shell.running("worker", worker) as at_work:
            wait_until(lambda: b"worker ready" in at_work.read_bytes(), f"it works, see {at_work}")
            wait_until(lambda: _serves(client), f"web serves, see {log}")
            assert client.get(f"/upload/{alone}").status_code == 404
            media = _complete(client, done)
        answer = post(client, waits, headers={"Prefer": "respond-async"})
        assert answer.status_code == 202, answer.text

    start, create, serve, reshard, failover = documented("Sentinel and Cluster")[:5]
    shell.run(start)
    shell.run(create)
    url = re.fullmatch(r"(SSE_PROGRESS_REDIS_URL=redis\+cluster:\S+) sse-progress serve", serve)
    assert url is not None, serve
    shell.run(f"export {url[1]}")
    own_redis.close()
    with (
        shell.running("web", web) as log,
        shell.running("worker", worker),
        caller(port) as client,
    ):
        wait_until(lambda: _serves(client), f"web serves, see {log}")
        wait_until(lambda: _is_complete(client, done), f"it is found, see {log}")
        wait_until(lambda: _is_complete(client, waits), f"it is worked on, see {log}")
        original = client.get(media).content
        assert len(original) > 100
        shell.run(reshard)
        assert client.get(_complete(client, new_id())).content == original
        wait_until(partial(_leads, shell, failover), "it leads")
        wait_until(lambda: client.get("/readyz").status_code == 200, f"it is ready, see {log}")
        assert client.get(_complete(client, new_id())).content == original


def caller(port: int) -> httpx.Client:
    token = jwt.encode({"sub": "ann", "exp": int(time.time()) + 3600}, SECRET)
    return httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=TIMEOUT_S,
    )


def _is_complete(client: httpx.Client, upload_id: str) -> bool:
    return bool(client.get(f"/upload/{upload_id}").json().get("status") == "complete")


def _serves(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _complete(client: httpx.Client, upload_id: str) -> str:
    """Where the file of a new upload is, once that is complete."""
    answer = post(client, upload_id)
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["data"]["media"]["url"]
    return url


def _leads(shell: Shell, failover: str) -> bool:
    """Redis gives an attempt 5 s, which a busy machine may need more than once."""
    assert shell.run(failover) == "OK\n"
    for _ in range(60):
        if "role:master" in shell.run("redis-cli -p 7004 info replication"):
            return True
        time.sleep(0.1)
    return False
