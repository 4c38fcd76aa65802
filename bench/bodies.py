"""Bodies: what it costs a server to take a file in, and how far its memory grows.

All peers compute the SHA-256 of what comes, but nginx, which cannot, and Gradio, which hashes in
its own way. Only ours parses, hashes, syncs, journals and queues.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import load, peers
from bench.peers import nginx, node
from bench.places import ours, pinned, place, tree
from bench.processes import cpu_s, free_port, resident_kb
from bench.resumable import in_patches


@dataclass(frozen=True)
class Target:
    port: int
    pids: list[int]
    files: Path
    path: str = "/upload"
    mode: str = "multipart"
    headers: tuple[str, ...] = ()


@contextmanager
def our_target() -> Iterator[Target]:
    with ours() as service:
        headers = ("Prefer: respond-async",)
        yield Target(service.port, [service.pid], service.data, headers=headers)


@contextmanager
def c_floor(mode: str = "hash") -> Iterator[Target]:
    port = free_port()
    with place() as files:
        command = [load.built("ingest_floor"), str(port), str(files), mode, "1024"]
        with pinned(command, port=port) as pid:
            yield Target(port, [pid], files)


@contextmanager
def nginx_body() -> Iterator[Target]:
    port = free_port()
    with place() as files, pinned(nginx.command(nginx.BODIES, files, port), port=port) as pid:
        yield Target(port, tree(pid), files, mode="raw-POST")


@contextmanager
def _server(command: list[str], *, path: str = "/upload", settle_s: float = 1) -> Iterator[Target]:
    """`{port}` and `{files}` in the command are filled in; temporary files go to memory too."""
    port = free_port()
    with place() as files:
        filled = [word.format(port=port, files=files) for word in command]
        env = {"TMPDIR": str(files), "GRADIO_TEMP_DIR": str(files), **peers.QUIET}
        with pinned(filled, port=port, env=env, settle_s=settle_s) as pid:
            yield Target(port, tree(pid), files, path=path)


def form() -> AbstractContextManager[Target]:
    module = "bench.peers.starlette_form_server"
    return _server([peers.PYTHON, "-m", module, "{port}", "{files}"])


def busboy() -> AbstractContextManager[Target]:
    return _server([*node.command("busboy.mjs"), "{port}", "{files}"])


def tus() -> AbstractContextManager[Target]:
    return _server([*node.command("tus.mjs"), "{port}", "{files}", "sha256"])


def gradio() -> AbstractContextManager[Target]:
    script = str(Path(peers.__file__).with_name("gradio_server.py"))
    command = [peers.gradio_python(), script, "{port}"]
    return _server(command, path="/gradio_api/upload", settle_s=4)


TARGETS = {
    "ours": our_target,
    "form": form,
    "busboy": busboy,
    "nginx": nginx_body,
    "c_floor": c_floor,
    "tus": tus,
    "gradio": gradio,
}


class Peak:
    """The most memory that the processes hold while it is open, above what they held before."""

    def __init__(self, pids: list[int]) -> None:
        self._pids, self._over = pids, threading.Event()
        self._before_kb = self._most_kb = self._now()
        self._thread = threading.Thread(target=self._look)

    @property
    def grown_mb(self) -> float:
        return (self._most_kb - self._before_kb) / 1024

    def _now(self) -> int:
        return sum(resident_kb(pid) for pid in self._pids)

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self._most_kb = max(self._most_kb, self._now())

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def send(target: Target, name: str, *, size: int, count: int, at_once: int, pattern: str) -> None:
    if name == "tus":
        if count != 1:
            raise ValueError("tus is measured with one file")
        in_patches(target.port, size)
        return
    load.upload(
        target.port,
        target.path,
        size=size,
        count=count,
        at_once=at_once,
        pattern=pattern,
        mode=target.mode,
        headers=target.headers,
    )


def measure(
    target: Target,
    name: str,
    *,
    size: int,
    count: int = 1,
    at_once: int = 1,
    pattern: str = "random",
    warm: bool = True,
) -> dict[str, float]:
    forget(target)
    first = max(at_once, min(count, 30))
    if warm:  # memory, also that of files, is touched for the first time here
        send(target, name, size=size, count=first, at_once=at_once, pattern="random")
        forget(target)
    began, began_s = sum(map(cpu_s, target.pids)), time.monotonic()
    with Peak(target.pids) as peak:
        send(target, name, size=size, count=count, at_once=at_once, pattern=pattern)
    cpu = sum(map(cpu_s, target.pids)) - began
    return {
        "cpu_s": cpu,
        "cpu_ms_per_upload": cpu * 1000 / count,
        "cpu_s_per_gib": cpu / (size * count / 1024**3),
        "wall_s": time.monotonic() - began_s,
        "memory_growth_mb": peak.grown_mb,
    }


def forget(target: Target) -> None:
    """Files of earlier rounds go: the memory for files is not what is measured."""
    for path in target.files.glob("**/*"):
        if path.is_file() and path.stat().st_size >= 64 * 1024 and "redis" not in str(path):
            path.unlink(missing_ok=True)


def ingest(
    names: list[str], *, rounds: int, size: int, count: int = 1, at_once: int = 1
) -> dict[str, list[dict[str, float]]]:
    """In turn: every round starts each server again."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            with TARGETS[name]() as target:
                row = measure(target, name, size=size, count=count, at_once=at_once)
            found[name].append(row)
    return found


def hostile(*, size: int, rounds: int) -> list[dict[str, float]]:
    """Random content, then near-boundaries everywhere; the ratio is of the same process."""
    rows = []
    with our_target() as target:
        measure(target, "ours", size=size)
        for _ in range(rounds):
            random = measure(target, "ours", size=size, warm=False)["cpu_s"]
            near = measure(target, "ours", size=size, pattern="crlf", warm=False)["cpu_s"]
            rows.append({"random_cpu_s": random, "hostile_cpu_s": near, "ratio": near / random})
    return rows
