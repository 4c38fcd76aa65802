"""What of object storage needs no server: chains of chunks, URLs, signatures, work rooms."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_progress.model.errors import InsufficientStorage
from sse_progress.storage.bucket.chain import Chunk, farthest, has_gap, parse_chunk
from sse_progress.storage.bucket.signing import signed_headers, signed_url
from sse_progress.storage.bucket.url import Credentials, credentials_from, parse_bucket_url
from sse_progress.storage.bucket.workroom import Workroom

WRITERS = ("0" * 16, "1" * 16)

chunks = st.builds(
    Chunk, st.integers(0, 30), st.sampled_from((*WRITERS, "h" + "2" * 16)), st.integers(1, 10)
)


@given(st.lists(chunks))
def test_a_path_spells_the_file_as_far_as_it_goes(found: list[Chunk]) -> None:
    """Without a hole or an overlap from 0 on, and nothing reaches farther; held chunks are none."""
    path = farthest(found)
    assert all(one.end == next_.offset for one, next_ in pairwise(path))
    assert not path or path[0].offset == 0
    reached = {0}
    for _ in found:
        reached |= {c.end for c in found if c.offset in reached and c.writer in WRITERS}
    assert (path[-1].end if path else 0) == max(reached)
    assert all(chunk.writer in WRITERS for chunk in path)
    assert has_gap(found, path) == any(chunk.offset > max(reached) for chunk in found)


@given(st.lists(chunks), st.lists(chunks))
def test_late_chunks_never_take_anything_back(found: list[Chunk], late: list[Chunk]) -> None:
    """More chunks, in any order, reach at least as far."""
    before, after = farthest(found), farthest([*late, *found])
    assert (after[-1].end if after else 0) >= (before[-1].end if before else 0)


@given(chunks)
def test_names_of_chunks(chunk: Chunk) -> None:
    """A name has all of a chunk; names sort by offset."""
    assert parse_chunk(chunk.name) == chunk
    assert (chunk.name < Chunk(chunk.offset + 1, *chunk[1:]).name) is True


@pytest.mark.parametrize(
    "name",
    ["", "begun", "1-0000000000000000-5", f"{0:016}-0000000000000000-0", f"{0:016}-x-5", "-1-a-1"],
)
def test_other_names_are_no_chunks(name: str) -> None:
    """Markers, strangers and empty chunks."""
    assert parse_chunk(name) is None


def test_ten_thousand_chunks_are_no_burden() -> None:
    """Of two writers, in any order: one path, found at once."""
    many = [Chunk(n * 10, writer, 10) for n in range(10_000) for writer in WRITERS]
    random.Random(7).shuffle(many)
    assert farthest(many)[-1].end == 100_000


# ---- the setting


def test_a_bucket_url_is_read() -> None:
    """With an endpoint the bucket is in the path, without one it is AWS' and in the name."""
    url = parse_bucket_url(
        "s3://media/some/place/?endpoint=https://s3.example:9000/&region=eu-1", environment={}
    )
    assert (url.bucket, url.prefix, url.endpoint, url.region) == (
        "media",
        "some/place",
        "https://s3.example:9000",
        "eu-1",
    )
    assert url.base == "https://s3.example:9000/media"
    assert url.key("a/b") == "some/place/a/b"
    aws = parse_bucket_url("s3://media", environment={"AWS_REGION": "eu-central-1"})
    assert aws.base == "https://media.s3.eu-central-1.amazonaws.com"
    assert aws.key("a/b") == "a/b"
    assert url.id != aws.id
    assert (
        url.id
        == parse_bucket_url(
            "s3://media/some/place?region=eu-1&endpoint=https://s3.example:9000", environment={}
        ).id
    )


@pytest.mark.parametrize(
    "value",
    [
        "",
        "media",
        "http://media",
        "s3://",
        "s3://M",
        "s3://media/../x",
        "s3://media/a b",
        "s3://media?secret=x",
        "s3://media?endpoint=ftp://host",
        "s3://media?endpoint=https://user:secret@host",
        "s3://media?endpoint=https://host/path",
        "s3://media?region=a/b",
        "s3://media?style=odd",
        "s3://key:secret@media",
        "s3://media#x",
    ],
)
def test_another_url_is_refused_without_being_shown(value: str) -> None:
    """Somebody may have put a key into it."""
    with pytest.raises(ValueError, match=r"^(is|has)") as caught:
        parse_bucket_url(value, environment={})
    assert "secret@" not in str(caught.value)


def test_keys_come_from_the_usual_variables() -> None:
    """Those that are missing are named; none is ever shown."""
    with pytest.raises(ValueError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        credentials_from({})
    found = credentials_from(
        {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_SESSION_TOKEN": ""}
    )
    assert (found.access_key, found.secret_key, found.token) == ("id", "hush", None)
    assert "hush" not in repr(found)


# ---- signatures

AWS = parse_bucket_url(
    "s3://examplebucket?endpoint=https://s3.amazonaws.com&region=us-east-1&style=host",
    environment={},
)
EXAMPLE = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = datetime(2013, 5, 24, tzinfo=UTC)


def test_the_signed_url_of_the_documentation() -> None:
    """The example of "Authenticating Requests: Using Query Parameters" has this signature."""
    url = signed_url(AWS, EXAMPLE, "GET", "test.txt", now=NOW, expires_s=86400)
    assert url.endswith(
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    assert url.startswith("https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=")


def test_the_signed_headers_of_the_documentation() -> None:
    """The example "GET Bucket Lifecycle" of the same chapter."""
    url, headers = signed_headers(AWS, EXAMPLE, "GET", "", now=NOW, query={"lifecycle": ""})
    assert url == "https://examplebucket.s3.amazonaws.com/?lifecycle="
    assert headers["authorization"].endswith(
        "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    )


# ---- where attempts work


def test_a_work_room_is_bounded(tmp_path: Path) -> None:
    """By what the originals announce together, whichever process holds them."""
    one, other = (Workroom(tmp_path, limit_bytes=10, reserve_bytes=0) for _ in range(2))
    first = one.enter("a", 6)
    with pytest.raises(InsufficientStorage):
        other.enter("b", 5)
    second = other.enter("b", 4)
    first.leave()
    one.enter("c", 6).leave()
    second.leave()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_full_disk_refuses_a_file(tmp_path: Path) -> None:
    """What is to stay free counts."""
    room = Workroom(tmp_path, limit_bytes=2**60, reserve_bytes=2**59)
    with pytest.raises(InsufficientStorage):
        room.enter("a", 1)


def test_what_dead_workers_left_is_swept(tmp_path: Path) -> None:
    """Directories that nobody holds; those of living ones stay."""
    room = Workroom(tmp_path, limit_bytes=10, reserve_bytes=0)
    held = room.enter("held", 1)
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead" / "lock").write_bytes(b"9")
    (tmp_path / "dead" / "original").write_bytes(b"x")
    room.sweep_alone()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["held", "lock"]
    held.leave()
