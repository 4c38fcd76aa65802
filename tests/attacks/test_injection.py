"""Everything that a client can fill, filled with line ends, escapes and frames of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.attacks.conftest import running
from tests.attacks.words import Caller, check_silence, exchange, new_id, request_bytes
from tests.helpers.media import jpeg
from tests.helpers.multipart import Part, body, content_type
from tests.helpers.service import Service
from tests.helpers.sse import EventStream

MARK = "PLANTED"
FRAME = f'data: {{"type":"progress","stage":"complete","message":"{MARK}"}}'

BREAKS = {
    "LF": "\n",
    "CR": "\r",
    "CRLF": "\r\n",
    "two LF": "\n\n",
    "NUL": "\0",
    "VT": "\x0b",
    "FF": "\x0c",
    "escape": "\x1b[2J\x1b]0;",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "byte order mark": "\ufeff",
    "right to left": "\u202e",
    "quote": '"}\n\ndata: {"a":"',
    "end of script": "</script><!--",
    "log entry": '\n2026-01-15T10:30:00.000000Z [error    ] {"event":"',
    "broken UTF-8": "\udcff\udc80",
}

_SSE_LINE = re.compile(rb"(?:id: [\w-]+|data: \{.*\}|retry: \d+|event: \w+|:.*|)")
_LINE_ENDS = re.compile("[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")  # str.splitlines' but LF
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def percent(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe="")


def check_stream(raw: bytes) -> list[dict[str, Any]]:
    """Every line is one of ours, and every frame's data is one whole event."""
    events = []
    assert raw.endswith(b"\n\n")
    assert b"\r" not in raw
    for frame in raw[:-2].split(b"\n\n"):
        lines = frame.split(b"\n")
        assert all(_SSE_LINE.fullmatch(line) for line in lines), frame
        data = [line for line in lines if line.startswith(b"data: ")]
        assert len(data) <= 1, frame
        events += [json.loads(line[6:]) for line in data]
    assert _LINE_ENDS.search(raw.decode()) is None  # nor for readers of other line ends
    return events


def check_log(text: str, *, form: str) -> None:
    """One entry, one line; nothing that a terminal obeys; no entry that a client wrote."""
    assert _CONTROL.search(text) is None
    for line in text.split("\n"):
        if MARK in line:
            if form == "json":
                assert json.loads(line)["level"] in ("info", "warning", "debug")
            else:
                assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z \[(info|warning|debug) +\] ", line), line
                assert f'"{MARK}' not in line[:60]


@pytest.fixture(scope="module")
def logging_json() -> Iterator[Service]:
    env = {"SSE_PROGRESS_LOG_FORMAT": "json", "SSE_PROGRESS_LOG_LEVEL": "debug"}
    with running(env) as service:
        yield service


@pytest.mark.parametrize("case", BREAKS)
async def test_nothing_begins_a_frame_or_an_entry(
    anybody: Caller, logging_json: Service, case: str
) -> None:
    """File name, field names and values, claimed type: through streams, JSON and both log forms."""
    planted = f"{BREAKS[case]}{FRAME}{BREAKS[case]}"
    for caller, form in ((anybody, "console"), (Caller(logging_json), "json")):
        upload_id = new_id()
        extended = (
            f"filename*=UTF-8''{percent(planted.replace(chr(0xDCFF), '').replace(chr(0xDC80), ''))}"
        )
        parts = [
            Part(None, b"x", disposition=f'form-data; name="{MARK}"'),
            Part(
                None,
                b"x",
                disposition='form-data; name="n' + _plain(planted) + '"',
            ),
            Part("value", planted.encode("utf-8", "ignore")),
            Part(
                None,
                jpeg(40, 30),
                disposition=f'form-data; name="file"; {extended}',
                content_type=f"image/{MARK}; x={_plain(planted)}",
            ),
        ]
        raw = body(parts)
        answer = caller.post_raw(raw, upload_id=upload_id)
        assert answer.status in (200, 400), answer.body
        url = f"{caller.service.url}/upload/{upload_id}/progress"
        async with EventStream(url) as stream:
            async for _ in stream:
                pass
        events = check_stream(bytes(stream.raw))
        assert [event["stage"] for event in events[1:]].count("complete") <= 1
        assert events[-1]["stage"] in ("complete", "error")
        if answer.status == 200:
            told = answer.json["data"]["media"]
            assert events[-1]["media"] == told
            assert _CONTROL.search(told["filename"]) is None
            served = caller.ask("GET", told["url"])
            assert set(served.headers) <= ALLOWED
        assert _LINE_ENDS.search(answer.body.decode()) is None
        async with EventStream(f"{caller.service.url}/uploads/progress?id={upload_id}") as stream:
            async for frame in stream:
                if frame.json.get("type") == "reset":
                    break
        check_stream(bytes(stream.raw[: len(stream.raw) - len(stream.rest)]))
        check_log(caller.service.log, form=form)


ALLOWED = {
    "accept-ranges",
    "cache-control",
    "connection",
    "content-disposition",
    "content-length",
    "content-security-policy",
    "content-type",
    "cross-origin-resource-policy",
    "date",
    "etag",
    "last-modified",
    "referrer-policy",
    "vary",
    "x-content-type-options",
    "x-frame-options",
    "x-upload-id",
}


def _plain(text: str) -> str:
    """What a quoted parameter of a part's header may hold at all: no quotes, no line ends."""
    return re.sub(r'["\\\x00-\x1f\x7f\udc80-\udcff]', "", text)


HEADERS = ("User-Agent", "Referer", "X-Forwarded-For", "Cookie", "Accept", "Prefer", "Origin")


@pytest.mark.parametrize("name", [*HEADERS, "X-Upload-ID", "Last-Event-ID", "X-Request-ID"])
async def test_headers_write_no_log(anybody: Caller, logging_json: Service, name: str) -> None:
    """A header is either refused with its request, or comes nowhere as a line of its own."""
    for caller, form in ((anybody, "console"), (Caller(logging_json), "json")):
        for text in BREAKS.values():
            raw = request_bytes(
                caller.service,
                "GET",
                f"/upload/{MARK}",
                [("Connection", "close"), (name, text + FRAME)],
            )
            for answer in exchange(caller.service, raw, answers=3):
                assert answer.status < 500
                assert set(answer.headers) <= ALLOWED | {"retry-after", "allow"}
                check_silence(answer)
                assert _LINE_ENDS.search(answer.body.decode()) is None
        check_log(caller.service.log, form=form)


@pytest.mark.parametrize("case", BREAKS)
async def test_targets_write_no_log(anybody: Caller, logging_json: Service, case: str) -> None:
    """The same of paths, queries and ids, percent-encoded or raw."""
    text = f"{BREAKS[case]}{FRAME}"
    encoded = percent(text)
    for caller, form in ((anybody, "console"), (Caller(logging_json), "json")):
        for target in (
            f"/{encoded}",
            f"/upload/{encoded}",
            f"/upload/{encoded}/progress",
            f"/upload/a/files/{encoded}",
            f"/uploads?status={encoded}",
            f"/uploads?{encoded}",
            f"/uploads/progress?id={encoded}",
            f"/upload/a/progress?lastEventId={encoded}&heartbeat={encoded}",
            f"/client/{encoded}",
            "/" + re.sub(r"[\s\x00]", "", text),
        ):
            method = "HEAD" if target.endswith("progress") or "?lastEventId" in target else "GET"
            raw = request_bytes(caller.service, method, target, [])
            for answer in exchange(caller.service, raw) if method == "GET" else []:
                assert answer.status < 500
                check_silence(answer)
                assert _LINE_ENDS.search(answer.body.decode()) is None
        check_log(caller.service.log, form=form)


async def test_an_id_on_the_stream_of_a_refused_upload_stays_an_id(anybody: Caller) -> None:
    """A refused id comes back in no header: what is no id is not repeated."""
    head = [("Content-Type", content_type()), ("X-Upload-ID", f"a {MARK}"), ("Content-Length", "0")]
    (answer,) = exchange(anybody.service, request_bytes(anybody.service, "POST", "/upload", head))
    assert answer.status == 400
    assert MARK.encode() not in answer.body + repr(answer.headers).encode()
