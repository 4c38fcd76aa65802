"""Somebody else's upload: in every state, at every address, after every loss of memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx
import pytest

from tests.attacks.conftest import TOKENS
from tests.attacks.words import SECRET, Caller, check_problem, new_id, request_bytes
from tests.helpers.media import jpeg
from tests.helpers.multipart import body, content_type, file_part
from tests.helpers.raw_http import connect
from tests.helpers.redis_server import RedisServer
from tests.helpers.service import Service
from tests.helpers.sse import EventStream
from tests.helpers.waiting import wait_until

PICTURE = jpeg(40, 30)
GOOD = body([file_part(PICTURE)])


@dataclass
class Theirs:
    """An upload of alice's in some state, with what keeps it there."""

    upload_id: str
    open: ExitStack = field(default_factory=ExitStack)


def pending(alice: Caller) -> Theirs:
    """A stream has claimed the id; nothing has been sent."""
    theirs = Theirs(new_id())
    connection = theirs.open.enter_context(connect(alice.service.url))
    path = f"/upload/{theirs.upload_id}/progress"
    connection.sendall(request_bytes(alice.service, "GET", path, list(alice.headers.items())))
    wait_until(lambda: alice.state(theirs.upload_id).status == 200, "the id is claimed")
    return theirs


def receiving(alice: Caller) -> Theirs:
    theirs = Theirs(new_id())
    connection = theirs.open.enter_context(connect(alice.service.url))
    head = [
        *alice.headers.items(),
        ("Content-Type", content_type()),
        ("X-Upload-ID", theirs.upload_id),
        ("Content-Length", str(len(GOOD) + 5000)),
    ]
    connection.sendall(request_bytes(alice.service, "POST", "/upload", head, GOOD[:500]))
    wait_until(lambda: alice.state(theirs.upload_id).status == 200, "the upload has begun")
    return theirs


def complete(alice: Caller) -> Theirs:
    theirs = Theirs(new_id())
    assert alice.post_raw(GOOD, upload_id=theirs.upload_id).status == 200
    return theirs


def failed(alice: Caller) -> Theirs:
    theirs = Theirs(new_id())
    assert alice.post_raw(GOOD[:400], upload_id=theirs.upload_id).status == 400
    return theirs


def cancelled(alice: Caller) -> Theirs:
    theirs = pending(alice)
    assert alice.ask("DELETE", f"/upload/{theirs.upload_id}").status == 204
    return theirs


STATES: dict[str, Callable[[Caller], Theirs]] = {
    "pending": pending,
    "receiving": receiving,
    "complete": complete,
    "error": failed,
    "cancelled": cancelled,
}


@pytest.fixture(params=STATES)
def theirs(alice: Caller, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """(state, id) of an upload of alice's."""
    made = STATES[request.param](alice)
    with made.open:
        yield request.param, made.upload_id


def refuse_all(mallory: Caller, upload_id: str) -> None:
    """403 at every address, and no word about the upload but that it is somebody's."""
    path = f"/upload/{upload_id}"
    answers = {
        "upload": mallory.post_raw(GOOD, upload_id=upload_id),
        "upload nonsense": mallory.post_raw(b"{}", upload_id=upload_id),
        "upload, asynchronous": mallory.post_raw(
            GOOD, upload_id=upload_id, headers={"Prefer": "respond-async"}
        ),
        "state": mallory.ask("GET", path),
        "state, unchanged": mallory.ask("GET", path, headers={"If-None-Match": "*"}),
        "cancel": mallory.ask("DELETE", path),
        "stream": mallory.ask("GET", f"{path}/progress"),
        "stream from a position": mallory.ask(
            "GET", f"{path}/progress", headers={"Last-Event-ID": "x-1"}
        ),
        "JSON": mallory.ask("GET", f"{path}/progress", headers={"Accept": "application/json"}),
        "JSON, held": mallory.ask(
            "GET",
            f"{path}/progress",
            headers={"Accept": "application/json", "Prefer": "wait=5", "If-None-Match": "*"},
        ),
        "original": mallory.ask("GET", f"{path}/files/photo.jpg"),
        "derived": mallory.ask("GET", f"{path}/files/thumbnail.webp"),
        "a range": mallory.ask(
            "GET", f"{path}/files/photo.jpg", headers={"Range": "bytes=0-1", "If-None-Match": "*"}
        ),
        "a file that is not there": mallory.ask("GET", f"{path}/files/nothing"),
    }
    for name, answer in answers.items():
        problem = check_problem(answer, 403, "forbidden")
        assert set(problem) == {
            "type",
            "title",
            "status",
            "detail",
            "success",
            "error",
            "code",
        }, name
        assert "etag" not in answer.headers
    assert mallory.ask("HEAD", f"{path}/progress").status == 403
    assert mallory.ask("HEAD", f"{path}/files/photo.jpg").status == 403


async def test_everything_of_anothers_is_refused(
    theirs: tuple[str, str], alice: Caller, mallory: Caller
) -> None:
    """In each state, at each address; and the attempts change nothing for the owner."""
    state, upload_id = theirs
    refuse_all(mallory, upload_id)
    assert alice.state(upload_id).json["status"] == state
    if state == "complete":
        assert alice.ask("GET", f"/upload/{upload_id}/files/photo.jpg").body == PICTURE
    assert upload_id.encode() not in mallory.ask("GET", "/uploads").body


def test_anothers_part_joins_no_upload(alice: Caller, mallory: Caller) -> None:
    """A partial upload of tus is its owner's; what is refused takes nothing from it."""
    tus = {"Tus-Resumable": "1.0.0"}
    begun = alice.ask(
        "POST", "/upload", headers={**tus, "Upload-Concat": "partial", "Upload-Length": "5"}
    )
    url = begun.headers["location"]
    append = {**tus, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    assert alice.ask("PATCH", url, headers=append, raw=b"words").status == 204
    final = {**tus, "Upload-Concat": f"final;{url}", "X-Upload-ID": new_id()}
    check_problem(mallory.ask("POST", "/upload", headers=final), 403, "forbidden")
    assert alice.ask("POST", "/upload", headers=final).status == 201


async def test_the_stream_of_all_shows_ones_own(alice: Caller, mallory: Caller) -> None:
    """Asking for another's id on the stream of all brings nothing of it, live or old."""
    theirs, mine = complete(alice).upload_id, new_id()
    coming = new_id()
    url = f"{mallory.service.url}/uploads/progress?id={theirs}&id={mine}&id={coming}"
    async with EventStream(url, headers=dict(mallory.headers)) as stream:
        frames = aiter(stream)
        await anext(frames)
        assert alice.post_raw(GOOD, upload_id=coming).status == 200
        assert mallory.post_raw(GOOD, upload_id=mine).status == 200
        async for frame in frames:
            assert frame.json["uploadId"] == mine
            if frame.terminal:
                break
        assert theirs.encode() not in stream.raw
        assert coming.encode() not in stream.raw


async def test_an_id_is_won_by_one(locked: Service) -> None:
    """Twelve users upload under one id in the same moment: one gets it, eleven get 403."""
    upload_id = new_id()
    callers = [Caller.named(locked, f"racer-{new_id()}") for _ in range(12)]
    answers: list[int] = []
    start = threading.Barrier(len(callers))

    def race(caller: Caller) -> None:
        start.wait()
        answers.append(caller.post_raw(GOOD, upload_id=upload_id).status)

    threads = [threading.Thread(target=race, args=(caller,)) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [403] * 11
    owners = [caller for caller in callers if caller.state(upload_id).status == 200]
    assert len(owners) == 1


async def test_whose_it_is_outlives_the_journal(
    service: Callable[..., Service], own_redis: RedisServer
) -> None:
    """With all of Redis lost the storage still knows the owner: nobody can take an old id over."""
    one = service(
        {**TOKENS, "SSE_PROGRESS_JWT_SECRET": SECRET, "SSE_PROGRESS_REDIS_URL": own_redis.url}
    )
    alice, mallory = Caller.named(one, "alice"), Caller.named(one, "mallory")
    for attempt in ("stream", "upload", "state", "everything"):
        upload_id = complete(alice).upload_id
        own_redis.flush()
        match attempt:
            case "stream":
                answer = mallory.ask("GET", f"/upload/{upload_id}/progress")
                check_problem(answer, 403, "forbidden")
            case "upload":
                check_problem(mallory.post_raw(GOOD, upload_id=upload_id), 403, "forbidden")
            case "state":
                check_problem(mallory.state(upload_id), 403, "forbidden")
            case "everything":
                refuse_all(mallory, upload_id)
        assert alice.state(upload_id).json["status"] == "complete"
        assert alice.ask("GET", f"/upload/{upload_id}/files/photo.jpg").body == PICTURE


async def test_names_that_look_alike_are_not_the_same(locked: Service) -> None:
    """Owners are compared to the letter: no case, no spaces, no accents, no prefix."""
    upload_id = complete(Caller.named(locked, "Zoë")).upload_id
    for other in ("zoë", "Zoe", "Zoe\u0308", "Zoë ", " Zoë", "Zoë\u00a0", "Zo", "Zoëe", "Z\u043eë"):
        answer = Caller.named(locked, other).state(upload_id)
        assert answer.status in (401, 403), other
    assert Caller.named(locked, "Zoë").state(upload_id).status == 200


async def test_an_id_tells_nothing_of_others(alice: Caller, mallory: Caller) -> None:
    """Ids that the server makes cannot be guessed from one's own: 74 random bits in each."""
    made = [
        caller.post_raw(GOOD).headers["x-upload-id"].rpartition("upload_")[2]
        for caller in (alice, mallory, alice)
    ]
    tails = {upload_id.replace("-", "")[-16:] for upload_id in made}
    assert len(tails) == 3
    with httpx.Client(headers=dict(mallory.headers), base_url=mallory.service.url) as client:
        for upload_id in (made[0], made[2]):
            assert client.get(f"/upload/upload_{upload_id}").status_code == 403
