"""Clients of tus, and of the IETF draft, send a file to the service as they are, over cuts."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cutting_uploads import CuttingUploads
from tests.helpers.service import Service
from tests.wire.words import check_journal, journal_of, new_id

HERE = Path(__file__).parent
NODE = ["node", str(HERE / "send_tus.mjs")]
MODULE = ["node", str(HERE / "send_module.mjs")]
PYTHON = [sys.executable, str(HERE / "send_tuspy.py")]
CONTENT = b"Some words, and more of them.\n" * 50_000
CHUNK = 400_000


@pytest.fixture
def running(usual_service: Service) -> Service:
    return usual_service


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_bytes(CONTENT)
    return path


async def sent(command: list[str]) -> str:
    """Where the client says that its upload is."""
    sending = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(sending.communicate(), 90)
    finally:
        if sending.returncode is None:
            sending.kill()
            await sending.wait()
    assert sending.returncode == 0, err.decode()
    return out.decode().strip()


async def check_whole(service: Service, upload_id: str, *, metadata: bool) -> None:
    """One gapless journal to `complete`, and the file's own bytes."""
    frames = await journal_of(service, upload_id)
    check_journal(frames)
    media = frames[-1].json["media"]
    assert media["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    if metadata:
        assert (media["filename"], media["fields"]) == ("words.txt", {"album": "Sea"})


@pytest.mark.parametrize(
    ("command", "protocol"),
    [
        (NODE, "tus-v1"),
        (NODE, "ietf-draft-03"),
        (NODE, "ietf-draft-05"),
        (PYTHON, ""),
    ],
    ids=["tus-js-client", "tus-js-client-draft-03", "tus-js-client-draft-05", "tuspy"],
)
async def test_a_client_sends_over_cuts(
    running: Service, file: Path, command: list[str], protocol: str
) -> None:
    """Cut at the head, in the middle of a part and near its end, it goes on and is done."""
    upload_id = new_id()
    with CuttingUploads(running.url, cuts=[100_000, 250_000, 390_000]) as proxy:
        mode = [protocol] if protocol else []
        url = await sent([*command, f"{proxy.url}/upload", str(file), upload_id, *mode, str(CHUNK)])
        assert proxy.made == 3
    assert url.endswith(f"/upload/{upload_id}")
    await check_whole(running, upload_id, metadata=not protocol.startswith("ietf"))


async def test_a_client_sends_parts_side_by_side(running: Service, file: Path) -> None:
    """tus-js-client with `parallelUploads`, over cuts: one upload, with the id that it gave."""
    upload_id = new_id()
    with CuttingUploads(running.url, cuts=[100_000, 250_000]) as proxy:
        command = [*NODE, f"{proxy.url}/upload", str(file), upload_id, "tus-v1", str(CHUNK), "3"]
        url = await sent(command)
        assert proxy.made == 2
    assert url.endswith(f"/upload/{upload_id}")
    await check_whole(running, upload_id, metadata=True)


async def test_the_module_sends_over_cuts(running: Service, file: Path) -> None:
    """In node, where fetch carries the body; it waits for the end of the stages as well."""
    upload_id = new_id()
    with CuttingUploads(running.url, cuts=[100_000, 250_000, 390_000]) as proxy:
        told = json.loads(await sent([*MODULE, proxy.url, str(file), upload_id]))
        assert proxy.made == 3
    assert told["id"] == upload_id
    await check_whole(running, upload_id, metadata=True)


async def test_a_client_sends_over_a_kill(service: Callable[..., Service], file: Path) -> None:
    """The web process is killed in the middle of a part; the client goes on with the next one."""
    running = service()
    killed: list[int] = []

    def kill(count: int) -> None:
        if count > 700_000 and not killed:
            killed.extend(running.pids()["web"])
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    upload_id = new_id()
    with CuttingUploads(running.url, cuts=[], passed=kill) as proxy:
        await sent([*MODULE, proxy.url, str(file), upload_id])
    assert killed
    await check_whole(running, upload_id, metadata=True)
