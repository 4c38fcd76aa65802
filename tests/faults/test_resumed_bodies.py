"""Bodies in several requests, over processes that are killed and a Redis that loses everything."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator

import httpx
import pytest

from tests.helpers.raw_http import read_answer
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until
from tests.wire.test_tus import MIB, append, begun, create, offset_of
from tests.wire.words import check_journal, journal_of, new_id

pytestmark = pytest.mark.faults

CONTENT = (b"Some words, and more of them.\n" * 150_000)[: 5 * MIB // 2]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two web processes, which start again when they are killed, and a Redis to be emptied."""
    env = {"SSE_PROGRESS_WEB_PROCESSES": "2"}
    with Service(tmp_path_factory.mktemp("bodies"), env) as service:
        yield service


def at_rest(client: httpx.Client, upload_id: str) -> int:
    """The offset, asked again while the service is starting anew."""
    offset = -1

    def told() -> bool:
        nonlocal offset
        try:
            answer = client.head(f"/upload/{upload_id}")
        except httpx.TransportError:
            return False
        if answer.status_code != 200:
            return False
        offset = int(answer.headers["upload-offset"])
        return True

    wait_until(told, "the service tells an offset")
    return offset


async def test_requests_that_take_over_on_two_processes(running: Service) -> None:
    """Whichever process gets the newer one, the older one ends; the file is whole although no
    process saw all of it."""
    upload_id, offset, size = new_id(), 0, MIB + 10_000
    url = f"{running.url}/upload/{upload_id}"
    with httpx.Client(base_url=running.url, timeout=60) as client:
        create(client, upload_id, len(CONTENT))
    for _ in range(2):
        first = CONTENT[offset : offset + size]
        with begun(running, upload_id, offset, first, of=len(CONTENT) - offset) as connection:
            there = offset + MIB
            wait_until(
                lambda there=there: int(httpx.get(url).headers["upload-offset"]) >= there,
                "1 MiB is there",
            )
            with httpx.Client(base_url=running.url, timeout=60) as client:
                offset = offset_of(client, upload_id)
            answer = read_answer(connection)
            assert (answer.status, answer.json["code"]) == (409, "replaced")
        assert there <= offset <= there + size
    with httpx.Client(base_url=running.url, timeout=60) as client:
        assert append(client, upload_id, offset, CONTENT[offset:]).status_code == 204
    frames = await journal_of(running, upload_id)
    check_journal(frames)
    assert frames[-1].json["media"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()


async def test_a_killed_receiver_loses_nothing_that_was_told(running: Service) -> None:
    """kill -9 of every web process in the middle of a PATCH; the journal is the same one."""
    upload_id = new_id()
    with httpx.Client(base_url=running.url, timeout=60) as client:
        create(client, upload_id, len(CONTENT))
        append(client, upload_id, 0, CONTENT[:1000])
        with begun(running, upload_id, 1000, CONTENT[1000 : 2 * MIB], of=len(CONTENT) - 1000):
            url = f"/upload/{upload_id}"
            wait_until(
                lambda: int(client.get(url).headers["upload-offset"]) >= MIB, "1 MiB is there"
            )
            told = int(client.get(url).headers["upload-offset"])
            for pid in running.pids()["web"]:
                os.kill(pid, signal.SIGKILL)
    with httpx.Client(base_url=running.url, timeout=60) as client:
        offset = at_rest(client, upload_id)
        assert told <= offset <= 2 * MIB
        assert append(client, upload_id, offset, CONTENT[offset:]).status_code == 204
    frames = await journal_of(running, upload_id)
    check_journal(frames)
    assert frames[-1].json["media"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()


async def test_a_redis_that_lost_everything(running: Service) -> None:
    """The body goes on in a new telling of its journal."""
    from redis import Redis

    upload_id = new_id()
    with httpx.Client(base_url=running.url, timeout=60) as client:
        create(client, upload_id, len(CONTENT))
        append(client, upload_id, 0, CONTENT[:MIB])
        before = client.get(f"/upload/{upload_id}").headers["etag"]
        redis = Redis.from_url(running.redis_url)
        redis.flushall()
        redis.close()
        assert offset_of(client, upload_id) == MIB
        assert append(client, upload_id, MIB, CONTENT[MIB:]).status_code == 204
        after = client.get(f"/upload/{upload_id}").headers["etag"]
        assert before.partition("-")[0] != after.partition("-")[0]
    frames = await journal_of(running, upload_id)
    check_journal(frames)
    assert frames[-1].json["media"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()
