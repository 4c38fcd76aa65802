"""Landlock: which files this process may still touch, for good. No policy in here.

By ctypes: the bindings on PyPI (landlock 1.0.0.dev5) know neither ABI 4 (TCP) nor ABI 6 (signals).
Sources: landlock(7), linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from functools import cache
from typing import Any

__all__ = ["LIST", "READ", "WRITE", "abi", "restrict"]

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

(_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE) = (
    1 << bit for bit in range(6)
)
(_MAKE_DIR, _MAKE_REG, _MAKE_SYM, _REFER, _TRUNCATE, _IOCTL) = (
    1 << bit for bit in (7, 8, 12, 13, 14, 15)
)
_FIRST_ABI = (1 << 13) - 1
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_TCP = 3  # bind, connect
_SCOPES = 3  # abstract sockets, signals

LIST = _READ_DIR
READ = _READ_FILE | _READ_DIR
WRITE = (
    READ
    | _WRITE_FILE
    | _REMOVE_DIR
    | _REMOVE_FILE
    | _MAKE_DIR
    | _MAKE_REG
    | _MAKE_SYM
    | _REFER
    | _TRUNCATE
)


def abi() -> int:
    """The version that this kernel has; 0 for none (not built in, or switched off)."""
    found: int = _libc().syscall(
        ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION)
    )
    return max(found, 0)


def restrict(rules: Iterable[tuple[str, int]]) -> None:
    """From now on only `rules` (path, access beneath it) are left of the file system.

    With ABI 4 no TCP either, with ABI 6 no signals to and no abstract sockets of others. Paths that
    are not there are passed over. Raises OSError where Landlock is missing.
    """
    version = abi()
    handled = _FIRST_ABI
    for least, access in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL)):
        handled |= access if version >= least else 0
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = struct.pack("QQQ", handled, _TCP, _SCOPES)[:size]
    ruleset = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint(0))
    try:
        for path, access in rules:
            _allow(ruleset, path, access & handled)
        if _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112  # pathlib would cost the child its memory
            access &= _OF_FILES
        if access:
            rule = struct.pack("=Qi", access, descriptor)
            _call(
                _ADD_RULE,
                ctypes.c_int(ruleset),
                ctypes.c_int(_PATH_BENEATH),
                rule,
                ctypes.c_uint(0),
            )
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: Any) -> int:
    result: int = _libc().syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return result


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)
