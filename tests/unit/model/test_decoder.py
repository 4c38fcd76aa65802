"""The event-stream decoder, against the letter of WHATWG HTML §9.2.6."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sse_progress.model.sse import Decoder, ServerSentEvent, frame, retry

BOM = b"\xef\xbb\xbf"


def decode(*chunks: bytes) -> list[ServerSentEvent]:
    decoder = Decoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def feed_in_pieces(decoder: Decoder, raw: bytes, size: int, seen: list[str]) -> None:
    for at in range(0, len(raw), size):
        seen.extend(event.data for event in decoder.feed(raw[at : at + size]))


def by_the_letter(raw: bytes) -> tuple[list[tuple[str, str, str]], str, int | None]:
    """The standard's algorithm over the whole stream at once: events, last id, retry."""
    text = raw.decode("utf-8", "replace")
    text = text[1:] if text[:1] == "\ufeff" else text
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]
    data = event = id_buffer = last_id = ""
    retry_ms: int | None = None
    out = []
    for line in lines:
        if line == "":
            last_id = id_buffer
            if data != "":
                out.append((event or "message", data[:-1], last_id))
            data = event = ""
        elif line[0] != ":":
            at = line.find(":")
            field, value = (line, "") if at < 0 else (line[:at], line[at + 1 :])
            value = value[1:] if value[:1] == " " else value
            if field == "event":
                event = value
            elif field == "data":
                data += value + "\n"
            elif field == "id" and "\0" not in value:
                id_buffer = value
            elif field == "retry" and value and all(c in "0123456789" for c in value):
                retry_ms = min(int(value), 10**15)
    return out, last_id, retry_ms


PIECES = st.sampled_from(
    [
        b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b":", b": note", b" ", b"\0",
        b"data", b"data:", b"data: ", b"data:  two", b"data: {}", b"data\xef\xbb\xbf:x",
        b"id", b"id:", b"id: 7f-1", b"id: a\0b", b"event: heartbeat", b"event:", b"event",
        b"retry: 2000", b"retry: 2s", b"retry:", b"retry: \xd9\xa1", b"Data: no", b"unknown: x",
        BOM, b"\xc3", b"\xa9", b"\xe2\x80\xa8", b"\xf0\x9f\x98\x80", b"\xff", b"\x0b", b"\x85",
    ]
)  # fmt: skip
STREAMS = st.lists(PIECES | st.binary(max_size=3), max_size=40).map(b"".join)


@settings(max_examples=600, deadline=None)
@given(STREAMS, st.data())
@example(b"data: a\r", None)
@example(b"\r\n\ndata: x\r\n\r\n", None)
def test_any_chunking_is_read_to_the_letter(raw: bytes, data: st.DataObject | None) -> None:
    """However the bytes are cut, events, last id and retry are those of the standard's text."""
    cuts = [] if data is None else data.draw(st.lists(st.integers(0, len(raw)), max_size=8))
    edges = [0, *sorted(cuts), len(raw)]
    events, last_id, retry_ms = by_the_letter(raw)
    for chunks in (
        [raw[a:b] for a, b in itertools.pairwise(edges)],
        [raw[at : at + 1] for at in range(len(raw))],
    ):
        decoder = Decoder()
        seen = [tuple(event) for chunk in chunks for event in decoder.feed(chunk)]
        assert seen == events
        assert (decoder.last_event_id, decoder.retry_ms) == (last_id, retry_ms)


def test_a_bom_is_skipped_once_and_only_at_the_start() -> None:
    """One leading BOM is no part of the first line; a second one, or a later one, is."""
    assert decode(BOM + b"data: a\n\n") == [("message", "a", "")]
    assert decode(BOM[:1], BOM[1:2], BOM[2:] + b"data: a\n\n") == [("message", "a", "")]
    assert decode(BOM + BOM + b"data: a\n\n") == []
    assert decode(b"data: a\n" + BOM + b"data: b\n\n") == [("message", "a", "")]


def test_a_lone_cr_ends_a_line_at_once() -> None:
    """An event that ends with CR is dispatched without waiting to see whether an LF follows."""
    decoder = Decoder()
    assert list(decoder.feed(b"data: a\r\r")) == [("message", "a", "")]
    assert list(decoder.feed(b"\n")) == []
    assert list(decoder.feed(b"data: b\n\n")) == [("message", "b", "")]


def test_a_crlf_cut_in_two_is_one_line_end() -> None:
    """CR at the end of one chunk and LF at the start of the next do not make an empty line."""
    assert decode(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [("message", "a\nb", "")]


def test_an_id_with_nul_is_ignored() -> None:
    """The id before stays, as the standard says."""
    assert decode(b"id: 1\ndata\n\nid: 2\0\ndata\n\n") == [
        ("message", "", "1"),
        ("message", "", "1"),
    ]


def test_an_empty_id_clears_the_position() -> None:
    """`id` without a value sets the last id to the empty string."""
    assert [event.id for event in decode(b"id: 1\ndata: a\n\nid\ndata: b\n\n")] == ["1", ""]


def test_an_id_counts_without_data() -> None:
    """A frame without data dispatches nothing and still moves the last event id."""
    decoder = Decoder()
    assert list(decoder.feed(b"id: 9\n\n")) == []
    assert decoder.last_event_id == "9"


def test_an_id_counts_only_with_its_blank_line() -> None:
    """A frame cut before its end moves nothing: a resume asks for that event again."""
    decoder = Decoder()
    events = list(decoder.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n"))
    assert events == [("message", "a", "1")]
    assert decoder.last_event_id == "1"


@pytest.mark.parametrize("text", [b"2s", b"-1", b"+1", b"1_000", b"1.5", b"", "١".encode(), b" 1"])
def test_only_ascii_digits_are_a_retry(text: bytes) -> None:
    """Anything but ASCII digits leaves the retry time alone (one leading space is syntax)."""
    decoder = Decoder()
    list(decoder.feed(b"retry: 10\nretry: " + text + b"\n\n"))
    assert decoder.retry_ms == 10


def test_a_retry_of_thousands_of_digits_is_only_a_long_wait() -> None:
    """No number makes the decoder fail, whatever Python thinks of long integers."""
    decoder = Decoder()
    assert list(decoder.feed(b"retry: " + b"9" * 6000 + b"\ndata: a\n\n")) == [("message", "a", "")]
    assert decoder.retry_ms == 10**15
    list(decoder.feed(b"retry: " + b"0" * 6000 + b"250\n"))
    assert decoder.retry_ms == 250


def test_what_is_not_iterated_is_not_lost() -> None:
    """A chunk is taken in by the call itself, not by the loop over what it returns."""
    decoder = Decoder()
    decoder.feed(b"data: a\n\n")
    for event in decoder.feed(b"data: b\n\ndata: c\n\n"):
        assert event.data == "a"
        break
    assert [event.data for event in decoder.feed(b"")] == ["b", "c"]


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_the_limits_hold_for_any_chunking(size: int) -> None:
    """A line over the limit raises in one piece as in many, after the events before it."""
    good = b"data: a\n\n"
    for bad, what in (
        (b"data: " + b"x" * 95, "line is 101 bytes, limit 100"),
        (b"data: " + b"x" * 95 + b"\n\ndata: b\n\n", "line is 101 bytes, limit 100"),
        (b"data: x\n" * 20, "data is 105 bytes, limit 100"),
    ):
        decoder = Decoder(limit_bytes=100)
        raw = good + bad
        seen: list[str] = []
        with pytest.raises(ValueError, match=what):
            feed_in_pieces(decoder, raw, size, seen)
        assert seen == ["a"]


def test_a_line_at_the_limit_passes() -> None:
    """The limit itself is allowed."""
    decoder = Decoder(limit_bytes=100)
    assert len(next(decoder.feed(b"data: " + b"x" * 94 + b"\n\n")).data) == 94


def test_work_grows_with_the_bytes_and_not_with_their_square() -> None:
    """100,000 events in one chunk, and a 1 MiB line in single bytes, are read without delay."""
    one = b"id: 7f-1\ndata: {}\n\n"
    assert len(list(Decoder().feed(one * 100_000))) == 100_000
    decoder = Decoder()
    line = b"data: " + b"x" * (1024 * 1024 - 6)
    for at in range(len(line)):
        assert not list(decoder.feed(line[at : at + 1]))
    assert len(next(decoder.feed(b"\r\r")).data) == 1024 * 1024 - 6


def test_our_own_frames_come_back() -> None:
    """What the encoder writes is what the decoder reads."""
    stream = retry(2000) + frame(b'{"a":1}', id="7f-12") + frame(b"{}", event="heartbeat")
    assert decode(stream) == [("message", '{"a":1}', "7f-12"), ("heartbeat", "{}", "7f-12")]
