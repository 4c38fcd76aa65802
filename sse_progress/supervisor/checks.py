"""What `serve` looks at on its machine before and while it starts."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from urllib.parse import urlsplit

from sse_progress.supervisor.listen_socket import local_url

__all__ = ["Failed", "check_writable", "healthy", "own_directory", "unreachable"]


class Failed(Exception):
    """The service cannot go on: one line for a person, and the exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def check_writable(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = directory / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise Failed(
            f"{directory} cannot be written ({error.strerror}). Choose another --data-dir "
            "(SSE_PROGRESS_DATA_DIR), or make it yours.",
            2,
        ) from None


def own_directory(data_dir: Path) -> Path:
    """`run/<pid>` for what lives as long as this process; what dead ones left is removed."""
    run = data_dir / "run"
    run.mkdir(mode=0o700, exist_ok=True)
    for left in run.iterdir():
        if not Path(f"/proc/{left.name}").exists():
            shutil.rmtree(left, ignore_errors=True)
    own = run / str(os.getpid())
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(mode=0o700)
    return own


def unreachable(places: str, *, timeout_s: float = 2.0) -> str | None:
    """Why there is no answer at any of `places`, a socket's path or host:port, separated by commas;
    None if there is one."""
    why = None
    for place in [places] if places.startswith("/") else places.split(","):
        try:
            _knock(place, timeout_s)
        except OSError as error:
            why = error.strerror or "no answer"
        else:
            return None
    return why


def _knock(place: str, timeout_s: float) -> None:
    if place.startswith("/"):
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(place)
        return
    host, _, port = place.rpartition(":")
    socket.create_connection((host, int(port)), timeout_s).close()


def healthy(listening: socket.socket, prefix: str, *, timeout_s: float = 2.0) -> bool:
    """Whether `GET /healthz` answers 200 on the listening socket's own address."""
    parts = urlsplit(local_url(listening))
    request = f"GET {prefix}/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((str(parts.hostname), parts.port or 0), timeout_s) as wire:
            wire.sendall(request.encode())
            return wire.recv(64).split(b" ", 2)[1:2] == [b"200"]
    except OSError:
        return False
