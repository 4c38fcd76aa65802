"""`PUT /upload/<id>`: the file itself as the body, with the same stages, ends and refusals."""

from __future__ import annotations

import base64
import hashlib

import httpx
import pytest

from tests.helpers.media import jpeg
from tests.helpers.raw_http import connect, head, request
from tests.helpers.service import Service
from tests.wire.test_upload import check_problem, ended_with
from tests.wire.words import check_journal, files_of, journal_of, new_id


async def test_a_file_as_the_body(running: Service, client: httpx.Client) -> None:
    """The answer is that of a form: `media` with the name, the type that was found, the digest."""
    upload_id, picture = new_id(), jpeg()
    answer = client.put(
        f"/upload/{upload_id}",
        content=picture,
        headers={
            "Content-Type": "image/jpeg",
            "Content-Disposition": "inline; filename*=UTF-8''Gr%C3%BC%C3%9Fe.jpg",
        },
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-upload-id"] == upload_id
    media = answer.json()["data"]["media"]
    assert (media["id"], media["filename"], media["fields"]) == (upload_id, "Grüße.jpg", {})
    assert (media["size"], media["contentType"]) == (len(picture), "image/jpeg")
    assert media["sha256"] == hashlib.sha256(picture).hexdigest()
    assert client.get(media["url"]).content == picture
    frames = await journal_of(running, upload_id)
    check_journal(frames)
    assert all(frame.json["filename"] == "Grüße.jpg" for frame in frames)


@pytest.mark.parametrize(
    ("query", "headers", "name"),
    [
        ("?filename=a%2Fb.txt", {"Content-Disposition": "inline; filename=c.txt"}, "b.txt"),
        ("", {"Content-Disposition": 'attachment; filename="c.txt"'}, "c.txt"),
    ],
)
def test_the_name(client: httpx.Client, query: str, headers: dict[str, str], name: str) -> None:
    """`?filename=` holds, else Content-Disposition, cleaned like a form's."""
    answer = client.put(f"/upload/{new_id()}{query}", content=b"Some words.\n", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["media"]["filename"] == name


def test_without_a_name_or_a_length(client: httpx.Client) -> None:
    """A chunked body of no name is an upload as well; `Prefer` is heard."""
    upload_id = new_id()
    answer = client.put(
        f"/upload/{upload_id}",
        content=iter([b"Some ", b"words.\n"]),
        headers={"Prefer": "respond-async"},
    )
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.headers["location"].endswith(f"/upload/{upload_id}")


def test_a_second_one_is_refused(client: httpx.Client) -> None:
    """One id is one upload; the answer has the first one's state."""
    upload_id = new_id()
    assert client.put(f"/upload/{upload_id}", content=b"First.\n").status_code == 200
    again = client.put(f"/upload/{upload_id}", content=b"Second.\n")
    assert check_problem(again, 409, "upload_id_in_use")["upload"]["status"] == "complete"


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"Content-Range": "bytes 0-3/9"}, b"part", 400, "bad_request"),
        ({"Content-Disposition": "inline; filename"}, b"x", 400, "bad_request"),
        ({"Content-Encoding": "gzip"}, b"x", 415, "unsupported_media_type"),
        ({"Content-Length": "1073741825"}, b"x", 413, "too_large"),
        ({}, b"", 422, "empty_file"),
    ],
)
def test_a_body_that_is_refused(
    running: Service, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    """A part of a file, a name that cannot be read, a coding, a length over the limit, no byte."""
    answer = request("PUT", f"{running.url}/upload/{new_id()}", headers=headers, body=body)
    check_problem(answer, status, code)


@pytest.mark.parametrize("name", ["Content-Digest", "Repr-Digest"])
def test_a_digest_is_checked(client: httpx.Client, name: str) -> None:
    """RFC 9530: a file with another digest than the one announced is refused."""
    digest = base64.b64encode(hashlib.sha256(b"Some words.\n").digest()).decode()
    headers = {name: f"md5=:eA==:, sha-256=:{digest}:"}
    upload_id = new_id()
    refused = client.put(f"/upload/{upload_id}", content=b"Other words.\n", headers=headers)
    check_problem(refused, 400, "digest_mismatch")
    state = client.get(f"/upload/{upload_id}").json()
    assert (state["status"], state["error"]["code"]) == ("error", "digest_mismatch")
    content = iter([b"Some ", b"words.\n"])
    assert client.put(f"/upload/{new_id()}", content=content, headers=headers).status_code == 200


def test_an_id_that_is_none(client: httpx.Client) -> None:
    """The path has to hold a valid id."""
    check_problem(client.put("/upload/-x", content=b"x"), 400, "invalid_upload_id")


async def test_a_body_that_is_cut_off(running: Service) -> None:
    """It is a failed upload, never a short file; nothing of it stays."""
    upload_id = new_id()
    with connect(running.url) as connection:
        url = f"{running.url}/upload/{upload_id}"
        connection.sendall(head("PUT", url, {"Content-Length": "100"}) + b"some")
    await ended_with(running, upload_id, "client_disconnected")
    assert files_of(running, upload_id) == []


def test_nothing_goes_straight_to_a_disk(client: httpx.Client) -> None:
    """`Prefer: direct` where there is no bucket is refused, and takes no id."""
    headers = {"Prefer": "direct", "Upload-Length": "5", "X-Upload-ID": new_id()}
    for length in ("5", "x", "-1", "9" * 16):
        answer = client.post("/upload", headers={**headers, "Upload-Length": length})
        assert answer.status_code == (415 if length == "5" else 400)
    assert client.get(f"/upload/{headers['X-Upload-ID']}").status_code == 404
