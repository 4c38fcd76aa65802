"""Stages that crash, hang, take too much, and start processes that would outlive them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sse_progress.model.stage_api import Report, Upload
from tests.stages_for_tests.ordinary import field, wait_for

MIB = 1024**2


def read_null(upload: Upload, report: Report) -> None:
    """What a decoder does that follows a pointer out of the file."""
    report(0.5, "about to crash")
    ctypes.string_at(0)


def by_signal(upload: Upload, report: Report) -> None:
    """End by the signal that the upload names, in C, past every handler of Python's."""
    number = signal.Signals[str(upload.fields["signal"])]
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    time.sleep(60)


def leave(upload: Upload, report: Report) -> None:
    sys.exit(0)


def leave_at_once(upload: Upload, report: Report) -> None:
    os._exit(0)


def interrupt(upload: Upload, report: Report) -> None:
    raise KeyboardInterrupt


def hang(upload: Upload, report: Report) -> None:
    """Wait for ever, deaf to every signal that can be ignored."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    report(0.1, str(os.getpid()))
    while True:
        time.sleep(60)


def spin(upload: Upload, report: Report) -> None:
    while True:
        pass


def spin_on(upload: Upload, report: Report) -> None:
    """As `spin`, deaf to the signal that ends it."""
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    while True:
        pass


def crawl(upload: Upload, report: Report) -> None:
    """Page after page, each of which costs a hundredth of a second of CPU time, and a million."""
    for page in range(1_000_000):
        until = time.process_time() + 0.01
        while time.process_time() < until:
            pass
        report((page + 1) / 1_000_000)


def hoard(upload: Upload, report: Report) -> None:
    """Take memory until there is no more, and say how much there is, in MiB."""
    held = []
    while True:
        held.append(bytearray(16 * MIB))
        report(0.5, str(16 * len(held)))


def write_for_ever(upload: Upload, report: Report) -> None:
    with Path("large").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(MIB))


def write_to_full_disk(upload: Upload, report: Report) -> None:
    with Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"x")


def open_for_ever(upload: Upload, report: Report) -> dict[str, Any]:
    held = []
    try:
        while True:
            held.append(Path("/dev/null").open("rb"))  # noqa: SIM115
    except OSError as error:
        return {"zygote": os.getppid(), "opened": len(held), "errno": error.errno}
    finally:
        for file in held:
            file.close()


# ---- processes of its own

SLEEPER = ["sleep", "300"]


def _family() -> list[int]:
    """Three that sleep: a plain one, one in its own session, and one whose parent is gone."""
    plain = subprocess.Popen(SLEEPER)
    session = subprocess.Popen(SLEEPER, start_new_session=True)
    told = subprocess.run(
        ["sh", "-c", "setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $!"],
        check=True,
        capture_output=True,
        text=True,
    )
    return [plain.pid, session.pid, int(told.stdout)]


def with_family(upload: Upload, report: Report) -> None:
    """Start processes, say which, and wait."""
    family = _family()
    report(0.1, " ".join(map(str, [os.getpid(), *family])))
    wait_for(field(upload, "go"))


def orphan_maker(upload: Upload, report: Report) -> dict[str, Any]:
    """End well, and leave processes running."""
    return {"pid": os.getpid(), "family": _family()}


def crash_with_child(upload: Upload, report: Report) -> None:
    """Crash while a program works for it."""
    worker = subprocess.Popen(SLEEPER)
    report(0.1, f"{os.getpid()} {worker.pid}")
    wait_for(field(upload, "go"))
    ctypes.string_at(0)


def crowd(upload: Upload, report: Report) -> dict[str, Any]:
    """Fork a hundred times, and each of these once more."""
    pids = []
    for _ in range(100):
        pid = os.fork()
        if pid == 0:
            os.fork()
            time.sleep(300)
        pids.append(pid)
    return {"pids": pids}


def fork_and_report(upload: Upload, report: Report) -> dict[str, Any]:
    """A forked copy reports, and looks for the channel; its exit code says what it met."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            report(0.99, "from the copy")
            _channel()
            code = 2
        except LookupError:
            code = 3
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    report(0.5, "from the child")
    return {"code": os.waitstatus_to_exitcode(status)}


def fork_and_return(upload: Upload, report: Report) -> dict[str, Any]:
    """Come back twice: a forked copy returns as if it were the child."""
    pid = os.fork()
    if pid == 0:
        return {"copy": True}
    _, status = os.waitpid(pid, 0)
    return {"copy": False, "code": os.waitstatus_to_exitcode(status)}


def fork_and_raise(upload: Upload, report: Report) -> dict[str, Any]:
    pid = os.fork()
    if pid == 0:
        raise RuntimeError("in the copy")
    _, status = os.waitpid(pid, 0)
    return {"copy": False, "code": os.waitstatus_to_exitcode(status)}


# ---- against the protocol


def _channel() -> int:
    """The descriptor that it should not touch."""
    for link in Path("/proc/self/fd").iterdir():
        if link.is_symlink() and int(link.name) > 2 and str(link.readlink()).startswith("pipe:"):
            return int(link.name)
    raise LookupError("no channel")


def write_nonsense(upload: Upload, report: Report) -> None:
    os.write(_channel(), b'\0\0\0\5{"a":')
    time.sleep(60)


def write_long_frame(upload: Upload, report: Report) -> None:
    os.write(_channel(), b"\xff\xff\xff\xff")
    time.sleep(60)


def forge_reports(upload: Upload, report: Report) -> None:
    """What an attacker in the child might write; the pauses let each one arrive alone."""
    for fraction in (0.5, 7.5, -3, 0.25):
        body = b'{"type":"progress","fraction":%f}' % fraction
        os.write(_channel(), len(body).to_bytes(4, "big") + body)
        time.sleep(0.05)


def close_channel(upload: Upload, report: Report) -> None:
    os.close(_channel())
    time.sleep(60)


# ---- curiosity


def look_at_parent(upload: Upload, report: Report) -> dict[str, Any]:
    """Try to read what the parent keeps in its memory; the outcome of each try by name."""
    parent = Path(f"/proc/{os.getppid()}")
    seen: dict[str, Any] = {"uid": os.getuid()}
    for name in ("environ", "mem", "maps", "auxv", "fd", "cwd"):
        try:
            if name == "fd":
                seen[name] = [str(one.readlink()) for one in (parent / name).iterdir()]
            elif name == "cwd":
                seen[name] = str((parent / name).readlink())
            else:
                with (parent / name).open("rb") as file:
                    seen[name] = len(file.read(64))
        except OSError as error:
            seen[name] = type(error).__name__
    libc = ctypes.CDLL(None, use_errno=True)
    attached = libc.ptrace(16, os.getppid(), None, None)  # PTRACE_ATTACH
    seen["ptrace"] = "attached" if attached == 0 else os.strerror(ctypes.get_errno())
    regained = subprocess.run(
        ["cat", "/proc/self/status"], check=True, capture_output=True, text=True
    )
    seen["program"] = {
        line.split(":\t")[0]: line.split(":\t")[1]
        for line in regained.stdout.splitlines()
        if line.startswith("Cap")
    }
    return seen
