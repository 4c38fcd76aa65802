"""The private Redis: which directory, which arguments, and whether it answers.

It owns the data directory's lock and knows nothing of restarts; the supervisor runs the command.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import socket
import stat
import time
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from sse_progress.supervisor.redis_binaries import (
    Binary,
    PrivateRedisError,
    choose,
    find_binaries,
)

__all__ = ["PASSWORD_FILE", "DataDirLock", "PrivateRedis"]

SOCKET_PATH_LIMIT_BYTES = 100
"""A unix socket's path fits in 107 bytes (unix(7)); some clients need a few for themselves."""
LOG_LIMIT_BYTES = 1024 * 1024
REMNANT_WAIT_S = 10.0
PASSWORD_FILE = "password"  # noqa: S105  # a name
"""Beside the server's files, which only its user may open, and no stage."""
TMP = Path("/tmp")  # noqa: S108  # what is taken from it is looked at first


# ---- one at a time


class DataDirLock:
    """Who serves a data directory: an advisory lock (flock(2)) that lives as long as its holders.

    The descriptor is handed to the private server too, so that after a crash no process opens its
    files before it has really ended.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def take(cls, directory: Path, *, wait_s: float = REMNANT_WAIT_S) -> DataDirLock:
        """Take the lock or raise PrivateRedisError at once if a living `serve` has it.

        If its `serve` is dead and only a remnant holds it, wait up to `wait_s` seconds for that.
        """
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid, address = _read_holder(descriptor)
                if _exists(pid) or time.monotonic() > deadline:
                    os.close(descriptor)
                    raise PrivateRedisError(_taken(directory.parent, pid, address)) from None
                time.sleep(0.02)
            else:
                return cls(descriptor)

    def sign(self, address: str) -> None:
        """Write down who holds it and where it listens, for a second process."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{os.getpid()}\n{address}\n".encode(), 0)

    def release(self) -> None:
        os.close(self.descriptor)


def _read_holder(descriptor: int) -> tuple[int, str]:
    pid, _, address = os.pread(descriptor, 300, 0).decode("utf-8", "replace").partition("\n")
    return (int(pid) if pid.isdigit() else 0), address.strip()


def _exists(pid: int) -> bool:
    if pid == 0:  # not signed yet, so just being taken
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _taken(data_dir: Path, pid: int, address: str) -> str:
    who = f" (process {pid}{', ' + address if address else ''})" if pid else ""
    return (
        f"Another sse-progress serve{who} uses {data_dir}. End it, choose another --data-dir, or "
        "point both at one Redis with SSE_PROGRESS_REDIS_URL."
    )


# ---- the server


class PrivateRedis:
    """A server on a unix socket in `<data_dir>/redis`, with its append-only file there.

    No TCP; nothing is evicted; what a crash of the machine can cost is the last second. `command`
    is to be run in `directory`, with ENVIRONMENT and `lock.descriptor` inherited, and to be told
    `configuration`. It asks for a password, of which `PASSWORD_FILE` tells the operator's commands.
    """

    def __init__(self, directory: Path, binary: Binary, lock: DataDirLock) -> None:
        self.directory = directory
        self.binary = binary
        self.lock = lock
        self.socket_path = _socket_path(directory)
        self._password = secrets.token_hex(32)

    @classmethod
    def prepare(cls, data_dir: Path) -> PrivateRedis:
        """Lock the directory and choose a binary that can read it; raises PrivateRedisError."""
        directory = data_dir.resolve() / "redis"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = DataDirLock.take(directory)
        try:
            binary = choose(directory, find_binaries())
            redis = cls(directory, binary, lock)
            redis._clear()
            redis._write_password()
        except BaseException:
            lock.release()
            raise
        return redis

    @property
    def url(self) -> str:
        """For redis-py, and for the web and worker processes' environment."""
        return f"unix://:{self._password}@{quote(str(self.socket_path))}"

    @property
    def configuration(self) -> bytes:
        """What stands on no command line, where everybody could read it."""
        return f"requirepass {self._password}\n".encode()

    @property
    def log_path(self) -> Path:
        return self.directory / "redis.log"

    @property
    def command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": ".",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "warning",
            "logfile": self.log_path.name,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [self.binary.path, *words, "-"]

    def probe(self, *, timeout_s: float = 1.0) -> Literal["ready", "loading", "away"]:
        """Ask it once: `loading` means that it is reading its files and will answer later."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            try:
                connection.connect(str(self.socket_path))
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as answers:
                    said = (answers.readline(512), answers.readline(512))
            except OSError:
                return "away"
        if said[0].startswith(b"+OK") and said[1].startswith(b"+PONG"):
            return "ready"
        return "loading" if b"-LOADING" in (line[:8] for line in said) else "away"

    def last_words(self) -> str:
        """The last line of its log, without date and process id; empty if there is none."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(log.seek(0, os.SEEK_END) - 4096, 0))
                lines = log.read().decode("utf-8", "replace").split("\n")
        except OSError:
            return ""
        line = next((line for line in reversed(lines) if line.strip()), "")
        return re.sub(r"^.*? [#*.-] ", "", line).strip()[:300]

    def wrote(self) -> None:
        """Note who writes these files from now on; an older server could not read them."""
        version = ".".join(map(str, self.binary.version))
        (self.directory / "written-by").write_text(f"{self.binary.kind} {version}\n")

    def _write_password(self) -> None:
        new = self.directory / f"{PASSWORD_FILE}.new"
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(self._password)
        new.rename(self.directory / PASSWORD_FILE)

    def _clear(self) -> None:
        self.socket_path.unlink(missing_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_LIMIT_BYTES:
            self.log_path.unlink()


def _socket_path(directory: Path) -> Path:
    path = directory / "redis.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return _private_tmp() / f"{digest}.sock"


def _private_tmp() -> Path:
    """A directory under /tmp that no other user can have made, entered or prepared."""
    path = TMP / f"sse-progress-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PrivateRedisError(
            f"{path} must be a directory that only you can enter. Remove it, or choose "
            "a shorter --data-dir."
        )
    return path
