"""A running `sse-progress serve`: its own port, data directory and environment."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.helpers.processes import alive, began_at, bound, children, command, descendants
from tests.helpers.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
SERVE = (sys.executable, "-m", "sse_progress", "serve")
_READY = re.compile(r'^(Ready|.*"event": ?"Ready)', re.MULTILINE)
_ADDRESS = re.compile(r"http://[\w.\[\]:]+:\d+")


def _role(words: list[str]) -> str | None:
    if words and "server" in words[0]:
        return "redis"  # redis-server or valkey-server
    return next((role for role in ("web", "worker") if role in words), None)


class Service:
    """The whole service as a user starts it.

        with Service(tmp_path, {"SSE_PROGRESS_WEB_PROCESSES": "2"}) as service:
            httpx.get(f"{service.url}/healthz")

    There is no archive (it costs each service half a second of CPU) unless `env` has a URL.
    `env` may be changed before `start()`; an empty value unsets a variable. After `stop()`
    or a kill `start()` begins again on the same port and data. `log` has what all its processes
    wrote. Nothing of it survives `close()`, and `close()` fails if anything did.
    """

    def __init__(
        self,
        directory: Path,
        env: Mapping[str, str] | None = None,
        *,
        arguments: tuple[str, ...] = (),
        command: tuple[str, ...] = SERVE,
        start_timeout_s: float = 120,
    ) -> None:
        self.data_dir = directory / "data"
        self.log_path = directory / "serve.log"
        self.env = {
            "SSE_PROGRESS_PORT": "0",
            "SSE_PROGRESS_DATA_DIR": str(self.data_dir),
            "SSE_PROGRESS_ARCHIVE_URL": "off",
            **(env or {}),
        }
        self.arguments = arguments
        self.command = command
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._directory = directory
        self._start_timeout_s = start_timeout_s
        self._seen: dict[int, str] = {}
        self._log_start = 0

    # ---- life

    def start(self) -> None:
        """Start and wait until it says that it is ready; fails with the log if it does not."""
        process = self.launch()
        wait_until(
            lambda: process.poll() is not None or self.ready,
            f"serve is ready, see {self.log_path}",
            timeout_s=self._start_timeout_s,
        )
        if process.poll() is not None:
            raise AssertionError(f"serve ended with {process.returncode}:\n{self.log}")
        found = _ADDRESS.search(self.log)
        assert found is not None, f"no address in the log:\n{self.log}"
        self.url = found.group() + self.env.get("SSE_PROGRESS_PREFIX", "")
        self.env["SSE_PROGRESS_PORT"] = found.group().rpartition(":")[2]
        self.pids()

    def launch(self) -> subprocess.Popen[bytes]:
        """Start it and wait for nothing."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                bound([*self.command, *self.arguments]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                cwd=self._directory,
                start_new_session=True,
            )
        return self.process

    @property
    def ready(self) -> bool:
        """It has said that all its parts are ready."""
        return _READY.search(self.log) is not None

    def stop(self, sig: int = signal.SIGTERM, *, timeout_s: float = 90) -> int:
        """Send `sig` to the supervisor and wait for its end; the exit code (negative: signal).

        After SIGKILL the rest goes down on its own; `wait_gone()` waits for that.
        """
        process = self._process()
        self.pids()
        process.send_signal(sig)
        return process.wait(timeout=timeout_s)

    def wait_gone(self, *, timeout_s: float = 60) -> None:
        """Wait until no process that this service was ever seen with is left."""
        wait_until(
            lambda: not self.left_over(), f"all of {sorted(self._seen)} ended", timeout_s=timeout_s
        )

    def left_over(self) -> list[int]:
        return [
            pid
            for pid, began in sorted(self._seen.items())
            if alive(pid) and began_at(pid) == began
        ]

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        process = self.process
        if process is None:
            return
        if process.poll() is None:
            self.pids()
            process.terminate()
            try:
                process.wait(timeout=90)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"serve did not end within 40 s:\n{self.log}") from None
        self.wait_gone()

    def __enter__(self) -> Service:
        try:
            self.start()
        except BaseException:
            if self.process is not None and self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ---- looking at it

    @property
    def log(self) -> str:
        """Everything that its processes have written since the last `start()`."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")

    def pids(self) -> dict[str, list[int]]:
        """Living processes by role: `supervisor`, `web`, `worker`, `redis`, `stage`."""
        top = self._process().pid
        found: dict[str, list[int]] = {
            "supervisor": [top] if alive(top) else [],
            "web": [],
            "worker": [],
            "redis": [],
            "stage": [],
        }
        for pid in children(top):
            words = command(pid)
            role = _role(words)
            if role is None:  # between fork and exec
                continue
            found[role].append(pid)
            found["stage"] += descendants(pid)
        for pid in itertools.chain(*found.values()):
            self._seen[pid] = began_at(pid)
        return found

    @property
    def redis_url(self) -> str:
        """Where this service's Redis listens, private or given."""
        if given := self.env.get("SSE_PROGRESS_REDIS_URL"):
            return given
        directory = self.data_dir / "redis"
        password = (directory / "password").read_text()
        return f"unix://:{password}@{directory / 'redis.sock'}"

    def files(self) -> list[str]:
        """Every file of the storage, relative to the data directory; those of Redis and of the
        archive, which is written beside the uploads, are left out."""
        found = []
        for directory, _, names in os.walk(self.data_dir):  # bears what vanishes meanwhile
            place = Path(directory).relative_to(self.data_dir)
            if place.parts[:1] not in (("redis",), ("run",), ("hosts",), ("archive",)):
                found += [str(place / name) for name in names]
        return sorted(found)

    # ---- inside

    def _process(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise RuntimeError("this service was never started")
        return self.process

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SSE_PROGRESS_")}
        kept["PYTHONPATH"] = os.pathsep.join(
            part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part
        )
        merged = {**kept, **self.env}
        return {name: value for name, value in merged.items() if value != ""}
