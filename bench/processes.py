"""Servers under measurement: started, looked at through /proc, ended by process id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HZ = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_s(pid: int) -> float:
    """User and system time of one process so far, seconds."""
    text = Path(f"/proc/{pid}/stat").read_text()
    fields = text[text.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / HZ


def resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            if int(text[text.rindex(")") + 2 :].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def role_of(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    if any(b"-server" in word for word in words[:1]):
        return "redis"
    return next((role for role in ("web", "worker") if role.encode() in words), "other")


def wait_for(port: int, *, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextmanager
def running(
    arguments: list[str], *, port: int, env: Mapping[str, str] | None = None
) -> Iterator[int]:
    """A server of ours or of a peer; its process id, once it listens."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(port)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def service(directory: Path, **settings: str) -> Iterator[tuple[int, dict[str, list[int]]]]:
    """The whole service on a free port: the port, and its processes by role."""
    port = free_port()
    env = {f"SSE_PROGRESS_{name.upper()}": value for name, value in settings.items()}
    env |= {"SSE_PROGRESS_PORT": str(port), "SSE_PROGRESS_DATA_DIR": str(directory)}
    with running(["-m", "sse_progress", "serve"], port=port, env=env) as supervisor:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            roles: dict[str, list[int]] = {"supervisor": [supervisor]}
            for pid in children(supervisor):
                roles.setdefault(role_of(pid), []).append(pid)
            if {"web", "worker", "redis"} <= set(roles) and _answers(port):
                break
            time.sleep(0.1)
        time.sleep(1)
        yield port, roles


def _answers(port: int) -> bool:
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
            return True
    except OSError:
        return False
