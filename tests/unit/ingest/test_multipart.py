"""What a body may look like, and every limit on it."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sse_progress.ingest.limits import ReceiveLimits, declared_too_large
from sse_progress.ingest.multipart import MultipartForm
from sse_progress.ingest.part_headers import content_type_boundary
from sse_progress.model.errors import (
    MalformedMultipart,
    Problem,
    TooLarge,
    UnexpectedPart,
    UnsupportedMediaType,
)
from tests.helpers.multipart import BOUNDARY, Part, body, file_part

DELIMITER = b"\r\n--" + BOUNDARY.encode()
SMALL = ReceiveLimits(max_upload_bytes=1000, max_fields_bytes=100, max_parts=5)


def parse(
    chunks: Iterable[bytes], *, boundary: str = BOUNDARY, limits: ReceiveLimits | None = None
) -> tuple[MultipartForm, bytes]:
    form = MultipartForm(boundary.encode(), limits or ReceiveLimits())
    content = b"".join(b"".join(form.feed(chunk)) for chunk in chunks)
    form.finish()
    return form, content


def facts(parsed: tuple[MultipartForm, bytes]) -> tuple[Any, ...]:
    form, content = parsed
    return content, form.filename, form.claimed_type, form.fields, form.file_bytes, form.body_bytes


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in places} | {len(data)})
    return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def part(disposition: str, content: bytes = b"x", *headers: str) -> bytes:
    return body([Part(None, content, disposition=disposition, headers=headers)])


# ---- the Content-Type of the request


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ("Multipart/Form-Data;BOUNDARY=abc", b"abc"),
        ('multipart/form-data; boundary="a b:c"', b"a b:c"),
        ("multipart/form-data; boundary=a:b/c=d?e", b"a:b/c=d?e"),
        ("multipart/form-data; charset=utf-8; boundary=abc;", b"abc"),
        ("  multipart/form-data ; boundary=abc  ", b"abc"),
        (f"multipart/form-data; boundary={'x' * 70}", b"x" * 70),
    ],
)
def test_a_boundary_is_read(header: str, boundary: bytes) -> None:
    """Quoted or not, in any case and order, between other parameters, of 1 to 70 characters."""
    assert content_type_boundary(header) == boundary


@pytest.mark.parametrize(
    "header",
    [
        "",
        "application/json",
        "multipart/mixed; boundary=abc",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        'multipart/form-data; boundary="abc',
        'multipart/form-data; boundary="abc "',
        "multipart/form-data; boundary=a b",
        "multipart/form-data; boundary=a\r\nb",
        'multipart/form-data; boundary="a\nb"',
        "multipart/form-data; boundary=a\\b",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=a; BOUNDARY=a",
        "multipart/form-data boundary=abc",
        "multipart/form-data, multipart/form-data; boundary=abc",
        "multipart/form-data; boundary=ä",
        "multipart/form-data; boundary=\u20ac",
        f"multipart/form-data; boundary={'x' * 71}",
        f"multipart/form-data; boundary=abc; padding={'x' * 1024}",
    ],
)
def test_a_header_without_one_boundary_is_refused(header: str) -> None:
    """Anything that is not multipart/form-data, or that could be read in two ways."""
    with pytest.raises(UnsupportedMediaType):
        content_type_boundary(header)


@pytest.mark.parametrize(
    "filler", [";", " ", '"', '\\"', 'x="', "; ", '; a="\\', "x" * 20 + "!", "x=\\"]
)
def test_a_header_made_to_be_slow_is_not(filler: str) -> None:
    """A part's header of 100 kB costs one pass, without backtracking (CVE-2024-24762)."""
    limits = ReceiveLimits(max_part_headers_bytes=200_000, max_overhead_bytes=300_000)
    hostile = part("form-data; name=a" + filler * (100_000 // len(filler)))
    began = time.process_time()
    with pytest.raises(Problem):
        parse([hostile], limits=limits)
    # One pass takes milliseconds, a quadratic scan of it minutes.
    assert time.process_time() - began < 10


@given(st.text(max_size=80).map(lambda text: f"multipart/form-data; {text}"))
@example('multipart/form-data; boundary="\\"')
def test_any_header_is_read_or_refused(header: str) -> None:
    """No header makes anything but a legal boundary or the one named problem."""
    try:
        boundary = content_type_boundary(header)
    except UnsupportedMediaType:
        return
    assert 1 <= len(boundary) <= 70


def test_a_length_that_cannot_fit_is_refused_before_the_body() -> None:
    """A Content-Length beyond file, fields and everything around them is too large, in numbers."""
    most = SMALL.max_upload_bytes
    assert declared_too_large(SMALL.max_body_bytes, SMALL, most_bytes=most) is None
    problem = declared_too_large(SMALL.max_body_bytes + 1, SMALL, most_bytes=most)
    assert isinstance(problem, TooLarge)
    assert str(SMALL.max_body_bytes + 1) in problem.detail
    assert "1000" in problem.detail


# ---- whole bodies


def test_file_and_fields_are_told_apart() -> None:
    """The part with a file name is the file; others are fields, repeated ones a list, in order."""
    sent = body(
        [
            Part("title", b"caf\xc3\xa9"),
            Part("tag", b"a"),
            file_part(b"\0\r\n--content", "p.jpg", "Image/JPEG; q=1"),
            Part("tag", b"b"),
            Part("tag", b"\0"),
            Part("empty", b""),
        ]
    )
    form, content = parse([sent])
    assert content == b"\0\r\n--content"
    assert form.fields == {"title": "café", "tag": ["a", "b", "\0"], "empty": ""}
    assert (form.filename, form.claimed_type) == ("p.jpg", "image/jpeg")
    assert (form.file_bytes, form.body_bytes) == (12, len(sent))


FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *(b"\r", b"\n", b"\r\n", b"-", b"--", b"\0", b"x", b"x" * 50, BOUNDARY.encode()),
            *(DELIMITER, DELIMITER[:-1], DELIMITER[2:], DELIMITER[:3], b"\r\n-" + DELIMITER[3:]),
        ]
    ),
    max_size=12,
).map(b"".join)


@settings(max_examples=300)
@given(FRAGMENTS, FRAGMENTS, st.lists(st.integers(0, 900), max_size=20), st.booleans())
def test_chunks_do_not_matter(first: bytes, second: bytes, places: list[int], single: bool) -> None:
    """Content made of pieces of the boundary is the same however the body is cut into chunks."""
    sent = body([file_part(first), Part("a", second)])
    try:
        whole = facts(parse([sent]))
    except Problem:
        # The boundary stood in the content by chance: then no cut may accept it differently.
        whole = None
    chunks = [sent[i : i + 1] for i in range(len(sent))] if single else cut(sent, places)
    try:
        assert facts(parse(chunks)) == whole
    except Problem:
        assert whole is None


@given(FRAGMENTS.filter(lambda content: DELIMITER not in b"\r\n" + content + b"\r\n"))
def test_content_near_the_boundary_arrives_unchanged(content: bytes) -> None:
    """Without a line that begins with the boundary, every content is legal and kept (RFC 2046)."""
    assert parse([body([file_part(content)])])[1] == content


def test_every_truncation_is_refused() -> None:
    """A body that ends anywhere before its closing boundary is never a shorter file."""
    sent = body([Part("a", b"1"), file_part(b"content"), Part("b", b"2")])
    end = sent.rindex(b"--\r\n") + 2
    for length in range(end):
        with pytest.raises(MalformedMultipart):
            parse([sent[:length]])
    for length in range(end, len(sent) + 1):
        assert parse([sent[:length]])[1] == b"content"


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 6), st.binary(max_size=6)),
        min_size=1,
        max_size=6,
    ),
    st.lists(st.integers(0, 400), max_size=4),
)
def test_broken_bodies_are_refused_or_understood(
    edits: list[tuple[int, int, bytes]], places: list[int]
) -> None:
    """Bytes changed, dropped or added anywhere lead to a named problem or to a whole form."""
    sent = bytearray(body([Part("a", b"1"), file_part(b"content\r\n" * 3), Part("b", b"2")]))
    for at, width, new in edits:
        sent[at : at + width] = new
    try:
        form, content = parse(cut(bytes(sent), places))
    except (MalformedMultipart, UnexpectedPart, TooLarge):
        return
    assert len(content) == form.file_bytes


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (b"", MalformedMultipart),
        (b"\r\n", MalformedMultipart),
        (b"no multipart at all", MalformedMultipart),
        (f"--{BOUNDARY}--\r\n".encode(), MalformedMultipart),
        (f"--{BOUNDARY}\r\n\r\n--{BOUNDARY}--\r\n".encode(), MalformedMultipart),
        (f"--{BOUNDARY}x\r\n".encode(), MalformedMultipart),
        (f"--{BOUNDARY}\n".encode(), MalformedMultipart),
        (body([Part("a", b"1")]), UnexpectedPart),
        (body([file_part(b"1"), file_part(b"2")]), UnexpectedPart),
        (body([file_part(DELIMITER[2:] + b"\r\n")]), MalformedMultipart),
        (body([Part("a", DELIMITER[2:]), file_part(b"1")]), MalformedMultipart),
    ],
)
def test_bodies_that_are_no_upload(sent: bytes, problem: type[Problem]) -> None:
    """Empty, without parts, without a file or with two: each has its name."""
    with pytest.raises(problem):
        parse([sent])


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        ("image/png", True),
        ("application/octet-stream", True),
        ("Video/MP4; codecs=x", True),
        ("text/plain", False),
        ("application/json; charset=utf-8", False),
        ("", False),
    ],
)
def test_a_file_without_a_filename_is_named_as_that(kind: str, refused: bool) -> None:
    """A part with a type of files and no filename is refused at its headers, saying what it needs;
    texts and JSON are fields."""
    headers = (f"Content-Type: {kind}",) if kind else ()
    sent = part('form-data; name="photo"', b"x", *headers)
    with pytest.raises(UnexpectedPart, match="filename") as caught:
        parse([sent])
    assert ("photo" in caught.value.detail) == refused


def test_one_file_input_may_stay_empty() -> None:
    """A form's second file input where nobody chose a file is no file; with a byte it is one."""
    unchosen = file_part(b"", "", "application/octet-stream")
    assert parse([body([unchosen, file_part(b"1"), unchosen])])[1] == b"1"
    assert parse([body([file_part(b"1", "")])])[0].filename == "file"
    with pytest.raises(UnexpectedPart):
        parse([body([unchosen])])
    with pytest.raises(UnexpectedPart):
        parse([body([file_part(b"1"), file_part(b"2", "")])])


def test_an_empty_file_is_a_file() -> None:
    """A chosen file without a byte is received; refusing it is a stage's business."""
    form, content = parse([body([file_part(b"", "empty.txt")])])
    assert (form.filename, content, form.file_bytes) == ("empty.txt", b"", 0)


def test_what_stands_around_the_body_is_ignored() -> None:
    """A preamble before the first boundary and an epilogue after the last mean nothing."""
    sent = body([file_part(b"1")])
    for around in (b"\r\n" + sent, b"for - old readers\r\n--x\r\n" + sent + b"\r\nbye"):
        for width in (1, 7, len(around)):
            chunks = [around[i : i + width] for i in range(0, len(around), width)]
            assert parse(chunks)[1] == b"1"


@pytest.mark.parametrize("width", [1, 7, 10**6])
def test_padding_after_a_boundary_is_ignored(width: int) -> None:
    """Spaces between any boundary and its line end are legal (RFC 2046 §5.1.1)."""
    sent = body([file_part(b"1"), Part("a", b"2")])
    padded = (b"\r\n" + sent).replace(DELIMITER + b"\r\n", DELIMITER + b" \t \r\n")[2:]
    assert len(padded) == len(sent) + 2 * 3
    form, content = parse([padded[at : at + width] for at in range(0, len(padded), width)])
    assert (content, form.fields) == (b"1", {"a": "2"})


# ---- parts


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('form-data; name="f"; filename="a.txt"', "a.txt"),
        ("form-data; name=f; filename=a.txt", "a.txt"),
        ('FORM-DATA; Name="f"; FileName="a.txt";', "a.txt"),
        ('form-data; name="f"; filename="a;b=c.txt"', "a;b=c.txt"),
        ('form-data; name="f"; filename="a\\"b\\\\c.txt"', "c.txt"),
        ('form-data; name="f"; filename="C:\\dir\\new.txt"', "new.txt"),
        ('form-data; name="f"; filename="../../x.txt"', "x.txt"),
        ('form-data; name="f"; filename="na\u00efve.txt"', "na\u00efve.txt"),
        ('form-data; name="f"; filename="\udcff.txt"', "_.txt"),
        ("form-data; name=f; filename*=UTF-8''na%C3%AFve.txt", "na\u00efve.txt"),
        ("form-data; name=f; filename*=iso-8859-1'en'%A3.txt", "£.txt"),
        ("form-data; name=f; filename*=UTF-8''it's.txt", "it's.txt"),
        ("form-data; name=f; filename=a.txt; filename*=UTF-8''b.txt", "b.txt"),
        ("form-data; name=f; filename*=UTF-8''b.txt; filename=a.txt", "b.txt"),
        ("form-data; name=f; filename=a.txt; filename*=UTF-8''", "a.txt"),
        ("form-data; name=f; filename*=UTF-8''..%2F..%2Fb.txt", "b.txt"),
        ("form-data; name=f; filename*=UTF-8''a%0D%0Ab.txt", "a b.txt"),
        ('form-data; name=""; filename="a.txt"', "a.txt"),
    ],
)
def test_file_names_are_read(disposition: str, filename: str) -> None:
    """Quoted, bare, with browsers' backslashes, or RFC 8187's; always a cleaned base name."""
    assert parse([part(disposition)])[0].filename == filename


@pytest.mark.parametrize(
    "disposition",
    [
        "",
        "attachment; filename=a",
        "form-data",
        "form-data; filename=a",
        'form-data; name="a',
        'form-data; name="a"b; filename=x',
        "form-data; name=a; name=b; filename=x",
        "form-data; name=a; filename=x; filename=y",
        "form-data; name=a; filename*=UTF-8''x; filename*=UTF-8''y",
        "form-data; name=a; filename=x y",
        "form-data; name=a; filename",
        "form-data; name=a; filename=",
        "form-data; name*=UTF-8''a; filename=x",
        "form-data; name=a; filename*0=x",
        "form-data; name=a; filename*0*=UTF-8''x",
        "form-data; name=a; filename*=x",
        "form-data; name=a; filename*=UTF-8''%FF",
        "form-data; name=a; filename*=UTF-7''x",
        "form-data; name=a, filename=x",
        'form-data; name="\udcff"; filename=x',
        'form-data; name="a\0"; filename=x',
        'form-data; name="a\nX: y"; filename=x',
        'form-data; name=a; filename="C:\\dir\\"',
    ],
)
def test_dispositions_that_can_be_read_in_two_ways_are_refused(disposition: str) -> None:
    """Missing, doubled, unterminated, continued or not UTF-8: no guess is made."""
    with pytest.raises(MalformedMultipart):
        parse([part(disposition)])


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        (("Content-Transfer-Encoding: binary",), True),
        (("content-transfer-encoding: 8BIT ",), True),
        (("Content-Transfer-Encoding: base64",), False),
        (("Content-Transfer-Encoding: quoted-printable",), False),
        (("Content-Disposition: form-data; name=b; filename=y",), False),
        (("Content-Type: a/b", "Content-Type: a/b"), False),
        (("X-A: 1", "X-A: 2"), True),
        (("X-A: \0",), False),
        (("X-A: 1\n folded",), False),
        (("X A: 1",), False),
        ((" folded: 1",), False),
        ((": 1",), False),
        (tuple(f"X-{i}: 1" for i in range(7)), True),
        (tuple(f"X-{i}: 1" for i in range(8)), False),
        ((f"X-A: {'x' * 8000}",), True),
        ((f"X-A: {'x' * 9000}",), False),
        ((f"X-A:{' ' * 9000}1",), False),
        ((f"X-{'a' * 9000}: 1",), False),
        ((f"X-A: {'x' * 5000}", f"X-B: {'x' * 5000}"), False),
    ],
)
def test_part_headers_have_rules_and_limits(headers: tuple[str, ...], accepted: bool) -> None:
    """At most 8 headers and 8 KiB a part, no encodings, no doubles, no control characters."""
    sent = part("form-data; name=f; filename=x", b"1", *headers)
    chunks = ([sent], [sent[i : i + 1] for i in range(len(sent))])
    for one in chunks:
        if accepted:
            assert parse(one)[1] == b"1"
        else:
            with pytest.raises(MalformedMultipart):
                parse(one)


@pytest.mark.parametrize(
    ("claim", "claimed"),
    [
        (None, "application/octet-stream"),
        ("text/plain; charset=utf-8", "text/plain"),
        ("IMAGE/PNG", "image/png"),
        ("nonsense", "application/octet-stream"),
        ("a/b/c", "application/octet-stream"),
        ("text/<script>", "application/octet-stream"),
        ("x/" + "y" * 200, "application/octet-stream"),
    ],
)
def test_a_claimed_type_is_a_media_type_or_nothing(claim: str | None, claimed: str) -> None:
    """What a client says of its file is kept as type/subtype, or not at all."""
    assert parse([body([file_part(b"1", content_type=claim)])])[0].claimed_type == claimed


def test_a_field_must_be_utf8() -> None:
    """A field's bytes are text, or the body is refused; they are never mended."""
    with pytest.raises(MalformedMultipart, match="UTF-8"):
        parse([body([file_part(b"1"), Part("a", b"\xff")])])


# ---- limits


def test_a_file_over_the_limit_stops_at_once() -> None:
    """The chunk that crosses the limit raises, and the message carries both numbers."""
    head = body([file_part(b"")], closed=False)[:-2]
    form = MultipartForm(BOUNDARY.encode(), SMALL)
    form.feed(head + b"x" * 1000)
    with pytest.raises(TooLarge, match=r"1001 bytes or more, limit 1000"):
        form.feed(b"x")
    assert parse([body([file_part(b"x" * 1000)])], limits=SMALL)[0].file_bytes == 1000


def test_fields_have_one_limit_together() -> None:
    """Names and values of all fields count, and 16 KiB is what the default lets through."""
    fits = [file_part(b"1"), Part("ab", b"x" * 48), Part("cd", b"y" * 48)]
    assert len(parse([body(fits)], limits=SMALL)[0].fields) == 2
    for more in (Part("ab", b"x" * 49), Part("abc", b"x" * 48)):
        with pytest.raises(TooLarge, match=r"limit 100\. A file part needs a filename"):
            parse([body([*fits[:2], more])], limits=SMALL)
    assert ReceiveLimits().max_fields_bytes == 16 * 1024


@pytest.mark.parametrize("text", ["\x01", "\x85"])
def test_fields_that_grow_as_json_are_refused(text: str) -> None:
    """`complete` holds all fields in 64 KiB, so what would not fit there is not taken in."""
    most = ReceiveLimits().max_fields_bytes - 1
    plain = Part("a", b'"' * most)  # two bytes each, as quotes and line ends are
    assert parse([body([file_part(b"1"), plain])])[0].fields == {"a": '"' * most}
    grows = (text * most).encode()[:most].decode("utf-8", "ignore").encode()
    with pytest.raises(TooLarge, match=r"as JSON, limit 36864"):
        parse([body([file_part(b"1"), Part("a", grows)])])
    half = len(grows) // 4 // len(text.encode()) * len(text.encode())
    with pytest.raises(TooLarge, match="as JSON"):
        parse([body([file_part(b"1"), *(Part(n, grows[:half]) for n in "abcd")])])


def test_parts_are_counted() -> None:
    """The part after the last allowed one is refused, whatever it is (CVE-2023-30798)."""
    parts = [file_part(b"1"), *(Part("a", b"") for _ in range(4))]
    assert parse([body(parts)], limits=SMALL)[1] == b"1"
    for more in (Part("a", b""), file_part(b"", "")):
        with pytest.raises(UnexpectedPart, match="5"):
            parse([body([*parts, more])], limits=SMALL)


@pytest.mark.parametrize("width", [1, 1000, 10**6])
def test_nothing_but_padding_can_be_sent_for_ever(width: int) -> None:
    """Preamble, epilogue and padding end in a refusal, soon after their limit (CVE-2026-40347)."""
    limits = ReceiveLimits(max_overhead_bytes=5000)
    sent = body([file_part(b"1")])
    floods = [
        b"p" * 20_000,
        b"\r\n" * 10_000,
        DELIMITER[:-1] * 1000,
        DELIMITER[2:] + b" \t" * 10_000,
        sent + b"e" * 20_000,
        sent[: -len(b"--\r\n")] + b" " * 20_000,
    ]
    for flood in floods:
        form = MultipartForm(BOUNDARY.encode(), limits)
        chunks = [flood[at : at + width] for at in range(0, len(flood), width)]
        with pytest.raises(MalformedMultipart):
            collections.deque(map(form.feed, chunks), maxlen=0)
        limit = 5000 if flood.startswith(sent[:50]) else 1024
        assert form.body_bytes <= limit + len(DELIMITER) + width


def test_the_overhead_limit_is_exact_however_the_body_is_cut() -> None:
    """A body at the limit is accepted and one byte more is refused, in one chunk or in many."""
    sent = body([file_part(DELIMITER[:-1] + b"\r"), Part("a", b"12")])
    overhead = len(sent) - len(DELIMITER) - 2
    for chunks in ([sent], [sent[i : i + 1] for i in range(len(sent))]):
        parse(chunks, limits=ReceiveLimits(max_overhead_bytes=overhead))
        with pytest.raises(MalformedMultipart, match="around"):
            parse(chunks, limits=ReceiveLimits(max_overhead_bytes=overhead - 1))


@pytest.mark.parametrize("boundary", ["b", BOUNDARY])
def test_content_full_of_the_boundary_is_refused(boundary: str) -> None:
    """What costs most to parse, and no legal sender makes, is given up after a few of it."""
    near_miss = f"\r\n--{boundary}x".encode()
    sent = body([file_part(near_miss * 5)], boundary=boundary)
    assert parse([sent], boundary=boundary)[1] == near_miss * 5
    sent = body([file_part(near_miss * 150)], boundary=boundary)
    with pytest.raises(MalformedMultipart, match="inside the content"):
        parse([sent], boundary=boundary)
