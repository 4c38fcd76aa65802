"""Stand-ins for the web and worker processes, and a supervisor that runs them.

    python -m tests.helpers.stand_in supervisor   what `serve` runs, with the two below
    python -m tests.helpers.stand_in web --fd N   answers every request with 200
    python -m tests.helpers.stand_in worker       has a child of its own

Each appends `<role> <process id> <what>` to the file STAND_IN_LOG. How they behave is said by
STAND_IN_WEB and STAND_IN_WORKER: `refuse`, `crash`, `mute` (never ready), `stubborn` (ignores
SIGTERM), `deaf` (web: takes a request and never answers), `stray` (worker: leaves an ended process
without a parent, as happens to process 1), `careless` (worker: its child does not end with it),
`once` (only the first one is ever ready).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from sse_progress.runtime.handed_over import take_over
from sse_progress.runtime.linux import die_with_parent, keep_orphans

ME = [sys.executable, "-m", "tests.helpers.stand_in"]


def note(role: str, what: str) -> None:
    line = f"{role} {os.getpid()} {what}\n".encode()
    log = os.open(os.environ["STAND_IN_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, line)
    os.close(log)


def redis_is_there() -> bool:
    path = unquote(urlsplit(os.environ["SSE_PROGRESS_REDIS_URL"]).path)
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(path) == 0


def behave(role: str) -> str:
    """Take the environment's word for how to be; wait for SIGTERM unless told to ignore it."""
    how = os.environ.get(f"STAND_IN_{role.upper()}", "")
    if how == "refuse":
        print(f"{role}: a setting is wrong", file=sys.stderr)
        sys.exit(2)
    if how == "crash":
        os.kill(os.getpid(), signal.SIGKILL)

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        note(role, "ended" if redis_is_there() else "ended without redis")
        os._exit(0)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if how == "stubborn" else end)
    return how


def say_ready(role: str, how: str) -> None:
    notes = Path(os.environ["STAND_IN_LOG"]).read_text().splitlines()
    again = any(line.startswith(role) and line.endswith(" started") for line in notes)
    mute = how == "mute" or (how == "once" and again)
    note(role, "started")
    if not mute:
        fd = int(os.environ["SSE_PROGRESS_READY_FD"])
        os.write(fd, b"1")
        os.close(fd)


def web(fd: int) -> None:
    how = behave("web")
    note("web", "memory " + os.environ.get("MALLOC_MMAP_THRESHOLD_", "untouched"))
    listening = socket.socket(fileno=fd)
    say_ready("web", how)
    while True:
        connection, _ = listening.accept()
        with connection:
            options = [
                connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
            ]
            connection.recv(65536)
            if how == "deaf":
                note("web", "asked")
                continue
            body = json.dumps({"pid": os.getpid(), "options": options}).encode()
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                % (len(body), body)
            )


def worker() -> None:
    how = behave("worker")
    note("worker", "memory " + os.environ.get("MALLOC_MMAP_THRESHOLD_", "untouched"))
    note("worker", "redis " + os.environ["SSE_PROGRESS_REDIS_URL"])
    me = os.getpid()
    bind = None if how == "careless" else lambda: die_with_parent(me)
    child = subprocess.Popen([*ME, "stage"], preexec_fn=bind)
    if how == "stray":
        leave_stray()
    say_ready("worker", how)
    child.wait()


def leave_stray() -> None:
    """Fork twice and end the one in between: the grandchild goes to whoever adopts orphans."""
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return
    if os.fork() == 0:
        note("stray", "ends")
    os._exit(0)


def stage() -> None:
    note("stage", "started")
    while True:
        time.sleep(3600)


def supervise() -> None:
    from sse_progress.settings import load_settings
    from sse_progress.supervisor import rolling_restart, supervisor
    from sse_progress.supervisor.launch_plan import Plan

    if limit := os.environ.get("STAND_IN_REDIS_START_S"):
        supervisor.REDIS_START_S = float(limit)
    if limit := os.environ.get("STAND_IN_ROLL_READY_S"):
        rolling_restart.ROLL_READY_S = float(limit)
    if os.environ.get("STAND_IN_WORKER") == "stray":
        keep_orphans()
    plan = Plan.of(load_settings())
    if grace := os.environ.get("STAND_IN_END_GRACE_S"):
        plan = replace(plan, end_grace_s=float(grace))
    commands = {"web": [*ME, "web"], "worker": [*ME, "worker"]}
    sys.exit(supervisor.Supervisor(plan, environment=os.environ, commands=commands).run())


if __name__ == "__main__":
    role, *rest = sys.argv[1:]
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    take_over()
    if role == "web":
        web(int(rest[-1]))
    else:
        {"worker": worker, "stage": stage, "supervisor": supervise}[role]()
