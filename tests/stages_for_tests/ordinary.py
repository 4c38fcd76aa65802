"""Stages that behave: they tell what they see, report, print, wait and refuse."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from sse_progress.model.stage_api import Rejected, Report, Upload

WAIT_S = 30


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + WAIT_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path.name} did not come")
        time.sleep(0.005)


def field(upload: Upload, name: str) -> Path:
    value = upload.fields[name]
    assert isinstance(value, str)
    return Path(value)


def nothing(upload: Upload, report: Report) -> None:
    return None


def echo(upload: Upload, report: Report) -> dict[str, Any]:
    """The upload as it arrived."""
    return {"upload": msgspec.to_builtins(upload), "contentType": upload.content_type}


def read_original(upload: Upload, report: Report) -> dict[str, Any]:
    return {"text": Path(upload.path).read_text()}


def surroundings(upload: Upload, report: Report) -> dict[str, Any]:
    """What a stage finds around it."""
    status = Path("/proc/self/status").read_text().splitlines()
    death = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(death), 0, 0, 0)  # PR_GET_PDEATHSIG
    return {
        "pid": os.getpid(),
        "zygote": os.getppid(),
        "environment": dict(os.environ),
        "directory": str(Path.cwd()),
        "temporary": tempfile.gettempdir(),
        "umask": os.umask(0o077),
        "niceness": os.nice(0),
        "oomScore": int(Path("/proc/self/oom_score_adj").read_text()),
        "session": os.getsid(0),
        "group": os.getpgrp(),
        "input": sys.stdin.read(),
        "path": sys.path,
        "isolated": sys.flags.no_user_site and sys.flags.safe_path,
        "descriptors": sorted(
            int(fd.name) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()
        ),
        "status": dict(line.split(":\t", 1) for line in status if ":\t" in line),
        "deathSignal": death.value,
        "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),  # PR_GET_DUMPABLE
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "openFiles": resource.getrlimit(resource.RLIMIT_NOFILE),
        "fileSize": resource.getrlimit(resource.RLIMIT_FSIZE),
    }


def disturb(upload: Upload, report: Report) -> dict[str, Any]:
    """Leave everything else than it was found."""
    tempfile.gettempdir()
    os.environ["LEFT_BEHIND"] = "1"
    del os.environ["PATH"]
    os.umask(0)
    os.chdir("/usr")
    print("no line break at the end", end="")
    return {"zygote": os.getppid()}


def many_reports(upload: Upload, report: Report) -> dict[str, Any]:
    """A report for each of a million frames."""
    begin = time.monotonic()
    for at in range(1_000_000):
        report(at / 1_000_000, f"frame {at}" if at % 100_000 == 0 else None)
    report(1.0, "the last")
    return {"seconds": time.monotonic() - begin}


def burst_then_silence(upload: Upload, report: Report) -> None:
    """Twenty reports at once, then none until the test has seen the last of them."""
    for at in range(20):
        report(at / 40, f"step {at}")
    wait_for(field(upload, "go"))


def odd_reports(upload: Upload, report: Report) -> None:
    """Everything but growing fractions between 0 and 1; the pause lets each one through."""
    fractions = (0.5, 0.2, float("nan"), -3.0, float("inf"), 7.0, 0.1)
    for fraction in fractions:
        report(fraction, f"gave {fraction}")
        time.sleep(0.03)


def keep_report(upload: Upload, report: Report) -> dict[str, Any]:
    """Use the report of the task before this one, which has ended."""
    kept = _kept[-1] if _kept else None
    _kept.append(report)
    if kept is not None:
        kept(0.99, "from the past")
    return {"kept": kept is not None}


_kept: list[Report] = []


def refuse(upload: Upload, report: Report) -> None:
    """With what was asked for, after a character that JSON cannot carry."""
    code, detail = upload.fields["code"], upload.fields["detail"]
    assert isinstance(code, str)
    assert isinstance(detail, str)
    raise Rejected(code, "\udcff" + detail)


def refuse_in_group(upload: Upload, report: Report) -> None:
    raise ExceptionGroup("tasks", [Rejected("too_loud", "The sound is too loud.")])


def fail(upload: Upload, report: Report) -> None:
    raise RuntimeError("secret path /srv/private")


def unprintable(upload: Upload, report: Report) -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise KeyError("no text")

    raise OddError


def returns_bytes(upload: Upload, report: Report) -> Any:
    return b"no dict"


def returns_an_object(upload: Upload, report: Report) -> dict[str, Any]:
    return {"thing": object()}


def returns_too_much(upload: Upload, report: Report) -> dict[str, Any]:
    return {"text": "x" * (1024 * 1024)}


def returns_odd_text(upload: Upload, report: Report) -> dict[str, Any]:
    return {"text": "\udcff"}


def prints(upload: Upload, report: Report) -> dict[str, Any]:
    """Everything that could be taken for the protocol, on every way out."""
    print("\0\0\0\5ready a printed line \x1b[31m")
    print("to stderr", file=sys.stderr)
    os.write(1, b"\0\0\0\2{}\n")
    os.write(2, b"\xff\xfe not utf-8\n")
    subprocess.run(["echo", "from a program"], check=True)
    print("x" * 5000)
    return {"printed": True}


def prints_for_ever(upload: Upload, report: Report) -> dict[str, Any]:
    for at in range(20_000):
        print(f"line {at}")
    return {"printed": True}


def meet(upload: Upload, report: Report) -> dict[str, Any]:
    """Say where it runs, in a file of the upload's name, and wait to be let go."""
    told = field(upload, "place") / f"{upload.id}.part"
    told.write_text(str(os.getppid()))
    told.rename(told.with_suffix(""))
    wait_for(field(upload, "go"))
    return {"zygote": os.getppid()}


def whoami(upload: Upload, report: Report) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "zygote": os.getppid(),
        "cpu": time.process_time(),
        "cpuLimit": resource.getrlimit(resource.RLIMIT_CPU)[0],
    }


def burn(upload: Upload, report: Report) -> dict[str, Any]:
    """More than a second of CPU time, counted from the process' beginning."""
    while time.process_time() < 1.05:
        sum(range(1000))
    return whoami(upload, report)


_grown: list[bytes] = []


def fragment(upload: Upload, report: Report) -> None:
    """Leave 128 MiB of holes below one piece that is kept, so that malloc cannot return them."""
    pieces = [b"x" * 65536 for _ in range(2048)]
    _grown.append(pieces[-1])


async def asynchronous_in_disguise(upload: Upload, report: Report) -> None:
    """Not to be run in a child."""


def said(upload: Upload, report: Report) -> None:
    """Prints one line."""
    print("said by a child", flush=True)
