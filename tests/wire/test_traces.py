"""Spans of a whole service, as a collector of OpenTelemetry gets them."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import jwt
import pytest
from websockets.sync.client import connect

from tests.helpers.collector import Collector, Seen, collector
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until
from tests.wire.test_tus import APPEND, TUS, b64
from tests.wire.words import new_id

SECRET = "a secret of the tests that is long enough for HS256"
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STEPS = ["stage validating", "stage analyzing", "stage processing", "publish"]


@pytest.fixture(scope="module")
def traced() -> Iterator[tuple[Service, Collector]]:
    """A service with tokens whose spans are collected, each soon."""
    directory = Path(tempfile.mkdtemp(prefix="sp-traces-"))
    with collector() as spans:
        env = {
            "SSE_PROGRESS_JWT_SECRET": SECRET,
            "SSE_PROGRESS_PREFIX": "/media",
            "SSE_PROGRESS_PIPELINE": "tests.stages_for_tests.pipelines:good",
            "OTEL_EXPORTER_OTLP_ENDPOINT": spans.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=for-the-collector",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        with Service(directory, env) as service:
            yield service, spans
            assert "for-the-collector" not in service.log
            assert "ended span" not in service.log
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def token() -> str:
    return jwt.encode({"sub": "ann-of-green", "exp": time.time() + 600}, SECRET, "HS256")


@contextmanager
def client_of(service: Service, token: str) -> Iterator[httpx.Client]:
    authorization = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=service.url, timeout=60, headers=authorization) as client:
        yield client


def named(spans: list[Seen], name: str) -> Seen:
    (found,) = [span for span in spans if span.name == name]
    return found


def all_of(spans: Collector, upload_id: str, *, requests: int) -> list[Seen]:
    """The spans of an upload that is complete, by `requests`."""
    wait_until(
        lambda: len(spans.of(upload_id)) >= requests + len(STEPS),
        f"{requests} requests of {upload_id} and its work are told",
    )
    return spans.of(upload_id)


def test_work_of_a_worker_is_a_child_of_the_request(
    traced: tuple[Service, Collector], token: str
) -> None:
    """An upload gives one span for its request, one a stage and one for publishing it: in the
    caller's trace, over two processes. Nothing of its caller or its file is among what is sent."""
    service, spans = traced
    upload_id = new_id()
    with client_of(service, token) as client:
        answer = client.post(
            "/upload",
            files={"file": ("my-secret-plans.txt", b"some words of mine", "text/plain")},
            data={"context": "private-context"},
            headers={
                "X-Upload-ID": upload_id,
                "X-Request-ID": "from-the-proxy",
                "traceparent": f"00-{TRACE}-{CALLER}-01",
            },
        )
        assert answer.status_code == 200, answer.text
        client.get(f"/upload/{upload_id}/files/my-secret-plans.txt").raise_for_status()
        assert client.get("/healthz").status_code == 200
        assert client.get("/nowhere").status_code == 404
    found = all_of(spans, upload_id, requests=2)
    request = named(found, "POST /media/upload")
    assert (request.trace, request.parent, request.service) == (TRACE, CALLER, "sse-progress")
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["sse_progress.request"] == "from-the-proxy"
    work = [span for span in found if span.parent == request.id]
    assert [span.name for span in work] == STEPS
    assert {(span.trace, span.attributes["sse_progress.outcome"]) for span in work} == {
        (TRACE, "ok")
    }
    file = named(found, "GET /media/upload/{upload_id}/files/{name}")
    assert file.parent == ""
    assert file.trace != TRACE
    wait_until(lambda: any(s.name == "GET" for s in spans.spans), "the unknown path is told")
    assert not any("healthz" in span.name for span in spans.spans)
    assert not any(span.failed for span in spans.spans)
    for secret in (token, "ann-of-green", "secret-plans", "private-context", SECRET):
        assert secret.encode() not in spans.bytes
    assert {headers["authorization"] for headers in spans.headers} == {"for-the-collector"}


def test_a_span_of_a_stream_ends_once_it_is_open(
    traced: tuple[Service, Collector], token: str
) -> None:
    """SSE and WebSocket: one span each, told while they stand; no event that is sent has one."""
    service, spans = traced
    upload_id = new_id()
    with client_of(service, token) as client:
        ticket = client.post(f"/upload/{upload_id}/tickets").json()["ticket"]
        with (
            client.stream("GET", f"/upload/{upload_id}/progress?ticket={ticket}") as stream,
            connect(f"{service.url.replace('http', 'ws', 1)}/ws?token={token}") as socket,
        ):
            lines = stream.iter_lines()
            assert next(lines).startswith("retry:")
            name = "GET /media/upload/{upload_id}/progress"
            wait_until(lambda: any(s.name == name for s in spans.of(upload_id)), "it is told")
            wait_until(lambda: any(s.name == "GET /media/ws" for s in spans.spans), "both are")
            socket.send(json.dumps({"type": "watch", "uploadId": upload_id}))
            files = {"file": ("a.txt", b"words", "text/plain")}
            client.post("/upload", files=files, headers={"X-Upload-ID": upload_id})
            for line in lines:
                if line == "event: complete":
                    break
    found = all_of(spans, upload_id, requests=3)
    assert sorted(span.name for span in found) == sorted(
        ["POST /media/upload", "POST /media/upload/{upload_id}/tickets", name, *STEPS]
    )
    assert len([span for span in spans.spans if span.name == "GET /media/ws"]) == 1
    assert ticket.encode() not in spans.bytes
    assert token.encode() not in spans.bytes


def test_work_on_a_resumed_body_belongs_to_its_last_part(
    traced: tuple[Service, Collector], token: str
) -> None:
    """Each request of a resumable upload has a span; what follows is a child of the last one."""
    service, spans = traced
    upload_id, content = new_id(), b"some words"
    metadata = f"filename {b64('a.txt')},filetype {b64('text/plain')}"
    size = {"Upload-Length": str(len(content)), "Upload-Metadata": metadata}
    with client_of(service, token) as client:
        created = client.post("/upload", headers={**TUS, **size, "X-Upload-ID": upload_id})
        assert created.status_code == 201
        place = f"/upload/{upload_id}"
        sent = client.patch(place, headers={**APPEND, "Upload-Offset": "0"}, content=content)
        assert sent.status_code == 204
    found = all_of(spans, upload_id, requests=2)
    assert named(found, "POST /media/upload").parent == ""
    part = named(found, "PATCH /media/upload/{upload_id}")
    assert [span.name for span in found if span.parent == part.id] == STEPS
