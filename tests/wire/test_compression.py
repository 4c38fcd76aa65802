"""Lists and histories in gzip; streams too, where they are asked to be."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.helpers.service import Service
from tests.wire.words import new_id, post

PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture(scope="module")
def packing() -> Iterator[Service]:
    """A service that compresses replays."""
    directory = Path(tempfile.mkdtemp(prefix="sp-wire-"))
    with Service(directory, {"SSE_PROGRESS_COMPRESS": "replay"}) as service:
        yield service
    shutil.rmtree(directory)


@pytest.fixture
def packed(packing: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=packing.url, timeout=60) as client:
        yield client


@pytest.fixture
def upload_id(packed: httpx.Client) -> str:
    name = new_id()
    assert post(packed, name).status_code == 200
    return name


@pytest.mark.parametrize("lines", [False, True])
def test_a_history_and_a_list(packed: httpx.Client, upload_id: str, lines: bool) -> None:
    """The same content and its validator, weak; `Vary` either way; a 304 has no coding."""
    accept = {"Accept": "application/x-ndjson"} if lines else {}
    path = f"/upload/{upload_id}/history"
    plain = packed.get(path, headers={**PLAIN, **accept})
    answer = packed.get(path, headers=accept)
    assert "content-encoding" not in plain.headers
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content == plain.content
    assert plain.headers["vary"] == answer.headers["vary"] == "Accept, Accept-Encoding"
    assert answer.headers["etag"] == "W/" + plain.headers["etag"]
    for etag in (plain.headers["etag"], answer.headers["etag"]):
        same = packed.get(path, headers={**accept, "If-None-Match": etag})
        assert (same.status_code, same.content) == (304, b"")
        assert "content-encoding" not in same.headers
    listed, bare = packed.get("/uploads"), packed.get("/uploads", headers=PLAIN)
    assert listed.headers["content-encoding"] == "gzip"
    assert listed.json() == bare.json()


def test_what_is_short_stays_as_it_is(packed: httpx.Client) -> None:
    """Below 1 KiB nothing is won."""
    answer = packed.get("/uploads?status=cancelled")
    assert "content-encoding" not in answer.headers


def test_a_replay_is_read_by_those_who_ask_for_it(
    packed: httpx.Client, packing: Service, upload_id: str
) -> None:
    """httpx and curl get the frames that a plain reader gets; the whole is a gzip file."""
    path = f"/upload/{upload_id}/progress"

    def events(text: str) -> list[str]:
        return [line for line in text.split("\n") if line.startswith(("id:", "data:"))][1:]

    plain = packed.get(path, headers=PLAIN)
    assert "content-encoding" not in plain.headers
    answer = packed.get(path)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert events(answer.text) == events(plain.text)
    assert len(events(plain.text)) > 10
    with packed.stream("GET", path) as raw:
        data = b"".join(raw.iter_raw())
    assert len(data) < len(plain.content) / 2
    assert events(gzip.decompress(data).decode()) == events(plain.text)
    told = subprocess.run(
        ["curl", "-sS", "--compressed", f"{packing.url}{path}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert events(told.stdout) == events(plain.text)


def test_streams_are_plain_unless_the_service_is_told_to(client: httpx.Client) -> None:
    """By default only JSON is compressed."""
    upload_id = new_id()
    assert post(client, upload_id).status_code == 200
    answer = client.get(f"/upload/{upload_id}/progress")
    assert "content-encoding" not in answer.headers
    history = client.get(f"/upload/{upload_id}/history")
    assert history.headers["content-encoding"] == "gzip"
    assert json.loads(history.text)["events"]
