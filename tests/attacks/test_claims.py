"""Ids that streams claim before an upload begins: who may, and how many."""

from __future__ import annotations

import anyio

from tests.attacks.words import Caller, check_problem, new_id
from tests.helpers.media import jpeg
from tests.helpers.multipart import body, file_part
from tests.helpers.sse import EventStream

GOOD = body([file_part(jpeg(40, 30))])
LIMIT = 100


def stream_of(caller: Caller, upload_id: str) -> EventStream:
    url = f"{caller.service.url}/upload/{upload_id}/progress"
    return EventStream(url, headers=dict(caller.headers))


async def read_to_end(stream: EventStream) -> list[str | None]:
    with anyio.fail_after(60):
        return [frame.stage async for frame in stream if frame.stage]


async def test_ids_cannot_be_claimed_in_bulk(alice: Caller, mallory: Caller) -> None:
    """Whoever opens streams for guessed ids gets a bounded number of them; to the rest their owner
    uploads as ever, and the stream that waited there sees nothing of it."""
    ids = [new_id() for _ in range(LIMIT + 5)]
    for upload_id in ids:
        async with stream_of(mallory, upload_id) as stream:
            assert stream.status == 200
            assert (await anext(aiter(stream))).json["type"] == "connected"
    claimed = [upload_id for upload_id in ids if mallory.state(upload_id).status == 200]
    assert claimed == ids[:LIMIT]
    check_problem(alice.post_raw(GOOD, upload_id=ids[0]), 403, "forbidden")
    async with stream_of(mallory, ids[-1]) as stream:
        await anext(aiter(stream))
        assert alice.post_raw(GOOD, upload_id=ids[-1]).status == 200
        assert await read_to_end(stream) == []
    assert alice.state(ids[-1]).json["status"] == "complete"


async def test_above_the_limit_a_stream_still_shows_its_own_upload(mallory: Caller) -> None:
    """It waits without a claim, and follows from the first event once the same user begins."""
    for _ in range(LIMIT):
        async with stream_of(mallory, new_id()) as stream:
            await anext(aiter(stream))
    upload_id = new_id()
    async with stream_of(mallory, upload_id) as stream:
        await anext(aiter(stream))
        check_problem(mallory.state(upload_id), 404, "unknown_upload")
        assert (await anyio.to_thread.run_sync(_post, mallory, upload_id)) == 200
        stages = await read_to_end(stream)
    assert stages[0] == "receiving"
    assert stages[-1] == "complete"


def _post(caller: Caller, upload_id: str) -> int:
    return caller.post_raw(GOOD, upload_id=upload_id).status


async def test_a_token_to_read_claims_nothing(alice: Caller, mallory: Caller) -> None:
    """A stream opened with `upload:read` alone waits; the id stays free for whoever uploads."""
    reader = Caller.named(alice.service, f"reader-{new_id()}", scope="upload:read")
    upload_id = new_id()
    async with stream_of(reader, upload_id) as stream:
        assert (await anext(aiter(stream))).json["type"] == "connected"
        check_problem(reader.state(upload_id), 404, "unknown_upload")
        assert alice.post_raw(GOOD, upload_id=upload_id).status == 200
        assert await read_to_end(stream) == []
    answer = reader.ask("GET", f"/upload/{upload_id}/progress")
    check_problem(answer, 403, "forbidden")
