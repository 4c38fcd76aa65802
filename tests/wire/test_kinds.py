"""Kinds, contexts and batches on the wire: by form, plain body and tus, in events and lists."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.helpers.kinds import SUBTITLES
from tests.helpers.media import jpeg
from tests.helpers.service import Service
from tests.helpers.sse import EventStream
from tests.wire.test_upload import check_problem, ended_with
from tests.wire.words import journal_of, new_id, post

SECRET = "a secret of the tests that is long enough for HS256"
LESSON = "kind=lesson&context.courseId=c1&context.week=2&batch=b-1"
LABELS = {"kind": "lesson", "context": {"courseId": "c1", "week": "2"}, "batchId": "b-1"}
TEXT = b"Some words.\n"


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    directory = Path(tempfile.mkdtemp(prefix="sp-kinds-"))
    with Service(directory, {"SSE_PROGRESS_KINDS": "tests.helpers.kinds:kinds"}) as service:
        yield service
    shutil.rmtree(directory)


def by_form_and_query(client: httpx.Client, upload_id: str, query: str) -> httpx.Response:
    return client.post(
        f"/upload?{query}", files={"file": ("a.txt", TEXT)}, headers={"X-Upload-ID": upload_id}
    )


def by_form_fields(client: httpx.Client, upload_id: str, query: str) -> httpx.Response:
    fields = dict(pair.split("=") for pair in query.split("&") if pair)
    return client.post(
        "/upload",
        files=[*((k, (None, v)) for k, v in fields.items()), ("file", ("a.txt", TEXT))],
        headers={"X-Upload-ID": upload_id},
    )


def by_put(client: httpx.Client, upload_id: str, query: str) -> httpx.Response:
    return client.put(f"/upload/{upload_id}?filename=a.txt&{query}", content=TEXT)


def by_tus(client: httpx.Client, upload_id: str, query: str) -> httpx.Response:
    fields = [pair.split("=") for pair in query.split("&") if pair]
    metadata = [f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in fields]
    created = client.post(
        "/upload",
        headers={
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(len(TEXT)),
            "Upload-Metadata": ",".join([*metadata, "filename YS50eHQ="]),
            "X-Upload-ID": upload_id,
        },
    )
    if created.status_code != 201:
        return created
    return client.patch(
        f"/upload/{upload_id}",
        content=TEXT,
        headers={
            "Tus-Resumable": "1.0.0",
            "Upload-Offset": "0",
            "Content-Type": "application/offset+octet-stream",
        },
    )


def by_draft(client: httpx.Client, upload_id: str, query: str) -> httpx.Response:
    return client.post(
        f"/upload?filename=a.txt&{query}",
        content=TEXT,
        headers={
            "Upload-Complete": "?1",
            "Content-Type": "text/plain",
            "X-Upload-ID": upload_id,
        },
    )


WAYS = [by_form_and_query, by_form_fields, by_put, by_tus, by_draft]
Way = Callable[[httpx.Client, str, str], httpx.Response]


@pytest.mark.parametrize("way", WAYS)
async def test_labels_are_in_every_event_and_in_the_state(
    running: Service, client: httpx.Client, way: Way
) -> None:
    """Of an upload with stages of its own: named at the beginning, told to the end."""
    upload_id = new_id()
    answer = way(client, upload_id, LESSON)
    assert answer.status_code in (200, 204), answer.text
    frames = await journal_of(running, upload_id)
    labelled = frames[1:] if way is by_form_fields else frames
    for frame in labelled:
        assert {name: frame.json[name] for name in LABELS} == LABELS
    stages = list(dict.fromkeys(frame.json["stage"] for frame in frames))
    assert stages == [
        "receiving",
        "file_received",
        "transcoding",
        "subtitling",
        "finalizing",
        "complete",
    ]
    percents = [f.json["progress"] for f in frames if f.json["stage"] == "transcoding"]
    assert (percents[0], percents[-1]) == (11, 80)
    state = client.get(f"/upload/{upload_id}").json()
    assert {name: state[name] for name in LABELS} == LABELS
    assert (state["size"], state["filename"]) == (len(TEXT), "a.txt")
    assert state["media"]["results"]["transcoding"] == {"course": "c1"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("kind=film", "unknown_kind"),
        ("kind=render", "unknown_kind"),
        ("kind=lesson", "missing_context"),
        ("kind=lesson&context.courseid=c1", "missing_context"),
        ("context.1st=x", "invalid_context"),
        ("context.__proto__=x", "invalid_context"),
        ("context.a=" + "x" * 129, "invalid_context"),
    ],
)
def test_what_a_kind_does_not_allow(client: httpx.Client, way: Way, query: str, code: str) -> None:
    """Refused by name; nothing of it is stored."""
    upload_id = new_id()
    check_problem(way(client, upload_id, query), 400, code)
    assert client.get(f"/upload/{upload_id}").json().get("status") in (None, 404, "error")


@pytest.mark.parametrize("way", WAYS[:2])
async def test_limits_and_types_are_a_kinds_own(
    running: Service, client: httpx.Client, way: Way
) -> None:
    """A text is no avatar, a large picture neither, though both are uploads."""
    upload_id = new_id()
    check_problem(way(client, upload_id, "kind=avatar"), 422, "rejected_type")
    await ended_with(running, upload_id, "rejected_type")
    large = jpeg(900, 700)
    assert len(large) > 20_000
    for query, fields in (("?kind=avatar", {}), ("", {"kind": "avatar"})):
        parts = [*((k, (None, v)) for k, v in fields.items()), ("file", ("a.jpg", large))]
        refused = client.post(f"/upload{query}", files=parts)
        check_problem(refused, 413, "too_large")
    check_problem(client.put(f"/upload/{new_id()}?kind=avatar", content=large), 413, "too_large")
    assert post(client, content=large).status_code == 200


def test_fields_after_the_file_are_no_labels(client: httpx.Client) -> None:
    """They come too late to decide anything; they are kept as what they are."""
    answer = client.post("/upload", files=[("file", ("a.txt", TEXT)), ("kind", (None, "film"))])
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["media"]["fields"] == {"kind": "film"}


async def test_lists_and_streams_are_filtered(running: Service, client: httpx.Client) -> None:
    """By kind, context and batch; `upload` is the kind of what names none."""
    mine, other, plain = new_id(), new_id(), new_id()
    mark = new_id()
    by_put(client, mine, f"kind=lesson&context.courseId={mark}&batch=b-2")
    by_put(client, other, f"kind=lesson&context.courseId={mark}-other")
    by_put(client, plain, "")

    def listed(query: str) -> list[str]:
        return [one["uploadId"] for one in client.get(f"/uploads?{query}").json()["uploads"]]

    assert listed(f"context.courseId={mark}") == [mine]
    assert listed("batch=b-2") == [mine]
    assert {mine, other} <= set(listed("kind=lesson"))
    assert plain in listed("kind=upload")
    assert mine not in listed("kind=upload")
    assert listed("began_after=2999-01-01T00:00:00Z") == []
    assert mine in listed("began_after=2026-01-01T00:00:00Z")
    for wrong in ("began_after=yesterday", "began_after=2026-01-01", "context.1=x"):
        assert client.get(f"/uploads?{wrong}").status_code == 400
    url = f"{running.url}/uploads/progress?context.courseId={mark}&context.courseId={mark}"
    async with EventStream(url) as stream:
        frames = (frame async for frame in stream if frame.json["type"] != "connected")
        first = await anext(frames)
        assert (first.json["uploadId"], first.json["type"]) == (mine, "reset")


def test_config_says_what_is_accepted(client: httpx.Client) -> None:
    """Limits and types; by kind title, context, stages with titles and ranges."""
    config = client.get("/config").json()
    assert config["limits"]["maxUploadBytes"] == 1024**3
    assert "image/jpeg" in config["acceptedTypes"]
    assert list(config["kinds"]) == ["lesson", "avatar", "render", "upload"]
    lesson = config["kinds"]["lesson"]
    assert (lesson["title"], lesson["requiredContext"]) == ("A lesson", ["courseId"])
    own = {"name": "subtitling", "title": "Subtitles", "titles": SUBTITLES, "lo": 81, "hi": 94}
    assert own in lesson["stages"]
    assert config["kinds"]["avatar"]["maxUploadBytes"] == 20_000
    assert config["kinds"]["avatar"]["acceptedTypes"] == ["image/*"]
    assert config["kinds"]["render"]["files"] is False


def test_a_token_may_be_for_some_kinds(tmp_path: Path) -> None:
    """Its claim `kinds` lists them: 403 for others, before or with the form's fields."""

    def headers(**claims: Any) -> dict[str, str]:
        token = jwt.encode({"sub": "ann", "exp": 2**33, **claims}, SECRET, "HS256")
        return {"Authorization": f"Bearer {token}"}

    env = {"SSE_PROGRESS_KINDS": "tests.helpers.kinds:kinds", "SSE_PROGRESS_JWT_SECRET": SECRET}
    with Service(tmp_path, env) as service, httpx.Client(base_url=service.url) as client:
        client.headers = httpx.Headers(headers(kinds=["lesson"]))
        for way in WAYS:
            check_problem(way(client, new_id(), "kind=avatar"), 403, "forbidden")
            check_problem(way(client, new_id(), ""), 403, "forbidden")
            assert way(client, new_id(), LESSON).status_code in (200, 204)
        client.headers = httpx.Headers(headers(kinds="lesson"))
        check_problem(by_put(client, new_id(), LESSON), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("locale", "own", "half"),
    [("de_DE.UTF-8", "Untertitel", "Transcoding"), ("C.UTF-8", "Subtitles", "Transcoding")],
)
def test_the_commands_name_stages_as_their_kind_does(
    running: Service, tmp_path: Path, locale: str, own: str, half: str
) -> None:
    """By their titles in the reader's language, while it runs and in its history."""
    file = tmp_path / "a.txt"
    file.write_bytes(TEXT)
    upload_id = new_id()

    def said(*words: str | Path) -> str:
        run = subprocess.run(
            [sys.executable, "-m", "sse_progress", *words, "--url", running.url],
            env={**os.environ, "LC_ALL": locale}, capture_output=True, text=True, check=True,
            timeout=100,
        )  # fmt: skip
        return run.stdout

    options = ("--kind", "lesson", "--context", "courseId=c1", "--id", upload_id)
    lines = said("upload", file, *options).splitlines()
    assert f"a.txt: {own} 81% {own}" in lines
    assert f"a.txt: {half} 11% {half}" in lines
    history = said("history", upload_id)
    assert re.search(rf" 94 %  {own} +{own}(: fertig| is done)$", history, re.MULTILINE)
    assert "transcoding" not in history
