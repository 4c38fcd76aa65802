"""The life of an upload, told from the outside. Read it from the top to the bottom.

One terminal runs the service; the others are ours. Every chapter is a test that stands on real
sockets, and its docstring says what happens in it. Run them all: `scripts/test tests/story`.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator

import httpx
from PIL import Image

from tests.helpers.media import jpeg, noise
from tests.helpers.multipart import body, content_type, file_part
from tests.helpers.service import Service
from tests.helpers.sse import EventStream, Frame, journal, read_events
from tests.helpers.waiting import eventually

PHOTO = jpeg(1600, 1200)

STAGES = [
    "receiving",
    "file_received",
    "validating",
    "analyzing",
    "moderating",
    "processing",
    "finalizing",
    "complete",
]


def photo(content: bytes = PHOTO) -> dict[str, tuple[str, bytes, str]]:
    """What `-F file=@photo.jpg` sends."""
    return {"file": ("photo.jpg", content, "image/jpeg")}


def told(frames: list[Frame]) -> list[tuple[str, int]]:
    """(stage, percent of the whole) of each event."""
    return [(frame.json["stage"], frame.json["progress"]) for frame in frames]


async def test_01_somebody_watches_before_there_is_anything_to_see(server: Service) -> None:
    """`curl -N …/upload/early/progress` opens at once, says that it listens, and waits."""
    async with EventStream(f"{server.url}/upload/early/progress") as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        first = await anext(aiter(stream))
        assert first.json["type"] == "connected"
        assert first.json["uploadId"] == "early"
        assert first.id is None
        assert first.retry_ms


async def test_02_a_photo_is_sent_and_every_stage_is_seen_live(
    server: Service, http: httpx.AsyncClient
) -> None:
    """The watcher sees stage after stage while they happen, 0 to 100, and then the stream ends.

    The POST stays open meanwhile, and answers with what came out: the same as the last event.
    """
    watching = asyncio.ensure_future(read_events(f"{server.url}/upload/demo/progress"))
    answer = await http.post("/upload", files=photo(), headers={"X-Upload-ID": "demo"})
    events = journal(await watching)

    stages = list(dict.fromkeys(stage for stage, _ in told(events)))
    assert stages == STAGES
    percents = [percent for _, percent in told(events)]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)
    assert ("file_received", 10) in told(events)

    assert answer.status_code == 200
    assert answer.json()["success"] is True
    assert answer.json()["data"]["media"] == events[-1].json["media"]


async def test_03_the_photo_and_its_thumbnail_can_be_fetched(http: httpx.AsyncClient) -> None:
    """`media` says what it is, byte for byte, and where its files are."""
    state = (await http.get("/upload/demo")).json()
    assert (state["status"], state["progress"]) == ("complete", 100)
    media = state["media"]
    assert media["contentType"] == "image/jpeg"
    assert media["size"] == len(PHOTO)
    assert media["sha256"] == hashlib.sha256(PHOTO).hexdigest()
    assert (media["analysis"]["width"], media["analysis"]["height"]) == (1600, 1200)
    assert media["moderation"]["verdict"] == "approved"

    assert (await http.get(media["url"])).content == PHOTO
    [thumbnail] = media["files"]
    picture = await http.get(thumbnail["url"])
    assert picture.headers["content-type"] == thumbnail["contentType"] == "image/webp"
    assert len(picture.content) == thumbnail["size"]
    assert Image.open(io.BytesIO(picture.content)).format == "WEBP"


async def test_04_a_connection_is_lost_in_the_middle(
    server: Service, http: httpx.AsyncClient
) -> None:
    """The browser comes back with the id of the last event that it has seen, and goes on after it:
    nothing is missing, nothing comes twice. It may come back as often as it likes."""
    url = f"{server.url}/upload/torn/progress"

    async def until(stage: str, last_id: str | None) -> list[Frame]:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        frames = await read_events(url, headers, until=lambda frame: frame.stage == stage)
        return journal(frames)

    first = asyncio.ensure_future(until("file_received", None))
    posting = asyncio.ensure_future(
        http.post("/upload", files=photo(), headers={"X-Upload-ID": "torn"})
    )
    seen = await first
    for stage in ("analyzing", "processing", "complete"):
        seen += await until(stage, seen[-1].id)
    assert (await posting).status_code == 200

    whole = journal(await read_events(url))
    assert [frame.raw for frame in seen] == [frame.raw for frame in whole]


async def test_05_whoever_has_seen_the_end_is_sent_away(server: Service) -> None:
    """`204` tells an EventSource to stop for good."""
    url = f"{server.url}/upload/demo/progress"
    last = journal(await read_events(url))[-1]
    async with EventStream(url, headers={"Last-Event-ID": str(last.id)}) as stream:
        assert stream.status == 204


async def test_06_a_file_is_refused(server: Service, http: httpx.AsyncClient) -> None:
    """It says that it is a photo, and is not. The POST and the journal give the same reason, and of
    the file nothing stays."""
    before = server.files()
    answer = await http.post("/upload", files=photo(noise(5000)), headers={"X-Upload-ID": "fake"})
    assert answer.status_code == 422
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == "rejected_type"

    last = journal(await read_events(f"{server.url}/upload/fake/progress"))[-1].json
    assert (last["stage"], last["progress"]) == ("error", 0)
    assert last["error"] == {
        "code": "rejected_type",
        "detail": problem["detail"],
        "stage": "validating",
    }
    assert server.files() == before


async def test_07_an_id_is_used_once(http: httpx.AsyncClient) -> None:
    """The same id again is a conflict, whatever became of the first: the answer tells."""
    again = await http.post("/upload", files=photo(), headers={"X-Upload-ID": "demo"})
    assert (again.status_code, again.json()["code"]) == (409, "upload_id_in_use")
    assert again.json()["upload"]["status"] == "complete"
    failed = await http.post("/upload", files=photo(), headers={"X-Upload-ID": "fake"})
    assert (failed.status_code, failed.json()["upload"]["status"]) == (409, "error")


async def test_08_somebody_changes_his_mind(server: Service, http: httpx.AsyncClient) -> None:
    """`DELETE` while the body is arriving: its POST is answered, its watchers are told, and what
    had arrived is gone."""
    before = server.files()
    whole = body([file_part(PHOTO)])
    cancelled = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield whole[: len(whole) // 2]
        await cancelled.wait()
        yield whole[len(whole) // 2 :]

    watching = asyncio.ensure_future(read_events(f"{server.url}/upload/regret/progress"))
    headers = {
        "X-Upload-ID": "regret",
        "Content-Type": content_type(),
        "Content-Length": str(len(whole)),
    }
    posting = asyncio.ensure_future(http.post("/upload", content=slowly(), headers=headers))

    async def receiving() -> bool:
        return (await http.get("/upload/regret")).json().get("status") == "receiving"

    await eventually(receiving, "the body is arriving")
    assert (await http.delete("/upload/regret")).status_code == 204
    cancelled.set()
    answer = await posting
    assert (answer.status_code, answer.json()["code"]) == (409, "cancelled")
    assert journal(await watching)[-1].stage == "cancelled"
    assert server.files() == before
    assert (await http.delete("/upload/regret")).json()["code"] == "already_finished"


async def test_09_nobody_has_to_wait(http: httpx.AsyncClient) -> None:
    """`Prefer: respond-async` is answered as soon as the file is safe. Come back later, and ask; or
    say how long you would wait for news."""
    answer = await http.post(
        "/upload",
        files=photo(),
        headers={"X-Upload-ID": "later", "Prefer": "respond-async"},
    )
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    place = answer.headers["location"]

    state = await http.get(place)
    while state.json()["status"] == "processing":
        news = await http.get(
            f"{place}/progress",
            headers={
                "Accept": "application/json",
                "If-None-Match": state.headers["etag"],
                "Prefer": "wait=10",
            },
        )
        assert news.status_code in (200, 304)
        state = news if news.status_code == 200 else state
    assert (state.json()["status"], state.json()["progress"]) == ("complete", 100)


async def test_10_fifty_at_once(server: Service, http: httpx.AsyncClient) -> None:
    """Good ones and bad ones, all at the same time: each ends, once, and as it should."""

    async def one(number: int) -> tuple[int, list[Frame]]:
        good = number % 10 != 0
        content = jpeg(320, 240, seed=number) if good else noise(3000, seed=number)
        upload_id = f"crowd-{number}"
        watching = asyncio.ensure_future(
            read_events(f"{server.url}/upload/{upload_id}/progress", timeout_s=120)
        )
        await http.post("/upload", files=photo(content), headers={"X-Upload-ID": upload_id})
        return number, journal(await watching)

    limits = httpx.Limits(max_connections=60)
    async with httpx.AsyncClient(base_url=server.url, timeout=120, limits=limits) as http:
        ended = await asyncio.gather(*(one(number) for number in range(50)))
    for number, events in ended:
        assert events[-1].stage == ("complete" if number % 10 else "error"), number
        assert [frame.terminal for frame in events].count(True) == 1
        assert [int(str(frame.id).rpartition("-")[2]) for frame in events] == list(
            range(1, len(events) + 1)
        )


async def test_11_all_of_them_are_listed(http: httpx.AsyncClient) -> None:
    """Newest first, a page at a time."""
    names, after = [], ""
    while True:
        page = (await http.get("/uploads", params={"limit": 20, **after_of(after)})).json()
        names += [state["uploadId"] for state in page["uploads"]]
        if "next" not in page:
            break
        after = page["next"]
    assert len(names) == len(set(names))
    assert {"demo", "torn", "fake", "regret", "later", "crowd-0", "crowd-49"} <= set(names)
    assert names.index("later") < names.index("regret") < names.index("demo")


def after_of(cursor: str) -> dict[str, str]:
    return {"after": cursor} if cursor else {}


async def test_12_the_service_is_restarted(server: Service) -> None:
    """What was answered is there afterwards: state, file, and the journal in every byte."""
    url = f"{server.url}/upload/demo/progress"
    before = [frame.raw for frame in journal(await read_events(url))]
    await asyncio.to_thread(server.restart)
    assert [frame.raw for frame in journal(await read_events(url))] == before
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        media = (await http.get("/upload/demo")).json()["media"]
        assert (await http.get(media["url"])).content == PHOTO
