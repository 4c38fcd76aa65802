"""What a stage's process may still reach: its file, its scratch directory, the libraries.

The policy; how Linux is told is in landlock and seccomp. Nothing here can be taken back.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from sse_progress.model.stage_api import Upload
from sse_progress.sandbox import landlock, seccomp

__all__ = ["Confinement", "Degree", "Mode", "Rule", "confine", "degree", "libraries"]

Mode = Literal["off", "best-effort", "required"]
Rule: TypeAlias = tuple[str, int]
"""A path, and what may be done beneath it."""

_LIBRARIES = (
    *("/usr", "/lib", "/lib64", "/bin", "/opt", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/magic", "/etc/mime.types", "/etc/localtime", "/etc/fonts"),
    *("/proc/self", "/proc/loadavg", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat"),
    *(
        "/proc/sys/vm/overcommit_memory",
        "/sys/devices/system/cpu",
        "/sys/fs/cgroup",
        "/sys/bus/pci/devices",
    ),
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """`closed`: the directory with everybody's files, and files with secrets. Nothing in them but
    what is the upload's own can be read, whatever lies around them. `readable` are more paths that
    stages may read."""

    mode: Mode = "off"
    closed: tuple[str, ...] = ("/",)
    readable: tuple[str, ...] = ()


class Degree(NamedTuple):
    """What this kernel holds to."""

    landlock_abi: int
    seccomp: bool

    @property
    def full(self) -> bool:
        return self.landlock_abi >= 6 and self.seccomp

    @property
    def enough(self) -> bool:
        """For `required`: files by Landlock (ABI 1), all else by seccomp."""
        return self.landlock_abi >= 1 and self.seccomp

    def __str__(self) -> str:
        files = f"Landlock ABI {self.landlock_abi}" if self.landlock_abi else "no Landlock"
        return f"{files}, {'seccomp' if self.seccomp else 'no seccomp'}"


def degree() -> Degree:
    return Degree(landlock.abi(), seccomp.available())


def libraries(rules: Confinement, upload: Upload) -> list[Rule]:
    """What all processes of this machine's uploads may read: a zygote finds that out, not each of
    its forks."""
    if rules.mode == "off" or not landlock.abi():
        return []
    options = upload.options
    more = (options.yara_rules, options.word_list, options.bad_sha256)
    python = (sys.prefix, sys.base_prefix, *sys.path)
    return _libraries(rules, (*python, *filter(None, more)))


def confine(
    rules: Confinement, reachable: Iterable[Rule], *, original: str, write: Iterable[str]
) -> None:
    """Give up everything but `reachable`, reading `original`, and the directories `write`, for all
    of this process' life.

    Call it before there are other threads: Landlock holds for the calling one and those it starts.
    Raises OSError if `required` and the kernel cannot.
    """
    if rules.mode == "off":
        return
    has = degree()
    if rules.mode == "required" and not has.enough:
        raise OSError(f"stages cannot be confined here: {has}")
    if has.landlock_abi:
        own = [(original, landlock.READ), *((path, landlock.WRITE) for path in write)]
        landlock.restrict([*reachable, *own])
    if has.seccomp:
        seccomp.restrict()


@cache
def _libraries(rules: Confinement, more: tuple[str, ...]) -> list[Rule]:
    closed = tuple(os.path.realpath(path) for path in rules.closed)
    found: list[Rule] = [(path, landlock.WRITE) for path in _DEVICES]
    for path in (*_LIBRARIES, *more, *rules.readable):
        if path:
            found += _around(os.path.realpath(path) if path != "/proc/self" else path, closed)
    return list(dict.fromkeys(found))


def _around(path: str, closed: tuple[str, ...]) -> Iterator[Rule]:
    """Rules to read everything beneath `path` but `closed`. Names alone may be listed around it."""
    if any(path == each or _within(path, each) for each in closed):
        return
    if not any(_within(each, path) for each in closed):
        yield path, landlock.READ
        return
    yield path, landlock.LIST
    try:
        names = os.listdir(path)  # noqa: PTH208  # pathlib would cost the child its memory
    except OSError:
        return
    for name in names:
        inner = os.path.join(path, name)  # noqa: PTH118
        if not os.path.islink(inner):  # noqa: PTH114
            yield from _around(inner, closed)


def _within(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip("/") + "/")
