"""Parts told apart at once, beside python-multipart, which is asked about whatever is not usual."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sse_progress.ingest import part_parser
from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.ingest.multipart import MultipartForm
from sse_progress.model.errors import Problem
from tests.helpers.multipart import BOUNDARY, Part, body, file_part

LIMITS = ReceiveLimits(
    max_upload_bytes=400, max_parts=4, max_part_headers=3, max_part_headers_bytes=120
)
DELIMITER = b"\r\n--" + BOUNDARY.encode()


def understood(chunks: list[bytes]) -> object:
    form = MultipartForm(BOUNDARY.encode(), LIMITS)
    try:
        content = b"".join(b"".join(form.feed(chunk)) for chunk in chunks)
        form.finish()
    except Problem as problem:
        return type(problem)
    return content, form.filename, form.claimed_type, form.fields, form.file_bytes


@contextmanager
def python_multipart_alone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part_parser, "_HEADER", re.compile(rb"(?!)"))
        yield


@contextmanager
def without_python_multipart() -> Iterator[None]:
    def unexpected(*_: object, **__: object) -> None:
        raise AssertionError("handed over")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part_parser, "_Other", unexpected)
        yield


LINES = st.sampled_from(
    [
        *(b'Content-Disposition: form-data; name="a"; filename="b.txt"\r\n',) * 3,
        *(b'content-disposition:form-data; name="c"\r\n',) * 2,
        b"Content-Type: text/plain\r\n",
        b"Content-Type:   image/png \r\n",
        *(b"X-Empty:\r\n", b"X-Tab:\tv\r\n", b"X Bad: v\r\n", b"X-Long: " + b"v" * 99 + b"\r\n"),
        *(b"X-Bare: v\n\r\n", b"X-Torn: v\r", b"X-Nul: \0\r\n", b"X-Raw: \xff\r\n", b":v\r\n"),
    ]
)
CONTENT = st.sampled_from(
    [
        b"",
        b"x",
        b"\r\n",
        b"\r",
        b"-",
        b"--",
        DELIMITER[:-1],
        DELIMITER[2:],
        DELIMITER[:3],
        b"y" * 60,
    ]
)
ENDS = st.sampled_from(
    [*(b"\r\n",) * 6, *(b"--\r\n",) * 3, b"--", b"-", b" \r\n", b"x\r\n", b"\r", b"-\r\n", b""]
)
PARTS = st.lists(
    st.tuples(st.lists(LINES, max_size=4), st.lists(CONTENT, max_size=3), ENDS), max_size=5
)


def sent(parts: list[tuple[list[bytes], list[bytes], bytes]]) -> bytes:
    found = DELIMITER[2:] + b"\r\n"
    for headers, content, end in parts:
        found += b"".join(headers) + b"\r\n" + b"".join(content) + DELIMITER + end
    return found


FILE = b'Content-Disposition: form-data; name="a"; filename="b.txt"\r\n'


@settings(max_examples=400, deadline=None)
@given(PARTS, st.lists(st.integers(0, 600), max_size=4))
@example([([FILE], [b"x"], b"--\r\n")], [])
@example([([FILE], [b"x"], b"--\r\n")], [len(DELIMITER) + len(FILE) + 2])
@example([([FILE, b"X-Long: " + b"v" * 99 + b"\r\n"], [b"x"], b"--")], [])
@example([([FILE, *(b"X: y\r\n",) * 3], [b"x"], b"--")], [])
@example([([FILE], [b"x", DELIMITER[:-1], b"y"], b"--")], [])
@example([([FILE], [b"x"], b"x\r\n"), ([], [b"y"], b"--")], [])
@example([([FILE], [], b"--\r\n"), ([], [], b"\r\n"), ([], [], b"\r\n")], [])
def test_no_body_is_understood_otherwise(
    parts: list[tuple[list[bytes], list[bytes], bytes]], places: list[int]
) -> None:
    """Whole or cut anywhere, a body is what python-multipart alone takes it for, or refused as
    then."""
    whole = sent(parts)
    cuts = sorted({min(place, len(whole)) for place in places})
    chunks = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    found = understood(chunks)
    with python_multipart_alone():
        assert understood(chunks) == found


CHUNKED: list[Callable[[bytes], list[bytes]]] = [
    lambda whole: [whole],
    lambda whole: [whole[:300], whole[300:]],
]


@pytest.mark.parametrize("chunked", CHUNKED)
def test_what_clients_send_is_told_apart_at_once(chunked: Callable[[bytes], list[bytes]]) -> None:
    """A file with fields before and after it never reaches python-multipart."""
    whole = body([Part("a", b"1"), file_part(b"\r\n" + b"x" * 200, "p.jpg"), Part("b", b"2")])
    with without_python_multipart():
        found = understood(chunked(whole))
    assert found == (
        b"\r\n" + b"x" * 200,
        "p.jpg",
        "image/jpeg",
        {"a": "1", "b": "2"},
        202,
    )
