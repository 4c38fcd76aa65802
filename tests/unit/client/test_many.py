"""The client and many uploads: batches, bulk work, the list; against a real service."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sse_progress.client import (
    AsyncClient,
    BatchEvent,
    Client,
    Conflict,
    NotFound,
    Pace,
    Refused,
    UploadFailed,
)
from sse_progress.client.following import Following
from sse_progress.model.ids import new_upload_id
from tests.client_driver import bounded  # noqa: F401
from tests.helpers.media import jpeg
from tests.helpers.service import Service

pytestmark = pytest.mark.usefixtures("bounded")


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    directory = Path(tempfile.mkdtemp(prefix="sp-many-"))
    with Service(directory, {"SSE_PROGRESS_MAX_UPLOAD_BYTES": "20000000"}) as service:
        yield service
    shutil.rmtree(directory)


@pytest.fixture
def client(running: Service) -> Iterator[Client]:
    with Client(running.url) as one:
        yield one


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg())
    return path


def test_a_batch_from_its_beginning_to_its_end(client: Client, photo: Path, tmp_path: Path) -> None:
    """Whole files, files in parts and jobs join; one that is refused stops nothing."""
    empty = tmp_path / "empty.txt"
    empty.write_bytes(b"")
    with client.batch(title="Lectures") as batch:
        client.upload(photo, batch_id=batch.id)
        client.upload(photo, batch_id=batch.id, resume=True)
        with pytest.raises(UploadFailed):
            client.upload(empty, batch_id=batch.id)
        with client.job(batch_id=batch.id) as job:
            job.report("processing", 50, "Half of it")
        state = batch.state()
        assert (state.title, state.ended, state.status) == ("Lectures", False, "processing")
    ended = batch.wait()
    assert (ended.status, ended.progress) == ("complete", 100)
    assert ended.items == {"total": 4, "complete": 3, "error": 1, "cancelled": 0, "running": 0}
    events = list(client.follow_batch(batch.id))
    assert all(isinstance(event, BatchEvent) for event in events)
    assert {event.batch_id for event in events} == {batch.id}
    told = {event.item.upload_id for event in events if event.item}
    assert told <= {one.upload_id for one in client.uploads(batch_id=batch.id).uploads}
    assert len(told) > 1
    percents = [event.progress or 0 for event in events]
    assert percents == sorted(percents)
    last = batch.follow(last_event_id=None)
    assert [event.stage for event in last][-1] == "complete"
    assert len(client.uploads(batch_id=batch.id).uploads) == 4
    assert [one.upload_id for one in client.uploads(batch_id=batch.id, status="error").uploads]
    asked_at, patient = time.monotonic(), Pace(answer_s=3600)
    with Client(client.url, pace=patient) as late, pytest.raises(Conflict) as caught:
        late.upload(photo, batch_id=batch.id)
    assert caught.value.code == "batch_closed"
    assert time.monotonic() - asked_at < 60  # without waiting for a journal that never begins


async def test_a_batch_is_followed_while_it_is_filled(running: Service, photo: Path) -> None:
    """One that knows its total ends by itself; then closing it is no error."""
    async with AsyncClient(running.url) as client, client.batch(total=3) as batch:

        async def counts() -> list[int]:
            return [(event.items or {})["complete"] async for event in batch.follow()]

        async with asyncio.TaskGroup() as group:
            seen = group.create_task(counts())
            for _ in range(3):
                group.create_task(client.upload(photo, batch_id=batch.id))
    assert seen.result()[-1] == 3


def test_a_block_that_raises_cancels_what_is_open(client: Client) -> None:
    """So nothing waits for items that never come."""

    def fail() -> None:
        with client.batch(id=name) as batch, client.job(batch_id=batch.id) as job:
            jobs.append(job.id)
            raise ZeroDivisionError

    name, jobs = new_upload_id(), []
    with pytest.raises(ZeroDivisionError):
        fail()
    *_, last = client.follow_batch(name)
    assert last.terminal
    assert client.state(jobs[0]).ended
    with pytest.raises(Conflict):
        client.cancel_batch(name)
    with pytest.raises(Conflict):
        client.close_batch(name)
    with pytest.raises(NotFound):
        client.batch_state(new_upload_id())


def test_bulk_work_is_a_batch_of_its_own(client: Client, photo: Path) -> None:
    """Cancelled by a filter, deleted by ids; a single one is deleted too."""
    mark = new_upload_id()
    sent = [client.upload(photo, batch_id=mark).id for _ in range(3)]
    client.delete(sent[0])
    with pytest.raises(NotFound), client.file(sent[0], "photo.jpg"):
        pass
    *_, last = client.follow_batch(client.delete_many(iter(sent[1:])))
    assert last.items == {"total": 2, "complete": 2, "error": 0, "cancelled": 0, "running": 0}
    *_, last = client.follow_batch(client.cancel_many(batch_id=mark))
    assert last.items is not None
    assert last.items["total"] == 0
    for choose in (client.cancel_many, client.delete_many):
        with pytest.raises(ValueError, match="either ids, or a filter"):
            choose()
        with pytest.raises(ValueError, match="either ids, or a filter"):
            choose(sent, status="complete")
        with pytest.raises(ValueError, match="is no upload id"):
            choose(["a/b"])


def test_labels_that_the_service_does_not_take(client: Client, photo: Path) -> None:
    """Refused before the file is sent, in whatever way it goes."""
    for resume in (False, True):
        with pytest.raises(Refused) as caught:
            client.upload(photo, kind="nobody-declared-it", resume=resume)
        assert caught.value.code == "unknown_kind"
    with pytest.raises(ValueError, match="is no batch id"):
        client.follow_batch("a/b")


def test_a_batch_where_streams_are_blocked() -> None:
    """Its state is polled, and says which batch it is of; a forgotten one too."""
    following = Following(
        "http://a", "/batches/b/progress", kind=BatchEvent, subject={"batchId": "b"},
        now=lambda: 0.0, chance=lambda: 0.5,
    )  # fmt: skip
    following.ask()
    assert following.answered(200, {"content-type": "text/html"}) == "nothing"
    assert following.ask().headers["Accept"] == "application/json"
    body = b'{"status":"processing","batchId":"b","progress":5,"stage":"processing","title":"L"}'
    [event] = following.state(body, {"etag": '"7-3"'})
    assert (event.batch_id, event.progress, following.last_event_id) == ("b", 5, "7-3")
    problem = b'{"code":"unknown_upload","detail":"No."}'
    [gone] = following.refused(404, {"content-type": "application/problem+json"}, problem)
    assert (gone.batch_id, gone.upload_id, gone.type) == ("b", "", "reset")
    assert following.done
