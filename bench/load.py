"""The load: two C programs that keep up on one core, and the floors in C. gcc makes them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.processes import ROOT

SOURCES = Path(__file__).parent / "c"
BUILT = ROOT / ".cache" / "bench"
LIBRARIES = {"ingest_floor": ["-l:libcrypto.so.3"]}


def built(name: str) -> str:
    """The program's path; compiled if its source is newer."""
    source, target = SOURCES / f"{name}.c", BUILT / name
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        BUILT.mkdir(parents=True, exist_ok=True)
        command = ["gcc", "-O2", "-w", "-o", str(target), str(source), *LIBRARIES.get(name, [])]
        subprocess.run(command, check=True)
    return str(target)


class Readers:
    """`count` open streams. A delivered event is one that holds `TS=<monotonic nanoseconds>`."""

    def __init__(self, port: int, path: str, count: int) -> None:
        """`path` may hold one `%d`, the number of the connection. Returns once all have answers."""
        self.count = count
        self._process = subprocess.Popen(
            [built("sse_client"), "127.0.0.1", str(port), str(count), path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        ready = self._process.stdout.readline()
        if not ready.startswith("READY"):
            raise RuntimeError(f"readers: {self._process.stderr.read()}")
        self.open_s = float(ready.split()[2])

    def begin(self, events: int, *, limit_s: float) -> None:
        """Count from zero, until `events` deliveries or the limit."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"phase {events} {limit_s}\n")
        if self._process.stdout.readline() != "GO\n":
            raise RuntimeError("readers do not answer")

    def end(self) -> dict[str, Any]:
        """What arrived: `events`, `p50_us`, `p99_us`, `reads` and more."""
        assert self._process.stdout
        found = json.loads(self._process.stdout.readline())
        if found["events"] < found["expect"]:
            raise RuntimeError(f"{found['events']} of {found['expect']} events arrived")
        assert isinstance(found, dict)
        return found

    def phase(self, events: int, publish: Callable[[], None], *, limit_s: float = 60) -> Any:
        self.begin(events, limit_s=limit_s)
        publish()
        return self.end()

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def upload(
    port: int,
    path: str,
    *,
    size: int,
    count: int = 1,
    at_once: int = 1,
    pattern: str = "random",
    mode: str = "multipart",
    headers: tuple[str, ...] = (),
) -> dict[str, float]:
    """Send `count` files; `mode` is `multipart`, `raw-POST` or `raw-PUT`. Every answer is a 2xx."""
    done = subprocess.run(
        [
            *(built("upload_client"), "127.0.0.1", str(port), mode, path),
            *(str(size), str(count), str(at_once), pattern, *headers),
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"upload: {done.stderr[:300]}")
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found
