"""Streams as ASGI responses: pushed frames, clients that do not read, time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest

from sse_progress.emitter.emitter import Emitter
from sse_progress.emitter.topic import Topic
from sse_progress.journal.frames import Frame
from sse_progress.runtime.metrics import Metrics
from sse_progress.uploads.places import Place, Places
from sse_progress.web.streams.frames import gone_frame, retry_ms
from sse_progress.web.streams.sse_response import Pace, Stream, StreamParts
from sse_progress.web.streams.timer_wheel import Wheel
from sse_progress.web.streams.upload import Start, UploadStream

PACE = Pace(heartbeat_s=15, lifetime_s=3600, slow_s=30, claim_s=200)


class Server:
    """The server's side of one ASGI exchange: records messages, suspends where told to."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.room: asyncio.Future[None] | None = None
        self.gone = asyncio.Event()
        self.aborted = False

    async def send(self, message: dict[str, Any]) -> None:
        if self.room is not None:
            await self.room
        self.sent.append(message)
        if not message.get("more_body", True):
            self.gone.set()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    def stop_reading(self) -> None:
        self.room = asyncio.get_running_loop().create_future()

    def read_on(self) -> None:
        assert self.room is not None
        room, self.room = self.room, None
        room.set_result(None)


class Clock:
    def __init__(self) -> None:
        self.now = asyncio.get_running_loop().time()

    def __call__(self) -> float:
        return self.now


class Telling:
    """Every upload is the third in the queue."""

    async def of(self, upload_ids: Sequence[str]) -> list[Place]:
        return [Place(upload_id, 3, 40) for upload_id in upload_ids]


def parts_of(spawned: list[Awaitable[None]]) -> StreamParts:
    wheel = Wheel(clock=asyncio.get_running_loop().time)
    return StreamParts(wheel, spawned.append, Metrics(), cast("Places", Telling()))


async def running(
    pace: Pace = PACE,
) -> tuple[Stream, Server, asyncio.Task[None], list[Awaitable[None]]]:
    spawned: list[Awaitable[None]] = []
    stream = Stream(
        b"first\n\n",
        pace=pace,
        parts=parts_of(spawned),
    )
    server = Server()
    scope = {
        "type": "http",
        "method": "GET",
        "extensions": {"sse_progress": {"abort": lambda: setattr(server, "aborted", True)}},
    }
    task = asyncio.ensure_future(stream(scope, server.receive, server.send))
    await asyncio.sleep(0)
    return stream, server, task, spawned


async def test_a_push_is_sent_without_a_task() -> None:
    """While the socket takes it, `emit` has sent the frame when it returns."""
    stream, server, task, _ = await running()
    tasks = len(asyncio.all_tasks())
    assert stream.emit(b"frame\n\n") is None
    assert server.body == b"first\n\nframe\n\n"
    assert len(asyncio.all_tasks()) == tasks
    server.gone.set()
    await task


async def test_a_suspended_send_is_finished_later_and_in_order() -> None:
    """A client that does not read yet: the send goes on by hand where it stopped."""
    stream, server, task, _ = await running()
    server.stop_reading()
    one = stream.emit(b"1")
    two = stream.emit(b"2")
    assert one is not None
    assert two is not None
    finishing = asyncio.gather(one, two)
    await asyncio.sleep(0)
    assert server.body == b"first\n\n"
    server.read_on()
    await finishing
    assert server.body == b"first\n\n12"
    assert stream.emit(b"3") is None
    assert server.body == b"first\n\n123"
    server.gone.set()
    await task


async def test_a_cancelled_send_is_cancelled_inside() -> None:
    """Whoever finishes a suspended send and is cancelled leaves nothing waiting."""
    stream, server, task, _ = await running()
    server.stop_reading()
    rest = stream.emit(b"1")
    assert rest is not None
    finishing = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    finishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finishing
    assert server.room is not None
    assert server.room.cancelled()
    server.room = None
    server.gone.set()
    await task


async def test_the_end_is_a_whole_last_message() -> None:
    """`final` closes the body with the frame itself; nothing is sent after it."""
    stream, server, task, _ = await running()
    stream.emit(b"end\n\n", final=True)
    await task
    assert server.sent[-1] == {"type": "http.response.body", "body": b"end\n\n", "more_body": False}
    assert stream.emit(b"more") is None
    stream.finish()
    assert server.sent[-1]["body"] == b"end\n\n"


async def test_finish_says_when_to_come_back() -> None:
    """An end that is not the upload's carries a jittered `retry:`."""
    stream, server, task, _ = await running()
    stream.finish()
    await task
    last = server.sent[-1]
    assert last["body"].startswith(b"retry: ")
    assert last["more_body"] is False
    assert len({retry_ms() for _ in range(50)}) > 10
    assert all(1500 <= retry_ms() <= 2500 for _ in range(50))


@pytest.mark.parametrize(
    ("named", "beat"), [(False, b":\n\n"), (True, b"event: heartbeat\ndata: {}\n\n")]
)
async def test_heartbeats_come_when_idle_only(named: bool, beat: bytes) -> None:
    """After a quiet interval one heartbeat; a frame in between puts it off."""
    stream, server, task, _ = await running(Pace(15, 3600, 30, 200, named=named))
    written = stream._outlet.written_at
    assert stream.tick(written + 5) == pytest.approx(written + 15)
    assert not server.body.endswith(beat)
    stream.tick(written + 15)
    assert server.body.endswith(beat)
    server.gone.set()
    await task


@pytest.mark.parametrize("named", [False, True])
async def test_heartbeats_tell_the_places_of_uploads_that_wait(
    monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """At their pace, also while other events are sent; no frame has an id, or is an event's."""
    stream, server, task, spawned = await running(Pace(15, 3600, 30, 200, named=named))
    monkeypatch.setattr(stream, "waiting", lambda: ["up"])
    began = stream._outlet.written_at
    stream.tick(began + 10)
    assert spawned == []
    stream._outlet.written_at = began + 10
    stream.tick(began + 15)
    stream.tick(began + 16)
    (told,) = spawned
    await told
    place = b'{"waiting":[{"uploadId":"up","queuePosition":3,"startsInSeconds":40}]}'
    head = b"event: heartbeat\ndata" if named else b""
    assert server.body == b"first\n\n" + head + b": " + place + b"\n\n"
    server.gone.set()
    await task


async def test_a_stream_knows_that_its_upload_waits() -> None:
    """By the latest event: what was heard live, or else was read."""

    def frame(seq: int, stage: str) -> Frame:
        data = b'{"type":"progress","stage":"%b"}' % stage.encode()
        return Frame(b"id: e-%d\ndata: %b\n\n" % (seq, data), terminal=False)

    topic = Topic("up")
    stream = UploadStream(
        Start(topic, "ann", None, claims=False),
        opening=None,
        emitter=cast("Emitter", None),
        keep_claim=AsyncMock(),
        on_left=lambda: None,
        pace=PACE,
        parts=parts_of([]),
    )
    stream.ended = True  # there is no connection that anything could be written to
    assert stream.waiting() == ()
    await stream.write([frame(1, "receiving"), frame(2, "file_received")])
    assert stream.waiting() == ("up",)
    topic.keep(frame(3, "validating"))
    assert stream.waiting() == ()
    topic.renew()
    await stream.reset(frame(1, "file_received"))
    assert stream.waiting() == ("up",)
    await stream.write([frame(2, "validating")])
    assert stream.waiting() == ()


async def test_a_lifetime_is_jittered_and_ends() -> None:
    """Streams end in the last fifth of their life, spread, and with their token."""
    ends = []
    for _ in range(30):
        stream, server, task, _ = await running(Pace(15, 100, 30, 200))
        ends.append(stream._ends_at - stream._outlet.written_at)
        server.gone.set()
        await task
    assert all(80 <= end <= 100.1 for end in ends)
    assert max(ends) - min(ends) > 1
    import time

    stream, server, task, _ = await running(Pace(15, 100, 30, 200, expires_at=time.time() + 5))
    assert stream._ends_at - stream._outlet.written_at == pytest.approx(5, abs=0.5)
    stream.tick(stream._ends_at)
    await task
    assert server.sent[-1]["more_body"] is False


async def test_a_client_that_never_reads_is_let_go() -> None:
    """Behind for longer than `slow_s`: the connection is aborted, since a close would wait."""
    stream, server, task, _ = await running()
    server.stop_reading()
    rest = stream.emit(b"1")
    assert rest is not None
    finishing = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    since = stream._outlet.busy_since
    assert since is not None
    stream.tick(since + 29)
    assert not server.aborted
    stream.tick(since + 30)
    assert server.aborted
    server.read_on()
    await finishing
    server.gone.set()
    await task


async def test_head_sends_headers_and_ends() -> None:
    """HEAD has the stream's headers, no body, and is over."""
    stream = Stream(
        b"first",
        pace=PACE,
        parts=parts_of([]),
    )
    server = Server()
    await stream({"type": "http", "method": "HEAD"}, server.receive, server.send)
    assert server.body == b""
    assert dict(server.sent[0]["headers"])[b"content-type"].startswith(b"text/event-stream")
    assert server.sent[-1]["more_body"] is False


async def test_gone_is_one_frame() -> None:
    """What nobody remembers is told in one frame with its own id."""
    raw = gone_frame("u", "2026-01-15T10:30:00.000Z")
    assert raw.startswith(b"id: gone-0\ndata: {")
    assert raw.endswith(b"}\n\n")
    assert raw.count(b"\n") == 3


class Following(Stream):
    """Is given what is there at once."""

    def began(self) -> None:
        assert self.emit(b"there\n\n", final=self._pace.named) is None


@pytest.mark.parametrize("ended", [False, True])
async def test_what_is_there_at_once_leaves_with_the_first_frame(ended: bool) -> None:
    """An upload's events so far are one message with it, behind it, whether its end is among them
    or not."""
    pace = PACE._replace(named=ended)
    stream, server = Following(b"first\n\n", pace=pace, parts=parts_of([])), Server()
    scope = {"type": "http", "method": "GET", "headers": []}
    task = asyncio.ensure_future(stream(scope, server.receive, server.send))
    await asyncio.sleep(0)
    _, message = server.sent
    assert message["body"] == b"first\n\nthere\n\n"
    assert message["more_body"] is not ended
    server.gone.set()
    await task


@pytest.mark.parametrize(("compress", "written"), [("off", True), ("replay", False)])
async def test_a_compressed_stream_writes_no_chunk_past_asgi(compress: str, written: bool) -> None:
    """A chunk that is made once for all readers is plain; a compressed stream takes `send`."""
    chunks: list[bytes] = []
    parts = replace(parts_of([]), compress=compress)
    stream, server = Stream(b"first\n\n", pace=PACE, parts=parts), Server()

    def write(chunk: bytes) -> bool:
        chunks.append(chunk)
        return True

    scope = {
        "type": "http",
        "method": "GET",
        "http_version": "1.1",
        "headers": [(b"accept-encoding", b"gzip")],
        "extensions": {"sse_progress": {"write": write}},
    }
    task = asyncio.ensure_future(stream(scope, server.receive, server.send))
    await asyncio.sleep(0)
    assert stream.emit_chunk(b"5\r\nframe\r\n") is written
    assert chunks == [b"7\r\nfirst\n\n\r\n", b"5\r\nframe\r\n"] * written
    server.gone.set()
    await task
