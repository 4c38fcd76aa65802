"""The client follows a journal to its end, whatever happens on the way."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sse_progress import client as sdk
from sse_progress.client import (
    AsyncClient,
    BadAnswer,
    Busy,
    Client,
    Conflict,
    Event,
    NotAllowed,
    NotFound,
    Pace,
    QueuePlace,
    Refused,
    Unreachable,
)
from sse_progress.client.following import Following
from sse_progress.model.sse import frame
from tests.client_driver import QUICK, AsyncDriver, Driver, SyncDriver, bounded  # noqa: F401
from tests.fake_service import EPOCH, REFUSED, STORY, Answer, FakeService, Play, event
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.usefixtures("bounded")


@pytest.fixture(params=[AsyncDriver, SyncDriver], ids=["async", "sync"])
def driver(request: pytest.FixtureRequest) -> Driver:
    made: Driver = request.param()
    return made


def told(events: list[Event]) -> list[tuple[str | None, int | None]]:
    return [(event.stage, event.stage_progress) for event in events]


def of(journal: list[dict[str, Any]]) -> list[tuple[str | None, int | None]]:
    return [(event["stage"], event["stageProgress"]) for event in journal]


def positions(service: FakeService) -> list[str | None]:
    """What each stream request presented."""
    return [one.headers.get("last-event-id") for one in service.asked("GET", streams=True)]


# ---- what is public


def test_what_is_public() -> None:
    """The names that others may rely on, and nothing else."""
    assert sdk.__all__ == [
        "AsyncBatch", "AsyncClient", "AsyncDownload", "AsyncFollow", "AsyncJob", "BadAnswer",
        "Batch", "BatchEvent", "BatchItem", "BatchState", "Busy", "Client", "ClientError",
        "Conflict", "Download", "Error", "Event", "FileChanged", "Follow", "FollowBy", "History",
        "Job", "JobFailed", "Media", "NotAllowed", "NotFound", "Pace", "Page", "Phase",
        "QueuePlace", "Refused", "State", "StoredFile", "Unreachable", "UploadCancelled",
        "UploadFailed",
    ]  # fmt: skip
    assert all(hasattr(sdk, name) for name in sdk.__all__)


def test_both_clients_offer_the_same() -> None:
    """Every public method of one is there in the other, with the same parameters."""

    def offered(kind: type, closer: str) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(value).parameters)
            for name, value in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") and name != closer
        }

    assert offered(AsyncClient, "aclose") == offered(Client, "close")


def test_the_client_needs_nothing_of_the_server() -> None:
    """It imports the events and errors of this package, and brings in no server library."""
    imported = {
        node.module
        for path in Path(sdk.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sse_progress")
    }
    others = {name for name in imported if not str(name).startswith("sse_progress.client")}
    assert all(str(name).startswith("sse_progress.model.") for name in others), others
    code = (
        "import sys, sse_progress.client;"
        "print(*{'redis', 'starlette', 'uvicorn', 'pydantic', 'typer'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == []


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://a", "http://", "http://a/?x=1", "http://a/#b", ""]
)
def test_an_address_must_be_one(url: str) -> None:
    """Anything but an http(s) URL without query is refused before any request."""
    for kind in (AsyncClient, Client):
        with pytest.raises(ValueError, match=r"is not a URL|must not have"):
            kind(url)


@pytest.mark.parametrize("id", ["", "a/b", "../x", "a b", "a\n", "a?b"])
@pytest.mark.parametrize("kind", [AsyncClient, Client])
def test_an_id_must_be_one(kind: type[Any], id: str) -> None:
    """No id can reach another path: it is refused before any request."""
    client = kind("http://127.0.0.1:9")
    for call in (
        lambda: client.state(id),
        lambda: client.cancel(id),
        lambda: client.follow(id),
        lambda: client.follow_all([id]),
        lambda: client.upload(__file__, id=id),
    ):
        with pytest.raises(ValueError, match="is no upload id"):
            finished(call())


def finished(result: Any) -> Any:
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


# ---- following


def test_every_event_once_and_in_order(driver: Driver) -> None:
    """The journal is told from its first event to its last, and then the iteration ends."""
    phases: list[str] = []
    with FakeService() as service:
        events = driver.follow(service.url, on_phase=phases.append)
        (request,) = service.requests
    assert told(events) == of(STORY)
    assert phases == ["live"]
    assert events[1].bytes == 150
    assert events[1].total == 300
    assert request.path == "/upload/u/progress"
    assert request.query == {"heartbeat": ["event"]}
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["accept-encoding"] == "identity"
    assert "authorization" not in request.headers


def test_a_stream_that_breaks_in_every_way_is_resumed(driver: Driver) -> None:
    """Torn frames, resets of the connection, 503 and ends in good order lose and double nothing."""
    phases: list[str] = []
    turns = [
        Play(2, "cut", torn=30),
        Answer.problem(503, "unavailable"),
        Play(1, "abort"),
        Answer(502, b"<html>", content_type="text/html"),
        Play(2, "end"),
        Play(0, "cut"),
        Play(1, "cut", torn=1),
        Play(),
    ]
    with FakeService(streams=turns) as service:
        events = driver.follow(service.url, on_phase=phases.append)
        presented = positions(service)
    assert told(events) == of(STORY)
    assert presented[0] is None
    assert presented[1:3] == [f"{EPOCH}-2"] * 2
    # The event before the reset of the connection may have come or not.
    assert presented[-1] in (f"{EPOCH}-5", f"{EPOCH}-6")
    assert "reconnecting" in phases
    assert phases[-1] == "live"


@pytest.mark.parametrize("torn", range(1, 60, 7))
def test_a_frame_cut_anywhere_is_told_once(torn: int) -> None:
    """However much of a frame had come when the socket was cut, its event is told exactly once."""
    with FakeService(streams=[Play(3, "cut", torn=torn), Play()]) as service:
        assert told(SyncDriver().follow(service.url)) == of(STORY)


def test_what_was_told_is_not_told_again(driver: Driver) -> None:
    """A proxy that loses the position makes the service begin anew; the caller does not see it."""
    with FakeService(
        streams=[Play(4, "cut"), Play(6, "end", deaf=True), Play(deaf=True)]
    ) as service:
        assert told(driver.follow(service.url)) == of(STORY)


def test_following_goes_on_after_a_position(driver: Driver) -> None:
    """`last_event_id` is presented, and only what came after it is told."""
    with FakeService() as service:
        events = driver.follow(service.url, last_event_id=f"{EPOCH}-7")
        assert positions(service) == [f"{EPOCH}-7"]
    assert told(events) == of(STORY[7:])


def test_the_position_can_be_kept() -> None:
    """`last_event_id` names the latest event told; another process goes on from there."""
    with FakeService() as service, Client(service.url, pace=QUICK) as client:
        with client.follow("u") as events:
            assert [next(events).stage_progress for _ in range(3)] == [0, 50, 100]
            kept = events.last_event_id
        assert kept == f"{EPOCH}-3"
        assert told(list(client.follow("u", last_event_id=kept))) == of(STORY[3:])


@pytest.mark.parametrize("bad", ["a\r\nX-Evil: 1", "a\nb", "ä", "a\0"])
def test_a_position_cannot_be_a_header(driver: Driver, bad: str) -> None:
    """What is no position of any service is refused before any request."""
    with FakeService() as service:
        with pytest.raises(ValueError, match="is not an event id"):
            driver.follow(service.url, last_event_id=bad)
        assert not service.requests


def test_nothing_after_the_end(driver: Driver) -> None:
    """A position at the end is answered with 204: nothing is told, and nobody asks again."""
    with FakeService() as service:
        assert driver.follow(service.url, last_event_id=f"{EPOCH}-{len(STORY)}") == []
        assert len(service.requests) == 1


def test_a_reset_tells_the_whole_state(driver: Driver) -> None:
    """After a position that nobody knows comes one `reset`, then the events after it."""
    journal = STORY[:8]
    turns = [Play(reset=True, then="cut"), Play()]
    with FakeService(journal, streams=turns) as service:
        seen: list[Event] = []
        driver.follow(service.url, last_event_id="lost-9", seen=seen, count=1)
        (reset,) = seen
    assert (reset.type, reset.stage, reset.stage_progress) == ("reset", "analyzing", 38)


def test_a_reset_begins_a_new_order(driver: Driver) -> None:
    """Ids told before a `reset` may be told again after it: it is another journal."""
    again = [
        frame(json.dumps({**STORY[0], "type": "reset"}).encode(), id="new-1"),
        *(
            frame(json.dumps(one).encode(), id=f"{EPOCH}-{n + 2}")
            for n, one in enumerate(STORY[1:])
        ),
    ]
    with FakeService(streams=[Play(3, "cut"), Play(raw=again)]) as service:
        events = driver.follow(service.url)
    assert [event.type for event in events] == ["progress"] * 3 + ["reset"] + ["progress"] * 9
    assert told(events[4:]) == of(STORY[1:])


def test_a_reset_to_the_end_ends(driver: Driver) -> None:
    """A `reset` that carries a terminal event is the last thing told."""
    with FakeService(REFUSED, streams=[Play(reset=True, then="hold")]) as service:
        (reset,) = driver.follow(service.url, last_event_id="lost-9")
    assert reset.type == "reset"
    assert reset.terminal
    assert reset.error is not None
    assert reset.error.code == "malware"


def test_a_forgotten_upload_ends(driver: Driver) -> None:
    """The `reset` for an upload that nobody remembers is the last thing told."""
    gone = frame(b'{"type":"reset","uploadId":"u","error":{"code":"unknown_upload"}}', id="gone-0")
    with FakeService(streams=[Play(raw=[gone], then="hold")]) as service:
        (event,) = driver.follow(service.url, last_event_id="old-9")
        assert event.error is not None
        assert event.error.code == "unknown_upload"


def test_what_a_later_service_adds_is_ignored(driver: Driver) -> None:
    """Unknown fields, types and named events are no error; unknown stages are told."""
    raw = [
        frame(b'{"type":"notice","uploadId":"u","text":"new"}'),
        frame(b'{"type":"progress"}', event="telemetry"),
        frame(json.dumps(event("receiving", 1, speed=7)).encode(), id=f"{EPOCH}-1"),
        frame(
            b'{"type":"progress","uploadId":"u","stage":"transcoding","stageProgress":4}', id="x-2"
        ),
        frame(json.dumps(STORY[-1]).encode(), id="x-3"),
    ]
    with FakeService(streams=[Play(raw=raw)]) as service:
        events = driver.follow(service.url)
    assert [event.stage for event in events] == ["receiving", "transcoding", "complete"]


@pytest.mark.parametrize(
    "raw",
    [
        b"data: hello\n\n",
        b'data: {"type":"progress"}\n\n',
        b'data: {"type":"progress","uploadId":"u","progress":"many"}\n\n',
        b"data: [1]\n\n",
        b"data: " + b"x" * 2_000_000,
    ],
)
def test_another_services_stream_is_an_error(driver: Driver, raw: bytes) -> None:
    """What is no event of ours is not read as one, and not retried for ever."""
    with FakeService(streams=[Play(raw=[raw], then="hold")]) as service:
        with pytest.raises(BadAnswer) as caught:
            driver.follow(service.url)
        assert len(service.requests) == 1
    assert caught.value.url == service.url


# ---- refusals


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthenticated", NotAllowed),
        (403, "forbidden", NotAllowed),
        (404, "not_found", NotFound),
        (400, "invalid_upload_id", Refused),
    ],
)
def test_what_will_not_change_is_raised_at_once(
    driver: Driver, status: int, code: str, kind: type[Refused]
) -> None:
    """401, 403 and other refusals are an exception with what was said, after one request."""
    refusal = Answer.problem(status, code, "Not you.")
    with FakeService(streams=[refusal]) as service:
        with pytest.raises(kind) as caught:
            driver.follow(service.url)
        assert len(service.requests) == 1
    assert (caught.value.status, caught.value.code, caught.value.detail) == (
        status,
        code,
        "Not you.",
    )


def test_a_token_that_expires_on_the_way(driver: Driver) -> None:
    """When the reconnect is refused, what was told stays told and the refusal is raised."""
    seen: list[Event] = []
    turns = [Play(3), Answer.problem(401, "unauthenticated")]
    with FakeService(streams=turns) as service, pytest.raises(NotAllowed):
        driver.follow(service.url, seen=seen)
    assert told(seen) == of(STORY[:3])


def test_the_token_is_asked_for_each_time(driver: Driver) -> None:
    """A function as token is called for every request, so that it can renew."""
    tokens = iter(["one", "two", "three"])
    with FakeService(streams=[Play(3), Play(2), Play()]) as service:
        driver.follow(service.url, token=lambda: next(tokens))
        sent = [request.headers["authorization"] for request in service.requests]
    assert sent == ["Bearer one", "Bearer two", "Bearer three"]


def test_a_moved_service_is_named(driver: Driver) -> None:
    """Redirects are not followed, since a token would go with them; the error says where."""
    moved = Answer(308, b"", {"Location": "https://elsewhere.example/"})
    with FakeService(streams=[moved]) as service, pytest.raises(BadAnswer, match=r"elsewhere\.ex"):
        driver.follow(service.url)


def test_nobody_there_for_too_long(driver: Driver) -> None:
    """After `give_up_s` without any good answer the iteration fails, naming address and reason."""
    with FakeService() as service:
        url = service.url
    pace = Pace(retry_first_s=0.02, retry_limit_s=0.05, give_up_s=0.2)
    with pytest.raises(Unreachable, match="connection refused") as caught:
        driver.follow(url, pace=pace)
    assert caught.value.url == url


def test_busy_for_too_long(driver: Driver) -> None:
    """A service that says 503 all the time is given up with what it said."""
    busy = Answer.problem(503, "unavailable", "Later.")
    pace = Pace(retry_first_s=0.02, retry_limit_s=0.05, give_up_s=0.2)
    with FakeService(streams=[busy]) as service, pytest.raises(Busy, match="Later"):
        driver.follow(service.url, pace=pace)


# ---- silence, and blocked streams


def test_a_stream_that_falls_silent_is_taken_for_dead(driver: Driver) -> None:
    """Three heartbeats without a byte, and the client comes back for the rest."""
    with FakeService(streams=[Play(3, "hold"), Play()]) as service:
        assert told(driver.follow(service.url)) == of(STORY)
        assert positions(service) == [None, f"{EPOCH}-3"]


def test_heartbeats_keep_a_stream(driver: Driver) -> None:
    """Named heartbeats are no events, and as long as they come nobody reconnects."""
    last = frame(json.dumps(STORY[-1]).encode(), id="x-1")

    class Beating(list[bytes]):
        def __iter__(self) -> Iterator[bytes]:
            # Three times the silence that is allowed, in the server's thread.
            for _ in range(9):
                time.sleep(0.1)
                yield b"event: heartbeat\ndata: {}\n\n"
            yield last

    pace = Pace(heartbeat_s=0.1, opening_s=0.3, retry_first_s=0.02)
    with FakeService(streams=[Play(raw=Beating([last]))]) as service:
        assert told(driver.follow(service.url, pace=pace)) == [("complete", 100)]
        assert len(service.requests) == 1


@pytest.mark.parametrize("id", ["u", None])
def test_heartbeats_tell_places_in_the_queue(driver: Driver, id: str | None) -> None:
    """Of one upload, and of all of them; they are no events."""
    waiting = [
        {"uploadId": "u", "queuePosition": 3},
        {"uploadId": "v", "queuePosition": 4, "startsInSeconds": 40, "new": True},
    ]
    beat = b"event: heartbeat\ndata: %b\n\n" % json.dumps({"waiting": waiting}).encode()
    end = frame(json.dumps(STORY[-1]).encode(), id="x-1")
    places: list[QueuePlace] = []
    with FakeService(streams=[Play(raw=[beat, end])]) as service:
        events = driver.follow(service.url, id, count=1, on_place=places.append)
    assert told(events) == [("complete", 100)]
    assert places == [
        QueuePlace(upload_id="u", queue_position=3),
        QueuePlace(upload_id="v", queue_position=4, starts_in_seconds=40),
    ]


def test_a_stream_that_is_held_back_is_replaced_by_polling(driver: Driver) -> None:
    """Headers and then nothing: the state is asked for instead, with ETag and `Prefer: wait`."""
    phases: list[str] = []
    with FakeService(streams=[Play(0, "hold", quiet=True)]) as service:
        events = driver.follow(service.url, on_phase=phases.append)
        polls = service.asked("GET", streams=False)
        assert len(service.asked("GET", streams=True)) == 1
    assert told(events) == of(STORY)
    assert phases[-1] == "polling"
    assert all(poll.headers["accept"] == "application/json" for poll in polls)
    assert "if-none-match" not in polls[0].headers
    assert "prefer" not in polls[0].headers
    assert polls[1].headers["if-none-match"] == f'"{EPOCH}-1"'
    assert polls[1].headers["prefer"] == "wait=1"


def test_no_answer_at_all_is_replaced_by_polling(driver: Driver) -> None:
    """A proxy that collects the whole answer does not even send its headers."""
    held = Answer(200, b"", then="hold")
    with FakeService(streams=[held]) as service:
        assert told(driver.follow(service.url)) == of(STORY)


def test_a_stream_of_another_type_is_replaced_by_polling(driver: Driver) -> None:
    """A 200 that is no event stream is not read as one; the state is polled."""
    page = Answer(200, b"<html>", content_type="text/html")
    with FakeService(streams=[page]) as service:
        assert told(driver.follow(service.url)) == of(STORY)


def test_a_service_that_starts_again_is_not_a_blocked_stream(driver: Driver) -> None:
    """Where streams have passed before, a silent one is tried again, and no event is left out."""
    with FakeService(streams=[Play(3, "cut"), Answer(200, b"", then="hold"), Play()]) as service:
        assert told(driver.follow(service.url)) == of(STORY)
        assert not service.asked("GET", streams=False)


def test_a_stream_that_is_cut_before_its_first_byte_twice(driver: Driver) -> None:
    """Once may be chance; twice, and the state is polled."""
    with FakeService(streams=[Play(0, "cut", quiet=True)]) as service:
        assert told(driver.follow(service.url)) == of(STORY)
        assert len(service.asked("GET", streams=True)) == 2


def test_polling_passes_what_has_not_changed(driver: Driver) -> None:
    """304 tells nothing, an unknown upload is waited for, a broken answer is asked for again."""
    polls: list[Answer | None] = [
        Answer.problem(404, "unknown_upload"),
        None,
        Answer(304),
        None,
        Answer(200, b'{"status":', then="cut"),
        Answer.problem(503, "unavailable"),
        None,
    ]
    page = Answer(200, b"", content_type="text/html")
    with FakeService(streams=[page], polls=polls) as service:
        assert told(driver.follow(service.url)) == of(STORY)


def test_polling_where_long_requests_are_cut(driver: Driver) -> None:
    """A held request that breaks is followed by short ones; the story is told all the same."""
    page = Answer(200, b"", content_type="text/html")
    polls = [None, Answer(200, b'{"status":"x"}', then="cut"), None]
    with FakeService(streams=[page], polls=polls) as service:
        assert told(driver.follow(service.url)) == of(STORY)
        asked = service.asked("GET", streams=False)
    assert "prefer" in asked[1].headers
    assert "prefer" not in asked[2].headers
    assert asked[2].headers["if-none-match"]


def test_polling_for_an_upload_that_was_forgotten(driver: Driver) -> None:
    """404 for what was known before ends the iteration with a `reset`, as the stream would."""
    page = Answer(200, b"", content_type="text/html")
    polls = [None, Answer.problem(404, "unknown_upload")]
    with FakeService(streams=[page], polls=polls) as service:
        events = driver.follow(service.url)
    assert [event.type for event in events] == ["progress", "reset"]
    assert events[-1].error is not None
    assert events[-1].error.code == "unknown_upload"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"a":1}', b'{"status":"x","progress":"y"}'])
def test_polling_another_service_is_an_error(driver: Driver, body: bytes) -> None:
    """Neither stream nor state: the client says that this is not the service."""
    page = Answer(200, body, content_type="text/html")
    with FakeService(streams=[page], polls=[page]) as service, pytest.raises(BadAnswer):
        driver.follow(service.url)


def test_polling_is_refused_like_a_stream(driver: Driver) -> None:
    """401 while polling is raised at once."""
    page = Answer(200, b"", content_type="text/html")
    refusal = Answer.problem(401, "unauthenticated")
    with FakeService(streams=[page], polls=[refusal]) as service, pytest.raises(NotAllowed):
        driver.follow(service.url)


# ---- pauses, without waiting for them


def machine(**options: Any) -> tuple[Following, list[float]]:
    clock = [0.0]
    chance = options.pop("chance", 1.0)
    return (
        Following(
            "http://s",
            "/p",
            kind=Event,
            subject={"uploadId": "u"},
            now=lambda: clock[0],
            chance=lambda: chance,
            **options,
        ),
        clock,
    )


def test_pauses_double_from_3_to_30_s() -> None:
    """Between failed tries: 3, 6, 12, 24, 30, 30 s at most, half of that at least."""
    for chance, factor in ((1.0, 1.0), (0.0, 0.5)):
        following, _ = machine(chance=chance)
        assert following.pause_s() == 0
        pauses = []
        for _ in range(7):
            following.ask()
            following.lost("no")
            pauses.append(following.pause_s())
        assert pauses == [s * factor for s in (3, 6, 12, 24, 30, 30, 30)]


def test_a_stream_that_spoke_is_resumed_after_the_servers_retry() -> None:
    """`retry:` counts after a live stream, 30 s at most, and failures begin at 3 s again."""
    following, _ = machine()
    for _ in range(4):
        following.ask()
        following.lost("no")
    following.ask()
    following.answered(200, httpx.Headers({"content-type": "text/event-stream; charset=utf-8"}))
    assert list(following.feed(b'retry: 1800\ndata: {"type":"connected","uploadId":"u"}\n\n')) == []
    following.ended()
    assert following.pause_s() == 1.8
    following.ask()
    following.lost("no")
    assert following.pause_s() == 3
    following.ask()
    list(following.feed(b"retry: 99999999\n\n"))
    following.lost("no")
    assert following.pause_s() == 30


@pytest.mark.parametrize(
    ("header", "at_least"),
    [("7", 7), ("45", 45), ("99999999", 3600), ("soon", 3), ("", 3), ("-1", 3)],
)
def test_retry_after_is_honoured(header: str, at_least: float) -> None:
    """The service's `Retry-After` is the least, an hour the most; rubbish is ignored."""
    following, _ = machine(chance=0.0, pace=Pace(retry_first_s=6))
    following.ask()
    headers = httpx.Headers({"retry-after": header, "content-type": "application/json"})
    assert following.answered(429, headers) == "refusal"
    assert list(following.refused(429, headers, b'{"code":"too_many_streams"}')) == []
    assert following.pause_s() == at_least


def test_retry_after_as_a_date() -> None:
    """The other form of the header is understood too (RFC 9110 §10.2.3)."""
    from sse_progress.client.answers import retry_after_s

    date = {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}
    assert retry_after_s(date, now=946684799 - 20) == 20
    assert retry_after_s(date) == 0


def test_giving_up_counts_from_the_last_good_byte() -> None:
    """300 s without any good answer, and not 300 s in all."""
    following, clock = machine()
    clock[0] = 299
    following.ask()
    list(following.feed(b":\n\n"))
    clock[0] = 598
    following.lost("no")
    clock[0] = 600
    following.ask()
    with pytest.raises(Unreachable):
        following.lost("no")


def test_a_stream_not_yet_proven_has_less_time() -> None:
    """Ten seconds to the first byte; then, and for later streams, three heartbeats."""
    following, _ = machine()
    ask = following.ask()
    assert (ask.opening_s, ask.silence_s, following.silence_s) == (10, 25, 10)
    list(following.feed(b":\n\n"))
    assert following.silence_s == 45
    ask = following.ask()
    assert (ask.opening_s, ask.silence_s, following.silence_s) == (10, 45, 10)


def test_remembered_positions_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered against repetition has a limit, and the newest are kept."""
    monkeypatch.setattr("sse_progress.client.reading._SEEN_LIMIT", 100)
    following, _ = machine()
    following.ask()
    data = b'{"type":"progress","uploadId":"u","stage":"analyzing"}'
    for n in range(300):
        assert len(list(following.feed(frame(data, id=f"e-{n}")))) == 1
    assert len(following._reader._seen) == 100
    assert list(following.feed(frame(data, id="e-200"))) == []


# ---- all uploads


def test_all_uploads_on_one_stream(driver: Driver) -> None:
    """States first, then events, for as long as one listens; an end of one upload ends nothing."""
    raw = [
        frame(b'{"type":"connected","message":"To all of them"}'),
        frame(json.dumps({**STORY[-1], "type": "reset", "uploadId": "a"}).encode()),
        frame(json.dumps({**STORY[4], "type": "reset", "uploadId": "b"}).encode()),
        frame(json.dumps({**STORY[5], "uploadId": "b"}).encode()),
    ]
    with FakeService(streams=[Play(raw=raw, then="cut"), Play(raw=raw, then="hold")]) as service:
        events = driver.follow(service.url, None, ids=["a", "b"], count=6)
        first, second = service.requests
    assert [(event.upload_id, event.type) for event in events] == 2 * [
        ("a", "reset"),
        ("b", "reset"),
        ("b", "progress"),
    ]
    assert first.path == "/uploads/progress"
    assert first.query == {"id": ["a", "b"], "heartbeat": ["event"]}
    assert "last-event-id" not in second.headers


def test_all_uploads_are_not_polled(driver: Driver) -> None:
    """Where that stream is blocked there is nothing to fall back to, and it is said."""
    page = Answer(200, b"<html>", content_type="text/html")
    with FakeService(streams=[page]) as service, pytest.raises(BadAnswer, match="event stream"):
        driver.follow(service.url, None)


def test_leaving_early(driver: Driver) -> None:
    """Whoever stops iterating closes the connection: the service sees the client go."""
    with FakeService(streams=[Play(2, "hold")]) as service:
        assert len(driver.follow(service.url, count=2)) == 2


def test_closing_from_another_thread() -> None:
    """`close()` ends an iteration that waits for the next byte, now and not at a heartbeat."""
    patient = Pace(heartbeat_s=1000, opening_s=1000)
    with (
        FakeService(streams=[Play(2, "hold")]) as service,
        Client(service.url, pace=patient) as client,
    ):
        follow = client.follow("u")
        seen: list[Event] = []
        thread = threading.Thread(target=lambda: seen.extend(follow))
        thread.start()
        wait_until(lambda: follow.last_event_id == f"{EPOCH}-2", "two events were told")
        follow.close()
        thread.join(60)
        assert not thread.is_alive()
        assert told(seen) == of(STORY[:2])


async def test_a_cancelled_task_leaves() -> None:
    """Cancelling the task that follows ends it at once."""
    with FakeService(streams=[Play(2, "hold")]) as service:
        async with AsyncClient(service.url) as client:
            told_two = asyncio.Event()

            async def follow() -> None:
                async for event in client.follow("u"):
                    if event.stage_progress == 50:
                        told_two.set()

            task = asyncio.create_task(follow())
            async with asyncio.timeout(60):
                await told_two.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


# ---- states, control, files


def test_the_state_of_an_upload(driver: Driver) -> None:
    """Status and latest event as one record; an unknown upload is NotFound."""
    with FakeService(known=True) as service:
        state = driver.call(service.url, lambda client: client.state("u"))
        assert (state.status, state.stage, state.bytes, state.ended) == (
            "receiving",
            "receiving",
            0,
            False,
        )
        assert state.event() == driver.follow(service.url)[0]
        service.known = False
        with pytest.raises(NotFound, match="unknown_upload"):
            driver.call(service.url, lambda client: client.state("u"))


def test_cancelling(driver: Driver) -> None:
    """DELETE ends an upload; one that has ended already is a Conflict."""
    with FakeService(STORY[:4]) as service:
        assert driver.call(service.url, lambda client: client.cancel("u")) is None
        assert [(r.method, r.path) for r in service.requests] == [("DELETE", "/upload/u")]
    with FakeService() as service, pytest.raises(Conflict) as caught:
        driver.call(service.url, lambda client: client.cancel("u"))
    assert caught.value.code == "already_finished"


def test_the_list_of_uploads(driver: Driver) -> None:
    """A page of states with its cursor; only what was given is asked for."""
    with FakeService() as service:
        service.page = {
            "uploads": [{"status": "complete", "uploadId": "b", "stage": "complete", "more": 1}],
            "next": "c2",
        }
        page = driver.call(service.url, lambda client: client.uploads(status="complete", limit=1))
        assert [(state.upload_id, state.ended) for state in page.uploads] == [("b", True)]
        assert page.next == "c2"
        driver.call(service.url, lambda client: client.uploads(after="c2"))
        driver.call(service.url, lambda client: client.uploads())
        assert [r.query for r in service.requests] == [
            {"status": ["complete"], "limit": ["1"]},
            {"after": ["c2"]},
            {},
        ]


def download(driver: Driver, url: str, name: str) -> tuple[bytes, int | None, str]:
    async def use_async(client: AsyncClient) -> tuple[bytes, int | None, str]:
        async with client.file("u", name) as found:
            return b"".join([part async for part in found]), found.size, found.content_type

    def use(client: Client) -> tuple[bytes, int | None, str]:
        with client.file("u", name) as found:
            return b"".join(found), found.size, found.content_type

    result: tuple[bytes, int | None, str] = driver.call(
        url, use_async if driver.kind == "async" else use
    )
    return result


def test_files_come_piece_by_piece(driver: Driver) -> None:
    """A file is streamed with its type and size; an unknown one is NotFound."""
    with FakeService() as service:
        found = download(driver, service.url, "photo.jpg")
        assert found == (service.file, 100_000, "image/jpeg")
        with pytest.raises(NotFound):
            download(driver, service.url, "other/../ä?.jpg")
        assert service.requests[-1].path == "/upload/u/files/other/../ä?.jpg"
        with pytest.raises(ValueError, match="is no file name"):
            download(driver, service.url, "..")


def test_nobody_there_is_said_for_every_call(driver: Driver) -> None:
    """Each call that cannot connect raises Unreachable with the address and a reason in words."""
    with FakeService() as service:
        url = service.url
    for use in (
        lambda client: client.state("u"),
        lambda client: client.cancel("u"),
        lambda client: client.uploads(),
        lambda client: client.upload(__file__),
    ):
        with pytest.raises(Unreachable, match=f"^cannot reach {url}: connection refused$"):
            driver.call(url, use)


def test_answers_of_something_else(driver: Driver) -> None:
    """HTML with 200, and an error without a problem in it, are told apart from our own."""
    with FakeService() as service:
        service.page = {"uploads": 7}
        with pytest.raises(BadAnswer, match="not the expected JSON"):
            driver.call(service.url, lambda client: client.uploads())
    page = Answer(404, b"<html>", content_type="text/html")
    with FakeService(streams=[page]) as service, pytest.raises(NotFound) as caught:
        driver.follow(service.url)
    assert caught.value.code == "http_404"
