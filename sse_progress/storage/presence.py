"""Hosts that use a data directory, and whether each sees the locks of the others.

    hosts/<boot id>    its flock is held, shared, by every process of that host; touched as it lives

Where locks do not reach over hosts (NFS with `nolock` or `local_lock`, some FUSE file systems), the
body that one host receives looks dead to another, which would delete it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from sse_progress.storage.durable import open_private

__all__ = ["BEAT_S", "LocksNotShared", "Presence"]

BEAT_S = 5.0
"""Between two touches of a living host's file."""
FORGET_S = 24 * 3600.0


class LocksNotShared(Exception):
    """A lock that is held, by the host named, is not seen here."""


class Presence:
    """This host's share of the directory `root`. `lock` is flock, `host` the same for all processes
    that share a kernel."""

    def __init__(
        self,
        root: Path,
        *,
        host: str | None = None,
        lock: Callable[[int, int], None] = fcntl.flock,
        beat_s: float = BEAT_S,
    ) -> None:
        self._directory = root / "hosts"
        self._path = self._directory / (host or _boot_id())
        self._lock, self._beat_s = lock, beat_s
        self._descriptor: int | None = None

    def enter(self) -> None:
        """Hold this host's lock, and look at those of others. Raises LocksNotShared, or OSError.

        Blocks for some beats where another host has died within the last ones.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = open_private(self._path, os.O_RDWR | os.O_CREAT)
        try:
            os.pwrite(self._descriptor, socket.gethostname().encode(), 0)
            try:
                self._lock(self._descriptor, fcntl.LOCK_SH)
            except OSError as exc:
                raise LocksNotShared("this host") from exc
            if self._can_lock(self._path):
                raise LocksNotShared("this host")
            self.beat()
            for path in self._directory.iterdir():
                if path != self._path:
                    self._look_at(path)
        except BaseException:
            self.leave()
            raise

    def beat(self) -> None:
        """This host lives."""
        os.utime(self._path)

    def leave(self) -> None:
        """Harmless twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _look_at(self, path: Path) -> None:
        """Ages are by the file system's own clock."""
        try:
            seen, name = path.stat().st_mtime, path.read_text("utf-8", "replace")[:64]
            age_s = self._path.stat().st_mtime - seen
            if age_s > FORGET_S:
                path.unlink()
            elif age_s < 3 * self._beat_s and self._can_lock(path):
                # Dead since a moment ago, or alive and not seen: then it is touched again.
                deadline = time.monotonic() + 2.5 * self._beat_s
                while time.monotonic() < deadline:
                    if path.stat().st_mtime != seen and self._can_lock(path):
                        raise LocksNotShared(name)
                    time.sleep(self._beat_s / 20)
        except FileNotFoundError:
            return

    def _can_lock(self, path: Path) -> bool:
        descriptor = open_private(path, os.O_RDWR)
        try:
            self._lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
