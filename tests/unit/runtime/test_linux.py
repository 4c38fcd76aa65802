"""What a process asks of Linux about itself, seen from a process that asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sse_progress.runtime.linux import descendants
from tests.helpers.processes import alive
from tests.helpers.waiting import wait_until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to give up")

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Runs Python text in a process of its own, which is killed after the test."""
    started: list[subprocess.Popen[str]] = []

    def run(text: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", text, *arguments],
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate(timeout=60)


def told(process: subprocess.Popen[str]) -> Any:
    """The line of JSON that it printed."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def test_a_hardened_process_dumps_no_core_and_its_memory_nowhere(start: Start) -> None:
    """It is not dumpable any more, so its files in /proc are closed to its user's others."""
    seen = told(
        start(
            "import ctypes, json, resource\n"
            "from sse_progress.runtime.linux import harden_this_process\n"
            "prctl = ctypes.CDLL(None).prctl\n"
            "before = prctl(3, 0, 0, 0, 0)\n"
            "harden_this_process()\n"
            "core = resource.getrlimit(resource.RLIMIT_CORE)[0]\n"
            "print(json.dumps([before, prctl(3, 0, 0, 0, 0), core]))\n"
        )
    )
    assert seen == [1, 0, 0]


PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=sys.stdout)
child.wait()
"""


def test_a_process_dies_with_its_parent(start: Start) -> None:
    """kill -9 of the parent ends the child, which is busy with something else."""
    parent = start(
        PARENT,
        "import os, time\n"
        "from sse_progress.runtime.linux import die_with_parent\n"
        "die_with_parent(os.getppid())\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(300)\n",
    )
    child = told(parent)
    assert alive(child)
    parent.kill()
    wait_until(lambda: not alive(child), "the child is gone")


def test_a_process_whose_parent_has_gone_already_dies_at_once(start: Start) -> None:
    """The parent may end between the start and the request; its number tells."""
    process = start(
        "import time\n"
        "from sse_progress.runtime.linux import die_with_parent\n"
        "die_with_parent(1 << 22)\n"
        "time.sleep(300)\n"
    )
    assert process.wait(timeout=60) == -9


def test_new_privileges_are_forbidden_to_all_programs_that_follow(start: Start) -> None:
    """The mark is inherited through exec."""
    process = start(
        "import subprocess\n"
        "from sse_progress.runtime.linux import forbid_new_privileges\n"
        "forbid_new_privileges()\n"
        "subprocess.run(['sed', '-n', 's/^NoNewPrivs:.//p', '/proc/self/status'])\n"
    )
    assert told(process) == 1


@as_root
def test_capabilities_can_be_left_aside_and_given_up(start: Start, tmp_path: Path) -> None:
    """Root reads what is closed to it only by its capabilities: not for a while, or never again."""
    closed = tmp_path / "closed"
    closed.write_text("x")
    closed.chmod(0)
    os.chown(closed, 65534, 65534)
    seen = told(
        start(
            "import json, sys\n"
            "from sse_progress.runtime.linux import *\n"
            "def reads():\n"
            "    try:\n"
            "        return bool(open(sys.argv[1]).read())\n"
            "    except PermissionError:\n"
            "        return False\n"
            "seen = [reads()]\n"
            "with without_capabilities():\n"
            "    seen.append(reads())\n"
            "seen.append(reads())\n"
            "drop_capabilities(keep=[2])\n"
            "seen.append(reads())\n"
            "drop_capabilities()\n"
            "seen.append(reads())\n"
            "print(json.dumps(seen))\n",
            str(closed),
        )
    )
    assert seen == [True, False, True, True, False]


def test_descendants_are_found_whatever_their_names_and_sessions(
    start: Start, tmp_path: Path
) -> None:
    """A program called like a line of /proc/<pid>/stat is found; so is an orphan that was kept."""
    odd = tmp_path / "a) R 1 ("
    shutil.copy(shutil.which("sleep") or "", odd)
    process = start(
        "import json, os, subprocess, sys, time\n"
        "from sse_progress.runtime.linux import keep_orphans\n"
        "keep_orphans()\n"
        "one = subprocess.Popen([sys.argv[1], '300'], start_new_session=True)\n"
        "two = subprocess.run(['sh', '-c', 'setsid sleep 300 >/dev/null & echo $!'],\n"
        "                     stdout=subprocess.PIPE, text=True)\n"
        "print(json.dumps([one.pid, int(two.stdout)]), flush=True)\n"
        "time.sleep(300)\n",
        str(odd),
    )
    family = told(process)
    try:
        assert sorted(descendants(process.pid)) == sorted(family)
        assert set(family) < set(descendants(os.getpid()))
        assert descendants(family[0]) == []
    finally:
        for pid in family:
            os.kill(pid, 9)
