"""tus 1.0 on `/upload`: creation, append, offsets, checksums, expiry, refusals."""

from __future__ import annotations

import base64
import hashlib
import socket
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx
import pytest

from tests.helpers.media import jpeg
from tests.helpers.raw_http import connect, head, read_answer
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until
from tests.wire.test_upload import check_problem, ended_with
from tests.wire.words import check_journal, files_of, journal_of, new_id

TUS = {"Tus-Resumable": "1.0.0"}
APPEND = {**TUS, "Content-Type": "application/offset+octet-stream"}


def b64(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def create(
    client: httpx.Client, upload_id: str, length: int | None, content: bytes = b"", **metadata: str
) -> httpx.Response:
    named = {"filename": "words.txt", "filetype": "text/plain", **metadata}
    size = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
    headers = {
        **(APPEND if content else TUS),
        **size,
        "X-Upload-ID": upload_id,
        "Upload-Metadata": ",".join(f"{key} {b64(value)}" for key, value in named.items()),
    }
    return client.post("/upload", headers=headers, content=content)


def append(
    client: httpx.Client, upload_id: str, offset: int, content: bytes, **headers: str
) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.patch(
        f"/upload/{upload_id}",
        headers={**APPEND, "Upload-Offset": str(offset), **given},
        content=content,
    )


def offset_of(client: httpx.Client, upload_id: str) -> int:
    answer = client.head(f"/upload/{upload_id}", headers=TUS)
    assert answer.status_code == 200, answer.headers
    return int(answer.headers["upload-offset"])


MIB = 1024 * 1024


def begun(service: Service, upload_id: str, offset: int, first: bytes, *, of: int) -> socket.socket:
    """A PATCH of `of` bytes of which only `first` is sent."""
    connection = connect(service.url)
    url = f"{service.url}/upload/{upload_id}"
    headers = {**APPEND, "Upload-Offset": str(offset), "Content-Length": str(of)}
    connection.sendall(head("PATCH", url, headers) + first)
    return connection


def stalled(
    service: Service, upload_id: str, first: bytes = b"x" * (MIB + 100_000)
) -> socket.socket:
    """One that stands still after a little more than 1 MiB, of which 1 MiB is on the disk."""
    connection = begun(service, upload_id, 0, first, of=3 * MIB)
    url = f"{service.url}/upload/{upload_id}"
    wait_until(lambda: int(httpx.get(url).headers["upload-offset"]) >= MIB, "1 MiB is there")
    return connection


async def test_a_file_in_three_requests(running: Service, client: httpx.Client) -> None:
    """One journal, without a pause; metadata are the name, the type and the fields."""
    upload_id, picture = new_id(), jpeg(1600, 1200)
    third = len(picture) // 3
    answer = create(
        client, upload_id, len(picture), filename="Grüße.jpg", filetype="image/jpeg", title="Sea"
    )
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/upload/{upload_id}"
    assert (answer.headers["x-upload-id"], answer.headers["upload-offset"]) == (upload_id, "0")
    assert answer.headers["tus-resumable"] == "1.0.0"
    expiry = parsedate_to_datetime(answer.headers["upload-expires"])
    assert expiry.timestamp() - parsedate_to_datetime(answer.headers["date"]).timestamp() > 86300
    for begin, end in ((0, third), (third, 2 * third), (2 * third, len(picture))):
        answer = append(client, upload_id, begin, picture[begin:end])
        assert answer.status_code == 204, answer.text
        assert answer.headers["upload-offset"] == str(end)
        assert answer.headers["tus-resumable"] == "1.0.0"
        assert ("upload-expires" in answer.headers) == (end < len(picture))
    frames = await journal_of(running, upload_id)
    check_journal(frames)
    events = [frame.json for frame in frames]
    assert not [event for event in events if "paused" in event]
    assert all(event["filename"] == "Grüße.jpg" for event in events)
    media = events[-1]["media"]
    assert (media["filename"], media["size"]) == ("Grüße.jpg", len(picture))
    assert media["fields"] == {"title": "Sea"}
    assert media["sha256"] == hashlib.sha256(picture).hexdigest()
    assert client.get(media["url"]).content == picture
    assert offset_of(client, upload_id) == len(picture)


def test_a_creation_with_its_first_bytes(client: httpx.Client) -> None:
    """The answer has their end; the rest follows, and a second creation is refused."""
    upload_id = new_id()
    answer = create(client, upload_id, 11, b"Some ")
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "5")
    problem = check_problem(create(client, upload_id, 11), 409, "upload_id_in_use")
    assert problem["upload"]["status"] == "receiving"
    assert append(client, upload_id, 5, b"words.").headers["upload-offset"] == "11"


def test_a_whole_file_in_its_creation(client: httpx.Client) -> None:
    """It needs no further request."""
    upload_id = new_id()
    answer = create(client, upload_id, 12, b"Some words.\n")
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "12")
    wait_until(
        lambda: client.get(f"/upload/{upload_id}").json()["status"] == "complete", "it is complete"
    )


def test_a_length_that_follows(client: httpx.Client) -> None:
    """HEAD says that it is not known; one PATCH tells it, and no other may differ."""
    upload_id = new_id()
    create(client, upload_id, None, b"Some ")
    answer = client.head(f"/upload/{upload_id}", headers=TUS)
    assert answer.headers["upload-defer-length"] == "1"
    assert "upload-length" not in answer.headers
    assert append(client, upload_id, 5, b"word", Upload_Length="11").status_code == 204
    assert client.head(f"/upload/{upload_id}").headers["upload-length"] == "11"
    refused = append(client, upload_id, 9, b"s", Upload_Length="12")
    check_problem(refused, 400, "inconsistent_length")
    assert append(client, upload_id, 9, b"s.").headers["upload-offset"] == "11"


def test_what_is_told_of_a_body_that_rests(client: httpx.Client) -> None:
    """HEAD and GET have its offset and length; the state has when it ends; metadata come back."""
    upload_id = new_id()
    create(client, upload_id, 100, b"x" * 40, note="a b")
    answer = client.head(f"/upload/{upload_id}", headers=TUS)
    assert answer.headers["cache-control"] == "no-store"
    assert (answer.headers["upload-offset"], answer.headers["upload-length"]) == ("40", "100")
    assert f"note {b64('a b')}" in answer.headers["upload-metadata"]
    told = client.get(f"/upload/{upload_id}")
    assert (told.headers["upload-offset"], told.headers["upload-length"]) == ("40", "100")
    told = client.get(f"/upload/{upload_id}/progress", headers={"Accept": "application/json"})
    assert told.headers["cache-control"] == "no-cache"
    state = told.json()
    assert (state["status"], state["offset"], state["total"]) == ("receiving", 40, 100)
    assert state["expiresAt"].endswith("Z")
    etag = told.headers["etag"]
    assert client.get(f"/upload/{upload_id}", headers={"If-None-Match": etag}).status_code == 304
    append(client, upload_id, 40, b"y")
    again = client.get(f"/upload/{upload_id}", headers={"If-None-Match": etag})
    assert (again.status_code, again.json()["offset"]) == (200, 41)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "crc32c"])
def test_a_checksum(client: httpx.Client, algorithm: str) -> None:
    """Bytes whose checksum is another one are taken back; the right ones then count."""
    digests: dict[str, Callable[[bytes], bytes]] = {
        "sha1": lambda data: hashlib.sha1(data).digest(),
        "sha256": lambda data: hashlib.sha256(data).digest(),
        "crc32c": lambda _: bytes.fromhex("e3069283"),
    }
    upload_id, part = new_id(), b"123456789"
    create(client, upload_id, 20)
    told = f"{algorithm} {b64(digests[algorithm](part))}"
    refused = append(client, upload_id, 0, b"987654321", Upload_Checksum=told)
    check_problem(refused, 460, "checksum_mismatch")
    assert offset_of(client, upload_id) == 0
    assert append(client, upload_id, 0, part, Upload_Checksum=told).status_code == 204
    assert offset_of(client, upload_id) == 9


def test_options(client: httpx.Client) -> None:
    """What a client has to know before it sends."""
    for path in ("/upload", f"/upload/{new_id()}"):
        answer = client.options(path)
        assert answer.status_code == 204
        assert answer.headers["tus-version"] == "1.0.0"
        assert answer.headers["tus-max-size"] == str(1024**3)
        assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256,crc32c"
        extensions = answer.headers["tus-extension"].split(",")
        assert {"creation", "creation-with-upload", "creation-defer-length"} <= set(extensions)
        assert {"expiration", "termination", "checksum"} <= set(extensions)
        limit = "max-size=1073741824, min-size=0, max-age=86400"
        assert answer.headers["upload-limit"] == limit


def test_methods_that_a_client_cannot_send(client: httpx.Client) -> None:
    """X-HTTP-Method-Override of a POST is the method."""
    upload_id = new_id()
    create(client, upload_id, 20)
    url = f"/upload/{upload_id}"
    patched = client.post(
        url,
        headers={**APPEND, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"},
        content=b"some",
    )
    assert (patched.status_code, patched.headers["upload-offset"]) == (204, "4")
    deleted = client.post(url, headers={**TUS, "X-HTTP-Method-Override": "DELETE"})
    assert deleted.status_code == 204
    assert client.head(url, headers=TUS).status_code == 410


def test_what_ended_is_gone(running: Service, client: httpx.Client) -> None:
    """Nothing can be added to it, and nothing of it is left."""
    upload_id = new_id()
    create(client, upload_id, 20, b"some")
    assert client.delete(f"/upload/{upload_id}", headers=TUS).status_code == 204
    assert client.head(f"/upload/{upload_id}", headers=TUS).status_code == 410
    check_problem(append(client, upload_id, 4, b"more"), 410, "upload_gone")
    unknown = new_id()
    assert client.head(f"/upload/{unknown}", headers=TUS).status_code == 404
    check_problem(append(client, unknown, 0, b"more"), 404, "unknown_upload")
    wait_until(lambda: not files_of(running, upload_id), "its bytes are removed")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412, "unsupported_version"),
        ({"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        ({"Upload-Offset": "-1"}, 400, "bad_request"),
        ({"Upload-Offset": "1e3"}, 400, "bad_request"),
        ({"Upload-Offset": ""}, 400, "bad_request"),
        ({"Upload-Offset": "9007199254740992"}, 409, "mismatching_offset"),
        ({"Upload-Offset": "5"}, 409, "mismatching_offset"),
        ({"Upload-Length": "30"}, 400, "inconsistent_length"),
        ({"Upload-Checksum": "md5 eA=="}, 400, "bad_request"),
        ({"Upload-Checksum": "sha1 !"}, 400, "bad_request"),
    ],
)
def test_an_append_that_is_refused(
    client: httpx.Client, headers: dict[str, str], status: int, code: str
) -> None:
    """It changes nothing; a wrong offset is answered with the right one."""
    upload_id = new_id()
    create(client, upload_id, 20, b"some")
    given = {**APPEND, "Upload-Offset": "4", **headers}
    answer = client.patch(f"/upload/{upload_id}", headers=given, content=b"more")
    check_problem(answer, status, code)
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers.get("tus-version") == ("1.0.0" if status == 412 else None)
    if code == "mismatching_offset":
        assert answer.headers["upload-offset"] == "4"
        assert (answer.json()["expected-offset"], answer.json()["provided-offset"]) == (
            4,
            int(headers["Upload-Offset"]),
        )
    assert offset_of(client, upload_id) == 4


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 400, "bad_request"),
        ({"Upload-Length": "1", "Upload-Defer-Length": "1"}, 400, "bad_request"),
        ({"Upload-Length": "x"}, 400, "bad_request"),
        ({"Upload-Length": "1073741825"}, 413, "too_large"),
        ({"Upload-Length": "999999999999999999"}, 413, "too_large"),
        ({"Upload-Length": "1", "Upload-Metadata": "a !"}, 400, "bad_request"),
        ({"Upload-Length": "1", "Upload-Metadata": "a YQ==,a YQ=="}, 400, "bad_request"),
        ({"Upload-Length": "1", "Upload-Metadata": f"a {b64('x' * 17000)}"}, 413, "too_large"),
        ({"Upload-Length": "1", "Tus-Resumable": "2.0.0"}, 412, "unsupported_version"),
        ({"Upload-Length": "1", "X-Upload-ID": "-"}, 400, "invalid_upload_id"),
    ],
)
def test_a_creation_that_is_refused(
    client: httpx.Client, headers: dict[str, str], status: int, code: str
) -> None:
    """Before a byte is taken, and the id stays free."""
    upload_id = new_id()
    answer = client.post("/upload", headers={**TUS, "X-Upload-ID": upload_id, **headers})
    check_problem(answer, status, code)
    if code == "too_large":
        assert answer.headers["upload-limit"].startswith("max-size=")
    assert client.get(f"/upload/{upload_id}").status_code == 404


async def test_a_body_beyond_its_length_ends_the_upload(
    running: Service, client: httpx.Client
) -> None:
    """Whether the request says so before, or not."""
    for content in (b"much too long", iter([b"much ", b"too long"])):
        upload_id = new_id()
        create(client, upload_id, 10, b"some")
        given = {**APPEND, "Upload-Offset": "4"}
        answer = client.patch(f"/upload/{upload_id}", headers=given, content=content)
        check_problem(answer, 400, "inconsistent_length")
        await ended_with(running, upload_id, "inconsistent_length")
        assert client.head(f"/upload/{upload_id}", headers=TUS).status_code == 410


async def test_a_cut_is_a_pause(running: Service, client: httpx.Client) -> None:
    """What came is kept; one event says so, and one that it goes on."""
    upload_id = new_id()
    content = (b"Some words, and more of them.\n" * 150_000)[: 3 * MIB]
    create(client, upload_id, len(content))
    stalled(running, upload_id, content[: MIB + 100_000]).close()
    wait_until(
        lambda: client.get(f"/upload/{upload_id}").json().get("paused") is True, "it is paused"
    )
    offset = offset_of(client, upload_id)
    assert MIB <= offset <= MIB + 100_000
    assert append(client, upload_id, offset, content[offset:]).status_code == 204
    frames = await journal_of(running, upload_id)
    check_journal(frames)
    events = [frame.json for frame in frames if frame.json["stage"] == "receiving"]
    flags = [event.get("paused", False) for event in events]
    assert flags.count(True) == 1
    after = events[flags.index(True) + 1]
    assert (after["message"], after["bytes"]) == ("Upload resumed", offset)
    assert frames[-1].json["media"]["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("newer", ["HEAD", "PATCH", "DELETE"])
def test_a_newer_request_takes_over(running: Service, client: httpx.Client, newer: str) -> None:
    """The older one, which stands still, ends with 409 within a second."""
    upload_id = new_id()
    create(client, upload_id, 4 * MIB)
    with stalled(running, upload_id) as connection:
        if newer == "DELETE":
            assert client.delete(f"/upload/{upload_id}").status_code == 204
        elif newer == "HEAD":
            offset = offset_of(client, upload_id)
        else:
            refused = append(client, upload_id, 0, b"z")
            check_problem(refused, 409, "mismatching_offset")
            offset = int(refused.headers["upload-offset"])
        old = read_answer(connection)
    check_problem(old, 409, "cancelled" if newer == "DELETE" else "replaced")
    if newer == "DELETE":
        assert client.head(f"/upload/{upload_id}").status_code == 410
        return
    assert MIB <= offset <= MIB + 100_000
    assert append(client, upload_id, offset, b"z" * 5).status_code == 204


def test_two_appends_at_one_offset(running: Service, client: httpx.Client) -> None:
    """One of them counts; the other is replaced, or told the offset."""
    upload_id = new_id()
    create(client, upload_id, 1000)
    connections = []
    for filler in (b"a", b"b"):
        connection = connect(running.url)
        headers = {**APPEND, "Upload-Offset": "0", "Content-Length": "64"}
        url = f"{running.url}/upload/{upload_id}"
        connection.sendall(head("PATCH", url, headers) + filler * 64)
        connections.append(connection)
    statuses = sorted(read_answer(connection).status for connection in connections)
    for connection in connections:
        connection.close()
    assert statuses in ([204, 409], [409, 409])
    assert offset_of(client, upload_id) in (0, 64)


# ---- concatenation


def partial(client: httpx.Client, content: bytes, *, whole: bool = True, **more: str) -> str:
    """The address of a partial upload; without its last byte if it is not to be whole."""
    headers = {**TUS, "Upload-Concat": "partial", "Upload-Length": str(len(content)), **more}
    answer = client.post("/upload", headers=headers)
    assert answer.status_code == 201, answer.text
    url = answer.headers["location"]
    sent = content if whole else content[:-1]
    headers = {**APPEND, "Upload-Offset": "0"}
    assert client.patch(url, headers=headers, content=sent).status_code == 204
    return str(url)


def join(
    client: httpx.Client, upload_id: str, *urls: str, filename: str = "words.txt", **headers: str
) -> httpx.Response:
    named = f"filename {b64(filename)},album {b64('Sea')}"
    given = {"Upload-Concat": f"final;{' '.join(urls)}", "Upload-Metadata": named, **headers}
    return client.post("/upload", headers={**TUS, "X-Upload-ID": upload_id, **given})


async def test_parts_that_came_side_by_side(running: Service, client: httpx.Client) -> None:
    """One upload of their bytes in the order of their addresses, relative or absolute; its stages
    run once. The parts stand in no list, and are gone then."""
    assert "concatenation" in client.options("/upload").headers["tus-extension"]
    upload_id, picture = new_id(), jpeg(1600, 1200)
    third = len(picture) // 3
    name = {"X-Upload-ID": upload_id}
    second = partial(client, picture[third : 2 * third], **name)
    first = partial(client, picture[:third], **name)
    last = partial(client, picture[2 * third :], **name)
    assert len({first, second, last, f"/upload/{upload_id}"}) == 4
    head = client.head(first, headers=TUS).headers
    assert (head["upload-concat"], head["upload-offset"]) == ("partial", str(third))
    state = client.get(first).json()
    assert (state["status"], state["partial"]) == ("receiving", True)
    listed = [one["uploadId"] for one in client.get("/uploads?limit=50").json()["uploads"]]
    parts = {url.rpartition("/")[2] for url in (first, second, last)}
    assert not parts & set(listed)
    assert all(files_of(running, part) for part in parts)

    answer = join(client, upload_id, first, f"{running.url}{second}", last, filename="a.jpg")
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/upload/{upload_id}"
    frames = await journal_of(running, upload_id)
    check_journal(frames)
    media = frames[-1].json["media"]
    assert media["sha256"] == hashlib.sha256(picture).hexdigest()
    assert (media["filename"], media["fields"]) == ("a.jpg", {"album": "Sea"})
    head = client.head(f"/upload/{upload_id}", headers=TUS).headers
    assert head["upload-concat"] == f"final;{first} {running.url}{second} {last}"
    assert head["upload-length"] == head["upload-offset"] == str(len(picture))
    more = append(client, upload_id, len(picture), b"x")
    assert (more.status_code, more.json()["code"]) == (403, "forbidden")
    assert client.head(first, headers=TUS).status_code == 410
    assert not [file for part in parts for file in files_of(running, part)]
    again = join(client, upload_id, first, second)
    assert again.status_code == 404


@pytest.mark.parametrize("whole", [True, False])
def test_a_final_upload_waits_for_whole_parts(client: httpx.Client, whole: bool) -> None:
    """A part that is not whole, or ordinary, refuses the final one, and stays as it was."""
    upload_id = new_id()
    first, second = partial(client, b"some words "), partial(client, b"and more", whole=False)
    refused = join(client, upload_id, first, second)
    check_problem(refused, 400, "bad_request")
    assert client.head(first, headers=TUS).headers["upload-offset"] == "11"
    assert client.get(f"/upload/{upload_id}").status_code == 404
    ordinary = new_id()
    create(client, ordinary, 5)
    check_problem(join(client, upload_id, first, f"/upload/{ordinary}"), 400, "bad_request")
    if whole:
        headers = {**APPEND, "Upload-Offset": "7"}
        assert client.patch(second, headers=headers, content=b"e").status_code == 204
        assert join(client, upload_id, first, second).status_code == 201
        wait_until(
            lambda: client.get(f"/upload/{upload_id}").json()["status"] == "complete", "it is done"
        )
        assert client.get(f"/upload/{upload_id}/files/words.txt").text == "some words and more"
    client.delete(f"/upload/{ordinary}")


@pytest.mark.parametrize(
    ("concat", "more", "code"),
    [
        ("final;", {}, "bad_request"),
        ("final", {}, "bad_request"),
        ("final;/upload/nobody", {}, "unknown_upload"),
        ("final;/upload/nobody", {"Upload-Length": "5"}, "bad_request"),
        ("final;/upload/a /upload/a", {}, "bad_request"),
        ("final;/elsewhere/a", {}, "bad_request"),
        ("final;https://user:password@other.example/upload/../upload/a", {}, "bad_request"),
        ("final;" + " ".join(f"/upload/u{n}" for n in range(1001)), {}, "bad_request"),
        ("partial", {}, "bad_request"),
        ("whole", {"Upload-Length": "5"}, "bad_request"),
    ],
)
def test_what_cannot_be_concatenated(
    client: httpx.Client, concat: str, more: dict[str, str], code: str
) -> None:
    headers = {**TUS, "X-Upload-ID": new_id(), "Upload-Concat": concat, **more}
    answer = client.post("/upload", headers=headers)
    check_problem(answer, 404 if code == "unknown_upload" else 400, code)
