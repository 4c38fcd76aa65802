"""seccomp: system calls that a stage has no use for, denied to this process for good.

A list of denials, since what decoders call differs by library and release. Denied calls fail with
EPERM. By ctypes: pyseccomp needs libseccomp on the host, which pip cannot bring.
Sources: seccomp(2), linux/filter.h, the kernel's syscall tables.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from functools import cache
from typing import Any, NamedTuple

__all__ = ["available", "program", "restrict"]


class _Machine(NamedTuple):
    audit: int
    """AUDIT_ARCH_*, as the filter sees it."""
    column: int
    """Of the table below."""
    seccomp: int
    clone: int


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 0, 317, 56),
    "aarch64": _Machine(0xC00000B7, 1, 277, 220),
}

# name: number on x86-64, on arm64
_DENIED: dict[str, tuple[int | None, int | None]] = {
    # talking to others
    **{"socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201)},
    **{"accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206), "sendmsg": (46, 211)},
    **{"sendmmsg": (307, 269), "recvmsg": (47, 212), "recvmmsg": (299, 243)},
    **{"msgget": (68, 186), "semget": (64, 190), "shmget": (29, 194), "mq_open": (240, 180)},
    # other programs and processes
    **{"execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None)},
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271)},
    **{"process_madvise": (440, 440), "kcmp": (312, 272), "pidfd_open": (434, 434)},
    **{"pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "tkill": (200, 130)},
    **{"rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240)},
    **{"setsid": (112, 157), "setpgid": (109, 154)},
    **{"setpriority": (141, 140), "ioprio_set": (251, 30)},
    **{"migrate_pages": (256, 238), "move_pages": (279, 239)},
    # memory that is no process', so that neither its limit nor its end concern it
    **{"memfd_create": (319, 279), "memfd_secret": (447, 447)},
    # namespaces, mounts, devices
    **{"unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39)},
    **{"pivot_root": (155, 41), "chroot": (161, 51), "move_mount": (429, 429)},
    **{"open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431)},
    **{"fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442)},
    **{"mknod": (133, None), "mknodat": (259, 33)},
    **{"name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265)},
    # large parts of the kernel that no decoder uses
    **{"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219)},
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282)},
    **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426)},
    **{"io_uring_register": (427, 427), "personality": (135, 92), "syslog": (103, 116)},
    **{"modify_ldt": (154, None), "ioperm": (173, None), "iopl": (172, None)},
    # the machine
    **{"kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105)},
    **{"finit_module": (313, 273), "delete_module": (176, 106), "reboot": (169, 142)},
    **{"swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60)},
    **{"quotactl_fd": (443, 443), "settimeofday": (164, 170), "clock_settime": (227, 112)},
}
_OF_ITSELF = {"kill": (62, 129), "tgkill": (234, 131)}
"""Allowed with this process' own id as the first argument."""
_OF_ITSELF_OR_0 = {
    **{"prlimit": (302, 261), "sched_setparam": (142, 118), "sched_setscheduler": (144, 119)},
    **{"sched_setaffinity": (203, 122), "sched_setattr": (314, 274)},
}
"""Allowed with this process' own id, or 0, which means the calling thread."""
_FCNTL = (72, 25)
_SENDING_SIGNALS = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX
_CLONE3 = 435
_CLONE_THREAD = 0x00010000
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEW*

_LOAD, _EQUAL, _GREATER_OR_EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24  # offsets in struct seccomp_data
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_X32 = 0x40000000
_SET_MODE_FILTER, _TSYNC = 1, 1
_GET_ACTION_AVAIL = 2
_PR_SET_NO_NEW_PRIVS = 38


def available() -> bool:
    """Whether the filter can be set here: the machine is known, and the kernel has seccomp."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    action = ctypes.c_uint32(_ERROR)
    asked: int = _libc().syscall(
        ctypes.c_long(machine.seccomp),
        ctypes.c_uint(_GET_ACTION_AVAIL),
        ctypes.c_uint(0),
        ctypes.byref(action),
    )
    return asked == 0


def program(machine_name: str, pid: int) -> list[tuple[int, int, int, int]]:
    """The filter for process `pid`: instructions (code, jump if true, jump if false, operand).

    Each check ends in a verdict of its own or falls through with the call's number loaded.
    """
    machine = _MACHINES[machine_name]
    at = machine.column
    denied = _ERROR | errno.EPERM
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine_name == "x86_64":
        steps += [(_GREATER_OR_EQUAL, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    # The flags of clone3 are behind a pointer. Told that there is none, glibc uses clone.
    steps += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERROR | errno.ENOSYS)]
    steps += [
        (_EQUAL, 0, 5, machine.clone),
        (_LOAD, 0, 0, _FIRST),
        (_ANY_BIT, 1, 0, _NEW_NAMESPACES),
        (_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, denied),
        (_RETURN, 0, 0, _ALLOW),
    ]
    for numbers, allowed in (
        *((numbers, (pid,)) for numbers in _OF_ITSELF.values()),
        *((numbers, (0, pid)) for numbers in _OF_ITSELF_OR_0.values()),
    ):
        steps += _only(numbers[at], _FIRST, allowed)
    number = _FCNTL[at]
    steps += [
        (_EQUAL, 0, len(_SENDING_SIGNALS) + 3, number),
        (_LOAD, 0, 0, _SECOND),
        *(
            (_EQUAL, len(_SENDING_SIGNALS) - index, 0, command)
            for index, command in enumerate(_SENDING_SIGNALS)
        ),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, denied),
    ]
    denials = [each for row in _DENIED.values() if (each := row[at]) is not None]
    steps += [(_EQUAL, len(denials) - index, 0, each) for index, each in enumerate(denials)]
    return [*steps, (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, denied)]


def _only(number: int, argument: int, allowed: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Call `number` with one of the values `allowed`, else EPERM."""
    count = len(allowed)
    return [
        (_EQUAL, 0, count + 3, number),
        (_LOAD, 0, 0, argument),
        *((_EQUAL, count - index, 0, value) for index, value in enumerate(allowed)),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def restrict() -> None:
    """Set the filter for all threads of this process. Raises OSError."""
    name = platform.machine()
    if name not in _MACHINES:
        raise OSError(errno.ENOSYS, f"seccomp: no table for {name}")
    steps = program(name, os.getpid())
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(buffer))
    libc = _libc()
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    result = libc.syscall(
        ctypes.c_long(_MACHINES[name].seccomp),
        ctypes.c_uint(_SET_MODE_FILTER),
        ctypes.c_uint(_TSYNC),
        ctypes.c_char_p(filter_),
    )
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"seccomp: {os.strerror(error)}")


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)
