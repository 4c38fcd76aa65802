"""Behind the real nginx with the configuration that this project ships."""

from __future__ import annotations

import asyncio
import http.client
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx
import pytest

from tests.helpers.media import jpeg
from tests.helpers.multipart import body, content_type, file_part
from tests.helpers.processes import die_with_parent
from tests.helpers.service import ROOT, Service
from tests.helpers.sse import EventStream
from tests.helpers.waiting import wait_until
from tests.wire.words import check_journal, new_id

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Proxy:
    url: str
    directory: Path
    tls: ssl.SSLContext

    @property
    def logs(self) -> str:
        return "".join(path.read_text() for path in self.directory.glob("*.log"))


@pytest.fixture(scope="module")
def proxy(running: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """nginx.conf as it stands, with places and ports of this test put in."""
    directory = tmp_path_factory.mktemp("nginx")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout", str(directory / "privkey.pem"), "-out", str(directory / "fullchain.pem"),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    plain, secure = free_port(), free_port()
    text = (ROOT / "nginx.conf").read_text()
    for old, new in {
        "/etc/nginx/tls/": f"{directory}/",
        "/var/log/nginx/": f"{directory}/",
        "/run/nginx.pid": f"{directory}/nginx.pid",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl": f"listen 127.0.0.1:{secure} ssl",
        "127.0.0.1:8000": running.url.removeprefix("http://"),
        "worker_processes auto;": f"daemon off;\nworker_processes 1;\nuser {_user()};",
    }.items():
        assert old in text
        text = text.replace(old, new)
    (directory / "nginx.conf").write_text(text)
    process = subprocess.Popen(
        [NGINX, "-c", str(directory / "nginx.conf"), "-p", str(directory)],
        preexec_fn=die_with_parent,
    )
    tls = ssl.create_default_context(cafile=str(directory / "fullchain.pem"))

    def answers() -> bool:
        assert process.poll() is None, "nginx ended"
        try:
            with socket.create_connection(("127.0.0.1", secure), timeout=1):
                return True
        except OSError:
            return False

    wait_until(answers, "nginx listens")
    yield Proxy(f"https://localhost:{secure}", directory, tls)
    process.terminate()
    process.wait(timeout=20)


def _user() -> str:
    import getpass

    return getpass.getuser()


async def test_the_whole_journal_live_through_nginx(proxy: Proxy) -> None:
    """A slow body's bytes and every stage pass as they happen: nothing is buffered."""
    upload_id = new_id()
    raw = body([file_part(jpeg(1600, 1200))])
    at = 0.0

    async def pieces():  # type: ignore[no-untyped-def]
        nonlocal at
        step = len(raw) // 8 + 1
        for start in range(0, len(raw), step):
            yield raw[start : start + step]
            at = time.monotonic()
            await asyncio.sleep(0.15)

    url = f"{proxy.url}/upload/{upload_id}/progress"
    async with (
        EventStream(url, tls=proxy.tls) as stream,
        httpx.AsyncClient(verify=proxy.tls, timeout=30) as client,
    ):
        assert stream.headers["x-accel-buffering"] == "no"
        frames = aiter(stream)
        await anext(frames)
        answers: list[httpx.Response] = []

        async def send() -> None:
            answers.append(
                await client.post(
                    f"{proxy.url}/upload",
                    content=pieces(),
                    headers={
                        "X-Upload-ID": upload_id,
                        "Content-Type": content_type(),
                        "Content-Length": str(len(raw)),
                    },
                )
            )

        early = []
        got = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            async for frame in frames:
                if frame.id:
                    got.append(frame)
                    if (
                        frame.stage == "receiving"
                        and not answers
                        and frame.json["bytes"] < len(raw)
                    ):
                        early.append(frame.json["bytes"])
    assert answers[0].status_code == 200
    assert len(set(early)) >= 4, "the body's progress came in lumps"
    check_journal(got)
    assert got[-1].stage == "complete"


def test_http2_and_tokens_stay_out_of_the_log(proxy: Proxy) -> None:
    """HTTP/2 is spoken, and no query, so no ?token=, is in any log."""
    upload_id = new_id()
    told = subprocess.run(
        [
            "curl", "-sS", "-N", "--http2", "-4",
            "--cacert", str(proxy.directory / "fullchain.pem"),
            "--max-time", "5", "-o", "/dev/null", "-w", "%{http_version} %{http_code}",
            f"{proxy.url}/upload/{upload_id}/progress?token=very-secret-token",
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert told.stdout == "2 200", told.stderr
    wait_until(lambda: upload_id in proxy.logs, "nginx has written its line")
    assert "very-secret-token" not in proxy.logs


def test_a_body_over_the_limit_is_refused_at_the_door(proxy: Proxy) -> None:
    """nginx refuses what the service would, without passing it on."""
    connection = http.client.HTTPSConnection(
        proxy.url.removeprefix("https://"), context=proxy.tls, timeout=20
    )
    connection.putrequest("POST", "/upload")
    connection.putheader("Content-Type", content_type())
    connection.putheader("Content-Length", str(2 * 1024**3))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
