"""Lists, the stream of all uploads, health and descriptions on the wire (contract §4)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import anyio
import httpx

from tests.helpers.media import jpeg
from tests.helpers.service import Service
from tests.helpers.sse import EventStream, Frame
from tests.wire.words import new_id, post


async def test_uploads_are_listed_newest_first_in_pages(client: httpx.Client) -> None:
    """Every upload once, over pages; filtered by status."""
    ids = [new_id() for _ in range(5)]
    for upload_id in ids[:-1]:
        assert post(client, upload_id).status_code == 200
    assert post(client, ids[-1], b"", name="empty.txt").status_code == 422
    told: list[dict] = []
    after = ""
    while True:
        page = client.get("/uploads", params={"limit": 2, **({"after": after} if after else {})})
        assert page.status_code == 200
        told += page.json()["uploads"]
        after = page.json().get("next", "")
        if not after:
            break
    assert [state["uploadId"] for state in told][:5] == ids[::-1]
    assert len({state["uploadId"] for state in told}) == len(told)
    assert told[0]["status"] == "error"
    assert told[1]["status"] == "complete"
    assert told[1]["media"]["id"] == ids[3]
    failed = client.get("/uploads", params={"status": "error"}).json()["uploads"]
    assert ids[-1] in [state["uploadId"] for state in failed]
    assert {state["status"] for state in failed} == {"error"}
    for bad in ({"status": "odd"}, {"limit": "0"}, {"limit": "x"}, {"after": "-1"}):
        answer = client.get("/uploads", params=bad)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


async def test_one_stream_for_all_uploads(running: Service, client: httpx.Client) -> None:
    """First the states, then every live event of each upload, new ones included; no ids."""
    old = new_id()
    post(client, old)
    fresh = [new_id() for _ in range(3)]
    seen: dict[str, list[Frame]] = {}
    async with EventStream(f"{running.url}/uploads/progress") as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        frames = aiter(stream)
        first = await anext(frames)
        assert first.retry_ms
        assert first.json["type"] == "connected"
        reset = await anext(frames)
        while reset.json["uploadId"] != old:
            reset = await anext(frames)
        assert reset.json["type"] == "reset"
        assert reset.json["stage"] == "complete"

        def send() -> None:
            for upload_id in fresh:
                answer = post(client, upload_id, headers={"Prefer": "respond-async"})
                assert answer.status_code == 202

        await anyio.to_thread.run_sync(send)
        ended: set[str] = set()
        with anyio.fail_after(60):
            while ended != set(fresh):
                frame = await anext(frames)
                assert frame.id is None
                upload_id = frame.json.get("uploadId")
                if upload_id not in fresh:
                    continue
                seen.setdefault(upload_id, []).append(frame)
                if frame.terminal:
                    ended.add(upload_id)
    for upload_id in fresh:
        events = [frame.json for frame in seen[upload_id]]
        assert events[0]["type"] == "reset"
        assert {event["type"] for event in events[1:]} <= {"progress"}
        percents = [event["progress"] for event in events]
        assert percents == sorted(percents)
        assert events[-1]["stage"] == "complete"


async def test_the_stream_of_all_can_be_narrowed(running: Service, client: httpx.Client) -> None:
    """`?id=` (repeatable) leaves the others out."""
    wanted, other = new_id(), new_id()
    post(client, other)
    post(client, wanted)
    async with EventStream(f"{running.url}/uploads/progress?id={wanted}&id=else") as stream:
        frames = aiter(stream)
        await anext(frames)
        assert (await anext(frames)).json["uploadId"] == wanted
    bad = client.get("/uploads/progress", params={"id": "a b"})
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_upload_id")


async def test_health_and_metrics(running: Service, client: httpx.Client) -> None:
    """Alive, ready with every part named, and countable."""
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert {"journal", "storage", "redis", "queue"} <= set(ready.json()["checks"])
    post(client, new_id(), jpeg())
    metrics = client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    lines = metrics.text.splitlines()
    assert any(line.startswith('sse_progress_uploads_total{end="complete"}') for line in lines)
    assert any(line.startswith("sse_progress_queue_waiting") for line in lines)
    assert any(line.startswith("sse_progress_stage_seconds_bucket") for line in lines)
    before = {name: counted(lines, name) for name in COUNTS_A_404}
    assert client.get(f"/upload/{new_id()}").status_code == 404
    again = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert again.headers["content-type"].startswith("application/openmetrics-text")
    lines = again.text.splitlines()
    assert {name: counted(lines, name) - 1 for name in COUNTS_A_404} == before
    assert "sse_progress_redis_up 1.0" in lines
    assert "sse_progress_append_seconds_count 0.0" not in lines


COUNTS_A_404 = (
    'sse_progress_refusals_total{code="unknown_upload"}',
    'sse_progress_requests_total{method="GET",status="404"}',
)


def counted(lines: list[str], name: str) -> float:
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


async def test_not_ready_without_redis_but_alive(
    service: Callable[..., Service], own_redis
) -> None:  # type: ignore[no-untyped-def]
    """/readyz tells which part does not answer; /healthz does not mind; uploads get 503."""
    one = service({"SSE_PROGRESS_REDIS_URL": own_redis.url})
    async with EventStream(f"{one.url}/upload/early/progress") as open_before:
        frames = aiter(open_before)
        await anext(frames)
        own_redis.kill()
        async with httpx.AsyncClient(base_url=one.url, timeout=60) as client:
            with anyio.fail_after(60):
                while (await client.get("/readyz")).status_code == 200:
                    await asyncio.sleep(0.05)
            ready = await client.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["checks"]["redis"] != "ok"
            assert (await client.get("/healthz")).status_code == 200
            refused = await client.post("/upload", files={"file": ("a.jpg", jpeg())})
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert int(refused.headers["retry-after"]) > 0
            assert (await client.get("/upload/early")).status_code == 503
            assert one.files() == ["storage-id"]
            async with EventStream(f"{one.url}/upload/later/progress") as opened_meanwhile:
                assert opened_meanwhile.status == 200
                assert (await anext(aiter(opened_meanwhile))).retry_ms
            own_redis.start()
            with anyio.fail_after(60):
                while (await client.get("/readyz")).status_code != 200:
                    await asyncio.sleep(0.05)
            posting = asyncio.ensure_future(
                client.post(
                    "/upload",
                    files={"file": ("a.jpg", jpeg())},
                    headers={"X-Upload-ID": "early"},
                )
            )
            with anyio.fail_after(60):
                stages = [frame.stage async for frame in frames if frame.id]
            assert stages[-1] == "complete"
            assert (await posting).status_code == 200


async def test_the_description_is_whole(client: httpx.Client) -> None:
    """OpenAPI 3.1: every path that is served, every reference resolved."""
    answer = client.get("/openapi.json")
    again = client.get("/openapi.json", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) >= {
        "/upload",
        "/upload/{upload_id}",
        "/upload/{upload_id}/progress",
        "/upload/{upload_id}/files/{name}",
        "/uploads",
        "/uploads/progress",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    text = json.dumps(document)
    for part in text.split('"$ref": "#/')[1:]:
        place = document
        for step in part.split('"')[0].split("/"):
            place = place[step]
    codes = document["components"]["schemas"]["Problem"]["properties"]["code"]["description"]
    for code in ("upload_id_in_use", "receive_timeout", "insufficient_storage"):
        assert code in codes


async def test_the_page_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    """The page, its assets and the API reader come with a strict policy."""
    for path in ("/", "/api"):
        page = client.get(path)
        assert page.status_code == 200
        assert "text/html" in page.headers["content-type"]
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert client.get("/client/index.js").headers["content-type"].startswith("text/javascript")
    for path in ("/client/../app.py", "/client/%2e%2e/app.py", "/page/..%2fapp.py", "/client/x"):
        assert client.get(path).status_code == 404


async def test_a_page_that_a_browser_has_is_not_sent_again(client: httpx.Client) -> None:
    """It asks each time, and is told that nothing has changed; another file has another tag."""
    page, program = client.get("/"), client.get("/page/page.built.js")
    assert page.headers["cache-control"] == program.headers["cache-control"] == "no-cache"
    for path, had in (("/", page), ("/page/page.built.js", program)):
        known = {"If-None-Match": had.headers["etag"]}
        again = client.get(path, headers=known)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == had.headers["etag"]
        assert client.get("/client/index.js", headers=known).status_code == 200


async def test_unknown_paths_and_methods_are_problems(client: httpx.Client) -> None:
    """404 and 405 as problem details, with Allow."""
    lost = client.get("/nowhere")
    assert (lost.status_code, lost.headers["content-type"]) == (404, "application/problem+json")
    wrong = client.put("/upload")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "OPTIONS, POST"
    wrong = client.post(f"/upload/{new_id()}")
    assert wrong.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"


async def test_a_prefix(narrow: Service) -> None:
    """All paths and the URLs in answers sit under the prefix."""
    with httpx.Client(base_url=narrow.url, timeout=60) as client:
        upload_id = new_id()
        media = post(client, upload_id).json()["data"]["media"]
        assert media["url"].startswith(f"/api/media/upload/{upload_id}/files/")
        root = narrow.url.removesuffix("/api/media")
        assert httpx.get(f"{root}{media['url']}").status_code == 200
        assert httpx.get(f"{root}/upload/{upload_id}").status_code == 404
        assert client.get("/").status_code == 200
        asynchronous = post(client, new_id(), headers={"Prefer": "respond-async"})
        assert asynchronous.headers["location"].startswith("/api/media/upload/")
