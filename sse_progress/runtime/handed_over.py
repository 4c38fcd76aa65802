"""Handing an environment to a process that we start, without anybody seeing it there.

What a process is started with stands in /proc/<pid>/environ from its first instruction on, before
it can close that. So only what is needed until Python runs is given that way. All else waits in a
socket, which, unlike a pipe, no other process can open through /proc/<pid>/fd.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Mapping

__all__ = ["ENVIRONMENT_FD", "hand_over", "take_over"]

ENVIRONMENT_FD = "SSE_PROGRESS_ENVIRONMENT_FD"
"""Environment variable naming the descriptor of that socket."""
LIMIT_BYTES = 1024 * 1024
"""Asked of the kernel, which grants 425,984 bytes by default."""

_SEEN = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "GLIBC_TUNABLES")
_SEEN_BEGIN = ("LC_", "LD_", "MALLOC_", "PYTHON")


def hand_over(environment: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """What to start a process with: an environment, and a descriptor that it has to inherit.

    The descriptor is to be closed here afterwards. Raises OSError if it is all too much.
    """
    seen = {name: value for name, value in environment.items() if _is_seen(name)}
    hidden = {name: value for name, value in environment.items() if name not in seen}
    data = json.dumps(hidden).encode()  # what is no UTF-8 is escaped, and comes out as it was
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LIMIT_BYTES)
        ours.setblocking(False)
        try:
            sent = ours.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            raise OSError(
                errno.E2BIG, f"an environment of {len(data)} bytes is more than a socket holds"
            )
        given = theirs.detach()
    return {**seen, ENVIRONMENT_FD: str(given)}, given


def take_over() -> None:
    """Have what was handed over to this process in `os.environ`; call it once it is hardened."""
    if (descriptor := os.environ.pop(ENVIRONMENT_FD, None)) is None:
        return
    with socket.socket(fileno=int(descriptor)) as given, given.makefile("rb") as file:
        os.environ.update(json.load(file))


def _is_seen(name: str) -> bool:
    return name in _SEEN or name.startswith(_SEEN_BEGIN)
