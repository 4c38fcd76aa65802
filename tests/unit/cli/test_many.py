"""Many uploads on the command line: a batch of them, the list, cancelling and deleting."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from sse_progress.cli import main as cli
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until
from tests.unit.cli.test_upload_and_watch import start
from tests.wire.words import new_id


@pytest.fixture
def service(usual_service: Service) -> Service:
    return usual_service


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = [tmp_path / f"{number}.txt" for number in range(6)]
    for file in made:
        file.write_text("Some words.\n" * 1000)
    return made


def run(service: Service, *words: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli.app, [*map(str, words), "--url", service.url])
    return done.exit_code, done.stdout, done.stderr


def test_a_batch_from_sending_to_deletion(service: Service, files: list[Path]) -> None:
    """All files are of it, with one line of counts; one that fails is a failure of the whole."""
    name = new_id()
    files[5].write_bytes(b"")
    labels = ("--context", "courseId=c1")
    code, out, err = run(service, "upload", *files, "--batch", "--id", name, *labels)
    assert (code, err) == (1, "")
    assert f"{name}: 0 of 6, 0 bytes/60.0 kB" in out
    assert f"{name}: 6 of 6, 1 failed, 60.0/60.0 kB" in out
    state = httpx.get(f"{service.url}/batches/{name}").json()
    assert (state["status"], state["items"]["complete"], state["items"]["error"]) == (
        "complete",
        5,
        1,
    )
    code, out, _ = run(service, "list", "--batch", name, "--limit", "4")
    assert (code, len(out.splitlines())) == (0, 4)
    code, out, _ = run(service, "list", "--batch", name, "--status", "error", "--json")
    [failed] = [json.loads(line) for line in out.splitlines()]
    assert (failed["filename"], failed["context"]) == ("5.txt", {"courseId": "c1"})
    assert failed["error"]["code"] == "empty_file"
    one = httpx.get(f"{service.url}/uploads", params={"batch": name}).json()["uploads"][-1]
    assert run(service, "delete", one["uploadId"])[:2] == (0, f"{one['uploadId']}: deleted\n")
    assert run(service, "delete", "--batch", name)[:2] == (0, f"{name}: 6 of 6 deleted\n")
    code, _, err = run(service, "cancel", one["uploadId"], "--url", service.url)
    assert (code, "already_finished" in err) == (1, True)
    assert run(service, "cancel", "--batch", name)[0] == 1
    code, _, err = run(service, "upload", files[0], "--batch", "--id", name)
    assert (code, "already_finished" in err) == (1, True)


def test_a_batch_as_json(service: Service, files: list[Path]) -> None:
    """Events of the files and of the batch, one a line each."""
    code, out, _ = run(service, "upload", *files[:2], "--batch", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [event["stage"] for event in events if "uploadId" in event].count("complete") == 2
    last = [event for event in events if "uploadId" not in event][-1]
    assert last["items"]["complete"] == 2


def test_ctrl_c_cancels_the_batch(service: Service, tmp_path: Path) -> None:
    """What is on its way ends as cancelled, the rest is not sent: exit code 130."""
    name, pipe = new_id(), "-"
    process = start(
        "upload", pipe, "--batch", "--id", name, "--url", service.url, stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(b"x" * 100_000)
    process.stdin.flush()
    address = f"{service.url}/batches/{name}"
    wait_until(
        lambda: (httpx.get(address).json().get("items") or {}).get("running") == 1, "it is sent"
    )
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    process.communicate()
    wait_until(lambda: httpx.get(address).json()["status"] != "processing", "the batch ended")
    assert httpx.get(address).json()["items"]["cancelled"] == 1


def test_ctrl_c_on_any_command_is_130() -> None:
    """Also where nothing is to be cancelled: here nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = start("list", "--url", f"http://127.0.0.1:{silent.getsockname()[1]}")
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        connection.close()
    assert process.returncode == 130
