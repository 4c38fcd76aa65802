"""Stages, positions, texts, drafts and frames: what may be written into a journal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sse_progress.model import events, sse, stage_table
from sse_progress.model.events import COMPLETE_LIMIT_BYTES, EVENT_LIMIT_BYTES, Draft, Error, Event
from sse_progress.model.ids import GONE, Position, valid_upload_id
from sse_progress.model.sse import Decoder
from sse_progress.model.stage_table import DEFAULT_TABLE, percent
from sse_progress.model.text import clean_text

NASTY = list('\r\n\0\x1b\x7f\x85\u2028\u2029\u202e\ufeff\ud800\udfff"\\<é漢😀 ')
HOSTILE = st.lists(st.sampled_from(NASTY) | st.text(max_size=4), max_size=12).map("".join)
LONG = HOSTILE | st.builds(lambda text, n: text * n, HOSTILE, st.integers(1, 400))
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,127}", fullmatch=True)

# ---- stages

TABLE = [
    ("receiving", 0, 9),
    ("file_received", 10, 10),
    ("validating", 20, 29),
    ("analyzing", 30, 69),
    ("moderating", 70, 84),
    ("processing", 85, 94),
    ("finalizing", 95, 99),
    ("complete", 100, 100),
    ("error", 0, 0),
    ("cancelled", 0, 0),
]


def test_the_stage_table_is_the_contract() -> None:
    """Names, order and percent ranges are those that clients were promised."""
    assert [(stage.name, stage.lo, stage.hi) for stage in DEFAULT_TABLE.values()] == TABLE
    assert [name for name, stage in DEFAULT_TABLE.items() if stage.terminal] == [
        "complete",
        "error",
        "cancelled",
    ]


@pytest.mark.parametrize(("stage", "lo", "hi"), TABLE)
def test_percent_runs_from_lo_to_hi_and_never_back(stage: str, lo: int, hi: int) -> None:
    """A stage at 0 shows lo, at 100 hi, in between min(hi, lo + floor(p x width / 100))."""
    shown = [percent(stage, done) for done in range(101)]
    assert shown[0] == lo
    assert shown[-1] == hi
    assert shown == sorted(shown)
    assert shown == [min(hi, lo + int(done * (hi - lo + 1) / 100 + 1e-9)) for done in range(101)]


def test_percent_of_known_points() -> None:
    """The contract's own example: 38 % of analyzing is 45 % of the whole."""
    assert percent("analyzing", 38) == 45
    assert percent("receiving", 99) == 9
    assert percent("moderating", 50) == 77


@pytest.mark.parametrize(
    ("stage", "status"),
    [
        (None, "pending"),
        ("receiving", "receiving"),
        ("file_received", "processing"),
        ("finalizing", "processing"),
        ("a stage of tomorrow", "processing"),
        ("complete", "complete"),
        ("error", "error"),
        ("cancelled", "cancelled"),
    ],
)
def test_status_follows_from_the_stage(stage: str | None, status: str) -> None:
    """Every stage has one coarse status; a stage that we do not know is work under way."""
    assert stage_table.status_of_stage(stage) == status


@pytest.mark.parametrize("text", ["a", "Z9", "a" * 128, "a_.~-b", "0.jpg"])
def test_good_upload_ids(text: str) -> None:
    """The alphabet and length that the contract allows."""
    assert valid_upload_id(text)


@pytest.mark.parametrize(
    "text", ["", "a" * 129, "-a", ".a", "_a", "a\n", "a b", "a/b", "ä", "a\0", "a}", "١"]
)
def test_bad_upload_ids(text: str) -> None:
    """Nothing else passes: no path, no line break, no key character, no foreign digit."""
    assert not valid_upload_id(text)


# ---- positions


@given(st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True), st.integers(0, 10**15 - 1))
def test_a_position_survives_the_wire(epoch: str, seq: int) -> None:
    """What is written as an id is read back as the same place, also with dashes in the epoch."""
    assert Position.parse(str(Position(epoch, seq))) == Position(epoch, seq)


@settings(max_examples=300)
@given(LONG)
@example("7f-" + "9" * 5000)
@example("e" * 65 + "-1")
@example("7f-" + "9" * 16)
@example("-1")
@example("7f-١")
@example("7f--1")
def test_any_presented_text_is_some_position(text: str) -> None:
    """Whatever a client presents is read, within bounds; rubbish is a place in no journal."""
    position = Position.parse(text)
    assert 0 <= position.seq < 10**15
    assert len(position.epoch) <= 64
    if position.epoch == "":
        assert position == Position("", 0)


def test_the_position_of_a_forgotten_upload() -> None:
    """`gone-0` is read as the position that every forgotten upload shares."""
    assert Position.parse("gone-0") == GONE
    assert str(GONE) == "gone-0"


# ---- texts


@settings(max_examples=500)
@given(LONG, st.integers(1, 300))
@example("a\u202eb\u2066c\ufeffd", 9)
@example("a\ud800b", 9)
def test_a_clean_text_is_one_plain_line(text: str, limit: int) -> None:
    """No control, line separator, direction override or surrogate is left; never too long."""
    clean = clean_text(text, limit)
    assert len(clean) <= limit
    clean.encode("utf-8", "strict")
    assert len(clean.splitlines()) <= 1
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in clean)
    assert not set(clean) & set(
        "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
    )
    assert clean == clean.strip()
    assert clean_text(clean, limit) == clean


def test_plain_text_is_left_alone() -> None:
    """Words in any script come through as they are; a cut text says so."""
    assert clean_text("Decoding frame 120 of 310") == "Decoding frame 120 of 310"
    assert clean_text("Größe 漢字 😀") == "Größe 漢字 😀"
    assert clean_text("a\r\nid: 7\0\x1b[31m") == "a id: 7 [31m"
    assert clean_text("x" * 201) == "x" * 199 + "…"
    assert len(clean_text("x" * 200)) == 200


# ---- drafts


def whole(draft: Draft, upload_id: str) -> bytes:
    """The event's JSON as the journal puts it together, at its longest."""
    head, middle, tail, stage_tail = draft.fragments(upload_id)
    if stage_tail:
        tail += b"file_received" + stage_tail
    return b"".join(
        (head, b"100", middle, b"2026-01-15T10:30:00.000Z", b'","stageProgress":', b"100", tail)
    )


def framed(data: bytes) -> bytes:
    """With the longest position that Position.parse reads back in practice: 16 + 15 digits."""
    return sse.frame(data, id=f"{'f' * 16}-{10**15 - 1}")


STAGE_NAMES = st.sampled_from(list(DEFAULT_TABLE))
DRAFTS = st.builds(
    Draft,
    stage=STAGE_NAMES,
    stage_progress=st.integers(0, 100),
    message=LONG,
    bytes=st.none() | st.integers(0, 2**60),
    total=st.none() | st.integers(0, 2**60),
    eta_seconds=st.none() | st.integers(0, 2**40),
    error=st.none() | st.builds(Error, code=LONG, detail=LONG, stage=STAGE_NAMES),
)


@settings(max_examples=500, deadline=None)
@given(DRAFTS, IDS)
@example(
    Draft(
        stage="file_received",
        stage_progress=100,
        message="😀" * 300,
        bytes=2**60,
        total=2**60,
        eta_seconds=2**40,
        error=Error(code='"' * 99, detail='"漢\\' * 300, stage="file_received"),
    ),
    "a" * 128,
)
def test_no_draft_makes_a_frame_over_1_kib_or_a_second_field(draft: Draft, upload_id: str) -> None:
    """Whatever its texts hold, an event is one line of valid JSON in one frame of 1 KiB at most."""
    data = whole(draft, upload_id)
    frame = framed(data)
    assert len(frame) <= EVENT_LIMIT_BYTES
    assert len(framed(events.as_reset(data))) <= EVENT_LIMIT_BYTES
    assert [event.data.encode() for event in Decoder().feed(frame)] == [data]
    event = events.decode_json(data, type=Event)
    assert (event.upload_id, event.stage) == (upload_id, draft.stage)
    assert (event.progress, event.stage_progress) == (100, 100)
    assert (event.bytes, event.total) == (draft.bytes, draft.total)
    for text in (event.message, event.error.detail if event.error else ""):
        assert len(text) <= 200
        assert clean_text(text) == text


def test_short_texts_are_not_cut() -> None:
    """A message and a detail within their limits arrive whole, next to each other."""
    error = Error(code="malware", detail="d" * 200, stage="validating")
    draft = Draft(stage="error", stage_progress=0, message="m" * 200, error=error)
    event = events.decode_json(whole(draft, "a" * 128), type=Event)
    assert event.error == error
    assert event.message == "m" * 200


def test_the_detail_is_cut_before_the_message() -> None:
    """When both are too long in bytes, the detail gives way first, and both stay readable."""
    error = Error(code="malware", detail="漢" * 200, stage="validating")
    draft = Draft(stage="error", stage_progress=0, message="é" * 200, error=error)
    event = events.decode_json(whole(draft, "u"), type=Event)
    assert event.message == "é" * 200
    assert event.error is not None
    assert event.error.detail.endswith("…")
    assert len(event.error.detail) > 20


MEDIA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | HOSTILE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(HOSTILE, inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(HOSTILE, MEDIA, max_size=4), IDS)
@example({"analysis": {"title": "a\ud800\r\n\r\nid: 1"}}, "u")
def test_a_result_holds_hostile_texts_safely(media: dict[str, Any], upload_id: str) -> None:
    """Texts that stages read from files, lone surrogates too, neither break nor leave a frame."""
    draft = Draft(stage="complete", stage_progress=100, message="Done", media=media)
    data = whole(draft, upload_id)
    assert [event.data.encode() for event in Decoder().feed(framed(data))] == [data]
    assert isinstance(json.loads(data)["media"], dict)


def test_a_result_may_be_64_kib_and_no_more() -> None:
    """The limit of `complete` is for the whole frame; a result over it is an error, not a cut."""

    def draft(size: int) -> Draft:
        media = {"analysis": "x" * size}
        return Draft(stage="complete", stage_progress=100, message="Done", media=media)

    assert len(framed(whole(draft(COMPLETE_LIMIT_BYTES - 1100), "u"))) <= COMPLETE_LIMIT_BYTES
    with pytest.raises(ValueError, match=r"event is \d+ bytes, limit 65536"):
        draft(COMPLETE_LIMIT_BYTES).fragments("u")


# ---- events and frames


def test_an_event_reads_what_it_does_not_know() -> None:
    """Fields and stages of a later service are no error; only the known ends are ends."""
    event = events.decode_json(
        b'{"type":"progress","uploadId":"u","progress":50,"stage":"transcoding","new":[1]}',
        type=Event,
    )
    assert not event.terminal
    assert event.stage == "transcoding"
    gone = b'{"type":"reset","uploadId":"u","error":{"code":"unknown_upload"}}'
    assert events.decode_json(gone, type=Event).error == Error("unknown_upload")


def test_events_are_camel_case_and_leave_out_what_is_absent() -> None:
    """Encoding an event gives the contract's names and no nulls; percent 0 is no absence."""
    event = Event(type="progress", upload_id="u", progress=0, stage="receiving", stage_progress=0)
    assert json.loads(events.encode_json(event)) == {
        "type": "progress",
        "uploadId": "u",
        "progress": 0,
        "stage": "receiving",
        "stageProgress": 0,
    }


def test_a_reset_is_the_same_event_under_another_type() -> None:
    """`as_reset` changes the type and nothing else, and takes journal events alone."""
    data = whole(Draft(stage="analyzing", stage_progress=1, message="Looking"), "u")
    assert json.loads(events.as_reset(data)) == {**json.loads(data), "type": "reset"}
    with pytest.raises(ValueError, match="not a journal event"):
        events.as_reset(b'{"type":"connected"}')


def test_a_state_is_the_latest_event_with_a_status() -> None:
    """`status` takes the place of `type`; everything else is the event's."""
    data = whole(Draft(stage="analyzing", stage_progress=1, message="Looking"), "u")
    state = events.with_status(data)
    assert state.pop("status") == "processing"
    assert {**state, "type": "progress"} == json.loads(data)


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b", "a\u2028b", "\n"])
def test_a_frame_refuses_fields_of_more_than_one_line(bad: str) -> None:
    """No id, name or data can begin another field or frame."""
    with pytest.raises(ValueError, match="id must be one line"):
        sse.frame(b"{}", id=bad)
    with pytest.raises(ValueError, match="event must be one line"):
        sse.frame(b"{}", event=bad)
    if "\n" in bad or "\r" in bad:
        with pytest.raises(ValueError, match="data must be one line"):
            sse.frame(bad.encode())


def test_the_first_frame() -> None:
    """`connected` carries the retry time and no id, in one frame."""
    decoder = Decoder()
    (event,) = decoder.feed(sse.connected("u", "Waiting\nfor it", retry_ms=1900))
    assert decoder.retry_ms == 1900
    assert event.id == ""
    assert json.loads(event.data) == {
        "type": "connected",
        "uploadId": "u",
        "message": "Waiting for it",
    }


def test_idle_frames_dispatch_nothing_unnamed() -> None:
    """The comment is no event; the retry alone is none either."""
    assert not list(Decoder().feed(sse.COMMENT + sse.retry(10)))
