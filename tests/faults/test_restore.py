"""A backup that was made while the service ran, put back on another machine without its Redis."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx

from tests.helpers.service import ROOT, Service
from tests.helpers.waiting import wait_until
from tests.wire.words import new_id, post

PROGRAM = f"{sys.executable} -m sse_progress"


def documented(heading: str) -> list[str]:
    """The shell commands below a heading of docs/operate.md."""
    text = (ROOT / "docs" / "operate.md").read_text().partition(f"### {heading}\n")[2]
    blocks = re.findall(r"```console\n(.*?)```", text.partition("\n## ")[0], re.DOTALL)
    return [line[2:] for line in blocks[0].splitlines() if line.startswith("$ ")]


def run(commands: list[str], *, data_dir: Path, backup: Path) -> None:
    env = {**os.environ, "SSE_PROGRESS_DATA_DIR": str(data_dir)}
    for command in commands:
        line = command.replace("sse-progress", PROGRAM)
        line = line.replace("/data", str(data_dir)).replace("/backup", str(backup))
        done = subprocess.run(
            ["bash", "-c", line],
            check=False,
            env=env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_what_was_backed_up_comes_back(tmp_path: Path) -> None:
    """By the commands in docs/operate.md. What was complete has its files, its state and its
    history; what waited for a worker is worked on to its end; ids stay taken."""
    backup, elsewhere = tmp_path / "backup", tmp_path / "elsewhere"
    with (
        Service(tmp_path / "here", {"SSE_PROGRESS_ARCHIVE_URL": ""}) as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        done, waits = new_id(), new_id()
        media = post(client, done).json()["data"]["media"]
        history = client.get(f"/upload/{done}/history").json()

        def archived() -> bool:
            answer = subprocess.run(
                [sys.executable, "-m", "sse_progress", "archive", "export"],
                env={**os.environ, "SSE_PROGRESS_DATA_DIR": str(service.data_dir)},
                capture_output=True,
                cwd=ROOT,
                check=False,
            )
            return b'"stage":"complete"' in answer.stdout.replace(b" ", b"")

        wait_until(archived, "the archive has it")
        first, *others, last = documented("Back up")
        run([first], data_dir=service.data_dir, backup=backup)
        answer = post(client, waits, headers={"Prefer": "respond-async"})
        assert answer.status_code == 202
        run([*others, last], data_dir=service.data_dir, backup=backup)
        original = client.get(media["url"]).content
    run(documented("Restore"), data_dir=elsewhere / "data", backup=backup)
    with (
        Service(elsewhere, {"SSE_PROGRESS_ARCHIVE_URL": ""}) as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        state = client.get(f"/upload/{done}").json()
        assert (state["status"], state["media"]) == ("complete", media)
        assert client.get(media["url"]).content == original
        assert client.get(f"/upload/{done}/history").json()["events"] == history["events"]
        assert done in client.get("/uploads").text
        assert post(client, done).status_code == 409

        def complete() -> bool:
            return bool(client.get(f"/upload/{waits}").json().get("status") == "complete")

        wait_until(complete, "what waited is complete")
