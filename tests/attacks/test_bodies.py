"""Hostile multipart bodies: floods, differentials, broken ends. Known of this kind of parser."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.attacks.words import Caller, check_refused, new_id
from tests.helpers.media import jpeg
from tests.helpers.multipart import BOUNDARY, Part, body, file_part

MARK = f"--{BOUNDARY}".encode()
END = MARK + b"--\r\n"
PICTURE = jpeg(40, 30)
GOOD = body([file_part(PICTURE)])


def part(head: bytes, data: bytes = PICTURE) -> bytes:
    """A body of one part whose header block is given to the byte."""
    return MARK + b"\r\n" + head + b"\r\n\r\n" + data + b"\r\n" + END


def disposed(parameters: str) -> bytes:
    return part(f"Content-Disposition: form-data; {parameters}".encode("utf-8", "surrogateescape"))


def flooded(count: int) -> bytes:
    return body([*(Part(f"f{number}", b"") for number in range(count)), file_part(PICTURE)])


MALFORMED = (400, "malformed_multipart")
UNEXPECTED = (400, "unexpected_part")
LARGE = (413, "too_large")
UNSUPPORTED = (415, "unsupported_media_type")

BODIES: dict[str, tuple[Callable[[], bytes], tuple[int, str]]] = {
    # CVE-2024-53981, CVE-2026-40347: bytes before and behind the parts, read one by one
    "line ends before": (lambda: b"\r\n" * 400_000 + GOOD, MALFORMED),
    "line ends behind": (lambda: GOOD + b"\r\n" * 400_000, MALFORMED),
    "dashes before": (lambda: b"-" * 800_000 + GOOD, MALFORMED),
    "half a boundary before, often": (lambda: MARK[:-1] * 40_000 + GOOD, MALFORMED),
    "a preamble of 2 KiB": (lambda: b"x" * 2048 + b"\r\n" + GOOD, MALFORMED),
    "an epilogue of 1 MiB": (lambda: GOOD + b"x" * 1024**2, MALFORMED),
    "a second form behind": (lambda: GOOD + GOOD * 1000, MALFORMED),
    # CVE-2026-42561, CVE-2026-24486: a part's headers
    "nine headers": (lambda: part(b"\r\n".join(b"X-%d: y" % n for n in range(9))), MALFORMED),
    "10,000 headers": (lambda: part(b"\r\n".join(b"X: y" for _ in range(10_000))), MALFORMED),
    "a header of 1 MiB": (lambda: part(b"X: " + b"y" * 1024**2), MALFORMED),
    "a header's name of 1 MiB": (lambda: part(b"X" * 1024**2 + b": y"), MALFORMED),
    "headers without an end": (lambda: MARK + b"\r\n" + b"X: y\r\n" * 2000, MALFORMED),
    "no headers": (lambda: MARK + b"\r\n\r\n" + PICTURE + b"\r\n" + END, MALFORMED),
    "a header without colon": (lambda: part(b"Content-Disposition form-data"), MALFORMED),
    "a NUL in a header": (lambda: disposed('name="file"; filename="a\0.jpg"'), MALFORMED),
    "a CR in a header": (lambda: disposed('name="file"; filename="a\rb.jpg"'), MALFORMED),
    "a folded header": (lambda: disposed('name="file";\r\n filename="a.jpg"'), MALFORMED),
    "headers with bare LF": (
        lambda: MARK + b'\nContent-Disposition: form-data; name="f"; filename="a"\n\nx\n' + END,
        MALFORMED,
    ),
    "two Content-Dispositions": (
        lambda: part(
            b'Content-Disposition: form-data; name="a"; filename="a.jpg"\r\n'
            b'Content-Disposition: form-data; name="b"; filename="b.php"'
        ),
        MALFORMED,
    ),
    "two Content-Types": (
        lambda: part(
            b'Content-Disposition: form-data; name="a"; filename="a.jpg"\r\n'
            b"Content-Type: image/jpeg\r\nContent-Type: text/html"
        ),
        MALFORMED,
    ),
    "base64 content": (
        lambda: body([Part("f", b"eHh4", "a.jpg", headers=("Content-Transfer-Encoding: base64",))]),
        MALFORMED,
    ),
    # CVE-2026-53537, CVE-2026-53538: two readers, two file names
    "filename twice": (lambda: disposed('name="f"; filename="a.jpg"; filename="b.php"'), MALFORMED),
    "name twice": (lambda: disposed('name="f"; name="g"; filename="a.jpg"'), MALFORMED),
    "filename in pieces": (lambda: disposed('name="f"; filename*0=a; filename*1=b'), MALFORMED),
    "an extended name": (lambda: disposed("name*=UTF-8''f; filename=\"a.jpg\""), MALFORMED),
    "filename* of no charset": (lambda: disposed('name="f"; filename*=a.jpg'), MALFORMED),
    "filename* in UTF-7": (lambda: disposed("name=\"f\"; filename*=utf-7''+ADw-"), MALFORMED),
    "filename* of broken UTF-8": (lambda: disposed("name=\"f\"; filename*=utf-8''%ff"), MALFORMED),
    "an open quote": (lambda: disposed('name="f"; filename="a.jpg'), MALFORMED),
    "text behind a quote": (lambda: disposed('name="f"; filename="a.jpg"b.php'), MALFORMED),
    "quotes and backslashes, 7 KiB": (lambda: disposed('name="f"; ' + '"\\' * 3500), MALFORMED),
    "a name of broken UTF-8": (lambda: disposed('name="\udcff"; filename="a.jpg"'), MALFORMED),
    "not form-data": (lambda: part(b'Content-Disposition: attachment; filename="a"'), MALFORMED),
    "no name": (lambda: disposed('filename="a.jpg"'), MALFORMED),
    # CVE-2023-30798, CVE-2024-47874: parts and fields without number
    "102 parts": (lambda: flooded(101), MALFORMED),
    "5,000 parts": (lambda: flooded(5000), MALFORMED),
    "a field of 20,000 bytes": (
        lambda: body([Part("a", b"x" * 20_000), file_part(PICTURE)]),
        LARGE,
    ),
    "field names of 20,000 bytes": (
        lambda: body([*(Part("n" * 5000, b"") for _ in range(4)), file_part(PICTURE)]),
        LARGE,
    ),
    "the same field, often": (
        lambda: body([*(Part("a", b"x" * 300) for _ in range(90)), file_part(PICTURE)]),
        LARGE,
    ),
    "a field of broken UTF-8": (
        lambda: body([Part("a", b"\xff\xfe"), file_part(PICTURE)]),
        MALFORMED,
    ),
    "two files": (lambda: body([file_part(b"1"), file_part(b"2")]), UNEXPECTED),
    "no file": (lambda: body([Part("a", b"b")]), UNEXPECTED),
    "an empty file input": (lambda: body([Part("file", b"", "")]), UNEXPECTED),
    # ends
    "cut in the content": (lambda: GOOD[:900], MALFORMED),
    "cut in the last boundary": (lambda: GOOD[:-5], MALFORMED),
    "cut before the last dash": (lambda: GOOD[:-3], MALFORMED),
    "cut in a header": (lambda: GOOD[:60], MALFORMED),
    "nothing": (lambda: b"", MALFORMED),
    "an end alone": (lambda: END, MALFORMED),
    "the boundary, often, in the content": (
        lambda: part(
            b'Content-Disposition: form-data; name="f"; filename="a"', (b"\r\n" + MARK) * 20_000
        ),
        MALFORMED,
    ),
    "the boundary begins the content": (
        lambda: part(
            b'Content-Disposition: form-data; name="f"; filename="a"', MARK + b"--\r\n" + PICTURE
        ),
        MALFORMED,
    ),
    "over the limit by a byte": (lambda: body([file_part(b"x" * (8 * 1024**2 + 1))]), LARGE),
    "no form at all": (lambda: b"{}" * 100, MALFORMED),
}


@pytest.mark.parametrize("case", BODIES)
async def test_body(anybody: Caller, case: str) -> None:
    """Refused with the row's code in answer and journal; nothing of it stays on the storage.

    Nor does it fill the log, which the parser would tell of every byte that it does not like.
    """
    make, (status, code) = BODIES[case]
    upload_id, told = new_id(), anybody.service.log.count("\n")
    answer = anybody.post_raw(make(), upload_id=upload_id)
    await check_refused(anybody, answer, upload_id, status, code)
    assert anybody.service.log.count("\n") - told <= 6


TYPES = {
    # CVE-2024-24762: a header that takes a naive expression exponential time
    "quotes and backslashes": 'multipart/form-data; !="' + "\\" * 30_000,
    "open quotes": 'multipart/form-data; boundary="' + '\\"' * 15_000,
    "semicolons": "multipart/form-data" + ";" * 30_000,
    "spaces": "multipart/form-data;" + " " * 30_000 + "boundary=x",
    "spaces, within the limit": "multipart/form-data;" + " " * 900 + "x",
    "none": "",
    "no boundary": "multipart/form-data",
    "empty boundary": "multipart/form-data; boundary=",
    "boundary of 71": "multipart/form-data; boundary=" + "b" * 71,
    "boundary twice": "multipart/form-data; boundary=a; boundary=b",
    "boundary in pieces": "multipart/form-data; boundary*0=a; boundary*1=b",
    "extended boundary": "multipart/form-data; boundary*=utf-8''a",
    "boundary with a line end": 'multipart/form-data; boundary="a%0d%0ab\\\tc"',
    "boundary that ends in a space": 'multipart/form-data; boundary="a "',
    "boundary not ASCII": "multipart/form-data; boundary=ä",
    "another type": "application/json",
    "urlencoded": "application/x-www-form-urlencoded",
    "mixed": f"multipart/mixed; boundary={BOUNDARY}",
    "two types": f"multipart/form-data, text/plain; boundary={BOUNDARY}",
    "comma": f"text/plain; boundary={BOUNDARY}, multipart/form-data",
}


@pytest.mark.parametrize("case", TYPES)
async def test_content_type(anybody: Caller, case: str) -> None:
    """415 before the body is read, in the journal too; no pattern makes the server think long."""
    upload_id = new_id()
    fields = {"Content-Type": TYPES[case]}
    answer = anybody.post_raw(GOOD, upload_id=upload_id, headers=fields)
    await check_refused(anybody, answer, upload_id, 415, "unsupported_media_type")


NAMES: dict[str, tuple[str, str]] = {
    "climbing": ('filename="../../../../etc/passwd"', "passwd"),
    "climbing, Windows": ('filename="..\\..\\windows\\win.ini"', "win.ini"),
    "absolute": ('filename="/etc/cron.d/x.jpg"', "x.jpg"),
    "a drive": ('filename="C:\\boot.ini"', "boot.ini"),
    "a stream of NTFS": ('filename="a.jpg::$DATA"', "a.jpg__$DATA"),
    "a device": ('filename="con.jpg"', "_con.jpg"),
    "dots alone": ('filename="..."', "file"),
    "a leading dot": ('filename=".htaccess"', "htaccess"),
    "a leading dash": ('filename="-rf.jpg"', "rf.jpg"),
    "a trailing dot": ('filename="a.php."', "a.php"),
    "percent signs stay": ('filename="%2e%2e%2fa.jpg"', "%2e%2e%2fa.jpg"),
    "right to left": ('filename="a\u202egpj.exe"', "agpj.exe"),
    "zero width": ('filename="a\u200b.j\ufeffpg"', "a.jpg"),
    "wide slash": ('filename="..\uff0fa.jpg"', "\uff0fa.jpg"),
    "line separator": ('filename="a\u2028b.jpg"', "a b.jpg"),
    "next line": ('filename="a\u0085b.jpg"', "a b.jpg"),
    "semicolon": ('filename="a;b.php;.jpg"', "a;b.php;.jpg"),
    "quote": ('filename="a\\"b.jpg"', "a_b.jpg"),
    "percent line end": ('filename="a%0d%0ab.jpg"', "a%0d%0ab.jpg"),
    "markup": ('filename="<img src=x onerror=alert(1)>.jpg"', "_img src=x onerror=alert(1)_.jpg"),
    "not UTF-8": ('filename="\udcff\udcfe.jpg"', "__.jpg"),
    "very long": ('filename="' + "x" * 4000 + '.jpg"', "x" * 146 + ".jpg"),
    "long in bytes": ('filename="' + "\u4e2d" * 300 + '.jpg"', "\u4e2d" * 48 + ".jpg"),
    "extended wins": ("filename=\"a.jpg\"; filename*=UTF-8''%e2%82%ac.jpg", "\u20ac.jpg"),
    "extended climbs": ("filename*=UTF-8''..%2f..%2fetc%2fpasswd", "passwd"),
    "extended line end": ("filename*=UTF-8''a%0d%0aSet-Cookie:%20x.jpg", "a Set-Cookie_ x.jpg"),
    "extended NUL": ("filename*=UTF-8''a.php%00.jpg", "a.php.jpg"),
}


@pytest.mark.parametrize("case", NAMES)
async def test_filename(anybody: Caller, case: str) -> None:
    """A name is mended to a plain one, names no path, and comes back in headers that stay whole."""
    sent, expected = NAMES[case]
    upload_id = new_id()
    answer = anybody.post_raw(disposed(f'name="file"; {sent}'), upload_id=upload_id)
    assert answer.status == 200, answer.body
    media = answer.json["data"]["media"]
    assert media["filename"] == expected
    assert media["url"].startswith(f"/upload/{upload_id}/files/")
    assert media["url"].count("/") == 4
    served = anybody.ask("GET", media["url"])
    assert (served.status, served.body) == (200, PICTURE)
    assert served.headers["content-disposition"].startswith("attachment; filename")
    assert "set-cookie" not in served.headers
    assert all(path.startswith("objects/") for path in anybody.files_of(upload_id))
    assert not [path for path in anybody.files_of(upload_id) if path.endswith(f"/{expected}")]


async def test_a_slow_reader_of_answers_costs_no_upload(anybody: Caller) -> None:
    """A refusal waits 2 s at most for a client that keeps sending: then the connection is cut."""
    upload_id, sent, began = new_id(), 0, time.monotonic()

    def endless() -> object:
        nonlocal sent
        while sent < 512 * 1024**2:
            sent += 65536
            yield bytes(65536)

    headers = {"Content-Length": str(7 * 1024**2 * 100), "X-Upload-ID": upload_id}
    try:
        answer = anybody.post_raw(endless(), headers=headers)  # type: ignore[arg-type]
        assert answer.status == 413
    except (EOFError, ConnectionResetError):
        pass  # it was answered, but this client did not read in time
    assert sent < 64 * 1024**2, f"{sent} bytes were taken in {time.monotonic() - began:.1f} s"
    assert anybody.files_of(upload_id) == []
