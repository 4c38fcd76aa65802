"""What runs in a stage child: settle in, become the zygote of its tasks, end with the worker.

Started only by sandbox/process, as `python -m sse_progress.sandbox.child CHANNEL LIFELINE PARENT`.
Until a first task comes it imports next to nothing, so an idle child costs little memory.
"""

from __future__ import annotations

import os
import signal
import sys

from sse_progress.runtime.linux import (
    die_with_lifeline,
    die_with_parent,
    forbid_new_privileges,
    harden_this_process,
    keep_orphans,
)

__all__ = ["main"]

NICENESS = 5
"""Web processes have priority for the CPU."""
OOM_SCORE = 500
"""Out of memory, the kernel ends a stage before it ends Redis or a web process."""
PARENT_ENDED = signal.SIGRTMAX
READY = b"\0\0\0\5ready"  # task.frame(task.READY); importing it now would double our memory


def settle(*, channel: int, lifeline: int, parent: int) -> None:
    """Bind this process to its parent's life and take from it what a stage does not need.

    Capabilities go with the first task, which tells what has to stay readable.
    """
    os.set_inheritable(channel, False)
    os.set_inheritable(lifeline, False)
    die_with_lifeline(lifeline)
    # SIGKILL would end only this process, and it may come before the lifeline is closed.
    signal.signal(PARENT_ENDED, _end_group)
    die_with_parent(parent, PARENT_ENDED)
    keep_orphans()
    forbid_new_privileges()
    os.nice(NICENESS)
    os.umask(0o077)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(str(OOM_SCORE))
    except OSError:
        pass  # some containers mount /proc read-only
    harden_this_process()


def _end_group(*_: object) -> None:
    os.killpg(0, signal.SIGKILL)


def main(channel: int, lifeline: int, parent: int) -> None:
    settle(channel=channel, lifeline=lifeline, parent=parent)
    os.write(channel, READY)
    data = os.read(channel, 65536)
    if data:
        from sse_progress.sandbox.zygote import work

        work(channel, lifeline, data)
    os._exit(0)  # the worker has closed the channel: there is nothing left to clean up


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
