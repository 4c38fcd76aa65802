"""A real master with a replica, and a Sentinel that watches them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from redis import Redis
from redis.exceptions import RedisError

from tests.helpers.redis_cluster import free_ports, launch
from tests.helpers.waiting import wait_until

__all__ = ["Sentinelled"]

NAME = "mine"


class Sentinelled:
    """`url` names a Sentinel that is away first, then the one that answers."""

    def __init__(self, directory: Path, *, password: str = "", down_after_ms: int = 1500) -> None:
        self._directory, self._password, self._down_after_ms = directory, password, down_after_ms
        self._away, self.sentinel, *self._ports = free_ports(4)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        login = f":{quote(self._password, safe='')}@" if self._password else ""
        hosts = f"127.0.0.1:{self._away},127.0.0.1:{self.sentinel}"
        return f"redis+sentinel://{login}{hosts}/{NAME}"

    @property
    def master(self) -> int:
        """The port of the master that the Sentinel names."""
        _, port = self._ask(self.sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        return int(port)

    @property
    def replica(self) -> int:
        return next(port for port in self._ports if port != self.master)

    def start(self) -> None:
        first, second = self._ports
        self._start(first)
        self._start(second, {"replicaof": f"127.0.0.1 {first}"})
        wait_until(lambda: b"state=online" in self._info(first), "the replica has the data")
        config = self._directory / "sentinel.conf"
        login = f"sentinel auth-pass {NAME} {self._password}\n" if self._password else ""
        config.write_text(
            f"port {self.sentinel}\nbind 127.0.0.1\ndir {self._directory}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {first} 1\n{login}"
            f"sentinel down-after-milliseconds {NAME} {self._down_after_ms}\n"
            f"sentinel failover-timeout {NAME} 10000\n"
        )
        self._processes[self.sentinel] = launch(
            self._directory / "sentinel", {}, str(config), "--sentinel"
        )
        wait_until(lambda: self._answers(self.sentinel), "the Sentinel answers")
        wait_until(
            lambda: len(self._ask(self.sentinel, "SENTINEL", "REPLICAS", NAME)) == 1,
            "the Sentinel knows the replica",
        )

    def close(self) -> None:
        for port in tuple(self._processes):
            self._kill(port)

    def wait(self) -> None:
        """Until the replica has all that was written."""
        with self._client(self.master) as client:
            client.set("last", 1)
            assert client.execute_command("WAIT", 1, 30_000) == 1

    def kill_master(self) -> int:
        """Its port. The Sentinel will make the replica the master."""
        port = self.master
        self._kill(port)
        return port

    def wait_failed_over(self, old: int) -> None:
        wait_until(lambda: self.master != old, "the Sentinel names another master")

    def bring_back(self, port: int) -> None:
        """A server that was killed; the Sentinel makes it a replica."""
        self._start(port)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """For the length of the block the replica is told nothing of what its master takes."""
        replica = self._processes[self.replica]
        os.kill(replica.pid, signal.SIGSTOP)
        self._ask(self.master, "CLIENT", "KILL", "TYPE", "replica")
        try:
            yield
        finally:
            os.kill(replica.pid, signal.SIGCONT)

    # ---- within

    def _start(self, port: int, more: dict[str, str] | None = None) -> None:
        options = {
            "port": str(port),
            "bind": "127.0.0.1",
            "repl-diskless-sync-delay": "0",
            "appendonly": "yes",
            "appendfsync": "no",
            "save": "",
            **({key: self._password for key in ("requirepass", "masterauth") if self._password}),
            **(more or {}),
        }
        directory = self._directory / str(port)
        self._processes[port] = launch(directory, options)
        wait_until(lambda: self._answers(port), f"the server at {port} answers")

    def _kill(self, port: int) -> None:
        process = self._processes.pop(port)
        process.kill()
        process.wait()

    def _client(self, port: int) -> Redis:
        password = self._password if port != self.sentinel else None
        return Redis(port=port, password=password or None, socket_timeout=20)

    def _ask(self, port: int, *words: Any) -> Any:
        with self._client(port) as client:
            client.response_callbacks.clear()
            return client.execute_command(*words)

    def _info(self, port: int) -> bytes:
        return bytes(self._ask(port, "INFO", "replication"))

    def _answers(self, port: int) -> bool:
        try:
            return bool(self._ask(port, "PING"))
        except RedisError:
            return False
