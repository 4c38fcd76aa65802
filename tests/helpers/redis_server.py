"""A real redis-server of a test's own, on a unix socket, without TCP."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from tests.helpers.ports import free_port
from tests.helpers.processes import bound
from tests.helpers.waiting import wait_until


class RedisServer:
    """One server that a test starts, kills (the data stays), stops (SIGSTOP) and continues.

    `url` is a `unix://` URL for redis-py and stays the same over restarts. `data_dir` holds the
    append-only files, so a test can copy it away and put an older state back.
    """

    def __init__(self, directory: Path, *, append_fsync: str = "everysec") -> None:
        self.data_dir = directory / "redis"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.socket_path = directory / "redis.sock"
        if len(os.fsencode(self.socket_path)) > 107:
            raise ValueError(f"{self.socket_path} is too long for a unix socket, limit 107 bytes")
        self.url = f"unix://{self.socket_path}"
        self._append_fsync = append_fsync
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("this Redis is not running")
        return self._process.pid

    def start(self) -> None:
        if self._process is not None:
            raise RuntimeError("this Redis is already running")
        binary = shutil.which("redis-server") or shutil.which("valkey-server")
        if binary is None:
            raise RuntimeError("install redis-server: scripts/test does")
        self.socket_path.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "dir": str(self.data_dir),
            "appendonly": "yes",
            "appendfsync": self._append_fsync,
            "save": "",
            "logfile": str(self.data_dir / "redis.log"),
        }
        arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
        self._process = subprocess.Popen(
            bound([binary, *arguments]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            process_group=0,
        )
        wait_until(self.answers, "redis-server answers PING")

    def answers(self) -> bool:
        """Whether a PING is answered within a second."""
        return self.command("PING").startswith(b"+PONG")

    def command(self, *words: str, timeout_s: float = 1) -> bytes:
        """The first piece of the raw reply to one command; empty when nobody answers."""
        parts = [word.encode() for word in words]
        request = b"*%d\r\n" % len(parts) + b"".join(
            b"$%d\r\n%b\r\n" % (len(part), part) for part in parts
        )
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            try:
                connection.connect(str(self.socket_path))
                connection.sendall(request)
                return connection.recv(65536)
            except OSError:
                return b""

    def listen_on_tcp(self) -> int:
        """Take connections at a TCP port of loopback as well, for a replica; the port."""
        known = self.command("CONFIG", "GET", "port").split(b"\r\n")
        if known[4] != b"0":
            return int(known[4])
        port = free_port()
        assert self.command("CONFIG", "SET", "port", str(port)).startswith(b"+OK")
        return port

    def flush(self) -> None:
        """Forget everything: keys, functions and scripts."""
        for words in (("FLUSHALL", "SYNC"), ("FUNCTION", "FLUSH", "SYNC"), ("SCRIPT", "FLUSH")):
            answer = self.command(*words, timeout_s=60)
            assert answer.startswith(b"+OK"), f"{words}: {answer!r}"

    def kill(self) -> None:
        """kill -9; what was written to the append-only file stays."""
        process = self._take()
        process.kill()
        process.wait()

    def shutdown(self) -> None:
        """SIGTERM: an orderly end, everything on disk."""
        process = self._take()
        process.terminate()
        process.wait(timeout=60)

    def restart(self) -> None:
        self.kill()
        self.start()

    def stop(self) -> None:
        """SIGSTOP: it is there, and says nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def cont(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it, whatever state it is in."""
        if self._process is not None:
            self.kill()

    def _take(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("this Redis is not running")
        process, self._process = self._process, None
        return process
