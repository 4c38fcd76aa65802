"""A real clamd with a hand-made database, started in a directory of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket

import pytest

from tests.helpers.processes import bound
from tests.helpers.waiting import wait_until

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
STREAM_LIMIT_BYTES = 1024 * 1024


class Clamd:
    """`address` is what `SSE_PROGRESS_CLAMD` takes. Streams of more than 1 MiB are refused."""

    def __init__(self, folder: Path) -> None:
        self._program = shutil.which("clamd", path=f"{os.environ['PATH']}:/usr/sbin")
        if self._program is None:
            pytest.skip("clamd is not installed (Debian: clamav-daemon)")
        self._folder = folder
        self._socket = folder / "s"
        self._process: subprocess.Popen[bytes] | None = None
        database = folder / "db"
        database.mkdir()
        (database / "test.ndb").write_text(f"Eicar-Test-Signature:0:*:{EICAR.hex()}\n")
        (folder / "clamd.conf").write_text(
            f"Foreground yes\nLocalSocket {self._socket}\nDatabaseDirectory {database}\n"
            f"TemporaryDirectory {folder}\nLogFile {folder}/log\n"
            f"StreamMaxLength {STREAM_LIMIT_BYTES}\n"
        )

    @property
    def address(self) -> str:
        return f"unix:{self._socket}"

    def start(self) -> None:
        assert self._program is not None
        self._socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            bound([self._program, "--config-file", str(self._folder / "clamd.conf")]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, "clamd answers")

    def _answers(self) -> bool:
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            raise AssertionError(f"clamd ended with {code}: {(self._folder / 'log').read_text()}")
        with socket(AF_UNIX, SOCK_STREAM) as connection:
            try:
                connection.connect(str(self._socket))
                connection.sendall(b"zPING\0")
                return connection.recv(16) == b"PONG\0"
            except OSError:
                return False

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(60)

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
