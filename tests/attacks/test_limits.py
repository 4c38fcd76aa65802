"""Too much of everything by one caller, and what a claim without an upload is worth."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import anyio
import pytest

from tests.attacks.conftest import TOKENS
from tests.attacks.words import (
    SECRET,
    Caller,
    check_problem,
    check_untouched,
    new_id,
    request_bytes,
)
from tests.helpers.media import jpeg
from tests.helpers.multipart import body, content_type, file_part
from tests.helpers.raw_http import connect, read_answer
from tests.helpers.service import Service
from tests.helpers.sse import EventStream
from tests.helpers.waiting import eventually, wait_until

GOOD = body([file_part(jpeg(40, 30))])
CLAIM_S = 5


@pytest.fixture(scope="module")
def strict() -> Iterator[Service]:
    """Two streams, one body, 40 requests a minute; two web processes that share the counting."""
    directory = Path(tempfile.mkdtemp(prefix="sp-attack-"))
    env = {
        **TOKENS,
        "SSE_PROGRESS_JWT_SECRET": SECRET,
        "SSE_PROGRESS_WEB_PROCESSES": "2",
        "SSE_PROGRESS_MAX_STREAMS_PER_USER": "2",
        "SSE_PROGRESS_MAX_UPLOADS_PER_USER": "1",
        "SSE_PROGRESS_REQUESTS_PER_MINUTE": "40",
        "SSE_PROGRESS_CLAIM_TTL_S": str(CLAIM_S),
        "SSE_PROGRESS_LEASE_S": "3",
    }
    with Service(directory, env) as service:
        yield service
    shutil.rmtree(directory)


async def test_too_many_streams(strict: Service) -> None:
    """A third stream is refused with Retry-After; another user, and a later one, is not."""
    alice, bob = Caller.named(strict, "many-streams"), Caller.named(strict, "one-stream")
    async with AsyncExitStack() as streams:
        for path in (f"/upload/{new_id()}/progress", "/uploads/progress"):
            stream = EventStream(strict.url + path, headers=dict(alice.headers))
            assert (await streams.enter_async_context(stream)).status == 200
        for path in (f"/upload/{new_id()}/progress", "/uploads/progress"):
            answer = alice.ask("GET", path)
            check_problem(answer, 429, "too_many_streams")
            assert int(answer.headers["retry-after"]) > 0
        async with EventStream(f"{strict.url}/uploads/progress", headers=dict(bob.headers)) as one:
            assert one.status == 200
    async with EventStream(f"{strict.url}/uploads/progress", headers=dict(alice.headers)) as one:
        assert one.status == 200


async def test_too_many_bodies(strict: Service) -> None:
    """A second body of a user is refused and claims no id; when the first ends there is room."""
    alice = Caller.named(strict, "many-bodies")
    first, second = new_id(), new_id()
    with ExitStack() as open_bodies:
        connection = open_bodies.enter_context(connect(strict.url))
        head = [
            *alice.headers.items(),
            ("Content-Type", content_type()),
            ("X-Upload-ID", first),
            ("Content-Length", str(len(GOOD))),
        ]
        connection.sendall(request_bytes(strict, "POST", "/upload", head, GOOD[:300]))
        wait_until(lambda: alice.state(first).status == 200, "the first body arrives")
        answer = alice.post_raw(GOOD, upload_id=second)
        check_problem(answer, 429, "too_many_uploads")
        assert int(answer.headers["retry-after"]) > 0
        check_untouched(alice, second)
        connection.sendall(GOOD[300:])
        assert read_answer(connection).status == 200
    assert alice.post_raw(GOOD, upload_id=second).status == 200


async def test_too_many_requests(strict: Service) -> None:
    """The rate counts over processes, for one user alone; a refused upload claims nothing."""
    alice, bob = Caller.named(strict, "many-requests"), Caller.named(strict, "few-requests")
    for _ in range(200):
        answer = alice.ask("GET", "/uploads")
        if answer.status == 429:
            break
    check_problem(answer, 429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    upload_id = new_id()
    check_problem(alice.post_raw(GOOD, upload_id=upload_id), 429, "rate_limited")
    assert bob.ask("GET", "/uploads").status == 200
    check_untouched(bob, upload_id)
    async with EventStream(f"{strict.url}/uploads/progress", headers=dict(alice.headers)) as stream:
        assert stream.status == 200  # EventSource would give up for good


async def test_a_claim_expires(strict: Service) -> None:
    """An id squatted by a stream is free again some time after the stream, not before."""
    squatter, upload_id = Caller.named(strict, "squatter"), new_id()

    def status_for_another() -> int:
        return Caller.named(strict, new_id()).state(upload_id).status

    url = f"{strict.url}/upload/{upload_id}/progress"
    async with EventStream(url, headers=dict(squatter.headers)) as stream:
        assert stream.status == 200
        until = time.monotonic() + 2 * CLAIM_S
        while time.monotonic() < until:  # longer than the claim would live alone
            assert status_for_another() == 403
            await anyio.sleep(0.5)
    await eventually(lambda: status_for_another() == 404, "the id is free again")
    owner = Caller.named(strict, new_id())
    assert owner.post_raw(GOOD, upload_id=upload_id).status == 200
    assert squatter.state(upload_id).status == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "0", "203.0.113.7", "example.org"])
async def test_open_mode_binds_to_loopback_alone(
    service: Callable[..., Service], host: str
) -> None:
    """Without a key nothing is served to the network: it says why, and which settings help."""
    one = service(arguments=("--host", host), start=False)
    process = one.launch()
    assert process.wait(60) != 0
    assert "SSE_PROGRESS_" in one.log or host == "", one.log
    assert "Ready" not in one.log
