"""Hosts of streams and hosts of uploads apart: `sse-progress web --streams-only|--uploads-only`."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.helpers.media import jpeg
from tests.helpers.service import Service
from tests.helpers.sse import EventStream, journal, read_events
from tests.helpers.waiting import eventually, wait_until


def started(directory: Path, env: dict[str, str], *words: str) -> Service:
    """A part that is run separately, once it listens and answers."""
    one = Service(directory, env, command=(sys.executable, "-m", "sse_progress", *words))
    one.launch()
    if "web" in words:
        found = wait_until(
            lambda: re.search(r"Listening on (http://[\w.:]+)", one.log), "it listens"
        )
        one.url = found[1]
        wait_until(lambda: answers(one.url), "it answers")
    return one


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def parts(short_dir: Path, redis_url: str) -> Iterator[dict[str, Service]]:
    env = {"SSE_PROGRESS_REDIS_URL": redis_url, "SSE_PROGRESS_LOG_FORMAT": "json"}
    apart = {**env, "SSE_PROGRESS_DATA_DIR": str(short_dir / "nowhere" / "data")}
    made = {
        "uploads": started(short_dir / "main", env, "web", "--uploads-only"),
        "worker": started(short_dir / "main", {**env, "SSE_PROGRESS_PORT": ""}, "worker"),
        "streams": started(short_dir / "streams", apart, "web", "--streams-only"),
    }
    yield made
    for one in made.values():
        assert one.process is not None
        one.process.terminate()
        one.process.wait(60)
        for line in one.log.splitlines():
            assert "event" in json.loads(line)


async def test_a_host_of_streams_needs_no_storage(
    parts: dict[str, Service], short_dir: Path
) -> None:
    """It tells every event of an upload that another host receives, claims no id, is ready without
    a storage or worker of its own, and makes no directory."""
    streams, uploads = parts["streams"].url, parts["uploads"].url
    async with httpx.AsyncClient(timeout=60) as http:

        async def ready() -> httpx.Response | None:
            answer = await http.get(f"{streams}/readyz")
            return answer if answer.status_code == 200 else None

        checks = (await eventually(ready, "the host of streams is ready")).json()["checks"]
        assert checks == {"redis": "ok", "journal": "ok", "tasks": "ok"}
        async with EventStream(f"{streams}/upload/early/progress") as waiting:
            assert (await anext(aiter(waiting))).json["type"] == "connected"
            assert (await http.get(f"{uploads}/upload/early")).status_code == 404
        watching = asyncio.ensure_future(read_events(f"{streams}/upload/one/progress"))
        answer = await http.post(
            f"{uploads}/upload",
            files={"file": ("photo.jpg", jpeg(), "image/jpeg")},
            headers={"X-Upload-ID": "one"},
        )
        assert answer.status_code == 200
        events = journal(await watching)
        assert events[-1].json["media"] == answer.json()["data"]["media"]
        state = await http.get(
            f"{streams}/upload/one/progress", headers={"Accept": "application/json"}
        )
        assert state.json()["status"] == "complete"
        assert (await http.get(f"{streams}/metrics")).status_code == 200
        last = {"Last-Event-ID": str(events[-1].id)}
        assert (await http.get(f"{streams}/upload/one/progress", headers=last)).status_code == 204
    assert not (short_dir / "nowhere").exists()


async def test_what_another_host_does_is_refused(parts: dict[str, Service]) -> None:
    """421 with a problem; what both do is answered by both."""
    streams, uploads = parts["streams"].url, parts["uploads"].url
    async with httpx.AsyncClient(timeout=60) as http:
        for method, url in (
            ("POST", f"{streams}/upload"),
            ("PUT", f"{streams}/upload/x"),
            ("GET", f"{streams}/upload/x"),
            ("DELETE", f"{streams}/upload/x"),
            ("POST", f"{streams}/upload/x/progress"),
            ("GET", f"{streams}/uploads"),
            ("GET", f"{streams}/"),
            ("GET", f"{uploads}/upload/x/progress"),
            ("GET", f"{uploads}/uploads/progress"),
        ):
            answer = await http.request(method, url)
            assert (answer.status_code, method, url) == (421, method, url)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "misdirected_request"
        for url in (streams, uploads):
            for path in ("config", "openapi.json", "metrics", "healthz"):
                assert (await http.get(f"{url}/{path}")).status_code == 200
        assert (await http.get(f"{uploads}/uploads")).status_code == 200
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{uploads.replace('http', 'ws')}/ws")
    assert refused.value.response.status_code == 421
    with connect(f"{streams.replace('http', 'ws')}/ws"):
        pass


@pytest.mark.parametrize(
    ("words", "env", "why"),
    [
        (("web", "--streams-only", "--uploads-only"), {}, "exclude each other"),
        (("worker",), {"SSE_PROGRESS_WEB_ROLE": "streams"}, "unset it for worker"),
        (("serve",), {"SSE_PROGRESS_WEB_ROLE": "uploads"}, "unset it for serve"),
    ],
)
def test_wrong_use_is_refused(
    words: tuple[str, ...], env: dict[str, str], why: str, short_dir: Path, redis_url: str
) -> None:
    """Exit code 2, and a sentence."""
    one = Service(
        short_dir,
        {"SSE_PROGRESS_REDIS_URL": redis_url, **env},
        command=(sys.executable, "-m", "sse_progress", *words),
    )
    assert one.launch().wait(60) == 2
    assert why in one.log
