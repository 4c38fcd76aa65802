"""Hosts that share a Redis and a bucket, and no disk: web here, workers there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.helpers.processes import bound
from tests.helpers.service import ROOT
from tests.helpers.waiting import wait_until


class WorkerHost:
    """A `sse-progress worker` with a data directory of its own."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        self.data_dir = directory / "data"
        self.env = {**env, "SSE_PROGRESS_DATA_DIR": str(self.data_dir)}
        self._log = directory / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        begins = self._log.stat().st_size if self._log.exists() else 0
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SSE_PROGRESS_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                bound([sys.executable, "-m", "sse_progress", "worker"]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**kept, "PYTHONPATH": str(ROOT), **self.env},
                cwd=self.data_dir,
                start_new_session=True,
            )
        process = self._process
        wait_until(
            lambda: (
                b"worker ready" in self._log.read_bytes()[begins:] or process.poll() is not None
            ),
            f"a worker is ready, see {self._log}",
        )
        assert process.poll() is None, self.log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def files(self) -> list[str]:
        """What lies where attempts work."""
        work = self.data_dir / "work"
        return sorted(str(path.relative_to(work)) for path in work.rglob("*") if path.is_file())

    def end(self, sig: int = signal.SIGTERM) -> None:
        """With SIGKILL its children go too, as with a host."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        if sig == signal.SIGKILL:
            os.killpg(process.pid, sig)
        else:
            process.send_signal(sig)
        process.wait(timeout=60)

    def __enter__(self) -> WorkerHost:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
