"""The log: one line per entry whatever clients send, and never a secret."""

from __future__ import annotations

import io
import json
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import jwt
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sse_progress.runtime import logging_setup as logs
from sse_progress.runtime.logging_setup import configure, redact
from tests.helpers.asgi_server import AsgiServer
from tests.helpers.raw_http import request
from tests.helpers.waiting import wait_until

TOKEN = jwt.encode({"sub": "alice", "exp": 4_000_000_000}, "s" * 32)
SECRET = "sw0rdfish-8271"


@contextmanager
def logging_to(
    log_format: Literal["console", "json"], level: Literal["debug", "info"] = "debug"
) -> Iterator[io.StringIO]:
    """Logging as the service has it, on a text; everything is put back afterwards."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, structlog.get_config())
    levels = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "asyncio")}
    stream = io.StringIO()
    try:
        configure(log_format, level, stream=stream)
        yield stream
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        structlog.configure(**before[2])
        for name, value in levels.items():
            logging.getLogger(name).setLevel(value)


@pytest.fixture(params=["console", "json"])
def stream(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    with logging_to(request.param) as made:
        yield made


log = structlog.get_logger("tests")

CARRIERS: dict[str, Any] = {
    "a query": f"GET /upload/u/progress?token={SECRET}&x=1",
    "an encoded query": f"GET /upload/u/progress?%74oken={SECRET}",
    "another query": f"GET /keys?client={SECRET}",
    "a fragment of a query": f"token={SECRET}&lastEventId=e-1",
    "an address with a user": f"redis://:{SECRET}@127.0.0.1:6379/0",
    "an address with a name": f"https://alice:{SECRET}@id.example/keys",
    "a bearer header": f"Authorization: Bearer {SECRET}",
    "a basic header": f"authorization: Basic {SECRET}",
    "a bare scheme": f"sent Bearer {SECRET} to it",
    "a cookie header": f"Cookie: a=b; sse_progress_token={SECRET}; c=d",
    "a cookie to set": f"Set-Cookie: sid={SECRET}; HttpOnly",
    "a header of a scope": [(b"authorization", f"Token {SECRET}".encode())],
    "a cookie of a scope": [(b"host", b"a"), (b"cookie", f"sid={SECRET}".encode())],
    "the text of a scope": repr({"headers": [(b"cookie", f"sid={SECRET}".encode())]}),
    "the text of headers": repr({"authorization": f"Token {SECRET}"}),
    "headers": {"Authorization": SECRET, "cookie": SECRET, "X-Api-Key": SECRET},
    "nested": {"request": [{"headers": {"set-cookie": SECRET}}]},
    "a setting": f"SSE_PROGRESS_JWT_SECRET={SECRET}",
    "an error": ValueError(f"no answer from http://id/keys?key={SECRET}"),
    "bytes": f"token={SECRET}".encode(),
    "a set": {f"token={SECRET}"},
}
KEYS = ("token", "query_token", "Authorization", "cookie", "jwt_secret", "password", "api_key")


@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS.keys())
def test_no_secret_comes_out(stream: io.StringIO, carrier: Any) -> None:
    """However a secret got into an entry, it is not in the line: as a value, in the text, through
    the standard library, or in an error's message."""
    log.info("something", value=carrier)
    log.info(str(carrier))
    logging.getLogger("uvicorn.error").warning("it said %s", carrier)
    logging.getLogger("uvicorn.error").warning(str(carrier).replace("%", "%%") + "%s", "")
    try:
        raise RuntimeError(carrier)
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("elsewhere").exception("failed")
    text = stream.getvalue()
    assert SECRET not in text
    assert text.count("[redacted]") >= 6


@pytest.mark.parametrize("key", KEYS)
def test_a_secrets_name_hides_all_of_it(stream: io.StringIO, key: str) -> None:
    """A field named like a secret shows nothing, whatever it holds."""
    log.info("something", **{key: SECRET})
    log.info("something", **{key: {"inner": [SECRET]}})
    assert SECRET not in stream.getvalue()
    assert stream.getvalue().count("[redacted]") == 2


def test_a_token_is_known_by_its_looks(stream: io.StringIO) -> None:
    """A JWT is hidden wherever it stands, also cut off."""
    for text in (TOKEN, f"<{TOKEN}>", f"see {TOKEN}.", repr([TOKEN]), TOKEN[:-20], f"x={TOKEN}"):
        log.info(text, value=text, values=[text])
    for part in TOKEN.split("."):
        assert part[:24] not in stream.getvalue()


def test_other_text_stays_readable() -> None:
    """What is no secret is left as it is."""
    for text in (
        "upload u-1 stored, 1048576 bytes in 0.5 s",
        "Is this a question? Yes.",
        "/upload/upload_1/progress",
        "a tokenizer has no secrets, no token, and no cookie either",
        "ünïcödé · 日本語",
        "http://127.0.0.1:8000/healthz",
    ):
        assert redact(text) == text


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Z", "C")), max_size=200))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_no_text_begins_a_line(text: str) -> None:
    """Line ends, escapes, direction marks, NULs and lone surrogates in any field make no entry of
    their own: each entry is one line that can be written and, as JSON, read back."""
    for log_format in ("console", "json"):
        with logging_to(log_format) as stream:  # type: ignore[arg-type]
            log.info(text, field=text, **{"k" + text: text})
            logging.getLogger("other").info("%s", text)
        lines = stream.getvalue().encode().decode().splitlines()
        assert len(lines) == 2
        assert not any(c in stream.getvalue() for c in "\0\x1b\r\u2028\u202e")
        if log_format == "json":
            assert [json.loads(line)["level"] for line in lines] == ["info", "info"]


def test_an_errors_text_begins_no_entry(stream: io.StringIO) -> None:
    """A traceback is indented, so a line that a client wrote into a message is seen to be one."""
    try:
        raise ValueError("bad name\n2026-01-15T10:30:00Z [info     ] user logged in\r\x1b[2J")
    except ValueError:
        log.exception("failed", path="/upload")
    lines = stream.getvalue().splitlines()
    if lines[0].startswith("{"):
        assert len(lines) == 1
        assert "\n  2026-01-15" in json.loads(lines[0])["exception"]
        return
    assert len(lines) > 3
    assert all(line.startswith("  ") for line in lines[1:])
    assert "\x1b" not in stream.getvalue()


def test_an_entry_has_a_bound(stream: io.StringIO) -> None:
    """A megabyte of hostile text costs little time and few bytes."""
    for text in (
        "eyJ" * 400_000,
        "a-" * 600_000,
        "?" * 1_000_000,
        "token" * 200_000,
        "://" * 300_000,
    ):
        log.info("long", value=text, values=[text])
    assert len(stream.getvalue()) < 100_000


def test_time_is_linear_in_the_text() -> None:
    """No pattern is at a loss with a long text: even uncut, all finish well within a bound that
    one with quadratic time would miss by hours."""

    def too_long(*_: Any) -> None:
        raise AssertionError("a pattern took more than 20 s")

    patterns = [pattern for pattern in vars(logs).values() if isinstance(pattern, re.Pattern)]
    assert len(patterns) == 10
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(20)
    try:
        for text in (
            "eyJ",
            "a-",
            "?",
            "?a=",
            "token",
            "://",
            "cookie:",
            "basic ",
            'cookie:"',
            "  ",
        ):
            for pattern in patterns:
                pattern.sub("", text * 100_000)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class App:
    """Answers, or fails with everything it was sent in the error's message."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/crash":
            raise RuntimeError(f"failed on {scope!r}")
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def _access_lines(stream: io.StringIO) -> list[str]:
    words = ("method", "GET", "status", "client")
    return [line for line in stream.getvalue().splitlines() if all(word in line for word in words)]


def test_requests_are_logged_without_their_secrets(stream: io.StringIO) -> None:
    """Over a real uvicorn with its own protocol, since ours leaves the access log to RequestLog:
    one line a request with method, path, status and client; `?token=`, cookie and Authorization
    appear in none, not even when the application fails on them."""
    headers = {"Authorization": f"Bearer {SECRET}", "Cookie": f"sse_progress_token={SECRET}"}
    with AsgiServer(App(), http=HttpToolsProtocol, access_log=True) as server:
        for path in ("/upload/u%0a1/progress", "/crash"):
            request("GET", f"{server.url}{path}?token={SECRET}&token={TOKEN}", headers=headers)
        request("GET", f"{server.url}/%74?%74oken={SECRET}", headers=headers)
        wait_until(lambda: len(_access_lines(stream)) == 3, "all are logged")
    text = stream.getvalue()
    assert SECRET not in text
    assert TOKEN.split(".")[1] not in text
    assert "failed on" in text
    requests = _access_lines(stream)
    assert "u\\\\x0a1" in requests[0] or "u\\x0a1" in requests[0]
    assert not any("token" in line or "?" in line for line in requests)
    if requests[0].startswith("{"):
        entry = json.loads(requests[0])
        assert entry["event"] == "request"
        assert entry["status"] == 404
        assert entry["method"] == "GET"


def test_levels_hold_for_all_loggers() -> None:
    """Below the level nothing is written, from structlog or the standard library; libraries that
    name addresses in passing are quieter still."""
    with logging_to("json", "info") as stream:
        log.debug("no")
        logging.getLogger("uvicorn.error").debug("no")
        logging.getLogger("httpx").info("no")
        log.info("yes", n=1, ok=True, none=None, ratio=0.5)
        logging.getLogger("uvicorn.error").info("yes %d", 2)
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["n"], first["ok"], first["none"], first["ratio"]) == (1, True, None, 0.5)
    assert second["event"] == "yes 2"
    assert first["timestamp"].endswith("Z")


def test_configuring_twice_writes_once() -> None:
    """A second call replaces the first."""
    with logging_to("json") as stream:
        configure("json", "info", stream=stream)
        log.info("once")
        logging.getLogger("other").info("once")
    assert stream.getvalue().count("once") == 2


def test_the_last_words_of_a_process_are_an_entry() -> None:
    """What ends a process is logged as everything else is: one line, and no secret in it."""
    code = (
        "from sse_progress.runtime.logging_setup import configure, log_uncaught; "
        f"configure('json'); log_uncaught(); raise RuntimeError('token={SECRET}')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    entry = json.loads(ran.stderr)
    assert (ran.returncode, entry["event"], entry["level"]) == (1, "process failed", "critical")
    assert "RuntimeError" in entry["exception"]
    assert SECRET not in ran.stderr
