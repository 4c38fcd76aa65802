"""One large body: CPU of the receiving process per GiB, and how far its memory grows."""

from __future__ import annotations

import http.client
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.processes import cpu_s, free_port, resident_kb, running, service

BOUNDARY = "bench-boundary"
PIECE = bytes(range(256)) * 4096


def body(size: int) -> tuple[int, Iterator[bytes]]:
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()

    def pieces() -> Iterator[bytes]:
        yield head
        for _ in range(size // len(PIECE)):
            yield PIECE
        yield tail

    return len(head) + size // len(PIECE) * len(PIECE) + len(tail), pieces()


def send(port: int, size: int, headers: dict[str, str]) -> int:
    length, pieces = body(size)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request(
        "POST",
        "/upload",
        body=pieces,
        headers={
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Content-Length": str(length),
            **headers,
        },
    )
    status = connection.getresponse().status
    connection.close()
    return status


def measure(pid: int, port: int, size: int, headers: dict[str, str]) -> dict[str, float]:
    send(port, 64 * 1024**2, headers)  # memory is touched for the first time here
    before_kb, peak_kb = resident_kb(pid), 0
    over = threading.Event()

    def look() -> None:
        nonlocal peak_kb
        while not over.wait(0.02):
            peak_kb = max(peak_kb, resident_kb(pid))

    looking = threading.Thread(target=look)
    looking.start()
    began_cpu, began = cpu_s(pid), time.monotonic()
    status = send(port, size, headers)
    took, cost = time.monotonic() - began, cpu_s(pid) - began_cpu
    over.set()
    looking.join()
    if status >= 500:
        raise RuntimeError(f"answered {status}")
    gib = size / 1024**3
    return {
        "cpu_s_per_gib": cost / gib,
        "seconds_per_gib": took / gib,
        "memory_growth_mb": max(peak_kb - before_kb, 0) / 1024,
    }


def ours(size: int) -> dict[str, float]:
    with (
        tempfile.TemporaryDirectory() as place,
        service(Path(place) / "data", max_upload_bytes=str(4 * 1024**3), log_level="error") as (
            port,
            roles,
        ),
    ):
        return measure(roles["web"][0], port, size, {"Prefer": "respond-async"})


def usual(size: int) -> dict[str, float]:
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as place,
        running(["-m", "bench.peers.starlette_form_server", str(port), place], port=port) as pid,
    ):
        return measure(pid, port, size, {})


def run(*, quick: bool) -> dict[str, Any]:
    size, rounds = (256 * 1024**2, 1) if quick else (1024**3, 3)
    ways = {"sse_progress (SHA-256, synced, journal)": ours, "Starlette form() and a copy": usual}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way(size))
    return {
        name: {key: round(statistics.median(row[key] for row in rows), 2) for key in rows[0]}
        for name, rows in found.items()
    }
