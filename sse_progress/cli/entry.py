"""Where `sse-progress` begins: a part of the service without options, else any command line.

Services are started without options, and a supervisor starts its processes with one that it makes
itself. What reads command lines (typer and, for it, pydantic) would be a fifth of their start.
"""

from __future__ import annotations

import sys

from sse_progress.cli.parts import run_serve, run_web, run_worker
from sse_progress.runtime.lean_imports import hide

__all__ = ["main"]


def main() -> None:
    # httpx offers a command of its own where click and rich are installed, and takes longer to
    # import with it than all of ours.
    hide("httpx._main")
    try:
        match sys.argv[1:]:
            case ["serve"]:
                run_serve({})
            case ["web"]:
                run_web({})
            case ["web", "--fd", fd] if fd.isdecimal():
                run_web({}, int(fd))
            case ["worker"]:
                run_worker({})
            case _:
                from sse_progress.cli.main import main as command_line

                command_line()
    except KeyboardInterrupt:
        sys.exit(130)
