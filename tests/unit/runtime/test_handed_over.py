"""Handing an environment to a process that is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sse_progress.runtime.handed_over import ENVIRONMENT_FD, hand_over

PROGRAM = """
import json, os
from sse_progress.runtime.handed_over import take_over
before = dict(os.environ)
take_over()
print(json.dumps([before, dict(os.environ)]))
"""


def started(environment: dict[str, str]) -> list[dict[str, str]]:
    """What a process has in its environment before it takes over, and then."""
    seen, handed = hand_over(environment)
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=seen,
            pass_fds=(handed,),
            check=True,
            capture_output=True,
        )
    finally:
        os.close(handed)
    answers: list[dict[str, str]] = json.loads(done.stdout)
    return answers


def test_only_what_python_needs_is_seen() -> None:
    """Keys, and what nobody knows to be one, come by the socket; in the end all is there."""
    hidden = {
        "SSE_PROGRESS_JWT_SECRET": "key",
        "AWS_SECRET_ACCESS_KEY": "two\nlines",
        "OF_A_PLUGIN": "\udc80 is no UTF-8; ü is",
    }
    needed = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONPATH": str(Path.cwd())}
    before, after = started({**needed, **hidden})
    assert before.keys() == {*needed, ENVIRONMENT_FD}
    assert after == {**needed, **hidden}


def test_no_other_process_opens_it() -> None:
    """Not even one of the same user, before the process has closed itself."""
    seen, handed = hand_over({"KEY": "secret"})
    try:
        with pytest.raises(OSError, match="No such device"):
            open(f"/proc/self/fd/{handed}", "rb")  # noqa: PTH123, SIM115
    finally:
        os.close(handed)
    assert "KEY" not in seen


def test_what_a_socket_does_not_hold_is_refused() -> None:
    """Rather than cut short, or waited for."""
    with pytest.raises(OSError, match="an environment of 8000"):
        hand_over({"LARGE": "x" * 8_000_000})
