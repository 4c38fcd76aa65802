"""What clients read of an upload whose journal was shortened in Redis."""

from __future__ import annotations

from pathlib import Path

import httpx
from redis import Redis

from sse_progress.runtime.redis.keys import journal_keys
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until
from tests.wire.words import new_id, post


def test_nothing_is_missing(tmp_path: Path) -> None:
    """Stream, state, history and list are what they were before, from the beginning and after any
    event; at the end a stream is over as ever."""
    env = {"SSE_PROGRESS_JOURNAL_WHOLE_S": "1", "SSE_PROGRESS_ARCHIVE_URL": ""}
    with (
        Service(tmp_path, env) as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        upload_id = new_id()
        assert post(client, upload_id).status_code == 200
        redis = Redis.from_url(service.redis_url)
        meta, log = journal_keys(upload_id)

        def stream(**headers: str) -> list[str]:
            answer = client.get(f"/upload/{upload_id}/progress", headers=headers, timeout=30)
            assert answer.status_code == 200
            return [frame for frame in answer.text.split("\n\n") if frame.startswith("id: ")]

        def others() -> list[object]:
            history = client.get(f"/upload/{upload_id}/history").json()
            backwards = client.get(f"/upload/{upload_id}/history?order=desc&limit=3").json()
            lines = client.get(
                f"/upload/{upload_id}/history", headers={"Accept": "application/x-ndjson"}
            ).text
            state = client.get(f"/upload/{upload_id}").json()
            return [history, backwards, lines, state, client.get("/uploads").json()]

        assert redis.type(log) == b"stream"
        frames, before = stream(), others()
        assert len(frames) > 10
        wait_until(lambda: redis.type(log) == b"string", "it was shortened")
        used = [int(str(redis.memory_usage(key, samples=0))) for key in (meta, log)]
        assert sum(used) < 2000
        assert stream() == frames
        ids = [frame.split("\n")[0].removeprefix("id: ") for frame in frames]
        for at in (0, len(ids) // 2, len(ids) - 2):
            assert stream(**{"Last-Event-ID": ids[at]}) == frames[at + 1 :]
        over = client.get(f"/upload/{upload_id}/progress", headers={"Last-Event-ID": ids[-1]})
        assert over.status_code == 204
        assert others() == before
        (reset,) = stream(**{"Last-Event-ID": "00000000-3"})
        assert '"type":"reset"' in reset
