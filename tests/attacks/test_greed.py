"""One user who wants all of the workers: how much of it there is, and what others notice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from sse_progress.client import Client, QueuePlace
from tests.attacks.conftest import TOKENS, running
from tests.attacks.exploited import MARK
from tests.attacks.words import SECRET, Caller, check_problem, check_untouched, new_id
from tests.helpers.multipart import Part, file_part
from tests.helpers.service import Service
from tests.helpers.sse import read_events
from tests.helpers.waiting import wait_until

ASYNC = {"Prefer": "respond-async"}
PLAIN = file_part(b"plain words", "a.txt", "text/plain")


@pytest.fixture(scope="module")
def busy() -> Iterator[Service]:
    """One worker with one place; its stages do what a file tells them."""
    env = {
        "SSE_PROGRESS_JWT_SECRET": SECRET,
        "SSE_PROGRESS_PIPELINE": "tests.attacks.exploited:pipeline",
        "SSE_PROGRESS_KINDS": "tests.attacks.exploited:kinds",
        "SSE_PROGRESS_ALLOWED_TYPES": "*/*",
        "SSE_PROGRESS_WORKER_CONCURRENCY": "1",
        "SSE_PROGRESS_MAX_QUEUED_PER_USER": "2",
        "SSE_PROGRESS_HEARTBEAT_S": "0.5",
        "SSE_PROGRESS_MAX_CPU_S_PER_HOUR": "2",
    }
    with running({**TOKENS, **env}) as service:
        yield service


def work(*lines: str) -> Part:
    text = "\n".join([f"{MARK}analyzing", *lines, ""])
    return file_part(text.encode(), "a.txt", "text/plain")


def told_of(caller: Caller, path: str) -> set[str]:
    """Whose places in the queue the first heartbeat tells that tells any."""
    url = f"{caller.service.url}{path}?heartbeat=event"
    told = read_events(url, dict(caller.headers), until=lambda frame: "waiting" in frame.json)
    (last,) = asyncio.run(told)[-1:]
    assert (last.event, last.id) == ("heartbeat", None)
    places = last.json["waiting"]
    assert all(place["queuePosition"] in (1, 2, 3) for place in places)
    return {place["uploadId"] for place in places}


def told_by_socket(caller: Caller, upload_id: str) -> QueuePlace:
    """The same by WebSocket, as the client has it."""
    with Client(
        caller.service.url, token=caller.headers["Authorization"].split()[1], follow_by="ws"
    ) as client:
        places: list[QueuePlace] = []

        def on_place(place: QueuePlace) -> None:
            places.append(place)
            follow.close()

        follow = client.follow(upload_id, on_place=on_place)
        assert [event.stage for event in follow][-1] == "file_received"
    return places[0]


def test_a_queue_of_one_user_has_an_end(busy: Service) -> None:
    """Above it new uploads get 429 and claim no id; another user's is taken, and done after one
    more of theirs at most."""
    greedy, other = Caller.named(busy, "greedy"), Caller.named(busy, "modest")
    idle = work("import time", "time.sleep(300)")
    ids = [new_id() for _ in range(3)]
    for upload_id in ids:
        assert greedy.post([idle], upload_id=upload_id, headers=ASYNC).status == 202
        wait_until(lambda: greedy.state(ids[0]).json.get("stage") == "analyzing", "one is at work")
    refused = new_id()
    answer = greedy.post([idle], upload_id=refused, headers=ASYNC)
    check_problem(answer, 429, "too_many_uploads")
    assert int(answer.headers["retry-after"]) > 0
    check_untouched(other, refused)
    mine = new_id()
    assert other.post([PLAIN], upload_id=mine, headers=ASYNC).status == 202
    assert other.state(mine).json["queuePosition"] <= 2
    assert told_of(other, f"/upload/{mine}/progress") == {mine}
    place = told_by_socket(other, mine)
    assert place.upload_id == mine
    assert place.queue_position <= 2
    assert told_of(other, "/uploads/progress") == {mine}
    assert told_of(greedy, "/uploads/progress") == set(ids[1:])
    for upload_id in ids[:2]:
        assert greedy.ask("DELETE", f"/upload/{upload_id}").status == 204
    wait_until(lambda: other.state(mine).json["status"] == "complete", "it is done")
    assert greedy.ask("DELETE", f"/upload/{ids[2]}").status == 204
    assert greedy.post([PLAIN]).status == 200


def test_who_used_the_cpu_waits(busy: Service) -> None:
    """CPU time of the last hour counts, for that user alone; what is there can be looked at."""
    greedy, other = Caller.named(busy, "burning"), Caller.named(busy, "frugal")
    burn = work("import time", "while time.process_time() < 2.5: pass")
    assert greedy.post([burn]).status == 200
    refused = new_id()
    answer = greedy.post([PLAIN], upload_id=refused)
    check_problem(answer, 429, "rate_limited")
    assert "CPU time" in answer.json["detail"]
    assert int(answer.headers["retry-after"]) > 0
    check_untouched(other, refused)
    assert other.post([PLAIN]).status == 200
    assert greedy.ask("GET", "/uploads").status == 200


def test_a_kind_has_a_budget_of_its_own(busy: Service) -> None:
    """CPU time of all stages of an upload, whatever its size and the settings; others go on."""
    burn = [f"{MARK}analyzing", "import time", "while time.process_time() < 8: pass", ""]
    file = file_part("\n".join(burn).encode(), "a.txt", "text/plain")
    brief = Part("kind", b"brief")
    answer = Caller.named(busy, "slow").post([brief, file])
    check_problem(answer, 422, "too_demanding")
    assert "more CPU time than the 2 s allowed" in answer.json["detail"]
    assert Caller.named(busy, "quick").post([brief, PLAIN]).status == 200
