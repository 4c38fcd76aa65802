"""Behind the real nginx with the configuration that this project ships, to the byte."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import httpx
import pytest
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from tests.attacks.words import SECRET, token
from tests.helpers.media import jpeg
from tests.helpers.multipart import body, content_type, file_part
from tests.helpers.nginx import Nginx
from tests.helpers.ports import free_port
from tests.helpers.processes import bound
from tests.helpers.service import Service
from tests.helpers.sse import EventStream, Frame, journal
from tests.helpers.waiting import wait_until
from tests.wire.words import check_journal, new_id

LIMIT = 50_000_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a key, without limits per user, that takes less than nginx does."""
    settings = {
        "SSE_PROGRESS_JWT_SECRET": SECRET,
        "SSE_PROGRESS_MAX_UPLOAD_BYTES": str(LIMIT),
        "SSE_PROGRESS_MAX_STREAMS_PER_USER": "200",
        "SSE_PROGRESS_REQUESTS_PER_MINUTE": "100000",
        "SSE_PROGRESS_REQUESTS_PER_MINUTE_PER_ADDRESS": "100000",
        "SSE_PROGRESS_LOG_LEVEL": "debug",
    }
    with Service(tmp_path_factory.mktemp("service"), settings) as service:
        yield service


@pytest.fixture(scope="module")
def proxy(running: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with Nginx(tmp_path_factory.mktemp("nginx"), running.url) as nginx:
        yield nginx


@pytest.fixture
def user() -> dict[str, str]:
    return {"Authorization": f"Bearer {_token()}"}


def _token() -> str:
    return token(sub=new_id(), aud=None, iss=None)


@pytest.fixture
def client(proxy: Nginx, user: dict[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, verify=proxy.tls, headers=user, timeout=60) as client:
        yield client


class SlowBody:
    """A picture sent in sixteen pieces, the second half when `release` is set."""

    def __init__(self, upload_id: str, user: dict[str, str]) -> None:
        self.raw = body([file_part(jpeg(1600, 1200))])
        self.release = asyncio.Event()
        self.headers = {
            **user,
            "X-Upload-ID": upload_id,
            "Content-Type": content_type(),
            "Content-Length": str(len(self.raw)),
        }

    async def pieces(self) -> AsyncIterator[bytes]:
        step = len(self.raw) // 16 + 1
        for number, start in enumerate(range(0, len(self.raw), step)):
            if number == 8:
                await self.release.wait()
            yield self.raw[start : start + step]
            await asyncio.sleep(0.1)  # at this pace an event of `receiving` holds some three pieces

    async def post(self, url: str, verify: ssl.SSLContext | bool = True) -> httpx.Response:
        async with httpx.AsyncClient(verify=verify, timeout=60) as client:
            return await client.post(f"{url}/upload", content=self.pieces(), headers=self.headers)


async def _until_half(frames: AsyncIterator[Frame], got: list[Frame]) -> None:
    """Read until some of the body, and surely no more than the half that was sent, is counted."""
    with anyio.fail_after(60):
        async for frame in frames:
            if frame.id:
                got.append(frame)
                if frame.json.get("bytes", 0) > 0:
                    return


async def test_the_whole_journal_live_through_nginx(proxy: Nginx, user: dict[str, str]) -> None:
    """A slow body's bytes and every stage pass as they happen: nothing is buffered."""
    upload_id = new_id()
    slow = SlowBody(upload_id, user)
    got: list[Frame] = []
    answers: list[httpx.Response] = []

    async def send() -> None:
        answers.append(await slow.post(proxy.url, proxy.tls))

    url = f"{proxy.url}/upload/{upload_id}/progress"
    async with (
        EventStream(url, headers=user, tls=proxy.tls) as stream,
        anyio.create_task_group() as tasks,
    ):
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["strict-transport-security"]
        frames = aiter(stream)
        await anext(frames)
        tasks.start_soon(send)
        await _until_half(frames, got)
        assert not answers, "half of the body is counted while the other half is not yet sent"
        slow.release.set()
        got += journal([frame async for frame in frames])
    assert answers[0].status_code == 200
    early = {frame.json["bytes"] for frame in got if frame.stage == "receiving"}
    assert len(early - {0, len(slow.raw)}) >= 4, "the body's progress came in lumps"
    check_journal(got)
    assert got[-1].stage == "complete"


def test_fifty_streams_share_one_connection(
    proxy: Nginx, client: httpx.Client, user: dict[str, str], tmp_path: Path
) -> None:
    """Fifty streams of HTTP/2 on one connection all come to their ends."""
    ids = [new_id() for _ in range(50)]
    config = tmp_path / "curl"
    lines = [
        f'url = "{proxy.url}/upload/{upload_id}/progress"\n'
        f'output = "{tmp_path / upload_id}"\n'
        f'header = "{name}: {value}"\n'
        f'cacert = "{proxy.certificate}"\nhttp2\nno-buffer\nsilent\nmax-time = 60\n'
        'write-out = "%{http_version} %{http_code} %{num_connects}\\n"\n'
        for upload_id in ids
        for name, value in user.items()
    ]
    config.write_text("next\n".join(lines))
    with subprocess.Popen(
        bound(["curl", "-sS", "-N", "-Z", "--parallel-max", "50", "-K", str(config)]),
        stdout=subprocess.PIPE,
        text=True,
    ) as streams:
        wait_until(
            lambda: all((tmp_path / i).exists() and (tmp_path / i).stat().st_size for i in ids),
            "each of the fifty streams has begun",
        )
        for upload_id in ids:
            assert client.delete(f"/upload/{upload_id}").status_code == 204
        told, _ = streams.communicate(timeout=60)
    each = [line.split() for line in told.splitlines()]
    assert [(version, code) for version, code, _ in each] == [("2", "200")] * 50
    assert sum(int(connects) for _, _, connects in each) == 1
    for upload_id in ids:
        assert '"stage":"cancelled"' in (tmp_path / upload_id).read_text()


def test_put_and_patch_pass(client: httpx.Client) -> None:
    """A plain body and a resumed one reach the service, with their headers both ways."""
    picture = jpeg()
    plain = client.put(
        f"/upload/{new_id()}", content=picture, headers={"Content-Type": "image/jpeg"}
    )
    assert plain.status_code == 200, plain.text
    tus = {"Tus-Resumable": "1.0.0"}
    made = client.post(
        "/upload",
        headers={
            **tus,
            "Upload-Length": str(len(picture)),
            "Upload-Metadata": f"filename {base64.b64encode(b'photo.jpg').decode()}",
        },
    )
    assert made.status_code == 201, made.text
    place = httpx.URL(made.headers["Location"]).path
    sent = client.patch(
        place,
        content=picture,
        headers={
            **tus,
            "Upload-Offset": "0",
            "Content-Type": "application/offset+octet-stream",
        },
    )
    assert sent.status_code == 204, sent.text
    assert sent.headers["Upload-Offset"] == str(len(picture))


async def test_a_stream_goes_on_over_a_reload(proxy: Nginx, user: dict[str, str]) -> None:
    """A reload in mid-stream cuts neither the body nor the stream; new workers take what is new."""
    upload_id = new_id()
    slow = SlowBody(upload_id, user)
    got: list[Frame] = []
    answers: list[httpx.Response] = []

    async def send() -> None:
        answers.append(await slow.post(proxy.url, proxy.tls))

    url = f"{proxy.url}/upload/{upload_id}/progress"
    async with (
        EventStream(url, headers=user, tls=proxy.tls) as stream,
        anyio.create_task_group() as tasks,
    ):
        frames = aiter(stream)
        tasks.start_soon(send)
        await _until_half(frames, got)
        await anyio.to_thread.run_sync(proxy.reload)
        async with httpx.AsyncClient(verify=proxy.tls) as client:
            assert (await client.get(f"{proxy.url}/healthz")).status_code == 200
        slow.release.set()
        got += journal([frame async for frame in frames])
    assert answers[0].status_code == 200
    assert stream.clean_end
    check_journal(got)


async def test_a_killed_upstream_is_left_for_the_other(
    running: Service, user: dict[str, str], tmp_path: Path
) -> None:
    """`kill -9` of a stream's web process: it resumes on the other without gap or repeat."""
    other = Service(
        tmp_path / "web",
        {
            **running.env,
            "SSE_PROGRESS_PORT": str(free_port()),
            "SSE_PROGRESS_REDIS_URL": running.redis_url,
        },
        command=(sys.executable, "-m", "sse_progress", "web"),
    )
    address = f"http://127.0.0.1:{other.env['SSE_PROGRESS_PORT']}"
    process = other.launch()

    def serves() -> bool:
        assert process.poll() is None, other.log
        try:
            return httpx.get(f"{address}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(serves, "the second web process serves")
    upload_id = new_id()
    slow = SlowBody(upload_id, user)
    got: list[Frame] = []
    with Nginx(tmp_path / "nginx", address, running.url) as proxy:
        url = f"{proxy.url}/upload/{upload_id}/progress"
        async with anyio.create_task_group() as tasks:
            async with EventStream(url, headers=user, tls=proxy.tls) as stream:
                tasks.start_soon(slow.post, running.url)
                await _until_half(aiter(stream), got)
                os.kill(process.pid, signal.SIGKILL)
                got += journal([frame async for frame in stream])
                assert not stream.clean_end
            slow.release.set()
            position = {**user, "Last-Event-ID": str(got[-1].id)}
            async with EventStream(url, headers=position, tls=proxy.tls) as stream:
                assert stream.status == 200
                got += journal([frame async for frame in stream])
    process.wait(timeout=60)
    check_journal(got)
    assert got[-1].stage == "complete"


def test_a_stream_is_told_to_come_back_while_no_service_is_there(tmp_path: Path) -> None:
    """Without any upstream an EventSource gets 200 with `retry`, since it gives up on all else."""
    with (
        Nginx(tmp_path, f"http://127.0.0.1:{free_port()}") as proxy,
        httpx.Client(base_url=proxy.url, verify=proxy.tls) as client,
    ):
        stream = client.get("/upload/x/progress", headers={"Accept": "text/event-stream"})
        assert (stream.status_code, stream.text) == (200, "retry: 5000\n\n")
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-store"
        answer = client.get("/upload/x?token=very-secret-token")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "2"
        assert answer.json()["code"] == "unavailable"
        wait_until(lambda: '"status":"503"' in proxy.logs, "nginx has written its line")
        assert "very-secret-token" not in proxy.logs


def test_both_layers_refuse_a_body_over_their_limits(proxy: Nginx, user: dict[str, str]) -> None:
    """From the headers alone: the service what is over its limit, nginx what is far over it."""
    for size, told_by_service in ((LIMIT + 1_000_000, True), (2 * 1024**3, False)):
        connection = http.client.HTTPSConnection(
            proxy.url.removeprefix("https://"), context=proxy.tls, timeout=20
        )
        connection.putrequest("POST", "/upload")
        for name, value in user.items():
            connection.putheader(name, value)
        connection.putheader("Content-Type", content_type())
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
        assert answer.status == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert told["code"] == "too_large"
        assert told["success"] is False
        assert (str(LIMIT) in told["detail"]) is told_by_service


def test_too_many_requests_of_one_address(client: httpx.Client, proxy: Nginx) -> None:
    """nginx answers 429 in the service's form once an address has asked too often."""
    told = subprocess.run(
        [
            "curl", "-sS", "-Z", "--parallel-max", "50", "--http2",
            "--cacert", str(proxy.certificate), "-o", "/dev/null", "-w", "%{http_code}\n",
            f"{proxy.url}/nothing?[1-1500]",
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert "429" in told.stdout.split()

    answer = client.get("/nothing")
    if answer.status_code == 429:  # on a slow machine the bucket may have room again
        assert answer.json()["code"] == "rate_limited"
        assert answer.headers["retry-after"]
    wait_until(lambda: client.get("/healthz").status_code == 200, "the address may ask again")


def test_a_websocket_passes(tmp_path: Path) -> None:
    """An upgrade to WebSocket goes through, both ways; any other upgrade stays at the door."""

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(echo, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        with Nginx(tmp_path, address) as proxy:
            url = proxy.url.replace("https", "wss") + "/ws?ticket=very-secret-ticket"
            with connect(url, ssl=proxy.tls) as socket:
                socket.send("one")
                assert socket.recv(timeout=60) == "one"
            with httpx.Client(verify=proxy.tls) as client:
                other = client.get(
                    f"{proxy.url}/ws", headers={"Upgrade": "h2c", "Connection": "Upgrade"}
                )
            assert other.status_code == 426  # the server's word for a request without an upgrade
            wait_until(lambda: '"status":"101"' in proxy.logs, "nginx has written its line")
            assert "very-secret-ticket" not in proxy.logs
        server.shutdown()
        thread.join(timeout=60)


@pytest.mark.parametrize("name", ["token", "ticket", "%74oken", "tick%65t"])
def test_credentials_are_in_no_log_and_no_redirect(
    proxy: Nginx, running: Service, name: str
) -> None:
    """?token= and ?ticket=, also with an escape in the name, are repeated nowhere."""
    upload_id = new_id()
    secret = f"very-secret-{upload_id}"
    path = f"/upload/{upload_id}/progress"
    with httpx.Client(verify=proxy.tls, timeout=60) as client:
        client.get(f"{proxy.url}{path}?a=1&{name}={secret}", headers={"Accept": "application/json"})
        client.get(f"{proxy.url}/uploads?{name}={secret}")
        redirect = client.get(f"{proxy.plain_url}{path}?a=1&{name}={secret}")
    assert redirect.status_code == 308
    assert redirect.headers["location"] == f"https://localhost{path}"
    wait_until(lambda: upload_id in proxy.logs, "nginx has written its line")
    wait_until(lambda: upload_id in running.log, "the service has written its line")
    assert secret not in proxy.logs
    assert secret not in running.log


def test_other_queries_are_kept_by_the_redirect(proxy: Nginx) -> None:
    """A redirect to HTTPS keeps method and query."""
    answer = httpx.post(f"{proxy.plain_url}/uploads?status=complete&tokens=1")
    assert answer.status_code == 308
    assert answer.headers["location"] == "https://localhost/uploads?status=complete&tokens=1"


def test_the_service_sees_the_real_client(
    client: httpx.Client, proxy: Nginx, running: Service
) -> None:
    """What a client claims in X-Forwarded-For does not reach the service."""
    path = f"/upload/{new_id()}"
    client.get(path, headers={"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.7"})
    wait_until(lambda: path in running.log, "the service has written its line")
    line = next(line for line in running.log.splitlines() if path in line)
    assert "127.0.0.1" in line
    assert "203.0.113.7" not in line


def test_the_log_has_a_line_per_request_in_json(proxy: Nginx, client: httpx.Client) -> None:
    """Path, upload, status and duration; health checks that pass leave no line."""
    upload_id = new_id()
    client.get("/healthz")
    client.put(f"/upload/{upload_id}", content=jpeg())
    wait_until(lambda: upload_id in proxy.logs, "nginx has written its line")
    lines = [json.loads(line) for line in proxy.logs.splitlines()]
    entry = next(line for line in lines if line["path"] == f"/upload/{upload_id}")
    assert entry["upload_id"] == upload_id
    assert entry["method"] == "PUT"
    assert entry["status"] == entry["upstream_status"] == "200"
    assert not [line for line in lines if (line["path"], line["status"]) == ("/healthz", "200")]


def test_metrics_are_answered_to_the_host_itself(client: httpx.Client) -> None:
    """/metrics passes for a scraper on nginx's own host."""
    assert client.get("/metrics").status_code == 200
