"""A Cluster and Sentinels over TLS, with certificates of an authority that only the URL names."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from sse_progress.runtime.redis.client import connect
from tests.helpers.certificates import make_certificate
from tests.helpers.processes import bound
from tests.helpers.redis_cluster import free_ports
from tests.helpers.waiting import wait_until


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `key` and `certificate` of 127.0.0.1, which is its own authority."""
    place = tmp_path_factory.mktemp("tls")
    make_certificate(place)
    return place


class Servers:
    """Redis servers that speak TLS alone."""

    def __init__(self, stack: ExitStack, certificate: Path, directory: Path) -> None:
        self._stack, self._certificate, self._directory = stack, certificate, directory
        self.bus_ports: dict[int, int] = {}

    def start(self, *words: str, file: str = "") -> int:
        """The port of one more; `file`: what a Sentinel's has besides."""
        port, bus_port = free_ports(2)
        self.bus_ports[port] = bus_port
        place = self._directory / str(port)
        place.mkdir()
        options = {
            "port": "0",
            "tls-port": str(port),
            "bind": "127.0.0.1",
            "dir": str(place),
            "tls-cert-file": str(self._certificate / "certificate"),
            "tls-key-file": str(self._certificate / "key"),
            "tls-ca-cert-file": str(self._certificate / "certificate"),
            "tls-auth-clients": "no",
            "tls-replication": "yes",
            "cluster-port": str(bus_port),  # else its port + 10,000, which may be none
            "logfile": str(place / "log"),
        }
        (place / "conf").write_text("".join(f"{k} {v}\n" for k, v in options.items()) + file)
        process = subprocess.Popen(bound(["redis-server", str(place / "conf"), *words]))
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        wait_until(lambda: self._answers(port), f"the server at {port} answers")
        return port

    def client(self, port: int) -> Redis:
        return Redis(
            host="127.0.0.1",
            port=port,
            ssl=True,
            ssl_ca_certs=str(self._certificate / "certificate"),
            retry=Retry(NoBackoff(), 0),
        )

    def _answers(self, port: int) -> bool:
        try:
            with self.client(port) as client:
                return bool(client.ping())
        except (RedisError, OSError, ssl.SSLError):
            return False


@pytest.fixture
def servers(certificate: Path, short_dir: Path) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack, certificate, short_dir)


async def writes(url: str) -> bool:
    async with connect(url) as redis:
        await redis.set("sp:{a}:x", "1")
        return bool(await redis.get("sp:{a}:x") == b"1")


async def test_a_cluster(servers: Servers, certificate: Path) -> None:
    """Also the nodes that the first one names are asked over TLS; without the authority none is."""
    words = ("--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-node-timeout", "2000")
    ports = [servers.start(*words) for _ in range(2)]
    for port, (first, last) in zip(ports, ((0, 8191), (8192, 16383)), strict=True):
        servers.client(port).execute_command("CLUSTER ADDSLOTSRANGE", first, last)
    met = (ports[1], servers.bus_ports[ports[1]])
    servers.client(ports[0]).execute_command("CLUSTER MEET", "127.0.0.1", *met)
    for port in ports:
        wait_until(
            lambda port=port: servers.client(port).cluster("INFO")["cluster_state"] == "ok",
            "the Cluster is whole",
        )
    url = f"rediss+cluster://127.0.0.1:{ports[0]}"
    named = f"{url}?ssl_ca_certs={certificate / 'certificate'}"
    assert await writes(named)
    async with connect(named) as redis:
        for n in range(20):  # slots of both nodes
            await redis.set(f"sp:{{{n}}}", n)
    assert all(servers.client(port).dbsize() for port in ports)
    with pytest.raises((RedisError, OSError)):
        await writes(url)


async def test_sentinels(servers: Servers, certificate: Path) -> None:
    """Sentinel and master both by TLS, with the authority that the URL names."""
    master = servers.start()
    sentinel = servers.start("--sentinel", file=f"sentinel monitor uploads 127.0.0.1 {master} 1\n")
    url = f"rediss+sentinel://127.0.0.1:{sentinel}/uploads"
    assert await writes(f"{url}?ssl_ca_certs={certificate / 'certificate'}")
    assert servers.client(master).dbsize() == 1
    with pytest.raises((RedisError, OSError)):
        await writes(url)
