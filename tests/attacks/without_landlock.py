"""Runs a Python module as on a kernel without Landlock: its system calls are not there (ENOSYS).

python -m tests.attacks.without_landlock MODULE [ARGUMENT ...]
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

LANDLOCK = (444, 445, 446)
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERROR = 0x7FFF0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2


def take_away() -> None:
    """From this process and all that it starts."""
    steps = [(LOAD, 0, 0, 0)]
    steps += [(EQUAL, len(LANDLOCK) - at, 0, number) for at, number in enumerate(LANDLOCK)]
    steps += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERROR | errno.ENOSYS)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0), (PR_SET_SECCOMP, MODE_FILTER, program)):
        if libc.prctl(*arguments, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    take_away()
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])
