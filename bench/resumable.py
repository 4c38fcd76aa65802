"""Uploads in many requests: CPU and time for 1 GiB in PATCHes of 8 MiB beside the same bytes in one
POST and beside @tus/server; how long a request that went silent holds its upload; a HEAD's price.

    python -m bench.resumable [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.peers import node
from bench.places import ours, pin_load, pinned, place, web
from bench.processes import cpu_s, free_port

PIECE = 8 * 1024**2
BYTES = bytes(range(256)) * (PIECE // 256)
BOUNDARY = "bench-boundary"
TUS = {"Tus-Resumable": "1.0.0"}
PATCH = {**TUS, "Content-Type": "application/offset+octet-stream"}


class Client:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.path = ""

    def ask(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> Any:
        self._connection.request(method, path, body=body, headers=headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {said[:200]!r}")
        return answer

    def create(self, size: int) -> None:
        headers = {**TUS, "Upload-Length": str(size), "Content-Length": "0"}
        self.path = self.ask("POST", "/upload", headers).headers["Location"]
        self.path = "/" + self.path.split("/", 3)[3] if "://" in self.path else self.path

    def patch(self, offset: int, body: bytes) -> int:
        headers = {**PATCH, "Upload-Offset": str(offset), "Content-Length": str(len(body))}
        return int(self.ask("PATCH", self.path, headers, body).headers["Upload-Offset"])

    def head(self) -> int:
        return int(self.ask("HEAD", self.path, TUS).headers["Upload-Offset"])

    def close(self) -> None:
        self._connection.close()


def in_patches(port: int, size: int) -> None:
    """The last answer comes once the file is whole, stored and queued."""
    client = Client(port)
    client.create(size)
    for offset in range(0, size, PIECE):
        # `respond-async` answers the last of them without waiting for the stages
        headers = {**PATCH, "Upload-Offset": str(offset), "Prefer": "respond-async"}
        client.ask("PATCH", client.path, headers, BYTES)
    client.close()


def in_one_post(port: int, size: int) -> None:
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()

    def pieces() -> Iterator[bytes]:
        yield head
        for _ in range(size // PIECE):
            yield BYTES
        yield tail

    headers = {
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Content-Length": str(len(head) + size + len(tail)),
        "Prefer": "respond-async",
    }
    client = Client(port)
    client.ask("POST", "/upload", headers, pieces())
    client.close()


@contextmanager
def tus_server(*, sha256: bool) -> Iterator[tuple[int, int, Path]]:
    port = free_port()
    with place() as directory:
        command = [*node.command("tus.mjs"), str(port), str(directory), *["sha256"] * sha256]
        with pinned(command, port=port) as pid:
            yield port, pid, directory


def timed(pid: int, work: Callable[[], None]) -> tuple[float, float]:
    cpu, began = cpu_s(pid), time.monotonic()
    work()
    return cpu_s(pid) - cpu, time.monotonic() - began


def bodies(size: int, rounds: int) -> dict[str, Any]:
    """All servers stand side by side; the ways take turns."""
    found: dict[str, list[tuple[float, float]]] = {}
    with (
        ours() as service,
        tus_server(sha256=False) as plain,
        tus_server(sha256=True) as hashing,
    ):
        mine = service.port, service.pid, service.data
        ways = {
            "ours, PATCH": (in_patches, *mine),
            "ours, POST": (in_one_post, *mine),
            "tus": (in_patches, *plain),
            "tus with SHA-256": (in_patches, *hashing),
        }
        for number in range(rounds + 1):
            for name, (way, port, pid, files) in ways.items():
                took = timed(pid, lambda way=way, port=port: way(port, size))
                _forget(files)
                if number:  # the first round touches memory for the first time
                    found.setdefault(name, []).append(took)
                    print(f"  {name}: {took[0]:.2f} s of CPU in {took[1]:.1f} s", flush=True)
    gib = size / 1024**3
    rows = {
        name: {
            "cpu_s_per_gib": statistics.median(cpu for cpu, _ in took) / gib,
            "wall_s_per_gib": statistics.median(wall for _, wall in took) / gib,
            "raw": took,
        }
        for name, took in found.items()
    }
    ours_took = found["ours, PATCH"]
    for name, took in found.items():
        ratios = [a[0] / b[0] for a, b in zip(ours_took, took, strict=True)]
        rows[name]["ours_to_it"] = [min(ratios), statistics.median(ratios), max(ratios)]
    return rows


def _forget(files: Path) -> None:
    """Files of earlier rounds go: all of this is in memory."""
    for path in files.glob("**/*"):
        if path.is_file() and path.stat().st_size >= PIECE:
            path.unlink()


def heads(count: int, rounds: int) -> dict[str, Any]:
    """CPU microseconds of a HEAD of an upload that is half there."""
    found: dict[str, list[float]] = {"ours": [], "tus": []}
    with ours() as service, tus_server(sha256=False) as (port, pid, _):
        servers = {"ours": (service.port, service.pid), "tus": (port, pid)}
        paths = {name: _half_there(at) for name, (at, _) in servers.items()}
        for number in range(rounds + 1):
            for name, (at, server) in servers.items():
                client = Client(at)  # Node closes a connection that rests
                client.path = paths[name]
                cpu, _ = timed(server, lambda client=client: _ask_often(client, count))
                client.close()
                if number:
                    found[name].append(cpu / count * 1e6)
    return {
        name: {"cpu_us": statistics.median(costs), "raw": costs} for name, costs in found.items()
    }


def _half_there(port: int) -> str:
    client = Client(port)
    client.create(2 * PIECE)
    client.patch(0, BYTES)
    client.close()
    return client.path


def _ask_often(client: Client, count: int) -> None:
    for _ in range(count):
        if client.head() != PIECE:
            raise RuntimeError("another offset")


def takeovers(runs: int) -> dict[str, Any]:
    """Seconds from a new request until its answer, while an older one is open and silent."""
    found: dict[str, list[float]] = {"same process": [], "another process": []}
    with ours() as service, web(service.data, service.redis_url, data=service.data) as (other, _):
        for _ in range(runs):
            for name, port in {"same process": service.port, "another process": other}.items():
                found[name].append(_take_over(service.port, port))
    return {
        name: {"median_s": statistics.median(took), "worst_s": max(took), "raw": took}
        for name, took in found.items()
    }


def _take_over(first: int, second: int) -> float:
    client = Client(first)
    client.create(2 * PIECE)
    dead = http.client.HTTPConnection("127.0.0.1", first)
    dead.putrequest("PATCH", client.path)
    for name, text in {**PATCH, "Upload-Offset": "0", "Content-Length": str(2 * PIECE)}.items():
        dead.putheader(name, text)
    dead.endheaders(BYTES)
    time.sleep(0.5)  # all that was sent has arrived; the rest never will
    heir = Client(second)
    heir.path = client.path
    began = time.monotonic()
    offset = heir.head()
    took = time.monotonic() - began
    if heir.patch(offset, bytes(2 * PIECE - offset)) != 2 * PIECE:
        raise RuntimeError("the rest was not taken")
    for connection in (client, heir, dead):
        connection.close()
    return took


def run(*, quick: bool) -> dict[str, Any]:
    size, rounds = (256 * 1024**2, 3) if quick else (1024**3, 7)
    parts: dict[str, Callable[[], Any]] = {
        "bodies": lambda: bodies(size, rounds),
        "head": lambda: heads(300 if quick else 1000, rounds),
        "takeover": lambda: takeovers(3 if quick else 9),
    }
    found = {}
    for name, measure in parts.items():
        found[name] = measure()
        print(name, json.dumps(found[name]), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="256 MiB, 3 rounds")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    pin_load()
    found = run(quick=arguments.quick)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
