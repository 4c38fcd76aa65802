"""What a stage's process may still reach: its file, its scratch directory, the libraries.

The policy; how Linux is told is in landlock and seccomp. Nothing here can be taken back.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from sse_progress.model.stage_api import Upload
from sse_progress.sandbox import landlock, seccomp

__all__ = ["Confinement", "Degree", "Mode", "confine", "degree"]

Mode = Literal["off", "best-effort", "required"]

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
    """`closed` is the directory with everybody's files: nothing in it but what is the upload's own
    can be read, whatever lies around it. `readable` are more paths that stages may read."""

    mode: Mode = "off"
    closed: str = "/"
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


def confine(rules: Confinement, upload: Upload) -> None:
    """Give up everything that the stages of `upload` do not need, for all of this process' life.

    Call it before there are other threads: Landlock holds for the calling one and those it starts.
    Raises OSError if `required` and the kernel cannot.
    """
    if rules.mode == "off":
        return
    has = degree()
    if rules.mode == "required" and not has.enough:
        raise OSError(f"stages cannot be confined here: {has}")
    if has.landlock_abi:
        landlock.restrict(_rules(rules, upload))
    if has.seccomp:
        seccomp.restrict()


def _rules(rules: Confinement, upload: Upload) -> Iterator[tuple[str, int]]:
    options = upload.options
    more = (options.yara_rules, options.word_list, options.bad_sha256)
    python = (sys.prefix, sys.base_prefix, *sys.path)
    closed = os.path.realpath(rules.closed)
    for path in (*_LIBRARIES, *python, *rules.readable, *filter(None, more)):
        if path:
            yield from _around(os.path.realpath(path) if path != "/proc/self" else path, closed)
    for path in _DEVICES:
        yield path, landlock.WRITE
    yield upload.path, landlock.READ
    yield upload.scratch, landlock.WRITE


def _around(path: str, closed: str) -> Iterator[tuple[str, int]]:
    """Rules to read everything beneath `path` but `closed`. Names alone may be listed in there."""
    if path == closed or path.startswith(closed.rstrip("/") + "/"):
        return
    if not closed.startswith(path.rstrip("/") + "/"):
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
