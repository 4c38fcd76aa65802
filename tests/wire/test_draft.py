"""The IETF's resumable uploads on `/upload`: interop versions 3 to 8, 104, digests, refusals."""

from __future__ import annotations

import base64
import hashlib
import re

import httpx
import pytest

from tests.helpers.raw_http import connect, head
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until
from tests.wire.test_tus import MIB
from tests.wire.test_upload import check_problem, ended_with
from tests.wire.words import check_journal, journal_of, new_id

WORDS = b"Some words, and more of them.\n"
PARTIAL = "application/partial-upload"


def create(
    client: httpx.Client, content: bytes, *, complete: str = "?0", **headers: str
) -> tuple[str, httpx.Response]:
    upload_id = new_id()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.post(
        "/upload",
        headers={"X-Upload-ID": upload_id, "Upload-Complete": complete, **given},
        content=content,
    )
    return upload_id, answer


def append(
    client: httpx.Client, upload_id: str, offset: int, content: bytes, complete: str, **more: str
) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in more.items()}
    headers = {
        "Content-Type": PARTIAL,
        "Upload-Offset": str(offset),
        "Upload-Complete": complete,
        **given,
    }
    sent = {name: value for name, value in headers.items() if value}
    return client.patch(f"/upload/{upload_id}", headers=sent, content=content)


def of(data: bytes, algorithm: str = "sha-256") -> str:
    digest = hashlib.new(algorithm.replace("-", ""), data).digest()
    return f"{algorithm}=:{base64.b64encode(digest).decode()}:"


async def test_a_file_in_parts(running: Service, client: httpx.Client) -> None:
    """201, 204, and with the last part the answer to the whole; the name is the creation's."""
    upload_id, answer = create(
        client,
        WORDS[:10],
        Content_Type="text/plain",
        Content_Disposition='inline; filename="words.txt"',
        Upload_Length=str(len(WORDS)),
    )
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/upload/{upload_id}"
    assert (answer.headers["upload-complete"], answer.headers["upload-offset"]) == ("?0", "10")
    assert answer.headers["upload-limit"] == "max-size=1073741824, min-size=0, max-age=86400"
    answer = append(client, upload_id, 10, WORDS[10:20], "?0")
    assert (answer.status_code, answer.headers["upload-complete"]) == (204, "?0")
    assert answer.headers["upload-offset"] == "20"
    told = client.head(f"/upload/{upload_id}")
    assert (told.headers["upload-offset"], told.headers["upload-length"]) == ("20", "30")
    assert (told.headers["upload-complete"], told.headers["cache-control"]) == ("?0", "no-store")
    answer = append(client, upload_id, 20, WORDS[20:], "?1")
    assert (answer.status_code, answer.headers["upload-complete"]) == (200, "?1")
    media = answer.json()["data"]["media"]
    assert (media["filename"], media["size"]) == ("words.txt", 30)
    assert media["sha256"] == hashlib.sha256(WORDS).hexdigest()
    check_journal(await journal_of(running, upload_id))
    replayed = append(client, upload_id, 30, b"", "?1")
    assert replayed.json() == answer.json()
    assert client.head(f"/upload/{upload_id}").headers["upload-complete"] == "?1"


def test_a_whole_file_at_once(client: httpx.Client) -> None:
    """The answer is the usual one, and says that it is; `Prefer` is heard, PUT is as good."""
    _, answer = create(client, WORDS, complete="?1")
    assert (answer.status_code, answer.headers["upload-complete"]) == (200, "?1")
    _, answer = create(client, WORDS, complete="?1", Prefer="respond-async")
    assert (answer.status_code, answer.headers["upload-complete"]) == (202, "?1")
    put = client.put(f"/upload/{new_id()}", headers={"Upload-Complete": "?1"}, content=WORDS)
    assert (put.status_code, put.headers["upload-complete"]) == (200, "?1")


@pytest.mark.parametrize(
    ("offset", "content", "status", "code"),
    [(0, b"", 409, "mismatching_offset"), (30, b"x", 400, "inconsistent_length")],
)
def test_an_append_to_a_complete_body(
    client: httpx.Client, offset: int, content: bytes, status: int, code: str
) -> None:
    """Neither `?0`, which is not true, nor `?1`, which says that it is the answer to the file."""
    upload_id, _ = create(client, WORDS, complete="?1")
    answer = append(client, upload_id, offset, content, "?0")
    check_problem(answer, status, code)
    assert "upload-complete" not in answer.headers
    assert client.head(f"/upload/{upload_id}").headers["upload-complete"] == "?1"


def test_a_refusal_by_a_stage_is_the_uploads_own(client: httpx.Client) -> None:
    """`?1` beside an error says that it is about the file, so nothing is to be resumed."""
    _, answer = create(client, b"", complete="?1")
    check_problem(answer, 422, "empty_file")
    assert answer.headers["upload-complete"] == "?1"


def test_a_length_that_follows_from_the_last_part(client: httpx.Client) -> None:
    """It is not known before."""
    upload_id, _ = create(client, WORDS[:10])
    assert "upload-length" not in client.head(f"/upload/{upload_id}").headers
    assert append(client, upload_id, 10, WORDS[10:], "?1").status_code == 200
    assert client.head(f"/upload/{upload_id}").headers["upload-length"] == "30"


@pytest.mark.parametrize(
    ("version", "ends"), [("3", True), ("5", True), ("6", True), ("8", False), ("", False)]
)
def test_the_last_byte_completes_up_to_interop_6(
    client: httpx.Client, version: str, ends: bool
) -> None:
    """tus-js-client says `?0` with its last part on Node; from 7 on only `?1` completes."""
    flag = {"Upload-Incomplete": "?1"} if version == "3" else {"Upload-Complete": "?0"}
    interop = {"Upload-Draft-Interop-Version": version} if version else {}
    upload_id, length = new_id(), {"Upload-Length": str(len(WORDS))}
    client.post("/upload", headers={"X-Upload-ID": upload_id, **flag, **interop, **length})
    answer = client.patch(
        f"/upload/{upload_id}",
        headers={
            **({} if version in ("3", "5") else {"Content-Type": PARTIAL}),
            "Upload-Offset": "0",
            **flag,
            **interop,
        },
        content=WORDS,
    )
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "30")
    name, complete, incomplete = (
        ("upload-incomplete", "?0", "?1") if version == "3" else ("upload-complete", "?1", "?0")
    )
    assert answer.headers[name] == (complete if ends else incomplete)
    told = client.head(f"/upload/{upload_id}", headers=interop)
    assert told.headers[name] == (complete if ends else incomplete)
    status = client.get(f"/upload/{upload_id}").json()["status"]
    assert (status == "receiving") is not ends


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Upload-Offset": "5"}, 409, "mismatching_offset"),
        ({"Upload-Offset": "9007199254740992"}, 400, "bad_request"),
        ({"Upload-Offset": "abc"}, 400, "bad_request"),
        ({"Upload-Offset": ""}, 400, "bad_request"),
        ({"Upload-Complete": "?2"}, 400, "bad_request"),
        ({"Upload-Complete": ""}, 400, "bad_request"),
        ({"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        ({"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
        ({"Upload-Length": "50"}, 400, "inconsistent_length"),
        ({"Upload-Complete": "?1"}, 400, "inconsistent_length"),
        ({"Content-Digest": of(b"others")}, 400, "digest_mismatch"),
        ({"Content-Digest": "sha-256="}, 400, "bad_request"),
        ({"Content-Type": "application/offset+octet-stream"}, 412, "unsupported_version"),
    ],
)
def test_an_append_that_is_refused(
    client: httpx.Client, headers: dict[str, str], status: int, code: str
) -> None:
    """It changes nothing, and says that it is not about the file."""
    upload_id, _ = create(client, WORDS[:10], Upload_Length="30")
    given = {"Content-Type": PARTIAL, "Upload-Offset": "10", "Upload-Complete": "?0", **headers}
    sent = {name: value for name, value in given.items() if value}
    answer = client.patch(f"/upload/{upload_id}", headers=sent, content=WORDS[10:15])
    problem = check_problem(answer, status, code)
    if status != 412:
        assert answer.headers["upload-complete"] == "?0"
    if code == "mismatching_offset":
        assert answer.headers["upload-offset"] == "10"
        assert problem["type"].endswith("#mismatching-upload-offset")
        assert (problem["expected-offset"], problem["provided-offset"]) == (10, 5)
    if code == "inconsistent_length":
        assert problem["type"].endswith("#inconsistent-upload-length")
    assert client.head(f"/upload/{upload_id}").headers["upload-offset"] == "10"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Upload-Length": "1073741825"}, 413, "too_large"),
        ({"Upload-Complete": "?1", "Upload-Length": "31"}, 400, "inconsistent_length"),
        ({"Upload-Complete": "true"}, 415, "unsupported_media_type"),
        ({"Content-Disposition": "inline; filename"}, 400, "bad_request"),
        ({"Content-Encoding": "br"}, 415, "unsupported_media_type"),
    ],
)
def test_a_creation_that_is_refused(
    client: httpx.Client, headers: dict[str, str], status: int, code: str
) -> None:
    """A value that is no Boolean makes it an ordinary request, which needs a form."""
    given = {"X-Upload-ID": new_id(), "Upload-Complete": "?0", **headers}
    answer = client.post("/upload", headers=given, content=WORDS)
    check_problem(answer, status, code)
    if status in (400, 413):
        assert answer.headers["upload-limit"].startswith("max-size=")


@pytest.mark.parametrize("header", ["Upload-Offset", "Upload-Complete"])
def test_a_look_says_nothing(client: httpx.Client, header: str) -> None:
    """A HEAD that would be an append is refused."""
    upload_id, _ = create(client, WORDS)
    answer = client.head(f"/upload/{upload_id}", headers={header: "?0"})
    assert answer.status_code == 400


async def test_a_body_beyond_its_length_ends_the_upload(
    running: Service, client: httpx.Client
) -> None:
    """Also by one byte after the last."""
    upload_id, _ = create(client, WORDS, Upload_Length="30")
    answer = append(client, upload_id, 30, b"x", "?0")
    check_problem(answer, 400, "inconsistent_length")
    await ended_with(running, upload_id, "inconsistent_length")
    assert client.head(f"/upload/{upload_id}").status_code == 410


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
async def test_digests(running: Service, client: httpx.Client, algorithm: str) -> None:
    """Of a part: it counts or it does not. Of the whole: the upload ends."""
    upload_id, answer = create(client, WORDS[:10], Content_Digest=of(WORDS[:10], algorithm))
    assert answer.status_code == 201
    assert (
        append(
            client, upload_id, 10, WORDS[10:], "?1", Repr_Digest=of(WORDS, algorithm)
        ).status_code
        == 200
    )
    upload_id, answer = create(client, WORDS[:10], Repr_Digest=of(b"others", algorithm))
    assert answer.status_code == 201
    check_problem(append(client, upload_id, 10, WORDS[10:], "?1"), 400, "digest_mismatch")
    await ended_with(running, upload_id, "digest_mismatch")


# ---- 104


def interims(service: Service, method: str, path: str, body: bytes, **headers: str) -> list[str]:
    """Heads of all responses to one request, as text, the final one last."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with connect(service.url) as connection:
        fields = {**given, "Content-Length": str(len(body)), "Connection": "close"}
        connection.sendall(head(method, f"{service.url}{path}", fields) + body)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    text = received.decode("latin-1")
    return [found.lower() for found in re.findall(r"HTTP/1\.1 .*?\r\n\r\n", text, re.DOTALL)]


def test_interim_responses(running: Service) -> None:
    """One with the address as the upload begins, then one with what is on the disk each MiB."""
    upload_id = new_id()
    known = {"Upload_Draft_Interop_Version": "8", "Upload_Complete": "?0"}
    first, *middle, last = interims(
        running, "POST", "/upload", b"x" * (2 * MIB + 5), X_Upload_ID=upload_id, **known
    )
    assert first.startswith("http/1.1 104 ")
    assert f"location: /upload/{upload_id}\r\n" in first
    assert "upload-draft-interop-version: 8\r\n" in first
    assert "upload-limit: max-size=" in first
    offsets = [int(re.search(r"upload-offset: (\d+)", each)[1]) for each in middle]  # type: ignore[index]
    assert offsets[0] >= MIB
    assert offsets == sorted(offsets)
    assert offsets[-1] <= 2 * MIB + 5
    assert last.startswith("http/1.1 201 ")
    *middle, last = interims(
        running,
        "PATCH",
        f"/upload/{upload_id}",
        b"x" * (MIB + 5),
        Upload_Offset=str(2 * MIB + 5),
        Content_Type=PARTIAL,
        **known,
    )
    assert len(middle) == 1
    assert "location:" not in middle[0]
    assert last.startswith("http/1.1 204 ")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upload_Draft_Interop_Version": "9"},
        {"Upload_Draft_Interop_Version": "8", "X_Forwarded_For": "192.0.2.1"},
        {"Upload_Draft_Interop_Version": "8", "Via": "1.1 proxy"},
        {"Upload_Draft_Interop_Version": "8", "Forwarded": "for=192.0.2.1"},
    ],
)
def test_no_interim_response(running: Service, headers: dict[str, str]) -> None:
    """To whoever did not name a version that is known, or came through a proxy."""
    (only,) = interims(
        running, "POST", "/upload", b"x" * (MIB + 5), Upload_Complete="?0", **headers
    )
    assert only.startswith("http/1.1 201 ")


async def test_a_cut_creation_goes_on(running: Service, client: httpx.Client) -> None:
    """Its sender knows the address by the id that it chose, or by the 104."""
    upload_id = new_id()
    whole = (WORDS * 100_000)[: 2 * MIB]
    with connect(running.url) as connection:
        fields = {"X-Upload-ID": upload_id, "Upload-Complete": "?1", "Content-Type": "text/plain"}
        fields["Content-Length"] = str(len(whole))
        sent = head("POST", f"{running.url}/upload", fields) + whole[: MIB + 1000]
        connection.sendall(sent)
        url = f"/upload/{upload_id}"
        wait_until(
            lambda: int(client.get(url).headers.get("upload-offset", 0)) >= MIB, "1 MiB is there"
        )
    offset = int(client.head(f"/upload/{upload_id}").headers["upload-offset"])
    answer = append(client, upload_id, offset, whole[offset:], "?1")
    assert answer.status_code == 200
    assert answer.json()["data"]["media"]["sha256"] == hashlib.sha256(whole).hexdigest()
    check_journal(await journal_of(running, upload_id))
