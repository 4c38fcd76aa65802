"""`media`: what is kept and told of an upload that came through."""

from __future__ import annotations

from typing import Any

import pytest

from sse_progress.model.stage_api import Upload
from sse_progress.model.urls import url_of
from sse_progress.worker.result import media_of, named_apart


def upload(results: dict[str, dict[str, Any]], **more: Any) -> Upload:
    given: dict[str, Any] = {
        "id": "demo",
        "path": "/somewhere/original",
        "scratch": "/somewhere/scratch-1",
        "filename": "photo.jpg",
        "claimed_type": "application/x-lie",
        "size": 1234,
        "sha256": "ab" * 32,
        "created_at": "2026-01-15T10:30:00.000Z",
        "fields": {"title": "Sea", "tag": ["a", "b"]},
        **more,
    }
    return Upload(results=results, **given)


def test_media_has_the_members_of_the_contract() -> None:
    """Each from its source: the type as detected, the results of analysis and moderation whole."""
    media = media_of(
        upload(
            {
                "validating": {"contentType": "image/jpeg", "checks": ["decoded"]},
                "analyzing": {"width": 640},
                "moderating": {"verdict": "approved", "notChecked": ["malware"]},
                "processing": {
                    "files": [{"name": "thumb.webp", "contentType": "image/webp", "size": 10}]
                },
            }
        ),
        prefix="/api",
    )
    assert media == {
        "id": "demo",
        "filename": "photo.jpg",
        "contentType": "image/jpeg",
        "size": 1234,
        "sha256": "ab" * 32,
        "fields": {"title": "Sea", "tag": ["a", "b"]},
        "url": "/api/upload/demo/files/photo.jpg",
        "files": [
            {
                "name": "thumb.webp",
                "contentType": "image/webp",
                "size": 10,
                "url": "/api/upload/demo/files/thumb.webp",
            }
        ],
        "analysis": {"width": 640},
        "moderation": {"verdict": "approved", "notChecked": ["malware"]},
        "createdAt": "2026-01-15T10:30:00.000Z",
    }


def test_a_pipeline_without_some_stages_still_has_every_member() -> None:
    """What nobody looked at is an empty object, and a type nobody detected claims nothing."""
    media = media_of(upload({}), prefix="")
    assert media["contentType"] == "application/octet-stream"
    assert (media["files"], media["analysis"], media["moderation"]) == ([], {}, {})


def test_where_the_file_lies_is_not_told() -> None:
    """No path of the server is among what clients read."""
    assert "/somewhere" not in repr(media_of(upload({}), prefix=""))


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("a b.jpg", "a%20b.jpg"),
        ("50%.jpg", "50%25.jpg"),
        ("a/b", "a%2Fb"),
        ("été?#.jpg", "%C3%A9t%C3%A9%3F%23.jpg"),
    ],
)
def test_a_files_url_is_quoted_as_one_segment(name: str, end: str) -> None:
    """Whatever a file is called, its URL leads to it and to nothing else (RFC 3986 §2.1)."""
    assert url_of("x~1", prefix="/p", name=name) == f"/p/upload/x~1/files/{end}"
    assert url_of("x~1", prefix="/p") == "/p/upload/x~1"


def test_derived_files_get_names_of_their_own() -> None:
    """Names of the original and of earlier files are left to them; a free name is kept."""
    made = [{"name": n, "contentType": "image/webp"} for n in ("thumb.webp", "page.webp", "x")]
    before = [{"files": [{"name": "page.webp"}, {"name": "page-2.webp"}]}, {"verdict": "approved"}]
    named = named_apart(made, "thumb.webp", before)
    assert [file["name"] for file in named] == ["thumb-2.webp", "page-3.webp", "x"]
    assert named_apart(made, "thumb.webp", before) == named
    assert [file["name"] for file in made] == ["thumb.webp", "page.webp", "x"]
    with pytest.raises(ValueError, match="named twice"):
        named_apart([made[0], made[0]], "other", [])


def test_a_rewritten_original_is_told_as_it_is_served() -> None:
    """Size and digest are those of the file behind `url`, not of the one that came."""
    stripped = {"name": "stripped", "size": 90, "sha256": "cd" * 32}
    media = media_of(upload({"processing": {"files": [], "original": stripped}}), prefix="")
    assert (media["size"], media["sha256"]) == (90, "cd" * 32)
