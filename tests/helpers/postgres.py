"""A real PostgreSQL of a test's own, on a unix socket, without TCP."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from tests.helpers.processes import bound, descendants
from tests.helpers.waiting import wait_until

USER = "postgres"


def _program(name: str) -> str:
    """Debian keeps them out of PATH, by version."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    program = str(found[-1]) if found else shutil.which(name)
    if program is None:
        raise RuntimeError("install postgresql: scripts/test does")
    return program


class PostgresServer:
    """One server that a test starts, kills (what was committed stays), stops and continues.

    It does not run as root, so a test that does has it run as `postgres`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "pg"
        self.directory.mkdir()
        self._as: str | None = None
        if os.getuid() == 0:
            self._as = USER
            directory.chmod(0o711)
            os.chown(self.directory, pwd.getpwnam(USER).pw_uid, -1)
        self._data = self.directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        options = ["--auth=trust", "--no-sync", f"--username={USER}", "-E", "UTF8", "--locale=C"]
        subprocess.run(
            [_program("initdb"), *options, "-D", str(self._data)],
            user=self._as,
            check=True,
            capture_output=True,
            cwd="/",
        )

    def start(self) -> None:
        options = ["fsync=off", "listen_addresses=", f"unix_socket_directories={self.directory}"]
        options += ["autovacuum=off", "max_connections=40"]
        words = [word for option in options for word in ("-c", option)]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                bound([_program("postgres"), "-D", str(self._data), *words]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._as,
                process_group=0,
                cwd="/",
            )
        wait_until(self.answers, "PostgreSQL answers")

    def answers(self) -> bool:
        try:
            self.connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            dbname=database, host=str(self.directory), user=USER, connect_timeout=2, autocommit=True
        )

    def new_database(self) -> str:
        """URL of an empty one."""
        name = f"t{secrets.token_hex(4)}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://{USER}@/{name}?host={self.directory}"

    def kill(self) -> None:
        """kill -9 of all its processes."""
        if self._process is not None:
            self._send(signal.SIGKILL)
            self._process.wait()
            self._process = None
            (self._data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """SIGSTOP: it is there, and says nothing."""
        self._send(signal.SIGSTOP)

    def cont(self) -> None:
        """SIGCONT."""
        self._send(signal.SIGCONT)

    close = kill

    def _send(self, number: int) -> None:
        """To all of them: each is a session of its own."""
        assert self._process is not None
        for pid in (self._process.pid, *descendants(self._process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
