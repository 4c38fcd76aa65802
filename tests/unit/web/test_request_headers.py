"""What a request asks for: Accept, Prefer, If-None-Match, positions, lengths, numbers."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from sse_progress.model.errors import BadRequest, InvalidUploadId
from sse_progress.model.ids import GONE, Position
from sse_progress.web.request_headers import (
    content_length,
    etag_matches,
    etag_of,
    integer,
    path_upload_id,
    position_of,
    preference,
    wait_s,
    wants_json,
)

HEADER_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)


def request(*headers: tuple[str, str], query: str = "", **more: Any) -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers],
            "path_params": {},
            **more,
        }
    )


# ---- Accept


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/event-stream", False),
        ("application/json", True),
        ("APPLICATION/JSON", True),
        ("application/json;q=0.5", True),
        ("application/json; charset=utf-8", True),
        ("application/json, text/event-stream", False),
        ("application/json;q=0.9, text/event-stream;q=0.8", True),
        ("application/json;q=0.8, text/event-stream", False),
        ("application/json;q=0", False),
        ("application/json;q=nonsense", False),
        ("text/html, application/json ; q=0.7, */*;q=0.1", True),
        ("application/*", False),
        ("application/problem+json", False),
        (",,;;q=,", False),
    ],
)
def test_json_has_to_be_asked_for_by_name(accept: str | None, json: bool) -> None:
    """`*/*` and no Accept mean the stream, and so does a stream that is as welcome as JSON."""
    given = [] if accept is None else [("Accept", accept)]
    assert wants_json(request(*given)) is json


def test_several_accept_headers_are_one() -> None:
    """A list may be spread over lines (RFC 9110 §5.3)."""
    assert wants_json(request(("Accept", "text/html"), ("Accept", "application/json")))


@given(HEADER_TEXT)
def test_no_header_breaks_the_reading(text: str) -> None:
    """Whatever is sent is understood or ignored; nothing raises."""
    asked = request(
        ("Accept", text), ("Prefer", text), ("If-None-Match", text), ("Last-Event-ID", text)
    )
    assert wants_json(asked) in (True, False)
    assert 0 <= wait_s(asked) <= 60
    assert etag_matches(asked, '"e-1"') in (True, False)
    position_of(asked)


# ---- Prefer


@pytest.mark.parametrize(
    ("prefer", "found"),
    [
        ("respond-async", ""),
        ("Respond-Async", ""),
        ("wait=10, respond-async", ""),
        ("respond-async; x=y", ""),
        ('respond-async="1"', "1"),
        ("respond-asynchronously", None),
        ("return=minimal", None),
        ("", None),
    ],
)
def test_a_preference_is_found_by_its_name(prefer: str, found: str | None) -> None:
    """Names in any case, among others, with or without value or parameters (RFC 7240 §2)."""
    assert preference(request(("Prefer", prefer)), "respond-async") == found


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=25", 25),
        ('wait="25"', 25),
        ("respond-async, wait=3", 3),
        ("wait=0", 0),
        ("wait=86400", 60),
        ("wait=-5", 0),
        ("wait=1.5", 0),
        ("wait=x", 0),
        ("wait", 0),
        ("wait=²", 0),
        ("wait=" + "9" * 50, 60),
    ],
)
def test_waiting_is_bounded(prefer: str, seconds: int) -> None:
    """60 s at most; what is no number of seconds is no wait."""
    assert wait_s(request(("Prefer", prefer))) == seconds


def test_a_wait_that_was_not_asked_for_is_none() -> None:
    """No Prefer, no wait."""
    assert wait_s(request()) == 0


def test_a_number_of_absurd_length_is_no_error() -> None:
    """Thousands of digits, which int() refuses, are still more than the bound."""
    assert wait_s(request(("Prefer", "wait=" + "9" * 5000))) == 60


# ---- If-None-Match


@pytest.mark.parametrize(
    ("given_tag", "matches"),
    [
        ('"e-7"', True),
        ('W/"e-7"', True),
        ('"x", "e-7"', True),
        ("*", True),
        ('"e-8"', False),
        ("e-7", False),
        ('w/"e-7"', False),
        ("", False),
    ],
)
def test_etags_are_compared_weakly(given_tag: str, matches: bool) -> None:
    """One of a list, weak or not, or `*` (RFC 9110 §13.1.2)."""
    assert etag_of(Position("e", 7)) == '"e-7"'
    assert etag_matches(request(("If-None-Match", given_tag)), '"e-7"') is matches


# ---- positions


def test_the_header_outweighs_the_query() -> None:
    """EventSource sends the header on a reconnect, though its URL still has the old query."""
    both = request(("Last-Event-ID", "e-9"), query="lastEventId=e-3")
    assert position_of(both) == Position("e", 9)
    assert position_of(request(query="lastEventId=e-3")) == Position("e", 3)
    assert position_of(request(("Last-Event-ID", ""), query="lastEventId=")) is None
    assert position_of(request()) is None
    assert position_of(request(("Last-Event-ID", "gone-0"))) == GONE


@given(
    st.text(st.sampled_from("0123456789abcdef"), min_size=1, max_size=64),
    st.integers(0, 10**15 - 1),
)
def test_every_position_that_is_told_can_be_presented(epoch: str, seq: int) -> None:
    """By header and by query."""
    position = Position(epoch, seq)
    assert position_of(request(("Last-Event-ID", str(position)))) == position
    assert position_of(request(query=f"lastEventId={quote(str(position))}")) == position


@given(HEADER_TEXT.filter(lambda text: text))
def test_anything_else_is_a_position_in_no_journal(text: str) -> None:
    """Presented and unknown: that is answered with a reset, not with silence from the beginning."""
    found = position_of(request(("Last-Event-ID", text)))
    assert found is not None
    assert found == Position("", 0) or str(found) == f"{found.epoch}-{found.seq}"
    if not text[-1:].isdigit() or "-" not in text:
        assert found == Position("", 0)


# ---- lengths, numbers, ids


@pytest.mark.parametrize(("value", "length"), [("0", 0), ("12", 12), ("007", 7)])
def test_a_length_is_a_number_of_bytes(value: str, length: int) -> None:
    """Digits, nothing else."""
    assert content_length(request(("Content-Length", value))) == length


@pytest.mark.parametrize("value", ["", "-1", "+1", "1.0", "1e3", "0x10", "²", "1,2", "9" * 5000])
def test_any_other_length_is_refused(value: str) -> None:
    """With 400, not 500."""
    with pytest.raises(BadRequest):
        content_length(request(("Content-Length", value)))


def test_a_chunked_body_has_no_length() -> None:
    """Nothing announced is not zero."""
    assert content_length(request()) is None


@pytest.mark.parametrize(
    ("query", "number"), [("", 50), ("limit=1", 1), ("limit=200", 200), ("other=7", 50)]
)
def test_a_number_from_the_query(query: str, number: int) -> None:
    """Its default where it was not given."""
    assert integer(request(query=query), "limit", default=50, check=lambda n: n <= 200) == number


@pytest.mark.parametrize("value", ["", "201", "-1", "x", "1.5", "%C2%B2", "9" * 40])
def test_a_number_out_of_range_is_refused_by_name(value: str) -> None:
    """The refusal says which parameter is meant."""
    with pytest.raises(BadRequest, match="limit"):
        integer(request(query=f"limit={value}"), "limit", default=50, check=lambda n: n <= 200)


@pytest.mark.parametrize("upload_id", ["a", "A.b_c~d-9", "9", "x" * 128])
def test_an_id_in_the_path_is_noted_for_the_answer(upload_id: str) -> None:
    """Every answer carries `X-Upload-ID` once the id is known to be valid."""
    asked = request(path_params={"upload_id": upload_id})
    assert path_upload_id(asked) == upload_id
    assert asked.state.upload_id == upload_id


@pytest.mark.parametrize("upload_id", ["", ".a", "-a", "a b", "a/b", "ü", "x" * 129, "a\n", "a:b"])
def test_an_invalid_id_is_refused_and_not_noted(upload_id: str) -> None:
    """What could break a header or a key goes no further."""
    asked = request(path_params={"upload_id": upload_id})
    with pytest.raises(InvalidUploadId):
        path_upload_id(asked)
    assert not hasattr(asked.state, "upload_id")
