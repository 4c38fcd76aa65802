"""The progress stream on the wire (contract §2), against the real service over real sockets."""

from __future__ import annotations

import asyncio

import anyio
import httpx

from tests.helpers.media import jpeg
from tests.helpers.multipart import body, content_type, file_part
from tests.helpers.raw_http import connect, head, read_answer
from tests.helpers.service import Service
from tests.helpers.sse import EventStream, journal, read_events
from tests.helpers.waiting import eventually
from tests.wire.words import STAGES, check_journal, journal_of, new_id, post


def url_of(service: Service, upload_id: str) -> str:
    return f"{service.url}/upload/{upload_id}/progress"


async def test_headers_and_first_frame(running: Service) -> None:
    """A stream opens with its headers, then `retry:` and `connected` in one frame without an id."""
    upload_id = new_id()
    async with EventStream(url_of(running, upload_id)) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store, no-transform"
        assert "connection" not in stream.headers
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["vary"] == "Accept"
        first = await anext(aiter(stream))
    assert first.id is None
    assert 1000 <= (first.retry_ms or 0) <= 3000
    assert first.json["type"] == "connected"
    assert first.json["uploadId"] == upload_id
    assert first.json["message"]
    assert b"\r" not in first.raw


async def test_an_http_1_0_reader_gets_bare_frames(running: Service, client: httpx.Client) -> None:
    """A proxy that speaks HTTP/1.0 gets the journal without chunks, and then the end of the
    connection."""
    upload_id = new_id()
    with connect(running.url) as connection:
        path = f"/upload/{upload_id}/progress"
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        text = connection.recv(65536)
        assert (await anyio.to_thread.run_sync(post, client, upload_id)).status_code == 200
        connection.settimeout(60)
        while piece := connection.recv(65536):
            text += piece
    fields, _, stream = text.partition(b"\r\n\r\n")
    assert (
        fields.lower().count(b"\r\nconnection: close") == fields.lower().count(b"connection") == 1
    )
    assert b"transfer-encoding" not in fields.lower()
    assert stream.startswith(b"retry: ")
    assert b"\r" not in stream
    frames = [frame for frame in stream.decode().split("\n\n") if "id: " in frame]
    assert [frame.split("\n")[0].rpartition("-")[2] for frame in frames] == [
        str(n) for n in range(1, len(frames) + 1)
    ]
    assert '"stage":"complete"' in frames[-1]


async def test_a_reader_before_the_upload_sees_the_whole_journal(
    running: Service, client: httpx.Client
) -> None:
    """Subscribing before the upload begins shows every event as it happens, to the end."""
    upload_id = new_id()
    async with EventStream(url_of(running, upload_id)) as stream:
        frames = aiter(stream)
        await anext(frames)
        answer = await anyio.to_thread.run_sync(lambda: post(client, upload_id))
        assert answer.status_code == 200
        live = [frame async for frame in frames if not frame.comment]
        assert stream.clean_end
        assert stream.rest == b""
    check_journal(live)
    stages = list(dict.fromkeys(frame.stage for frame in live))
    assert stages == list(STAGES)
    assert [f.raw for f in await journal_of(running, upload_id)] == [f.raw for f in live]


async def test_every_position_resumes_exactly_there(running: Service, client: httpx.Client) -> None:
    """From any presented id, by header or query, exactly the rest of the journal follows."""
    upload_id = new_id()
    assert post(client, upload_id).status_code == 200
    whole = await journal_of(running, upload_id)
    for at, frame in enumerate(whole[:-1]):
        rest = await read_events(url_of(running, upload_id), {"Last-Event-ID": str(frame.id)})
        assert [f.raw for f in journal(rest)] == [f.raw for f in whole[at + 1 :]]
    by_query = await read_events(url_of(running, upload_id) + f"?lastEventId={whole[3].id}")
    assert [f.raw for f in journal(by_query)] == [f.raw for f in whole[4:]]
    both = await read_events(
        url_of(running, upload_id) + f"?lastEventId={whole[0].id}",
        {"Last-Event-ID": str(whole[5].id)},
    )
    assert [f.raw for f in journal(both)] == [f.raw for f in whole[6:]]


async def test_the_terminal_position_gets_204(running: Service, client: httpx.Client) -> None:
    """Presenting the end stops EventSource for good: 204 and no body."""
    upload_id = new_id()
    post(client, upload_id)
    end = (await journal_of(running, upload_id))[-1]
    async with EventStream(
        url_of(running, upload_id), headers={"Last-Event-ID": str(end.id)}
    ) as stream:
        assert stream.status == 204


async def test_a_foreign_position_gets_a_reset(running: Service, client: httpx.Client) -> None:
    """Another epoch, a place beyond the end, or nonsense: `reset` with the whole state."""
    upload_id = new_id()
    post(client, upload_id)
    end = (await journal_of(running, upload_id))[-1]
    epoch = str(end.id).rpartition("-")[0]
    for position in ("ffffffff-3", f"{epoch}-9999", "nonsense", "-", "x" * 300):
        frames = await read_events(url_of(running, upload_id), {"Last-Event-ID": position})
        assert [frame.json["type"] for frame in frames] == ["connected", "reset"], position
        assert frames[1].id == end.id
        assert {**frames[1].json, "type": "progress"} == end.json


async def test_a_forgotten_upload_is_gone(running: Service) -> None:
    """A position in an upload that nobody remembers: one `reset`, id gone-0; then 204."""

    async def told() -> list:
        frames = await read_events(url_of(running, "forgotten-1"), {"Last-Event-ID": "abcd-7"})
        return frames if len(frames) > 1 else []

    frames = await eventually(told, "a Redis that is old enough to be believed")
    assert frames[1].id == "gone-0"
    assert frames[1].json["type"] == "reset"
    assert frames[1].json["error"]["code"] == "unknown_upload"
    async with EventStream(
        url_of(running, "forgotten-1"), headers={"Last-Event-ID": "gone-0"}
    ) as stream:
        assert stream.status == 204
    assert httpx.get(f"{running.url}/upload/forgotten-1").status_code == 404


async def test_head_ends_and_claims_nothing(running: Service, client: httpx.Client) -> None:
    """HEAD answers the stream's headers at once; neither HEAD nor JSON claims an id."""
    upload_id = new_id()
    answer = client.head(f"/upload/{upload_id}/progress")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    as_json = {"Accept": "application/json"}
    assert client.get(f"/upload/{upload_id}/progress", headers=as_json).status_code == 404
    assert client.get(f"/upload/{upload_id}").status_code == 404


async def test_accept_chooses_between_stream_and_state(
    running: Service, client: httpx.Client
) -> None:
    """JSON only where it is asked for by name and not less than the stream."""
    upload_id = new_id()
    post(client, upload_id)
    url = f"/upload/{upload_id}/progress"
    for accept, kind in (
        ("application/json", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("text/event-stream;q=0.2, application/json", "application/json"),
        ("*/*", "text/event-stream"),
        ("text/event-stream", "text/event-stream"),
        ("text/event-stream, application/json;q=0.5", "text/event-stream"),
        ("application/json;q=0", "text/event-stream"),
        ("", "text/event-stream"),
    ):
        with client.stream("GET", url, headers={"Accept": accept}) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(kind), accept


async def test_state_with_etag(running: Service, client: httpx.Client) -> None:
    """The state has an ETag made from the last id; If-None-Match gets 304."""
    upload_id = new_id()
    post(client, upload_id)
    end = (await journal_of(running, upload_id))[-1]
    url = f"/upload/{upload_id}/progress"
    answer = client.get(url, headers={"Accept": "application/json"})
    assert answer.headers["cache-control"] == "no-cache"
    assert str(end.id) in answer.headers["etag"]
    state = answer.json()
    assert state["status"] == "complete"
    media = end.json["media"]
    about = {name: media[name] for name in ("size", "contentType", "fields")}
    assert state == {
        "status": "complete",
        **{k: v for k, v in end.json.items() if k != "type"},
        **about,
    }
    match = {"Accept": "application/json", "If-None-Match": answer.headers["etag"]}
    again = client.get(url, headers=match)
    assert again.status_code == 304
    assert again.content == b""
    assert client.get(url, headers={**match, "If-None-Match": '"else"'}).status_code == 200
    assert client.get(f"/upload/{upload_id}").json() == state


async def test_a_matching_request_is_held_until_something_changes(
    running: Service, client: httpx.Client
) -> None:
    """`Prefer: wait=25` with a matching ETag answers when the journal moves on."""
    upload_id = new_id()
    url = f"{running.url}/upload/{upload_id}/progress"
    picture = jpeg()
    whole = body([file_part(picture)])
    connection = connect(running.url)
    headers = {
        "X-Upload-ID": upload_id,
        "Content-Type": content_type(),
        "Content-Length": str(len(whole)),
    }
    connection.sendall(head("POST", f"{running.url}/upload", headers) + whole[:1000])
    accept = {"Accept": "application/json"}

    async with httpx.AsyncClient(timeout=60) as polling:

        async def begun() -> httpx.Response | None:
            answer = await polling.get(url, headers=accept)
            return answer if answer.status_code == 200 else None

        first = await eventually(begun, "the upload began")
        assert first.json()["status"] == "receiving"
        etag = first.headers["etag"]

        async def held(etag: str) -> httpx.Response:
            matching = {**accept, "If-None-Match": etag, "Prefer": "wait=25"}
            return await polling.get(url, headers=matching)

        for _ in range(10):
            request = asyncio.create_task(held(etag))
            done, _ = await asyncio.wait({request}, timeout=0.5)
            if not done:
                break
            # The first bytes were told only now.
            assert request.result().headers["etag"] != etag
            etag = request.result().headers["etag"]
        assert not request.done()
        connection.sendall(whole[1000:])
        answer = await request
        assert answer.status_code == 200
        assert answer.headers["etag"] != etag
        assert answer.headers["preference-applied"] == "wait=25"
    assert read_answer(connection).status == 200
    connection.close()


async def test_heartbeats_are_comments_or_events(narrow: Service) -> None:
    """An idle stream gets a comment, or with ?heartbeat=event an event that scripts can see."""
    frames = await read_events(
        f"{narrow.url}/upload/idle/progress", until=lambda f: f.comment, comments=True
    )
    assert frames[-1].raw == b":\n\n"
    named = await read_events(
        f"{narrow.url}/upload/idle/progress?heartbeat=event", until=lambda f: f.event == "heartbeat"
    )
    assert named[-1].event == "heartbeat"
    assert named[-1].id is None


async def test_streams_end_whole_by_themselves_and_at_shutdown(service) -> None:  # type: ignore[no-untyped-def]
    """A lifetime's end and SIGTERM end a stream with a whole frame and a whole chunk."""
    one = service({"SSE_PROGRESS_STREAM_LIFETIME_S": "1"})
    async with EventStream(f"{one.url}/upload/short/progress") as stream:
        frames = [frame async for frame in stream]
        assert stream.clean_end
        assert stream.rest == b""
        assert frames[-1].retry_ms
    two = service(name="second")
    async with EventStream(f"{two.url}/upload/short/progress") as stream:
        reading = aiter(stream)
        await anext(reading)
        await anyio.to_thread.run_sync(two.stop)
        rest = [frame async for frame in reading]
        assert stream.clean_end
        assert stream.rest == b""
        assert rest[-1].retry_ms
