"""A rolling restart of the whole service: nobody outside sees more than a stream that resumes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import anyio
import httpx
import pytest

from tests.helpers.multipart import body, content_type, file_part
from tests.helpers.raw_http import connect, head, read_answer
from tests.helpers.service import Service
from tests.helpers.sse import EventStream, Frame, journal
from tests.helpers.waiting import wait_until
from tests.wire.words import check_journal, journal_of, new_id, post


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("rolling")) as service:
        yield service


async def test_sighup_costs_no_request_and_no_event(service: Service) -> None:
    """Every new connection is answered all the while; an open stream ends whole, and resumes."""
    before = service.pids()
    upload_id = new_id()
    url = f"{service.url}/upload/{upload_id}/progress"
    assert service.process is not None
    async with EventStream(url) as stream:
        service.process.send_signal(signal.SIGHUP)
        with anyio.fail_after(60):
            while "all processes are new" not in service.log:
                async with httpx.AsyncClient(timeout=60) as client:
                    assert (await client.get(f"{service.url}/healthz")).status_code == 200
                await anyio.sleep(0.02)
        seen: list[Frame] = [frame async for frame in stream]
        assert stream.clean_end
        assert journal(seen) == []
    after = service.pids()
    assert not set(after["web"]) & set(before["web"])
    assert not set(after["worker"]) & set(before["worker"])
    with httpx.Client(base_url=service.url, timeout=60) as client:
        assert post(client, upload_id).status_code == 200
    frames = await journal_of(service, upload_id)
    check_journal(frames)


def test_a_process_that_ends_takes_what_its_connections_bring(service: Service) -> None:
    """While it waits for a body, a connection from before may bring one; then that is closed."""
    whole = body([file_part(b"Some words.\n" * 1000, "words.txt", "text/plain")])

    def request(service: Service, upload_id: str) -> bytes:
        headers = {
            "X-Upload-ID": upload_id,
            "Content-Type": content_type(),
            "Content-Length": str(len(whole)),
            "Prefer": "respond-async",
        }
        return head("POST", f"{service.url}/upload", headers) + whole

    [old] = service.pids()["web"]
    slow, kept, other = (connect(service.url) for _ in range(3))
    with slow, kept, other:
        slow_request = request(service, "slow")
        slow.sendall(slow_request[:-5000])
        wait_until(
            lambda: httpx.get(f"{service.url}/upload/slow").json()["status"] == "receiving",
            "the slow body arrives",
        )
        kept.sendall(head("GET", f"{service.url}/healthz"))
        assert read_answer(kept).status == 200
        os.kill(old, signal.SIGTERM)

        def ending() -> bool:
            other.sendall(head("GET", f"{service.url}/readyz"))
            return b'"draining"' in read_answer(other).body

        wait_until(ending, "it is to end")
        kept.sendall(request(service, "kept"))
        answer = read_answer(kept, method="POST")
        assert answer.status == 202
        assert answer.headers["connection"] == "close"
        assert kept.recv(1) == b""
        assert old in service.pids()["web"]
        slow.sendall(slow_request[-5000:])
        assert read_answer(slow, method="POST").status == 202
    wait_until(lambda: old not in service.pids()["web"], "it has ended")
    for upload_id in ("slow", "kept"):
        state = f"{service.url}/upload/{upload_id}"
        wait_until(lambda state=state: httpx.get(state).json()["status"] == "complete", "done")
