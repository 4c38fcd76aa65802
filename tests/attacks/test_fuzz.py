"""Requests that nobody thought of: no 500, no traceback, no journal without an end, no file left.

Crashes that were found are kept as rows in the other tables. `--long` looks for longer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.attacks.conftest import running
from tests.attacks.words import Caller, check_silence, exchange, new_id, request_bytes
from tests.helpers.media import jpeg
from tests.helpers.multipart import BOUNDARY, Part, body, content_type, file_part
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until

PICTURE = jpeg(24, 16)
MARK = f"--{BOUNDARY}".encode()

BUDGET_S = 4.0
"""How long each function looks at new examples in a quick run; what comes later is let pass."""

QUICK = settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)
LONG = settings(QUICK, max_examples=4000)

# ---- what to send

tokens = st.sampled_from(
    [
        b"\r\n",
        b"\r",
        b"\n",
        b"--",
        b"\0",
        b";",
        b'"',
        b"\\",
        b":",
        b" ",
        MARK,
        MARK + b"--",
        b"\r\n" + MARK,
        b"\r\n" + MARK + b"--\r\n",
        b"Content-Disposition: form-data; ",
        b'name="file"',
        b'filename="a.jpg"',
        b"filename*=UTF-8''a%2f..%00b",
        b"Content-Type: image/jpeg",
        b"Content-Transfer-Encoding: base64",
        PICTURE,
        PICTURE[:300],
    ]
)
soup = st.lists(st.one_of(tokens, st.binary(max_size=40)), max_size=25).map(b"".join)
parts = st.builds(
    Part,
    st.one_of(st.none(), st.text(max_size=12)),
    st.one_of(st.just(PICTURE), st.binary(max_size=200)),
    st.one_of(st.none(), st.text(max_size=40)),
    st.one_of(st.none(), st.text(st.characters(codec="ascii"), max_size=30)),
)
forms = st.lists(parts, max_size=4).map(body)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good form, cut, doubled, overwritten or with something put in."""
    raw = body([Part("title", b"Sea"), file_part(PICTURE)])
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        to = draw(st.integers(at, len(raw)))
        raw = raw[:at] + draw(st.one_of(tokens, st.binary(max_size=8), st.just(b""))) + raw[to:]
    return raw


bodies = st.one_of(soup, forms, damaged())
header_text = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x17F), max_size=60)
types = st.one_of(
    st.just(content_type()),
    st.just(content_type()),
    header_text,
    header_text.map(lambda text: f"multipart/form-data; boundary={text}"),
)
lengths = st.one_of(
    st.none(),
    st.none(),
    st.integers(-5, 3000).map(str),
    st.sampled_from(["", "1,1", "0x9", "9" * 30]),
)
names = st.sampled_from(
    [
        "Accept",
        "Authorization",
        "Cookie",
        "Expect",
        "If-None-Match",
        "Last-Event-ID",
        "Origin",
        "Prefer",
        "Range",
        "Referer",
        "Transfer-Encoding",
        "Upgrade",
        "X-Forwarded-For",
        "X-Upload-ID",
    ]
)
headers = st.lists(st.tuples(names, header_text), max_size=4)
pieces = st.one_of(
    st.sampled_from(["upload", "uploads", "files", "..", ".", "%2e", "%00", "%2f", "a", "page"]),
    st.text(st.characters(codec="latin-1", exclude_characters=" \r\n\t?#"), max_size=8),
)
# No stream: it would answer for ever.
paths = (
    st.lists(pieces, max_size=5)
    .filter(lambda found: "progress" not in "/".join(found))
    .map(lambda found: "/" + "/".join(found))
)
methods = st.sampled_from(["GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE"])


# ---- what must hold


def check_answers(raw: bytes, caller: Caller) -> None:
    for answer in exchange(caller.service, raw, answers=3, ended=True):
        assert answer.status != 500, answer
        assert answer.status < 500 or answer.status == 501, answer
        if answer.status >= 400:
            check_silence(answer)
            if answer.body:
                assert json.loads(answer.body)["success"] is False


def check_upload(raw: bytes, kind: str, length: str | None, more: list[tuple[str, str]]) -> None:
    upload_id = new_id()
    fields = [
        ("Connection", "close"),
        ("Content-Type", kind),
        ("X-Upload-ID", upload_id),
        ("Prefer", "respond-async"),
        ("Content-Length", str(len(raw)) if length is None else length),
        *more,
    ]
    caller = Caller(SERVICE[0])
    whole = request_bytes(caller.service, "POST", "/upload", fields, raw)
    check_answers(whole, caller)
    check_ended(caller, upload_id)


def check_ended(caller: Caller, upload_id: str) -> None:
    """Known or not, the upload comes to its end, and only a complete one has files."""

    def ended() -> str | None:
        state = caller.state(upload_id)
        if state.status == 404:
            return "unknown"
        word: str = state.json["status"]
        return word if word in ("complete", "error", "cancelled") else None

    how = wait_until(ended, f"{upload_id} has ended")
    files = caller.files_of(upload_id)
    if how == "complete":
        assert all(path.startswith("objects/") for path in files)
    else:
        assert files == []


SERVICE: list[Service] = []
"""The one service: Hypothesis runs a function many times, fixtures come once."""


@pytest.fixture(scope="module", autouse=True)
def fuzzed() -> Iterator[None]:
    # Bodies that never come to their announced end are soon given up.
    with running({"SSE_PROGRESS_RECEIVE_STALL_S": "0.3"}) as service:
        SERVICE[:] = [service]
        yield


class Budget:
    """Time for examples, counted from the first one; at least 20 are always tried."""

    def __init__(self) -> None:
        self._until: float | None = None
        self._count = 0

    @property
    def spent(self) -> bool:
        if self._until is None:
            self._until = time.monotonic() + BUDGET_S
        self._count += 1
        return self._count > 20 and time.monotonic() > self._until


UPLOADS, REQUESTS, BYTES = Budget(), Budget(), Budget()


@QUICK
@given(bodies, types, lengths, headers)
def test_any_upload(raw: bytes, kind: str, length: str | None, more: list[tuple[str, str]]) -> None:
    """Whatever body under whatever headers: an answer below 500, an end, and nothing left."""
    if UPLOADS.spent:
        return
    check_upload(raw, kind, length, more)


@QUICK
@given(methods, paths, headers, soup)
def test_any_request(method: str, path: str, more: list[tuple[str, str]], raw: bytes) -> None:
    """Whatever is asked of whatever address: an answer below 500, in order."""
    if REQUESTS.spent:
        return
    fields = [("Connection", "close"), ("Content-Length", str(len(raw))), *more]
    caller = Caller(SERVICE[0])
    if method == "HEAD":  # its answers have no bodies for the reader to find
        method = "GET"
    check_answers(request_bytes(caller.service, method, path, fields, raw), caller)


@QUICK
@given(st.one_of(st.binary(max_size=300), soup))
def test_any_bytes(raw: bytes) -> None:
    """Bytes that are no request get one problem, or none, and the connection's end."""
    if BYTES.spent:
        return
    caller = Caller(SERVICE[0])
    check_answers(raw + b"\r\n\r\n", caller)


async def test_the_service_is_well_after_all_that() -> None:
    """Ready, with nothing open, nothing waiting and nothing half received."""
    caller = Caller(SERVICE[0])
    assert httpx.get(f"{caller.service.url}/readyz").status_code == 200
    wait_until(
        lambda: not [f for f in caller.service.files() if f.startswith(("incoming/", "open/"))],
        "nothing is half received",
    )
    assert "unexpected error" not in caller.service.log


@pytest.mark.long
@LONG
@given(bodies, types, lengths, headers)
def test_any_upload_for_long(
    raw: bytes, kind: str, length: str | None, more: list[tuple[str, str]]
) -> None:
    """The same some thousand times."""
    check_upload(raw, kind, length, more)


@pytest.mark.long
async def test_coverage_guided(tmp_path: Path) -> None:
    """Two minutes of a fuzzer that watches which lines of the receive path it reaches."""
    pytest.importorskip("atheris", reason="atheris has no build for this Python")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, raw in enumerate(
        (body([Part("title", b"Sea"), file_part(PICTURE)]), body([]), MARK + b"\r\n\r\n")
    ):
        (corpus / str(number)).write_bytes(b"\0" + raw)
    done = subprocess.run(  # noqa: PLW1510  # its output is shown below
        [
            sys.executable,
            "-m",
            "tests.attacks.fuzz_receive",
            "-max_total_time=" + os.environ.get("FUZZ_SECONDS", "120"),
            "-max_len=8192",
            "-dict=tests/attacks/multipart.dict",
            f"-artifact_prefix={tmp_path}/",
            str(corpus),
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stderr[-4000:]
