"""Batches, and what is done to many uploads at once, on the wire (contract §13)."""

from __future__ import annotations

import httpx

from tests.helpers.media import jpeg
from tests.helpers.service import Service
from tests.helpers.sse import EventStream
from tests.helpers.waiting import wait_until
from tests.wire.words import new_id, post


def ended(client: httpx.Client, batch_id: str) -> dict:
    """The state of a batch once it has ended."""
    return wait_until(
        lambda: (
            state
            if (state := client.get(f"/batches/{batch_id}").json())["status"] != "processing"
            else None
        ),
        f"{batch_id} has ended",
    )


async def test_a_batch_from_its_beginning_to_its_end(
    running: Service, client: httpx.Client
) -> None:
    """Uploads and a job join by their label; the stream counts them; a failed one stops nothing."""
    batch_id = new_id()
    begun = client.post("/batches", json={"id": batch_id, "total": 4, "title": "Lectures"})
    assert (begun.status_code, begun.json()) == (201, {"batchId": batch_id})
    assert client.post("/batches", json={"id": batch_id, "total": 4}).status_code == 200
    label = {"batch": batch_id}
    file = {"file": ("a.jpg", jpeg())}
    for_query = client.post("/upload", params=label, files=file)
    assert for_query.status_code == 200
    assert client.post("/upload", data=label, files=file).status_code == 200
    empty = client.post("/upload", params=label, files={"file": ("a.txt", b"")})
    assert empty.status_code == 422
    job = client.post("/jobs", json={"batchId": batch_id}).json()["uploadId"]
    state = client.get(f"/batches/{batch_id}")
    assert state.json()["title"] == "Lectures"
    assert state.json()["status"] == "processing"
    assert client.head(f"/batches/{batch_id}/progress").status_code == 200
    json = {"Accept": "application/json"}
    assert client.get(f"/batches/{batch_id}/progress", headers=json).json()["title"] == "Lectures"
    client.post(f"/upload/{job}/progress", json={"stage": "complete"})
    async with EventStream(f"{running.url}/batches/{batch_id}/progress") as stream:
        frames = [frame async for frame in stream if frame.json]
    first, *events = [frame.json for frame in frames]
    assert (first["type"], first["batchId"]) == ("connected", batch_id)
    assert all(event["batchId"] == batch_id and "uploadId" not in event for event in events)
    percents = [event["progress"] for event in events]
    assert percents == sorted(percents)
    items = {"total": 4, "complete": 3, "error": 1, "cancelled": 0, "running": 0}
    assert events[-1]["items"] == items
    assert [event["stage"] for event in events].count("complete") == 1
    async with EventStream(
        f"{running.url}/batches/{batch_id}/progress", headers={"Last-Event-ID": frames[-1].id}
    ) as stream:
        assert stream.status == 204
    history = client.get(f"/batches/{batch_id}/history").json()
    assert history["batchId"] == batch_id
    assert len(history["events"]) == len(events)
    late = client.post("/upload", params=label, files=file)
    assert (late.status_code, late.json()["code"]) == (409, "batch_closed")
    listed = client.get("/uploads", params=label).json()["uploads"]
    assert len(listed) == 4


async def test_a_batch_nobody_knows(running: Service, client: httpx.Client) -> None:
    """404 for its state; its stream says so once and for all."""
    batch_id = new_id()
    for path in (f"/batches/{batch_id}", f"/batches/{batch_id}/history"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_upload")
    assert client.get("/batches/-").json()["code"] == "invalid_upload_id"
    answer = client.post("/batches", json={"total": 1001})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_batch_is_cancelled_as_a_whole(client: httpx.Client) -> None:
    """What is open is cancelled, what had ended stays; once only."""
    batch_id = new_id()
    client.post("/batches", json={"id": batch_id})
    jobs = [client.post("/jobs", json={"batchId": batch_id}).json()["uploadId"] for _ in range(3)]
    client.post(f"/upload/{jobs[0]}/progress", json={"stage": "complete"})
    assert client.delete(f"/batches/{batch_id}").status_code == 204
    state = ended(client, batch_id)
    assert state["status"] == "complete"
    assert (state["items"]["complete"], state["items"]["cancelled"]) == (1, 2)
    again = client.delete(f"/batches/{batch_id}")
    assert (again.status_code, again.json()["code"]) == (409, "already_finished")
    assert client.get(f"/upload/{jobs[1]}").json()["status"] == "cancelled"


def test_many_uploads_at_once(client: httpx.Client) -> None:
    """Cancelled by a filter and deleted by their ids, each as a batch with its own counts."""
    mark = new_id()
    sent = [new_id() for _ in range(2)]
    for upload_id in sent:
        assert post(client, upload_id).status_code == 200
    job = client.post("/jobs", json={"batchId": mark}).json()["uploadId"]
    bulk = client.post("/uploads/cancel", json={"batchId": mark})
    assert bulk.status_code == 202
    state = ended(client, bulk.json()["batchId"])
    assert (state["status"], state["items"]["complete"], state["items"]["total"]) == (
        "complete",
        1,
        1,
    )
    assert client.get(f"/upload/{job}").json()["status"] == "cancelled"
    bulk = client.post("/uploads/delete", json={"ids": [*sent, new_id()]})
    state = ended(client, bulk.json()["batchId"])
    assert (state["items"]["complete"], state["items"]["error"]) == (2, 1)
    assert client.get(f"/upload/{sent[0]}").json()["deleted"] is True
    for body in ({}, {"ids": [], "status": "complete"}, {"ids": ["-"]}, {"status": "odd"}):
        assert client.post("/uploads/delete", json=body).status_code == 400, body
