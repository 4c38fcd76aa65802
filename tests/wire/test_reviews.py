"""A person decides, on the wire (contract §14)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.attacks.conftest import TOKENS
from tests.attacks.words import SECRET, token
from tests.helpers.service import Service
from tests.helpers.sse import EventStream
from tests.helpers.waiting import wait_until
from tests.wire.words import new_id, post

STAGES = """
async def mark(upload, report):
    return {"verdict": "review", "reasons": [{"code": "doubt", "detail": "Not sure."}]}

pipeline = [("moderating", mark)]
"""


@pytest.fixture(scope="module")
def holding() -> Iterator[Service]:
    """A service with tokens, that marks every file and holds it."""
    directory = Path(tempfile.mkdtemp(prefix="sp-review-"))
    (directory / "marking_stages.py").write_text(STAGES)
    env = {
        **TOKENS,
        "SSE_PROGRESS_JWT_SECRET": SECRET,
        "SSE_PROGRESS_PIPELINE": "marking_stages:pipeline",
        "SSE_PROGRESS_REVIEW": "hold",
        "PYTHONPATH": str(directory),
    }
    with Service(directory, env) as service:
        yield service
    shutil.rmtree(directory)


def caller(service: Service, sub: str, **claims: object) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token(sub=sub, **claims)}"}
    return httpx.Client(base_url=service.url, headers=headers, timeout=60)


async def test_a_person_decides(holding: Service) -> None:
    """What waits is listed to reviewers alone, who may see the file; approved it completes, refused
    it ends; the uploader sees both on the stream."""
    kept, refused = new_id(), new_id()
    with (
        caller(holding, "ann") as ann,
        caller(holding, "mod", scope="review upload:read") as mod,
    ):
        for upload_id in (kept, refused):
            assert post(ann, upload_id, headers={"Prefer": "respond-async"}).status_code == 202
            wait_until(
                lambda upload_id=upload_id: (
                    ann.get(f"/upload/{upload_id}").json().get("waiting") == "review"
                ),
                "it waits",
            )
        assert ann.get(f"/upload/{kept}").json()["status"] == "processing"
        assert ann.get("/reviews").json()["code"] == "forbidden"
        yes, no = {"decision": "approve"}, {"decision": "refuse", "reason": "Not here."}
        assert ann.post(f"/upload/{kept}/review", json=yes).status_code == 403
        waiting = mod.get("/reviews").json()["reviews"]
        assert [one["uploadId"] for one in waiting] == [kept, refused]
        assert waiting[0]["reasons"] == [{"code": "doubt", "detail": "Not sure."}]
        assert waiting[0]["owner"] == "ann"
        assert ann.post("/reviews/next").json()["code"] == "forbidden"
        mine = mod.post("/reviews/next").json()
        assert (mine["uploadId"], mine["url"]) == (kept, waiting[0]["url"])
        other = mod.post("/reviews/next", json={"desk": "2", "leaseS": 600}).json()
        assert other["uploadId"] == refused
        assert other["leasedUntil"] > mine["leasedUntil"] > mine["since"]
        assert mod.post("/reviews/next", json={"desk": "3"}).status_code == 204
        assert mod.post("/reviews/next", json={"leaseS": 5}).status_code == 400
        file = mod.get(waiting[0]["url"])
        assert file.status_code == 200
        assert file.headers["content-disposition"].startswith("attachment")
        assert mod.get(f"/upload/{kept}").status_code == 403  # it only looks at what waits
        assert ann.get(waiting[0]["url"]).status_code == 404
        assert mod.post(f"/upload/{kept}/review", json={"decision": "x"}).status_code == 400
        assert mod.post(f"/upload/{kept}/review", json=yes).status_code == 204
        again = mod.post(f"/upload/{kept}/review", json=no)
        assert (again.status_code, again.json()["code"]) == (409, "already_finished")
        assert mod.post(f"/upload/{refused}/review", json=no).status_code == 204
    for upload_id, end in ((kept, "complete"), (refused, "error")):
        url = f"{holding.url}/upload/{upload_id}/progress?token={token(sub='ann')}"
        async with EventStream(url) as stream:
            events = [frame.json async for frame in stream if frame.json]
        assert events[-1]["stage"] == end
        assert [event["progress"] for event in events[1:-1]] == sorted(
            event["progress"] for event in events[1:-1]
        )
        if end == "complete":
            assert events[-1]["media"]["moderation"]["review"]["by"] == "mod"
        else:
            assert events[-1]["error"]["code"] == "moderation_refused"
            assert events[-1]["error"]["detail"] == "Not here."
    with caller(holding, "mod", scope="review upload:read") as mod:
        assert mod.get("/reviews").json()["reviews"] == []
        assert mod.get(f"/upload/{kept}/files/photo.jpg").status_code == 403
