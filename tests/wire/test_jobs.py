"""Work that another service does and reports, on the wire (contract §12)."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sse_progress.client import AsyncClient, Client, Conflict, JobFailed, NotAllowed
from tests.attacks.conftest import TOKENS
from tests.attacks.words import SECRET, token
from tests.helpers.service import Service
from tests.helpers.sse import EventStream
from tests.wire.words import new_id, post

KINDS = """
from sse_progress import Kind

kinds = [
    Kind("render", "Rendering", stages=[("fetching", 0, 19), ("rendering", 20, 99)],
         required=["courseId"]),
]
"""


@pytest.fixture(scope="module")
def locked() -> Iterator[Service]:
    """A service with tokens, two web processes and a kind that another service does."""
    directory = Path(tempfile.mkdtemp(prefix="sp-jobs-"))
    (directory / "kinds_of_jobs.py").write_text(KINDS)
    env = {
        **TOKENS,
        "SSE_PROGRESS_JWT_SECRET": SECRET,
        "SSE_PROGRESS_KINDS": "kinds_of_jobs:kinds",
        "SSE_PROGRESS_WEB_PROCESSES": "2",
        "SSE_PROGRESS_LEASE_S": "2",
        "PYTHONPATH": str(directory),
    }
    with Service(directory, env) as service:
        yield service
    shutil.rmtree(directory)


def caller(service: Service, **claims: object) -> httpx.Client:
    return httpx.Client(
        base_url=service.url,
        headers={"Authorization": f"Bearer {token(**claims)}"},
        timeout=30,
    )


def producer(service: Service, **claims: object) -> httpx.Client:
    return caller(service, **{"sub": "farm", "scope": "progress:write", **claims})


def test_a_job_from_its_announcement_to_its_end(running: Service, client: httpx.Client) -> None:
    """Pending until the first report; followed as an upload is; the result is in its end."""
    upload_id = new_id()
    announced = client.post("/jobs", json={"id": upload_id, "title": "Trailer"})
    assert announced.status_code == 201
    assert announced.json()["uploadId"] == announced.headers["x-upload-id"] == upload_id
    state = client.get(f"/upload/{upload_id}").json()
    assert (state["status"], state["title"]) == ("pending", "Trailer")
    path = f"/upload/{upload_id}/progress"
    writer = {"X-Writer": announced.json()["writer"]}
    half = {
        "stage": "analyzing",
        "stageProgress": 50,
        "message": "Half of it",
        "items": {"done": 5, "total": 10},
        "etaSeconds": 12.4,
    }
    told = client.post(path, json=half, headers=writer)
    assert told.status_code == 200
    assert set(told.json()) == {"position", "merged"}
    end = client.post(path, json={"stage": "complete", "result": {"n": 1}}, headers=writer).json()
    assert end["merged"] is False
    state = client.get(f"/upload/{upload_id}")
    assert state.json()["result"] == {"n": 1}
    assert state.headers["etag"] == f'"{end["position"]}"'
    assert "deleted" not in state.json()
    assert client.delete(f"/upload/{upload_id}").status_code == 409
    listed = client.get("/uploads").json()["uploads"]
    assert upload_id in [one["uploadId"] for one in listed]


async def test_many_reports_on_one_connection(running: Service, client: httpx.Client) -> None:
    """NDJSON: a thousand lines are one request and a few events, whose percents only rise."""
    upload_id = new_id()
    client.post("/jobs", json={"id": upload_id})
    lines = [
        json.dumps({"stage": stage, "stageProgress": at % 101})
        for stage in ("analyzing", "processing")
        for at in range(505)
    ]
    lines.append('{"stage": "complete"}')
    told = client.post(
        f"/upload/{upload_id}/progress",
        content="\n".join(lines),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert told.status_code == 200
    async with EventStream(f"{running.url}/upload/{upload_id}/progress") as stream:
        events = [frame.json async for frame in stream if frame.json]
    shown = [event for event in events if event["type"] == "progress"]
    assert len(shown) < 20
    percents = [event["progress"] for event in shown]
    assert percents == sorted(percents)
    assert [event["stage"] for event in shown][-1] == "complete"
    assert str(told.json()["position"]).endswith(f"-{len(shown)}")


def test_bad_reports_are_refused_by_their_codes(client: httpx.Client) -> None:
    """A stage that there is not, percents out of range, too much, no such job."""
    upload_id = new_id()
    client.post("/jobs", json={"id": upload_id})
    path = f"/upload/{upload_id}/progress"
    large = {"stage": "complete", "result": {"a": "x" * 33_000}}
    for body, status, code in (
        ({"stage": "odd"}, 422, "invalid_stage"),
        ({"stage": "analyzing", "stageProgress": 101}, 400, "bad_request"),
        ({"stage": "error"}, 400, "bad_request"),
        (large, 413, "too_large"),
        ({"message": "x" * 70_000}, 413, "too_large"),
    ):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), body
    gone = client.post(f"/upload/{new_id()}/progress", json={"progress": 1})
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_upload")
    sent = new_id()
    assert post(client, sent).status_code == 200
    answer = client.post(f"/upload/{sent}/progress", json={"progress": 1})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    answer = client.post("/jobs", json={"id": sent})
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_id_in_use")
    answer = client.post("/jobs", json={"id": "-"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_upload_id")


def test_who_may_report_for_whom(locked: Service) -> None:
    """`progress:write` only where the token names it; `owners` and `kinds` limit it; the owner
    watches and cancels, the producer learns of it."""
    upload_id = new_id()
    job = {"id": upload_id, "owner": "ann", "kind": "render", "context": {"courseId": "c1"}}
    with caller(locked, sub="ann") as ann, producer(locked) as farm:
        assert ann.post("/jobs", json=job).json()["code"] == "forbidden"
        for claims in ({"owners": ["bob"]}, {"kinds": ["upload"]}):
            with producer(locked, **claims) as other:
                assert other.post("/jobs", json=job).status_code == 403, claims
        missing = farm.post("/jobs", json={**job, "context": {}})
        assert missing.json()["code"] == "missing_context"
        assert farm.post("/jobs", json={**job, "kind": "odd"}).json()["code"] == "unknown_kind"
        first = farm.post("/jobs", json=job)
        second = farm.post("/jobs", json=job)
        assert (first.status_code, second.status_code) == (201, 200)
        path = f"/upload/{upload_id}/progress"
        report = {"stage": "rendering", "stageProgress": 10}
        old = farm.post(path, json=report, headers={"X-Writer": first.json()["writer"]})
        assert (old.status_code, old.json()["code"]) == (409, "replaced")
        assert farm.post(path, json=report).status_code == 200
        with producer(locked, sub="mill") as mill:
            assert mill.post(path, json=report).status_code == 403
        assert farm.get(f"/upload/{upload_id}").status_code == 403  # it only reports
        state = ann.get(f"/upload/{upload_id}").json()
        assert (state["kind"], state["context"]) == ("render", {"courseId": "c1"})
        assert state["progress"] >= 20
        assert ann.get("/uploads", params={"context.courseId": "c1"}).json()["uploads"]
        assert ann.delete(f"/upload/{upload_id}").status_code == 204
        stopped = farm.post(path, json=report)
        assert (stopped.status_code, stopped.json()["code"]) == (409, "cancelled")


async def test_a_job_whose_producer_died_ends(locked: Service) -> None:
    """Its lease over, the reconciler tells it; until then the stream waits."""
    upload_id = new_id()
    with producer(locked) as farm:
        announced = farm.post(
            "/jobs",
            json={
                "id": upload_id,
                "owner": "ann",
                "leaseS": 1,
                "kind": "render",
                "context": {"courseId": "c2"},
            },
        )
        assert announced.status_code == 201
        farm.post(f"/upload/{upload_id}/progress", json={"progress": 40})
    url = f"{locked.url}/upload/{upload_id}/progress?token={token(sub='ann')}"
    async with EventStream(url) as stream:
        events = [frame.json async for frame in stream if frame.json]
    assert events[-1]["error"]["code"] == "producer_lost"
    assert events[-1]["error"]["stage"] == "rendering"


async def _cancelled_on_the_way(client: AsyncClient) -> None:
    async with client.job("render", context={"courseId": "c1"}) as job:
        await job.report("fetching", 10)
        await client.cancel(job.id)
        await job.report("rendering", 10)


async def test_the_sdk_reports_a_job(locked: Service) -> None:
    """The block's end is the job's: its result, its failure by code; what is cancelled stops it."""
    url, scope = locked.url, "progress:write upload:read upload:write"
    given = {"sub": "farm", "scope": scope}
    with Client(url, token=token(**given)) as client:
        with client.job("render", context={"courseId": "c1"}, title="Clip") as job:
            for at in range(0, 101, 5):
                job.report("rendering", at, f"Frame {at}", items=(at, 100))
            job.result = {"frames": 100}
        state = client.state(job.id)
        assert (state.status, state.result, state.title) == ("complete", {"frames": 100}, "Clip")
        with (
            pytest.raises(JobFailed),
            client.job("render", context={"courseId": "c1"}) as job,
        ):
            raise JobFailed("no_disk", "The disk is full.")
        failed = client.state(job.id)
        assert failed.error is not None
        assert (failed.error.code, failed.error.detail) == ("no_disk", "The disk is full.")
    async with AsyncClient(url, token=token(**given)) as client:
        async with client.job("render", context={"courseId": "c1"}) as job:
            await job.report("fetching", 10)
        with pytest.raises(Conflict) as stopped:
            await _cancelled_on_the_way(client)
        assert stopped.value.code == "cancelled"
    async with AsyncClient(url, token=token(sub="ann")) as client:
        with pytest.raises(NotAllowed):
            async with client.job("render", context={"courseId": "c1"}):
                pass
