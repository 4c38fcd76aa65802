"""What is read of a request's head and query, once for all who look."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from sse_progress.model.errors import BadRequest
from sse_progress.web.request_fields import (
    fields_of,
    first_header,
    has_body,
    joined_header,
    query_value,
    query_values,
    single_header,
)


def scope_of(*headers: tuple[bytes, bytes], query: bytes = b"") -> dict[str, Any]:
    return {"type": "http", "headers": [*headers], "query_string": query}


def test_values_of_a_header_stay_in_their_order() -> None:
    """Each name has all of its values, whatever stands between them, also for a copy of the
    scope."""
    scope = scope_of((b"a", b"1"), (b"b", b"2"), (b"a", b"3"))
    for asked in (scope, scope, {**scope, "method": "GET"}):
        assert fields_of(asked) == {b"a": [b"1", b"3"], b"b": [b"2"]}


def test_a_header_that_may_come_once_is_refused_twice() -> None:
    scope = scope_of((b"a", b"1"), (b"b", b"\xfc"), (b"a", b"1"))
    assert single_header(scope, b"b") == "ü"
    assert single_header(scope, b"c") is None
    with pytest.raises(BadRequest, match="The header A came 2 times"):
        single_header(scope, b"a")


def test_a_query_is_read_where_there_is_one() -> None:
    twice, none = Request(scope_of(query=b"a=1&a=2")), Request(scope_of())
    assert (query_values(twice, "a"), query_value(twice, "a")) == (["1", "2"], "2")
    assert (query_values(twice, "b"), query_value(twice, "b")) == ([], None)
    assert (query_values(none, "a"), query_value(none, "a")) == ([], None)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ((b"content-length", b"0"), False),
        ((b"content-length", b"1"), True),
        ((b"transfer-encoding", b"chunked"), True),
        ((b"accept", b"*/*"), False),
    ],
)
def test_a_body_is_announced(header: tuple[bytes, bytes], *, expected: bool) -> None:
    assert has_body(scope_of(header)) is expected


def test_values_of_one_header_are_one_list() -> None:
    """An empty value is one that was sent; no value is None."""
    scope = scope_of((b"a", b"1"), (b"b", b""), (b"a", b"\xfc"))
    assert [joined_header(scope, name) for name in (b"a", b"b", b"c")] == ["1, ü", "", None]
    assert [first_header(scope, name) for name in (b"a", b"b", b"c")] == ["1", "", None]
