"""Requests that two readers could understand in two ways, and targets that climb."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sse_progress.settings import load_settings
from sse_progress.web.app import create_app
from tests.attacks.words import (
    SECRET,
    Answer,
    Caller,
    check_problem,
    check_silence,
    check_untouched,
    exchange,
    new_id,
    request_bytes,
)
from tests.helpers.asgi_server import AsgiServer
from tests.helpers.media import jpeg
from tests.helpers.multipart import body, content_type, file_part
from tests.helpers.raw_http import connect, request
from tests.helpers.service import Service
from tests.helpers.waiting import eventually, wait_until

PICTURE = jpeg(40, 30)
GOOD = body([file_part(PICTURE)])
SIZE = str(len(GOOD))
TYPE = ("Content-Type", content_type())


def chunked(raw: bytes = GOOD, *, size: str | None = None, end: bytes = b"0\r\n\r\n") -> bytes:
    return (size or f"{len(raw):x}").encode() + b"\r\n" + raw + b"\r\n" + end


# ---- one length, or none

LENGTH = "Content-Length"
CODING = "Transfer-Encoding"
AMBIGUOUS: dict[str, tuple[list[tuple[str, str]], Callable[[], bytes]]] = {
    # CVE-2026-53540 and relatives: what a length is
    "negative": ([(LENGTH, "-1")], lambda: GOOD),
    "negative, large": ([(LENGTH, "-" + SIZE)], lambda: GOOD),
    "with a plus": ([(LENGTH, "+" + SIZE)], lambda: GOOD),
    "hexadecimal": ([(LENGTH, hex(len(GOOD)))], lambda: GOOD),
    "a fraction": ([(LENGTH, SIZE + ".0")], lambda: GOOD),
    "with a space inside": ([(LENGTH, "1 0")], lambda: GOOD),
    "with an underscore": ([(LENGTH, "1_0")], lambda: GOOD),
    "Arabic digits": ([(LENGTH, "١٠")], lambda: GOOD),
    "over 64 bits": ([(LENGTH, "18446744073709551617")], lambda: GOOD),
    "of 400 digits": ([(LENGTH, "9" * 400)], lambda: GOOD),
    "two that differ": ([(LENGTH, SIZE), (LENGTH, "1")], lambda: GOOD),
    "two alike": ([(LENGTH, SIZE), (LENGTH, SIZE)], lambda: GOOD),
    "a list": ([(LENGTH, f"{SIZE}, {SIZE}")], lambda: GOOD),
    # request smuggling: RFC 9112 §6.3, §11.2; CVE-2025-43859
    "length and coding": ([(LENGTH, SIZE), (CODING, "chunked")], chunked),
    "coding and length": ([(CODING, "chunked"), (LENGTH, "5")], chunked),
    "coding unknown": ([(CODING, "xchunked")], chunked),
    "coding in a list": ([(CODING, "identity, chunked")], chunked),
    "coding not last": ([(CODING, "chunked, identity")], chunked),
    "coding twice": ([(CODING, "chunked"), (CODING, "chunked")], chunked),
    "coding twice, other first": ([(CODING, "identity"), (CODING, "chunked")], chunked),
    "coding with a tab": ([(CODING, "\tchunked\x0b")], chunked),
    "coding with a quote": ([(CODING, '"chunked"')], chunked),
    "space before the colon": ([(CODING + " ", "chunked")], chunked),
    "folded": ([("X-A", "b\r\n Transfer-Encoding: chunked"), (LENGTH, "3")], chunked),
    "gzip": ([(CODING, "gzip, chunked")], chunked),
    # chunks that are none
    "chunk size not a number": ([(CODING, "chunked")], lambda: chunked(size="zz")),
    "chunk size negative": ([(CODING, "chunked")], lambda: chunked(size="-5")),
    "chunk size with 0x": ([(CODING, "chunked")], lambda: chunked(size=hex(len(GOOD)))),
    "chunk size over 64 bits": ([(CODING, "chunked")], lambda: chunked(size="1" + "0" * 16)),
    "chunk size empty": ([(CODING, "chunked")], lambda: b"\r\n" + chunked()),
    "chunk shorter than it says": (
        [(CODING, "chunked")],
        lambda: chunked(size=f"{len(GOOD) - 2:x}"),
    ),
    "chunk ended by LF": (
        [(CODING, "chunked")],
        lambda: f"{len(GOOD):x}\n".encode() + GOOD + b"\n0\n\n",
    ),
    "chunk extensions without end": (
        [(CODING, "chunked")],
        lambda: b"5;" + b"a=b;" * 40_000 + b"\r\nhello\r\n",
    ),
    "a trailer flood": (
        [(CODING, "chunked")],
        lambda: chunked(end=b"0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"),
    ),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
async def test_a_body_of_unclear_length(anybody: Caller, case: str) -> None:
    """Refused, the connection closed, what comes behind never read as a request of its own.

    Either nobody heard of the upload, or (the head was sound, the body not) its journal has ended.
    """
    fields, make = AMBIGUOUS[case]
    upload_id, smuggled = new_id(), new_id()
    behind = request_bytes(
        anybody.service, "POST", "/upload", [TYPE, (LENGTH, SIZE), ("X-Upload-ID", smuggled)], GOOD
    )
    head = [TYPE, ("X-Upload-ID", upload_id), ("Prefer", "respond-async"), *fields]
    raw = request_bytes(anybody.service, "POST", "/upload", head, make())
    answers = exchange(anybody.service, raw + behind, answers=3)
    for answer in answers:
        assert answer.status in (400, 431), answer
        check_problem(answer, answer.status, answer.json["code"])
    assert len(answers) <= 1
    check_untouched(anybody, smuggled)
    await check_failed_or_untouched(anybody, upload_id)


async def check_failed_or_untouched(caller: Caller, upload_id: str) -> None:
    """The refusal may be answered before the upload that it refuses has begun, let alone ended."""

    async def is_over() -> bool:
        if caller.state(upload_id).status == 404:
            return not caller.files_of(upload_id)
        frames = await caller.journal(upload_id)
        assert frames[-1].stage == "error"
        assert caller.files_of(upload_id) == []
        return True

    await eventually(is_over, "it has ended, or never began")


async def test_a_length_that_is_too_short(anybody: Caller) -> None:
    """The rest of a form is no second upload: the first one failed, and all answers say so."""
    upload_id = new_id()
    head = [TYPE, ("X-Upload-ID", upload_id), (LENGTH, str(len(GOOD) - 40))]
    raw = request_bytes(anybody.service, "POST", "/upload", head, GOOD)
    answers = exchange(anybody.service, raw, answers=3)
    assert {answer.status for answer in answers} <= {400}
    await check_failed_or_untouched(anybody, upload_id)


async def test_a_length_that_is_too_long(anybody: Caller) -> None:
    """A client that hangs up before the announced end has failed, whole as its form may look."""
    upload_id = new_id()
    head = [TYPE, ("X-Upload-ID", upload_id), (LENGTH, str(len(GOOD) + 40))]
    connection = connect(anybody.service.url)
    connection.sendall(request_bytes(anybody.service, "POST", "/upload", head, GOOD))
    wait_until(lambda: anybody.state(upload_id).status == 200, "the upload has begun")
    connection.close()
    frames = await anybody.journal(upload_id)
    assert frames[-1].json["error"]["code"] == "client_disconnected"
    assert anybody.files_of(upload_id) == []


async def test_one_and_a_half_requests_in_one_go(anybody: Caller) -> None:
    """Two uploads on one connection are two uploads; a chunked one's end is where it says."""
    first, second = new_id(), new_id()
    raw = request_bytes(
        anybody.service, "POST", "/upload", [TYPE, ("X-Upload-ID", first), (CODING, "chunked")]
    )
    raw += chunked()
    raw += request_bytes(
        anybody.service, "POST", "/upload", [TYPE, ("X-Upload-ID", second), (LENGTH, SIZE)], GOOD
    )
    answers = exchange(anybody.service, raw, answers=2)
    assert [answer.status for answer in answers] == [200, 200]
    assert [answer.json["uploadId"] for answer in answers] == [first, second]


async def test_trailers_name_nothing(anybody: Caller) -> None:
    """An id, a token or a type in the trailers of a body changes nothing."""
    upload_id, other = new_id(), new_id()
    end = f"0\r\nX-Upload-ID: {other}\r\nAuthorization: Bearer x\r\n\r\n".encode()
    head = [TYPE, ("X-Upload-ID", upload_id), (CODING, "chunked")]
    raw = request_bytes(anybody.service, "POST", "/upload", head, chunked(end=end))
    (answer,) = exchange(anybody.service, raw)
    assert (answer.status, answer.json["uploadId"]) == (200, upload_id)
    check_untouched(anybody, other)


HEADS: dict[str, tuple[bytes, int]] = {
    "not HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), 400),
    "HTTP/2 by surprise": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a strange version": (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
    "a strange method": (b"GE\0T / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a NUL in a header": (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", 400),
    "a CR in a header": (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n", 400),
    "a header without name": (b"GET / HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n", 400),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
    "a target of 20 KiB": (
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        414,
    ),
    "1,000 headers": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        431,
    ),
    "a header of 100 KiB": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        431,
    ),
}


@pytest.mark.parametrize("case", HEADS)
async def test_a_head_that_is_none(anybody: Caller, case: str) -> None:
    """One problem in the usual form, then the connection is closed."""
    raw, status = HEADS[case]
    (answer,) = exchange(anybody.service, raw, answers=2)
    check_problem(answer, status, answer.json["code"])
    assert answer.headers["connection"] == "close"


EARLY = {
    "no form": (415, [("Content-Type", "text/plain"), (LENGTH, "5000")]),
    "too large": (413, [TYPE, (LENGTH, str(10**9))]),
    "an id that is none": (400, [TYPE, (LENGTH, SIZE), ("X-Upload-ID", "..")]),
    "a foreign page": (403, [TYPE, (LENGTH, SIZE), ("Origin", "https://evil.example")]),
}


@pytest.mark.parametrize("case", EARLY)
async def test_a_refusal_comes_before_the_body_is_asked_for(anybody: Caller, case: str) -> None:
    """A client that waits with its body (`Expect: 100-continue`) is never told to send it."""
    status, head = EARLY[case]
    head = [*head, ("Expect", "100-continue")]
    with connect(anybody.service.url) as connection:
        connection.sendall(request_bytes(anybody.service, "POST", "/upload", head))
        assert connection.recv(12) == b"HTTP/1.1 %d" % status


# ---- Host

HOSTS = (
    "evil.example",
    "localhost.evil.example",
    "evil.example:80",
    "localhost@evil.example",
    "localhost:80@evil.example",
    "127.0.0.1.evil.example",
    "0.0.0.0",
    "[::]",
    "127.0.0.1:99999999",
    "localhost, evil.example",
    "localhost evil.example",
    "localhost/../evil.example",
    "evil.example#localhost",
    "evil.example\\localhost",
    "169.254.169.254",
    "2130706433",
    "localhost%00.evil.example",
    "löcalhost",
    "",
)


@pytest.mark.parametrize("host", HOSTS)
async def test_a_foreign_host_in_open_mode(anybody: Caller, host: str) -> None:
    """No upload for a page that had a name of its own point to this machine (DNS rebinding)."""
    upload_id = new_id()
    head = f"POST /upload HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type()}\r\n"
    head += f"X-Upload-ID: {upload_id}\r\nContent-Length: {SIZE}\r\n\r\n"
    (answer,) = exchange(anybody.service, head.encode() + GOOD)
    assert answer.status in (400, 403)
    check_problem(answer, answer.status, "forbidden" if answer.status == 403 else "bad_request")
    check_untouched(anybody, upload_id)


POISON = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/evil",
    "X-Original-URL": "/metrics",
    "X-Rewrite-URL": "/metrics",
    "Forwarded": "host=evil.example;proto=https",
    "X-HTTP-Method-Override": "DELETE",
}


@pytest.mark.parametrize("name", POISON)
async def test_no_header_gets_into_a_link(alice: Caller, name: str) -> None:
    """Links in answers are paths: neither Host nor a forwarding header can point them elsewhere."""
    upload_id = new_id()
    answer = alice.post(
        [file_part(PICTURE)],
        upload_id=upload_id,
        headers={name: POISON[name], "Prefer": "respond-async"},
    )
    assert answer.status == 202
    assert answer.headers["location"] == f"/upload/{upload_id}"
    frames = await alice.journal(upload_id)
    media = frames[-1].json["media"]
    assert media["url"] == f"/upload/{upload_id}/files/photo.jpg"
    state = alice.ask("GET", f"/upload/{upload_id}", headers={name: POISON[name]})
    assert state.json["status"] == "complete"
    assert b"evil" not in state.body + repr(state.headers).encode()


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/upload/{id}",
        "http://evil.example:80@127.0.0.1/upload/{id}",
        "//evil.example/upload/{id}",
        "/\\evil.example",
        "*",
        "evil.example:443",
    ],
)
async def test_a_target_that_names_a_host(anybody: Caller, target: str) -> None:
    """No target makes the service ask, or send a browser, elsewhere."""
    raw = request_bytes(anybody.service, "GET", target.format(id=new_id()), [])
    (answer,) = exchange(anybody.service, raw)
    assert answer.status in (400, 403, 404, 405)
    check_silence(answer)
    assert "location" not in answer.headers


@pytest.mark.parametrize("path", ["/uploads/", "/upload/", "/upload/a/", "/healthz/", "/client"])
async def test_a_slash_too_many_sends_nobody_elsewhere(alice: Caller, path: str) -> None:
    """A redirect that takes its host from the request would send browsers to an attacker's."""
    for method in ("GET", "POST"):
        answer = alice.ask(method, path, headers={"Host": "evil.example"})
        assert answer.status in (404, 405)
        assert "location" not in answer.headers


async def test_a_prefix_without_its_slash_leads_to_the_page() -> None:
    """The one redirect there is names no host."""
    app = create_app(load_settings(prefix="/api/media", jwt_secret=SECRET))
    with AsgiServer(app) as server:
        foreign = {"Host": "evil.example"}
        answer = request("GET", f"{server.url}/api/media", headers=foreign)
        assert (answer.status, answer.headers["location"]) == (308, "/api/media/")
        assert request("GET", f"{server.url}/api/media/", headers=foreign).status == 200
        assert request("GET", f"{server.url}/api/media/uploads/", headers=foreign).status == 404


# ---- ranges


@pytest.fixture(scope="module")
def stored(opened: Service) -> tuple[Caller, str, bytes]:
    """A caller, the path of a stored file, its bytes."""
    caller, data = Caller(opened), jpeg(640, 480)
    answer = caller.post([file_part(data)], upload_id=new_id())
    return caller, answer.json["data"]["media"]["url"], data


RANGES = {
    # CVE-2025-62727: merging took quadratic time
    "10,000 ranges": "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 10_000)),
    "10,000 overlapping": "bytes=" + ",".join(f"{n}-" for n in range(10_000)),
    "10,000 suffixes": "bytes=" + ",".join(f"-{n}" for n in range(1, 10_000)),
    "1,000 times the whole": "bytes=" + ",".join(["0-"] * 1000),
    "backwards": "bytes=5-2",
    "beyond": "bytes=99999999-",
    "of 300 digits": "bytes=" + "9" * 300 + "-",
    "to 300 digits": "bytes=0-" + "9" * 300,
    "no bytes": "bytes=-0",
    "nothing": "bytes=",
    "dashes": "bytes=---",
    "negative": "bytes=-5--3",
    "another unit": "lines=1-2",
    "no unit": "1-2",
    "commas": "bytes=" + "," * 5000,
    "spaces": "bytes=" + " " * 20_000 + "0-1",
    "not a number": "bytes=a-b",
    "Arabic digits": "bytes=٠-١",
}


@pytest.mark.parametrize("case", RANGES)
async def test_range(stored: tuple[Caller, str, bytes], case: str) -> None:
    """A range is served, ignored or refused; an answer is never much larger than the file."""
    caller, path, data = stored
    answer = caller.ask("GET", path, headers={"Range": RANGES[case]})
    assert answer.status in (200, 206, 400, 416, 431), answer.status
    check_silence(answer)
    if answer.status == 200:
        assert answer.body == data
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.body) <= 2 * len(data) + 4096, len(answer.body)


@pytest.mark.parametrize("value", ["*", '"x", W/"y"', "x" * 20_000, "\xff", '"', ""])
@pytest.mark.parametrize("name", ["If-None-Match", "If-Range", "If-Modified-Since", "If-Match"])
async def test_condition(stored: tuple[Caller, str, bytes], name: str, value: str) -> None:
    """No precondition header breaks an answer."""
    caller, path, _ = stored
    headers = {name: value, "Range": "bytes=0-3"}
    assert caller.ask("GET", path, headers=headers).status in (200, 206, 304, 412)


# ---- targets

CLIMBS = (
    "..",
    "../record.json",
    "../original",
    "../manifest.json",
    "..%2frecord.json",
    "..%2foriginal",
    "%2e%2e%2frecord.json",
    "%2e%2e/record.json",
    "%2e%2e%5crecord.json",
    "..%5crecord.json",
    "..%252frecord.json",
    "....//record.json",
    "%c0%ae%c0%ae%c0%afrecord.json",
    "%e0%80%ae%e0%80%ae/record.json",
    "..%ef%bc%8frecord.json",
    "files%2f..%2f..%2frecord.json",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "..%2f..%2f..%2fstorage-id",
    "record.json",
    "manifest.json",
    "original",
    "files",
    ".",
    "%00",
    "photo.jpg%00",
    "photo.jpg%00.png",
    "photo.jpg/",
    "photo.jpg%2f.",
    "PHOTO.JPG",
    "photo.jpg%20",
    "%ff%fe",
    "%u002e%u002e",
    "\udcff\udcfe",
    "%",
    "%zz",
    "a" * 5000,
    "%f0%9f%92%a9" * 500,
    "thumbnail.webp/../../record.json",
)


@pytest.mark.parametrize("name", CLIMBS, ids=range(len(CLIMBS)))
async def test_a_file_name_that_climbs(stored: tuple[Caller, str, bytes], name: str) -> None:
    """Files are known by name alone: whatever is not one of an upload's own is not there."""
    caller, path, _ = stored
    target = path.rpartition("/")[0] + "/" + name
    (answer,) = exchange(caller.service, request_bytes(caller.service, "GET", target, []))
    assert answer.status in (400, 404), (answer.status, answer.body[:200])
    check_problem(answer, answer.status, answer.json["code"])
    check_silence(answer)


IDS = (
    "..",
    ".hidden",
    "-dash",
    "~home",
    "a" * 129,
    "a%2fb",
    "a%2f..%2f..%2fb",
    "%2e%2e",
    "a%00",
    "a%0a",
    "a%0d%0aSet-Cookie:%20x=y",
    "a%20b",
    "a%c0%af",
    "%ff",
    "\udcff",
    "\uff41\uff42",
    "caf\u00e9",
    "%d0%b0lice",
    "a\u202eb",
    "a:b",
    "{a}",
    "a*",
    "a%7b%7d",
    "a;b",
    "a'b",
    "%25",
)


@pytest.mark.parametrize("name", IDS, ids=range(len(IDS)))
@pytest.mark.parametrize(
    ("method", "rest"),
    [("GET", ""), ("DELETE", ""), ("GET", "/progress"), ("GET", "/files/x")],
    ids=["state", "cancel", "stream", "file"],
)
async def test_an_id_that_is_none(anybody: Caller, name: str, method: str, rest: str) -> None:
    """Ids are plain: any other is refused before anything is looked up by it."""
    raw = request_bytes(anybody.service, method, f"/upload/{name}{rest}", [])
    (answer,) = exchange(anybody.service, raw)
    assert answer.status in (400, 404, 405), (answer.status, answer.body[:200])
    check_problem(answer, answer.status, answer.json["code"])
    assert "set-cookie" not in answer.headers
    assert "x-upload-id" not in answer.headers


async def test_ids_are_compared_to_the_letter(anybody: Caller) -> None:
    """Neither case nor a percent sign makes two ids one, or one two."""
    upload_id = "Case" + new_id()
    assert anybody.post([file_part(PICTURE)], upload_id=upload_id).status == 200
    check_problem(anybody.state(upload_id.lower()), 404, "unknown_upload")
    assert anybody.state(upload_id.replace("a", "%61")).json["uploadId"] == upload_id


@pytest.mark.parametrize("place", ["/client", "/page"])
@pytest.mark.parametrize(
    "name",
    [
        "../../settings.py",
        "..%2f..%2fsettings.py",
        "%2e%2e/%2e%2e/settings.py",
        "..\\..\\settings.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "",
        ".",
        "client.js/..",
        "client.js%00",
        "%ff",
    ],
)
async def test_the_page_serves_its_own_files_alone(anybody: Caller, place: str, name: str) -> None:
    """Nothing but the page's files is served from the package's directory."""
    raw = request_bytes(anybody.service, "GET", f"{place}/{name}", [])
    (answer,) = exchange(anybody.service, raw)
    assert_not_found(answer)


def assert_not_found(answer: Answer) -> None:
    assert answer.status in (400, 404), (answer.status, answer.body[:200])
    check_silence(answer)


# ---- headers of ours

ODD = {
    "X-Upload-ID": ["", " ", "a b", "a,b", "../a", "a\x7f", "\udcff", "x" * 9000, "a;b=c", '"a"'],
    "Prefer": ["wait=99999999999999", "wait=-1", "wait=٣", ";" * 5000, "respond-async;" * 500],
    "Accept": ["application/json;q=nan", "application/json;q=" + "9" * 500, "," * 9000, ";q=;q="],
    "Last-Event-ID": ["-", "x-y", "a-" + "9" * 5000, "\udcff", "gone-1", "a-1\u2028", "-" * 9000],
    "If-None-Match": ["," * 9000, '"' * 9000, "W/" * 4000],
    "Cookie": ["=" * 9000, "sse_progress_token", ";" * 9000, "\udcff=\udcff", "a=\x01"],
    "Authorization": ["Bearer", "Bearer " + "x" * 60_000, "\udcff", "Basic", "Bearer \u00e9.a.b"],
    "Origin": ["null", "http://", "http://[::1", "file://", "\udcff", "http://localhost:99999999"],
    "Content-Encoding": ["gzip", "br", "identity, gzip"],
}


@pytest.mark.parametrize("name", ODD)
async def test_no_header_breaks_an_answer(anybody: Caller, alice: Caller, name: str) -> None:
    """Strange values of every header that is read: an answer in order, below 500."""
    upload_id = new_id()
    assert anybody.post([file_part(PICTURE)], upload_id=upload_id).status == 200
    for value in ODD[name]:
        for caller in (anybody, alice):
            for target in (
                f"/upload/{upload_id}",
                f"/upload/{upload_id}/files/photo.jpg",
                "/uploads",
            ):
                answer = caller.ask("GET", target, headers={name: value})
                assert answer.status < 500, (name, value[:40], answer.status)
                check_silence(answer) if answer.status >= 400 else None
            answer = caller.post([], headers={name: value})
            assert 400 <= answer.status < 500, (name, value[:40], answer.status)


QUERIES = (
    "limit=0",
    "limit=-1",
    "limit=1e3",
    "limit=" + "9" * 400,
    "limit=٣",
    "after=-1",
    "after=" + "9" * 17,
    "after=x",
    "status=unknown",
    "status=complete&status=error",
    "limit=1&limit=2",
    "%00=%00",
    "limit=%00",
    "limit",
    "&" * 5000,
    "=" * 5000,
    "a[]=1&a[x]=2",
    "limit=1;after=2",
    "%ff=%ff",
)


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
async def test_query(anybody: Caller, query: str) -> None:
    """Strange queries are refused or ignored."""
    answer = anybody.ask("GET", f"/uploads?{query}")
    assert answer.status in (200, 400), answer.body[:300]
    check_silence(answer) if answer.status >= 400 else None
