"""A real Redis Cluster of a test's own: masters, a replica for some, slots that move, failovers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from tests.helpers.ports import free_port
from tests.helpers.processes import bound
from tests.helpers.waiting import wait_until

__all__ = ["ClusterNode", "RedisCluster", "free_ports", "launch"]

SLOTS = 16384


def free_ports(count: int) -> list[int]:
    """As many different ones."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)


def launch(directory: Path, options: dict[str, str], *first: str) -> subprocess.Popen[bytes]:
    """A redis-server in `directory`; `first` are words before the options."""
    directory.mkdir(parents=True, exist_ok=True)
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    assert binary is not None, "install redis-server: scripts/test does"
    given = {"dir": str(directory), "logfile": str(directory / "redis.log"), **options}
    words = [word for key, value in given.items() for word in (f"--{key}", value)]
    return subprocess.Popen(
        bound([binary, *first, *words]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        process_group=0,
    )


class ClusterNode:
    """One server of a Cluster."""

    def __init__(self, directory: Path, port: int, bus_port: int, *, timeout_ms: int) -> None:
        self.port, self.bus_port = port, bus_port
        self._directory, self._timeout_ms = directory, timeout_ms
        self._process: subprocess.Popen[bytes] | None = None
        self.id = ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "cluster-enabled": "yes",
            "cluster-port": str(self.bus_port),
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": str(self._timeout_ms),
            "cluster-require-full-coverage": "no",
            "cluster-replica-no-failover": "yes",
            "repl-diskless-sync-delay": "0",
            "appendonly": "yes",
            "appendfsync": "no",
            "save": "",
        }
        self._process = launch(self._directory, options)
        wait_until(self.answers, f"the node at {self.port} answers")
        self.id = self.ask("CLUSTER", "MYID").decode()

    def answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except RedisError:
            return False

    def ask(self, *words: Any) -> Any:
        with Redis(port=self.port, socket_timeout=20) as client:
            return client.execute_command(*words)

    def replicate(self) -> None:
        """Wait until its replica has all that was written so far. WAIT waits for the writes of its
        own connection only."""
        written = self._replication()["master_repl_offset"]
        wait_until(lambda: self._replication()["slave0"]["offset"] >= written, "it is replicated")

    def _replication(self) -> Any:
        with Redis(port=self.port, socket_timeout=20) as client:
            return client.info("replication")

    def stop(self) -> None:
        """SIGSTOP: it is there, and says nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class RedisCluster:
    """Masters with equal shares of the slots; the first `replicas` of them have one replica each.

    Nodes make no failover of their own, so that a busy machine makes none: `fail_over` does.
    """

    def __init__(
        self, directory: Path, *, masters: int = 3, replicas: int = 0, timeout_ms: int = 5_000
    ) -> None:
        ports = free_ports(2 * (masters + replicas))
        nodes = [
            ClusterNode(directory / f"node-{n}", *pair, timeout_ms=timeout_ms)
            for n, pair in enumerate(zip(ports[::2], ports[1::2], strict=True))
        ]
        self.masters, self.replicas = nodes[:masters], nodes[masters:]

    @property
    def nodes(self) -> list[ClusterNode]:
        return [*self.masters, *self.replicas]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        count = len(self.masters)
        for number, node in enumerate(self.masters):
            first, last = SLOTS * number // count, SLOTS * (number + 1) // count - 1
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", self.masters[0].port, self.masters[0].bus_port)
        wait_until(lambda: all(map(self._whole, self.nodes)), "the nodes have met")
        for replica, master in zip(self.replicas, self.masters, strict=False):
            replica.ask("CLUSTER", "REPLICATE", master.id)
        wait_until(lambda: all(map(self._synced, self.replicas)), "the replicas have the data")
        wait_until(lambda: all(map(self._complete, self.nodes)), "all nodes know the replicas")

    def close(self) -> None:
        for node in self.nodes:
            node.kill()

    # ---- looking

    def owner(self, key: str) -> ClusterNode:
        """The master that has a key's slot, by the map of the first node that answers."""
        return self.owner_of(key_slot(key.encode()))

    def owner_of(self, slot: int) -> ClusterNode:
        for node in self.nodes:
            if node.answers():
                for first, last, (_, port, *_), *_ in node.ask("CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        return next(one for one in self.nodes if one.port == port)
        raise AssertionError(f"nobody has slot {slot}")

    def names_on(self, node: ClusterNode, count: int, *, prefix: str = "up") -> list[str]:
        """Ids of uploads whose journals this master has."""
        found = []
        for number in range(SLOTS):
            name = f"{prefix}-{number}"
            if self.owner(f"{{{name}}}") is node:
                found.append(name)
                if len(found) == count:
                    break
        return found

    # ---- moving and failing

    def begin_move(self, slot: int, source: ClusterNode, target: ClusterNode) -> None:
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)

    def move_keys(self, slot: int, source: ClusterNode, target: ClusterNode) -> int:
        """Those that are there now; how many they were."""
        moved = 0
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 20_000, "KEYS", *keys)
            moved += len(keys)
        return moved

    def end_move(self, slot: int, target: ClusterNode) -> None:
        others = [master for master in self.masters if master is not target]
        for node in (target, *others):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)

    def move(self, slots: Iterable[int], source: ClusterNode, target: ClusterNode) -> None:
        for slot in slots:
            self.begin_move(slot, source, target)
            self.move_keys(slot, source, target)
            self.end_move(slot, target)

    def fail_over(self, master: ClusterNode) -> ClusterNode:
        """Its replica is the master from now on; whether or not the old one lives."""
        number = self.masters.index(master)
        replica = self.replicas[number]
        replica.ask("CLUSTER", "FAILOVER", "TAKEOVER")
        self.masters[number], self.replicas[number] = replica, master

        def known() -> bool:
            living = [node for node in self.nodes if node.answers()]
            slot = SLOTS * number // len(self.masters)
            return all(_port_of(node, slot) == replica.port for node in living)

        wait_until(known, "every node knows the new master")
        return replica

    @contextmanager
    def cut_off(self, replica: ClusterNode) -> Iterator[None]:
        """For the length of the block the replica is told nothing of what its master takes."""
        master = self.masters[self.replicas.index(replica)]
        os.kill(replica.pid, signal.SIGSTOP)
        master.ask("CLIENT", "KILL", "TYPE", "replica")  # nothing more waits in its socket
        try:
            yield
        finally:
            os.kill(replica.pid, signal.SIGCONT)

    # ---- within

    def _whole(self, node: ClusterNode) -> bool:
        info = node.ask("CLUSTER", "INFO")
        known = b"cluster_known_nodes:%d\r\n" % len(self.nodes)
        return b"cluster_state:ok" in info and known in info

    def _complete(self, node: ClusterNode) -> bool:
        rows = node.ask("CLUSTER", "SLOTS")
        return sum(len(row) - 2 for row in rows) == len(self.nodes)

    @staticmethod
    def _synced(node: ClusterNode) -> bool:
        return b"master_link_status:up" in bytes(_raw_info(node))


def _raw_info(node: ClusterNode) -> bytes:
    with Redis(port=node.port) as client:
        client.response_callbacks.pop("INFO", None)
        return bytes(client.execute_command("INFO", "replication"))


def _port_of(node: ClusterNode, slot: int) -> int:
    for first, last, (_, port, *_), *_ in node.ask("CLUSTER", "SLOTS"):
        if first <= slot <= last:
            return int(port)
    return 0
