"""The client sends a file and follows it: both sides of an upload, and what can go wrong."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_multipart import FormParser

from sse_progress.client import (
    AsyncClient,
    BadAnswer,
    Busy,
    Client,
    ClientError,
    Conflict,
    Event,
    FileChanged,
    NotAllowed,
    Pace,
    Refused,
    Unreachable,
    UploadCancelled,
    UploadFailed,
)
from sse_progress.client.body import Body
from sse_progress.client.sending import Accepted, Lost, Sending
from tests.client_driver import QUICK, AsyncDriver, Driver, SyncDriver, bounded  # noqa: F401
from tests.fake_service import MEDIA, REFUSED, STORY, Answer, FakeService, Play, Receive, event
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.usefixtures("bounded")


@pytest.fixture(params=[AsyncDriver, SyncDriver], ids=["async", "sync"])
def driver(request: pytest.FixtureRequest) -> Driver:
    made: Driver = request.param()
    return made


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(os.urandom(300))
    return path


def parsed(
    body: bytes, content_type: str
) -> tuple[list[tuple[str, str]], list[tuple[str, str, bytes]]]:
    """Fields and files (field, name, content) of a multipart body, by an independent parser."""
    fields: list[tuple[str, str]] = []
    files: list[tuple[str, str, bytes]] = []
    boundary = content_type.partition("boundary=")[2]

    def on_file(file: Any) -> None:
        file.file_object.seek(0)
        files.append((file.field_name.decode(), file.file_name.decode(), file.file_object.read()))

    parser = FormParser(
        "multipart/form-data",
        lambda field: fields.append((field.field_name.decode(), (field.value or b"").decode())),
        on_file,
        boundary=boundary.encode(),
    )
    parser.write(body)
    parser.finalize()
    return fields, files


# ---- well


def test_an_upload_from_its_first_byte_to_its_result(driver: Driver, photo: Path) -> None:
    """The file arrives with its name and fields, every event is heard, the result is returned."""
    heard: list[Event] = []
    with FakeService(gate=3) as service:
        media = driver.upload(
            service.url,
            photo,
            fields={"album": "May", "tag": ["a", "b"]},
            on_event=heard.append,
            token="t",
        )
        (post,) = service.asked("POST")
        fields, files = parsed(service.bodies[0], post.headers["content-type"])
        streams = service.asked("GET", streams=True)
    assert fields == [("album", "May"), ("tag", "a"), ("tag", "b")]
    assert files == [("file", "photo.jpg", photo.read_bytes())]
    assert b"Content-Type: image/jpeg\r\n" in service.bodies[0]
    assert int(post.headers["content-length"]) == len(service.bodies[0])
    assert post.headers["prefer"] == "respond-async"
    assert post.headers["authorization"] == "Bearer t"
    upload_id = post.headers["x-upload-id"]
    assert [one.path for one in streams] == [f"/upload/{upload_id}/progress"]
    assert [(e.stage, e.stage_progress) for e in heard] == [
        (e["stage"], e["stageProgress"]) for e in STORY
    ]
    assert (media.id, media.filename, media.content_type) == ("u", "photo.jpg", "image/jpeg")
    assert media.files[0].name == "t.jpg"
    assert media.moderation == MEDIA["moderation"]


def test_progress_is_heard_while_bytes_travel(driver: Driver) -> None:
    """Events of `receiving` come before the last byte was sent: both sides run at once."""
    heard = threading.Event()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            # The second chunk is given only after an event was heard.
            assert self.tell() == 0 or heard.wait(60)
            return super().read(size)

    with FakeService(gate=3) as service:
        driver.upload(service.url, Slow(b"x" * 600_000), on_event=lambda _: heard.set())
    assert heard.is_set()


def test_a_stream_that_breaks_does_not_hurt_the_upload(driver: Driver, photo: Path) -> None:
    """The journal is resumed over drops while the body goes on; every event is heard once."""
    turns = [Play(2, "cut", torn=20), Answer.problem(503, "unavailable"), Play(3, "abort"), Play()]
    heard: list[Event] = []
    with FakeService(streams=turns, gate=3) as service:
        driver.upload(service.url, photo, on_event=heard.append)
        assert len(service.asked("POST")) == 1
    assert len(heard) == len(STORY)


def test_a_blocked_stream_does_not_hurt_the_upload(driver: Driver, photo: Path) -> None:
    """Where streams do not pass, the state is polled and the result is the same."""
    page = Answer(200, b"", content_type="text/html")
    with FakeService(streams=[page]) as service:
        assert driver.upload(service.url, photo).id == "u"


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """64 MiB are sent with a few MiB of memory, by both clients."""
    big = tmp_path / "big.bin"
    with big.open("wb") as file:
        file.truncate(64 * 1024**2)
    for driver in (AsyncDriver(), SyncDriver()):
        with FakeService() as service:
            tracemalloc.start()
            try:
                driver.upload(service.url, big, resume=False)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert service.received_bytes > big.stat().st_size
        assert peak < 12 * 1024**2, f"{driver.kind}: {peak} bytes"


def test_other_sources(driver: Driver) -> None:
    """A pipe goes out chunked, a compressed file as what is in it, an object from where it is."""
    content = b"content" * 1000
    packed = io.BytesIO(gzip.compress(content))
    ahead = io.BytesIO(b"skipped" + content)
    ahead.seek(7)
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb") as out:
        out.write(content)
    with os.fdopen(read_end, "rb") as pipe, gzip.open(packed) as unpacked:
        for source, chunked in ((pipe, True), (unpacked, False), (ahead, False)):
            with FakeService() as service:
                driver.upload(service.url, source, filename="it")
                (post,) = service.asked("POST")
                _, files = parsed(service.bodies[0], post.headers["content-type"])
            assert files == [("file", "it", content)]
            assert ("content-length" not in post.headers) is chunked
            assert not source.closed


def test_a_file_that_grows_is_sent_as_it_was(photo: Path) -> None:
    """Bytes added after the start are left out, so the length that was promised holds."""
    body = Body(photo)
    with photo.open("ab") as file:
        file.write(b"more")
    assert sum(map(len, body.iter_chunks())) == body.length_bytes
    body.close()


NAMES = st.text(max_size=30)


@settings(max_examples=150, deadline=None)
@given(NAMES, st.dictionaries(NAMES, NAMES | st.lists(NAMES, max_size=2), max_size=3), st.binary())
def test_no_name_or_field_breaks_the_body(name: str, fields: Any, content: bytes) -> None:
    """Whatever names hold (quotes, line ends, surrogates), there is one file with its content."""
    body = Body(io.BytesIO(content), filename=name, fields=fields)
    told, files = parsed(b"".join(body.iter_chunks()), body.headers["Content-Type"])
    assert [found[2] for found in files] == [content]
    values = [[value] if isinstance(value, str) else value for value in fields.values()]
    flat = [value.encode("utf-8", "replace").decode() for some in values for value in some]
    assert [value for _, value in told] == flat


# ---- refused


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer.problem(401, "unauthenticated", "A valid token is needed."), NotAllowed),
        (Answer.problem(403, "forbidden"), NotAllowed),
        (Answer.problem(429, "too_many_uploads", **{"retry-after": 9}), Busy),
        (Answer.problem(400, "invalid_upload_id"), Refused),
    ],
)
def test_a_refusal_before_the_upload_began(
    driver: Driver, photo: Path, answer: Answer, kind: type[Refused]
) -> None:
    """No journal will tell of it: it is raised with code, detail and Retry-After."""
    with FakeService(gate=0, posts=[Receive(answer)]) as service, pytest.raises(kind) as caught:
        driver.upload(service.url, photo)
    assert caught.value.status == answer.status
    assert caught.value.retry_after_s == (9 if answer.status == 429 else None)


def test_the_threads_of_an_upload_end_with_it(photo: Path) -> None:
    """Also one that connects when the refusal comes: a client that is closed meanwhile would never
    close that connection."""

    class Slow(httpx.HTTPTransport):
        refused = threading.Event()

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "GET":
                self.refused.wait(30)
                time.sleep(0.2)
            response = super().handle_request(request)
            if request.method == "POST":
                self.refused.set()
            return response

    refusal = Receive(Answer.problem(403, "forbidden"))
    with (
        FakeService(gate=0, posts=[refusal]) as service,
        Client(service.url, pace=QUICK, transport=Slow()) as client,
    ):
        with pytest.raises(NotAllowed):
            client.upload(photo)
        assert "sse-progress upload" not in [thread.name for thread in threading.enumerate()]


def test_a_file_that_a_stage_refuses(driver: Driver, photo: Path) -> None:
    """The journal's error is the failure: code, sentence, event and id."""
    with FakeService(REFUSED, gate=3) as service:
        with pytest.raises(UploadFailed) as caught:
            driver.upload(service.url, photo)
        (post,) = service.asked("POST")
    assert caught.value.code == "malware"
    assert str(caught.value) == "The file holds malware (malware)"
    assert caught.value.upload_id == post.headers["x-upload-id"]
    assert caught.value.event is not None
    assert caught.value.event.stage == "error"


def test_a_body_refused_half_way(driver: Driver, tmp_path: Path) -> None:
    """An answer before the end of the body is read, and the journal's event comes with it."""
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(4_000_000))
    error = {"code": "too_large", "detail": "Over the limit.", "stage": "receiving"}
    journal = [*STORY[:2], event("error", message="Over the limit.", error=error)]
    refusal = Receive(Answer.problem(413, "too_large", "Over the limit."), limit_bytes=100_000)
    with (
        FakeService(journal, gate=2, posts=[refusal]) as service,
        pytest.raises(UploadFailed, match="Over the limit") as caught,
    ):
        driver.upload(service.url, big)
    assert caught.value.code == "too_large"
    assert caught.value.event is not None
    assert service.received_bytes < 4_000_000


def test_a_refusal_whose_event_does_not_come(driver: Driver, photo: Path) -> None:
    """Redis away: the answer alone tells, after a short wait for the event."""
    refusal = Answer.problem(503, "unavailable", "Not now.", **{"retry-after": 3})
    with (
        FakeService(STORY[:2], streams=[Play(then="hold")], posts=[Receive(refusal)]) as service,
        pytest.raises(UploadFailed, match="Not now") as caught,
    ):
        driver.upload(service.url, photo)
    assert (caught.value.code, caught.value.event) == ("unavailable", None)
    assert caught.value.retry_after_s == 3


def test_an_id_that_is_known_is_not_sent_again(driver: Driver, photo: Path) -> None:
    """An id in use is a Conflict with the first one's state, before any byte of the body."""
    with FakeService(known=True) as service:
        with pytest.raises(Conflict) as caught:
            driver.upload(service.url, photo, id="u")
        assert not service.asked("POST")
    assert caught.value.code == "upload_id_in_use"
    assert caught.value.upload == {"status": "receiving", "uploadId": "u"}


def test_another_uploads_end_is_not_ours(driver: Driver, photo: Path) -> None:
    """When the id was taken meanwhile, the other's `complete` is no success: it is a Conflict."""
    refusal = Answer.problem(409, "upload_id_in_use", upload={"status": "complete"})
    with FakeService(posts=[Receive(refusal)]) as service, pytest.raises(Conflict) as caught:
        driver.upload(service.url, photo, id="u")
    assert caught.value.upload == {"status": "complete"}


def test_an_upload_that_its_owner_cancels(driver: Driver, tmp_path: Path) -> None:
    """A DELETE from elsewhere ends the call, also while the body is still on its way."""
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(4_000_000))
    journal = [*STORY[:2], event("cancelled", message="Cancelled.")]
    heard: list[str | None] = []

    def on_event(event: Event) -> None:
        heard.append(event.stage)
        if len(heard) == 2:
            with Client(service.url) as other:
                other.cancel(event.upload_id)

    stuck = Receive(limit_bytes=100_000, then="hold")
    with (
        FakeService(journal, posts=[stuck], cancel_gate=2) as service,
        pytest.raises(UploadCancelled) as caught,
    ):
        driver.upload(service.url, big, on_event=on_event)
    assert caught.value.code == "cancelled"
    assert heard == ["receiving", "receiving", "cancelled"]


# ---- lost


def test_a_lost_answer_is_no_lost_upload(driver: Driver, photo: Path) -> None:
    """The connection breaks after the file was stored: the journal still brings the result."""
    for how in ("cut", "abort"):
        with FakeService(gate=3, posts=[Receive(then=how)]) as service:  # type: ignore[arg-type]
            assert driver.upload(service.url, photo).id == "u"


@pytest.mark.parametrize("status", [502, 504])
def test_a_proxys_word_is_not_the_services(driver: Driver, photo: Path, status: int) -> None:
    """A 502 or 504 from between does not end an upload whose journal goes on."""
    page = Answer(status, b"<html>bad gateway", content_type="text/html")
    with FakeService(gate=3, posts=[Receive(page)]) as service:
        assert driver.upload(service.url, photo).id == "u"


def test_a_lost_body_that_never_began(driver: Driver, photo: Path) -> None:
    """The connection breaks and the journal knows nothing: the call fails after a short wait."""
    with (
        FakeService([], streams=[Play(then="hold")], posts=[Receive(then="abort")]) as service,
        pytest.raises(Unreachable, match="connection was lost"),
    ):
        driver.upload(service.url, photo)


def test_a_lost_body_that_began_ends_as_its_journal_says(driver: Driver, photo: Path) -> None:
    """The server died in the middle of the body: the journal's `server_lost` is the failure."""
    error = {"code": "server_lost", "detail": "Please send it again.", "stage": "receiving"}
    journal = [*STORY[:2], event("error", message="Lost.", error=error)]
    with (
        FakeService(journal, gate=2, posts=[Receive(limit_bytes=1, then="abort")]) as service,
        pytest.raises(UploadFailed) as caught,
    ):
        driver.upload(service.url, photo)
    assert caught.value.code == "server_lost"


def test_an_answer_that_is_not_ours(driver: Driver, photo: Path) -> None:
    """A redirect is not followed with the body: the call fails and says so."""
    moved = Answer(307, b"", {"Location": "/elsewhere"})
    with (
        FakeService([], streams=[Play(then="hold")], posts=[Receive(moved)]) as service,
        pytest.raises(BadAnswer, match="answered 307"),
    ):
        driver.upload(service.url, photo)


def test_a_result_that_is_none(driver: Driver, photo: Path) -> None:
    """A `complete` without a readable result is not passed off as one."""
    for media in (None, {"id": 7}):
        with (
            FakeService([*STORY[:9], event("complete", 100, media=media)]) as service,
            pytest.raises(BadAnswer, match="not a result"),
        ):
            driver.upload(service.url, photo)


# ---- either half first, without waiting for it


def sending() -> tuple[Sending, list[float]]:
    clock = [0.0]
    return Sending("u", url="http://s", pace=Pace(), now=lambda: clock[0]), clock


RECEIVING = Event(type="progress", upload_id="u", stage="receiving")
COMPLETE = Event(type="progress", upload_id="u", stage="complete", media={"id": "u"})
CANCELLED = Event(type="progress", upload_id="u", stage="cancelled", message="Cancelled.")
LOST = Lost(Unreachable("http://s", "the connection was lost"), sent=True)


def test_both_halves_are_needed_and_either_may_be_first() -> None:
    """`complete` waits for the answer, and the answer for the end, without limit."""
    for first, second in ((COMPLETE, Accepted()), (Accepted(), COMPLETE)):
        both, _ = sending()
        both.take(first)
        assert (both.over, both.wait_s()) == (False, None)
        both.take(second)
        assert both.over
        assert both.media().id == "u"


def test_a_lost_answer_waits_for_a_journal_that_has_not_begun() -> None:
    """15 s for the first event; once there is one, the journal's end is waited for."""
    lost, clock = sending()
    lost.take(LOST)
    assert lost.wait_s() == 15
    clock[0] = 14
    assert lost.wait_s() == 1
    lost.take(RECEIVING)
    assert (lost.over, lost.wait_s()) == (False, None)
    lost.take(COMPLETE)
    assert lost.over
    assert lost.media().id == "u"
    begun, _ = sending()
    begun.take(RECEIVING)
    begun.take(LOST)
    assert (begun.over, begun.wait_s()) == (False, None)
    never, _ = sending()
    never.take(LOST)
    never.expired()
    assert never.over
    with pytest.raises(Unreachable):
        never.media()


def test_an_end_that_is_no_success_waits_5_s_for_the_answer() -> None:
    """It may be another upload's end: then the answer says that the id is taken."""
    ours, _ = sending()
    ours.take(CANCELLED)
    assert (ours.over, ours.wait_s()) == (False, 5)
    ours.expired()
    with pytest.raises(UploadCancelled):
        ours.media()
    others, _ = sending()
    others.take(CANCELLED)
    others.take(Conflict(409, "upload_id_in_use", "Taken."))
    assert others.over
    with pytest.raises(Conflict):
        others.media()


def test_the_journal_outweighs_an_answer_about_something_else() -> None:
    """A 500 for the answer's own sake does not undo an upload that completed."""
    both, _ = sending()
    both.take(Refused(500, "internal", "Oh."))
    assert (both.over, both.wait_s()) == (False, 5)
    both.take(COMPLETE)
    assert both.over
    assert both.media().id == "u"


# ---- the file and the caller


def test_a_file_that_shrinks(driver: Driver) -> None:
    """A file that ends before its length is FileChanged with both sizes, and no short file."""

    class Shrinking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(size) if self.tell() < 300_000 else b""

    with (
        FakeService(gate=3) as service,
        pytest.raises(FileChanged, match=r"ended after \d+ bytes, expected 600000"),
    ):
        driver.upload(service.url, Shrinking(b"x" * 600_000))


def test_a_file_that_cannot_be_read(driver: Driver, tmp_path: Path) -> None:
    """What the system says of the file is raised as it is; nothing is sent."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with FakeService(gate=3) as service:
        for source, kind in (
            (tmp_path / "none", FileNotFoundError),
            (tmp_path, IsADirectoryError),
            (io.StringIO("text"), TypeError),
        ):
            with pytest.raises(kind):
                driver.upload(service.url, source)
        assert not service.requests
        with pytest.raises(OSError, match="Input/output error"):
            driver.upload(service.url, Broken(b"x"))


def test_a_listener_that_fails_stops_the_upload(driver: Driver) -> None:
    """An exception in `on_event` is the caller's own, and what was sending ends by itself."""

    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            return bytes(1000)

    def on_event(event: Event) -> None:
        raise KeyError(event.stage)

    def senders() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == "sse-progress upload"]

    source: Any = Endless()
    with FakeService(gate=1) as service:
        with pytest.raises(KeyError, match="receiving"):
            driver.upload(service.url, source, on_event=on_event)
        with Client(service.url, pace=QUICK) as client:
            with pytest.raises(KeyError, match="receiving"):
                client.upload(source, on_event=on_event)
            wait_until(lambda: not senders(), "no thread sends any more")


async def test_listeners_may_wait(photo: Path) -> None:
    """An async `on_event` is awaited before the next event."""
    heard: list[str] = []

    async def on_event(event: Event) -> None:
        heard.append(f"+{event.stage}")
        await asyncio.sleep(0)
        heard.append(f"-{event.stage}")

    with FakeService() as service:
        async with AsyncClient(service.url, pace=QUICK) as client:
            await client.upload(photo, on_event=on_event)
    assert heard == [f"{sign}{event['stage']}" for event in STORY for sign in "+-"]


async def test_a_cancelled_task_stops_its_upload(tmp_path: Path) -> None:
    """Cancelling the caller's task closes both connections at once."""
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(4_000_000))
    heard = asyncio.Event()
    stuck = Receive(limit_bytes=100_000, then="hold")
    with FakeService(posts=[stuck], gate=2) as service:
        async with AsyncClient(service.url) as client:
            task = asyncio.create_task(client.upload(big, on_event=lambda _: heard.set()))
            async with asyncio.timeout(60):
                await heard.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_a_pipe_that_gives_nothing_holds_nobody_up(tmp_path: Path) -> None:
    """Cancelling does not wait for a read that hangs; the file is closed when that returns."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    heard = asyncio.Event()
    with FakeService(gate=1) as service:
        async with AsyncClient(service.url) as client:
            task = asyncio.create_task(client.upload(pipe, on_event=lambda _: heard.set()))
            async with asyncio.timeout(60):
                await heard.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
    os.write(writer, b"late")
    os.close(writer)


async def test_many_uploads_at_once(photo: Path) -> None:
    """Eight uploads with eight streams do not wait for each other's connections."""
    with FakeService(gate=3) as service:
        async with AsyncClient(service.url, pace=QUICK) as client:
            done = await asyncio.gather(*(client.upload(photo) for _ in range(8)))
    assert len(done) == 8
    assert len({post.headers["x-upload-id"] for post in service.asked("POST")}) == 8


def test_failures_are_one_tree() -> None:
    """Whoever catches ClientError catches them all, and each says what it is on one line."""
    failures: list[Callable[[], ClientError]] = [
        lambda: Unreachable("http://s", "connection refused"),
        lambda: BadAnswer("http://s", 200, "not JSON"),
        lambda: FileChanged("a", 2, 1),
        lambda: Refused(400, "bad_request", "No."),
        lambda: UploadFailed("u", "malware", "No."),
        lambda: UploadCancelled("u", "cancelled", "Gone."),
    ]
    for failure in failures:
        assert isinstance(failure(), ClientError)
        assert len(str(failure()).splitlines()) == 1
    assert all(issubclass(kind, Refused) for kind in (NotAllowed, Conflict, Busy))
    assert issubclass(UploadCancelled, UploadFailed)
    assert Pace().silence_s == 45
