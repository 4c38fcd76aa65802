"""`POST /upload` and its refusals on the wire (contract §1, §5)."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable

import httpx
import pytest

from tests.helpers.media import jpeg, noise
from tests.helpers.multipart import BOUNDARY, Part, body, content_type, file_part
from tests.helpers.raw_http import Answer, connect, head, read_answer
from tests.helpers.service import Service
from tests.helpers.sse import Frame
from tests.helpers.waiting import wait_until
from tests.wire.words import check_journal, files_of, journal_of, new_id, post


def send(
    service: Service, raw: bytes, *, upload_id: str | None = None, headers: dict[str, str] | None
) -> Answer:
    given = {
        **({"X-Upload-ID": upload_id} if upload_id else {}),
        "Content-Type": content_type(),
        "Content-Length": str(len(raw)),
        **(headers or {}),
    }
    connection = connect(service.url)
    connection.sendall(head("POST", f"{service.url}/upload", given))
    try:
        connection.sendall(raw)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused early
    answer = read_answer(connection)
    connection.close()
    return answer


def check_problem(answer: Answer | httpx.Response, status: int, code: str) -> dict:
    got = answer.status if isinstance(answer, Answer) else answer.status_code
    problem = answer.json if isinstance(answer, Answer) else answer.json()
    assert (got, problem["code"]) == (status, code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["success"] is False
    assert problem["error"] == problem["detail"]
    assert problem["status"] == status
    assert problem["title"]
    return problem


async def ended_with(service: Service, upload_id: str, code: str) -> list[Frame]:
    frames = await journal_of(service, upload_id)
    check_journal(frames)
    last = frames[-1].json
    assert last["stage"] == "error"
    assert last["progress"] == 0
    assert last["error"]["code"] == code
    assert last["error"]["stage"]
    assert 0 < len(last["error"]["detail"]) <= 200
    return frames


async def test_a_good_upload(running: Service, client: httpx.Client) -> None:
    """The answer holds `media`, whose files can be fetched, in ranges too."""
    upload_id = new_id()
    picture = jpeg()
    answer = post(client, upload_id, picture, data={"title": "Sea", "tag": ["a", "b"]})
    assert answer.status_code == 200
    assert answer.headers["x-upload-id"] == upload_id
    told = answer.json()
    assert told["success"] is True
    assert told["uploadId"] == upload_id
    media = told["data"]["media"]
    assert media["id"] == upload_id
    assert media["filename"] == "photo.jpg"
    assert media["contentType"] == "image/jpeg"
    assert media["size"] == len(picture)
    assert media["fields"] == {"title": "Sea", "tag": ["a", "b"]}
    assert media["moderation"]["verdict"] == "approved"
    assert isinstance(media["moderation"]["notChecked"], list)
    assert media["analysis"]["width"] == 640
    fetched = client.get(media["url"])
    assert fetched.content == picture
    assert fetched.headers["content-disposition"].startswith("attachment")
    assert fetched.headers["x-content-type-options"] == "nosniff"
    assert fetched.headers["etag"]
    part = client.get(media["url"], headers={"Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == picture[10:20]
    etag, modified = fetched.headers["etag"], fetched.headers["last-modified"]
    for known in (
        {"If-None-Match": etag},
        {"If-None-Match": f'"other", W/{etag}', "Range": "bytes=10-19"},
        {"If-Modified-Since": modified},
    ):
        kept = client.get(media["url"], headers=known)
        assert (kept.status_code, kept.content, kept.headers["etag"]) == (304, b"", etag)
    changed = {"If-None-Match": '"other"', "If-Modified-Since": modified, "If-Match": etag}
    assert client.get(media["url"], headers=changed).content == picture
    thumbnail = next(f for f in media["files"] if f["contentType"] == "image/webp")
    small = client.get(thumbnail["url"])
    assert small.headers["content-disposition"].startswith("inline")
    assert len(small.content) == thumbnail["size"]
    frames = await journal_of(running, upload_id)
    check_journal(frames)
    assert frames[-1].json["media"] == media
    assert frames[0].json["total"] > len(picture)


async def test_a_clients_name_and_a_derived_one_never_meet(client: httpx.Client) -> None:
    """A picture called as its thumbnail would be: two addresses, the right bytes under each."""
    name = post(client).json()["data"]["media"]["files"][0]["name"]
    answer = post(client, content=(picture := jpeg()), name=name)
    assert answer.status_code == 200
    media = answer.json()["data"]["media"]
    (thumbnail,) = media["files"]
    assert media["filename"] == name
    assert thumbnail["url"] != media["url"]
    original = client.get(media["url"])
    assert hashlib.sha256(original.content).hexdigest() == media["sha256"]
    assert original.content == picture
    assert original.headers["content-type"] == "image/jpeg"
    small = client.get(thumbnail["url"])
    assert small.content[8:12] == b"WEBP"
    assert (small.headers["content-type"], len(small.content)) == ("image/webp", thumbnail["size"])


async def test_without_an_id_the_server_makes_one(client: httpx.Client) -> None:
    """`upload_` and a UUID of version 7."""
    answer = post(client)
    assert re.fullmatch(
        r"upload_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        answer.headers["x-upload-id"],
    )
    assert answer.json()["uploadId"] == answer.headers["x-upload-id"]


async def test_respond_async(running: Service, client: httpx.Client) -> None:
    """`Prefer: respond-async` answers 202 once the file is stored; the work goes on."""
    upload_id = new_id()
    answer = post(client, upload_id, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert answer.json() == {"success": True, "uploadId": upload_id, "status": "processing"}
    assert answer.headers["location"] == f"/upload/{upload_id}"
    assert answer.headers["preference-applied"] == "respond-async"
    frames = await journal_of(running, upload_id)
    assert frames[-1].stage == "complete"


async def test_one_id_is_one_upload(client: httpx.Client) -> None:
    """Reuse answers 409 with the first one's state, whatever its end."""
    upload_id = new_id()
    post(client, upload_id)
    problem = check_problem(post(client, upload_id), 409, "upload_id_in_use")
    assert problem["upload"]["status"] == "complete"
    assert problem["upload"]["uploadId"] == upload_id
    failed = new_id()
    check_problem(post(client, failed, b"", name="empty.jpg"), 422, "empty_file")
    problem = check_problem(post(client, failed), 409, "upload_id_in_use")
    assert problem["upload"]["status"] == "error"


@pytest.mark.parametrize("bad", ["-x", ".x", "a b", "a/b", "ä", "x" * 129, "~x"])
async def test_bad_ids(running: Service, bad: str) -> None:
    """400 `invalid_upload_id`, without an X-Upload-ID in the answer."""
    raw = body([file_part(jpeg())])
    answer = send(running, raw, upload_id=bad, headers=None)
    check_problem(answer, 400, "invalid_upload_id")
    assert "x-upload-id" not in answer.headers


async def test_two_ids_are_none(client: httpx.Client) -> None:
    """A request that names two uploads is refused, rather than taken for one of them."""
    ids = [new_id(), new_id()]
    headers = [("X-Upload-ID", upload_id) for upload_id in ids]
    answer = client.post("/upload", headers=headers, files={"file": ("a.txt", b"Some words.")})
    check_problem(answer, 400, "invalid_upload_id")
    assert [client.get(f"/upload/{one}").status_code for one in ids] == [404, 404]


async def test_spaces_around_an_id_are_not_of_it(running: Service) -> None:
    """RFC 9110 §5.5: white space around a header's value is no part of it."""
    upload_id = new_id()
    raw = body([file_part(jpeg())])
    answer = send(running, raw, upload_id=f" \t{upload_id} \t", headers=None)
    assert (answer.status, answer.headers["x-upload-id"]) == (200, upload_id)


GOOD = body([file_part(b"x" * 2000)])
REFUSED: dict[str, tuple[int, str, Callable[[], bytes], dict[str, str]]] = {
    "a file without a name": (
        400,
        "unexpected_part",
        lambda: body(
            [
                Part(
                    None,
                    jpeg(),
                    disposition='form-data; name="a"',
                    headers=("Content-Type: image/jpeg",),
                )
            ]
        ),
        {},
    ),
    "no file": (400, "unexpected_part", lambda: body([Part("a", b"1")]), {}),
    "two files": (
        400,
        "unexpected_part",
        lambda: body([file_part(b"1"), file_part(b"2", "b.jpg")]),
        {},
    ),
    "empty body": (400, "malformed_multipart", lambda: b"", {}),
    "empty multipart": (400, "malformed_multipart", f"--{BOUNDARY}--\r\n".encode, {}),
    "no end": (
        400,
        "malformed_multipart",
        lambda: body([file_part(b"x" * 5000)], closed=False),
        {},
    ),
    "other boundary": (
        400,
        "malformed_multipart",
        lambda: GOOD,
        {"Content-Type": content_type("another")},
    ),
    "not multipart": (
        415,
        "unsupported_media_type",
        lambda: b"{}",
        {"Content-Type": "application/json"},
    ),
    "a gzip body": (
        415,
        "unsupported_media_type",
        lambda: gzip.compress(GOOD),
        {"Content-Encoding": "gzip"},
    ),
    "no boundary": (
        415,
        "unsupported_media_type",
        lambda: GOOD,
        {"Content-Type": "multipart/form-data"},
    ),
    "fields too large": (
        413,
        "too_large",
        lambda: body([Part("a", b"x" * 20000), file_part(b"1")]),
        {},
    ),
    "fields too large as JSON": (
        413,
        "too_large",
        lambda: body([Part("a", b"\x01" * 11_000), file_part(jpeg())]),
        {},
    ),
    "empty file": (422, "empty_file", lambda: body([file_part(b"")]), {}),
    "not a picture": (422, "rejected_type", lambda: body([file_part(noise(5000))]), {}),
    "half a picture": (422, "corrupt_file", lambda: body([file_part(jpeg()[:8000])]), {}),
    "a page as a picture": (
        422,
        "rejected_type",
        lambda: body([file_part(b"<!doctype html><script>alert(1)</script>" * 20)]),
        {},
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refusals(running: Service, case: str) -> None:
    """Each has its status and code, ends the journal with the same code, and leaves no file."""
    status, code, make, headers = REFUSED[case]
    upload_id = new_id()
    answer = send(running, make(), upload_id=upload_id, headers=headers)
    check_problem(answer, status, code)
    assert answer.headers["x-upload-id"] == upload_id
    await ended_with(running, upload_id, code)
    assert files_of(running, upload_id) == []
    state = httpx.get(f"{running.url}/upload/{upload_id}").json()
    assert state["status"] == "error"
    assert httpx.get(f"{running.url}/upload/{upload_id}/files/photo.jpg").status_code == 404


async def test_too_large_is_refused_from_the_headers(narrow: Service) -> None:
    """A Content-Length that cannot fit is refused before the body is read, by its name."""
    upload_id = new_id()
    connection = connect(narrow.url)
    headers = {
        "X-Upload-ID": upload_id,
        "Content-Type": content_type(),
        "Content-Length": "100000000",
    }
    connection.sendall(head("POST", f"{narrow.url}/upload", headers))
    answer = read_answer(connection)
    connection.close()
    problem = check_problem(answer, 413, "too_large")
    assert "100000" in problem["detail"]
    await ended_with(narrow, upload_id, "too_large")
    assert files_of(narrow, upload_id) == []
    upload_id = new_id()
    answer = send(narrow, body([file_part(b"x" * 100_001)]), upload_id=upload_id, headers=None)
    problem = check_problem(answer, 413, "too_large")
    assert "100001" in problem["detail"] or "100000" in problem["detail"]
    await ended_with(narrow, upload_id, "too_large")
    assert files_of(narrow, upload_id) == []


async def test_a_user_deletes_the_files_of_a_finished_upload(
    running: Service, client: httpx.Client
) -> None:
    """204 as often as asked; the files are gone, the state says so, the journal stays readable."""
    upload_id = new_id()
    assert client.delete(f"/upload/{upload_id}/files").status_code == 404
    media = post(client, upload_id).json()["data"]["media"]
    before = client.get(f"/upload/{upload_id}")
    assert "deleted" not in before.json()
    for _ in range(2):
        deleted = client.delete(f"/upload/{upload_id}/files")
        assert (deleted.status_code, deleted.content) == (204, b"")
        assert deleted.headers["x-upload-id"] == upload_id
    for file in (media, *media["files"]):
        assert client.get(file["url"]).status_code == 404
    after = client.get(f"/upload/{upload_id}", headers={"If-None-Match": before.headers["etag"]})
    assert (after.status_code, after.json()) == (200, {**before.json(), "deleted": True})
    again = client.get(f"/upload/{upload_id}", headers={"If-None-Match": after.headers["etag"]})
    assert again.status_code == 304
    listed = client.get("/uploads").json()["uploads"]
    assert [one["deleted"] for one in listed if one["uploadId"] == upload_id] == [True]
    check_journal(await journal_of(running, upload_id))
    check_problem(post(client, upload_id), 409, "upload_id_in_use")


async def test_a_client_that_leaves(running: Service) -> None:
    """A connection cut in the middle of the body ends the journal with `client_disconnected`.

    The name is in every event and state from the part's header on, however little comes then."""
    upload_id = new_id()
    headers = {
        "X-Upload-ID": upload_id,
        "Content-Type": content_type(),
        "Content-Length": "1000000",
    }
    connection = connect(running.url)
    connection.sendall(head("POST", f"{running.url}/upload", headers) + GOOD[:1500])
    wait_until(
        lambda: httpx.get(f"{running.url}/upload/{upload_id}").json().get("filename"), "it is named"
    )
    connection.close()
    frames = await ended_with(running, upload_id, "client_disconnected")
    assert [frame.json.get("filename") for frame in frames[1:]] == ["photo.jpg"] * (len(frames) - 1)
    assert files_of(running, upload_id) == []


async def test_a_body_that_stalls(service) -> None:  # type: ignore[no-untyped-def]
    """408 `receive_timeout` for a body without a byte for too long."""
    one = service({"SSE_PROGRESS_RECEIVE_STALL_S": "0.5"})
    upload_id = new_id()
    headers = {
        "X-Upload-ID": upload_id,
        "Content-Type": content_type(),
        "Content-Length": "1000000",
    }
    connection = connect(one.url)
    connection.sendall(head("POST", f"{one.url}/upload", headers) + GOOD[:1500])
    check_problem(read_answer(connection), 408, "receive_timeout")
    connection.close()
    await ended_with(one, upload_id, "receive_timeout")
    assert one.files() == ["storage-id"]


async def test_cancel_in_every_state(running: Service, client: httpx.Client) -> None:
    """DELETE ends a pending, a receiving and a working upload, once; later it is 409 or 404."""
    assert client.delete(f"/upload/{new_id()}").status_code == 404
    pending = new_id()
    with client.stream("GET", f"/upload/{pending}/progress") as stream:
        lines = stream.iter_lines()
        next(lines)
        assert client.delete(f"/upload/{pending}").status_code == 204
        assert any('"stage":"cancelled"' in line for line in lines)
    check_problem(client.delete(f"/upload/{pending}"), 409, "already_finished")
    receiving = new_id()
    headers = {
        "X-Upload-ID": receiving,
        "Content-Type": content_type(),
        "Content-Length": "1000000",
    }
    connection = connect(running.url)
    connection.sendall(head("POST", f"{running.url}/upload", headers) + GOOD[:1500])
    wait_until(lambda: client.get(f"/upload/{receiving}").status_code == 200, "it began")
    assert client.delete(f"/upload/{receiving}").status_code == 204
    check_problem(read_answer(connection), 409, "cancelled")
    connection.close()
    frames = await journal_of(running, receiving)
    check_journal(frames)
    assert frames[-1].stage == "cancelled"
    working = new_id()
    answer = post(client, working, jpeg(6000, 5000), headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert client.delete(f"/upload/{working}").status_code == 204
    frames = await journal_of(running, working)
    check_journal(frames)
    assert frames[-1].stage == "cancelled"
    wait_until(
        lambda: not [f for one in (receiving, working) for f in files_of(running, one)],
        "nothing is left of it",
    )
    done = new_id()
    post(client, done)
    check_problem(client.delete(f"/upload/{done}"), 409, "already_finished")
