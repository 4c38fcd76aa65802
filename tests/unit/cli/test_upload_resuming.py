"""`sse-progress upload` against the service: paused and gone on with, fields, standard input."""

from __future__ import annotations

import hashlib
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from sse_progress.cli.main import main
from tests.cutting_uploads import CuttingUploads
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until
from tests.unit.cli.test_upload_and_watch import running as command
from tests.unit.cli.test_upload_and_watch import start
from tests.wire.words import new_id

CONTENT = b"Some words, and more of them.\n" * 60_000


@pytest.fixture
def service(usual_service: Service) -> Service:
    return usual_service


def media(service: Service, upload_id: str) -> dict[str, object]:
    found: dict[str, object] = httpx.get(f"{service.url}/upload/{upload_id}").json()["media"]
    return found


def test_ctrl_c_pauses_what_can_be_resumed(service: Service, tmp_path: Path) -> None:
    """It says how to go on, and a second call sends the rest under the same id."""
    file, upload_id = tmp_path / "words.txt", new_id()
    file.write_bytes(CONTENT)
    processes: list[subprocess.Popen[bytes]] = []

    def interrupt(count: int) -> None:
        if count > 1_300_000 and processes:  # it leaves; then the connection is cut
            process = processes.pop()
            process.send_signal(signal.SIGINT)
            process.wait(60)

    with CuttingUploads(service.url, cuts=[1_300_000], passed=interrupt) as proxy:
        words = ("upload", file, "--url", proxy.url, "--id", upload_id, "--resume")
        with command(*words) as process:
            processes.append(process)
            assert process.stdout is not None
            out = process.stdout.read().decode()
            assert process.wait(60) == 130
    assert f"--resume --id {upload_id}" in out
    url = f"{service.url}/upload/{upload_id}"
    wait_until(lambda: httpx.get(url).json().get("paused") is True, "it is paused")
    assert int(httpx.head(url).headers["upload-offset"]) > 0
    again = start(
        "upload", file, "--url", service.url, "--id", upload_id, "--resume", "--field", "a=ignored"
    )
    out_again, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert b"approved" in out_again
    assert media(service, upload_id)["sha256"] == hashlib.sha256(CONTENT).hexdigest()


def test_fields_and_standard_input(service: Service) -> None:
    """A repeated field has a list; what comes by a pipe is named for it."""
    upload_id = new_id()
    fields = ("--field", "album=Sea", "--field", "tag=a", "--field", "tag=b=c", "--kind", "upload")
    process = start(
        "upload", "-", "--url", service.url, "--id", upload_id, *fields, stdin=subprocess.PIPE
    )
    _, err = process.communicate(b"Some words.\n", timeout=60)
    assert process.returncode == 0, err
    told = media(service, upload_id)
    assert told["filename"] == "stdin"
    assert told["fields"] == {"album": "Sea", "tag": ["a", "b=c"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--field", "album"), "no field: --field NAME=VALUE"),
        (("--field", "=x"), "no field: --field NAME=VALUE"),
        (("--context", "courseId"), "no context: --context KEY=VALUE"),
        (("--resume",), "Standard input cannot be resumed"),
        (("--resume", "--batch"), "not with a --batch"),
    ],
)
def test_wrong_use(words: tuple[str, ...], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and nothing is sent."""
    with pytest.raises(SystemExit) as ended:
        main(["upload", "-", *words])
    err = capfd.readouterr().err
    assert (ended.value.code, said in err) == (2, True), err
