"""Labels: one vocabulary, checked once, and never too large for an event."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_progress.model.errors import InvalidContext, InvalidUploadId, Problem, UnknownKind
from sse_progress.model.events import EVENT_LIMIT_BYTES, Draft, Error, decode_json, tags_of
from sse_progress.model.labels import Labels

KEYS = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,31}", fullmatch=True)
VALUES = st.text(min_size=1, max_size=128)
PAIRS = st.lists(
    st.tuples(
        st.one_of(st.just("kind"), st.just("batch"), KEYS.map("context.{}".format), st.text()),
        VALUES,
    ),
    max_size=12,
)


def test_labels_are_found_among_other_parameters() -> None:
    """Kind, context keys and batch; what else is in a query is ignored."""
    pairs = [("kind", "course-video"), ("context.courseId", "c1"), ("limit", "5"), ("batch", "b1")]
    labels = Labels.of(pairs)
    assert labels == Labels(kind="course-video", context={"courseId": "c1"}, batch_id="b1")
    assert labels.members() == {
        "kind": "course-video",
        "context": {"courseId": "c1"},
        "batchId": "b1",
    }
    assert not Labels.of([("limit", "5")])


@pytest.mark.parametrize(
    ("pairs", "problem"),
    [
        ([("context.1a", "x")], InvalidContext),
        ([("context.", "x")], InvalidContext),
        ([("context.a-b", "x")], InvalidContext),
        ([("context." + "k" * 33, "x")], InvalidContext),
        ([("context.a", "")], InvalidContext),
        ([("context.a", "x" * 129)], InvalidContext),
        ([("context.a", "x\ny")], InvalidContext),
        ([("context.a", "x\u202ey")], InvalidContext),
        ([("context.a", "x\ud800")], InvalidContext),
        ([("context.a", "1"), ("context.a", "2")], InvalidContext),
        ([(f"context.k{n}", "x") for n in range(9)], InvalidContext),
        ([(f"context.k{n}", "x" * 128) for n in range(5)], InvalidContext),
        ([(f"context.k{n}", '"' * 100) for n in range(5)], InvalidContext),
        ([("kind", "no kind")], UnknownKind),
        ([("kind", "a"), ("kind", "b")], UnknownKind),
        ([("batch", "../b")], InvalidUploadId),
        ([("batch", "b1"), ("batch", "b2")], InvalidUploadId),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(
    pairs: list[tuple[str, str]], problem: type[Problem]
) -> None:
    """Keys, values, their number and size; two values for one label."""
    with pytest.raises(problem):
        Labels.of(pairs)


def test_the_bounds_themselves_are_within() -> None:
    """8 keys, 128 characters, 512 bytes."""
    Labels.of([(f"context.k{n}", "x") for n in range(8)])
    Labels.of([("context.a", "x" * 128)])
    full = Labels.of([(f"context.k{n}", "x" * 126) for n in range(4)])
    assert sum(len(k) + len(v) for k, v in full.context.items()) == 512


@given(PAIRS, st.text(max_size=200), st.text(max_size=2000))
def test_an_event_with_any_labels_keeps_within_its_limit(
    pairs: list[tuple[str, str]], filename: str, text: str
) -> None:
    """Whatever is accepted leaves room for the event, also for that of a failure."""
    try:
        labels = Labels.of(pairs)
    except Problem:
        return
    from sse_progress.model.filenames import clean_filename

    tags = tags_of(filename=clean_filename(filename), labels=labels)
    draft = Draft(
        stage="error",
        stage_progress=0,
        message=text,
        error=Error("c" * 64, text, "s" * 32),
        bytes=10**15,
        total=10**15,
    )
    parts = draft.fragments("u" * 128, tags_bytes=len(tags))
    frame = b'id: %b-%d\ndata: %b100%b2026-01-15T10:30:00.000Z","stageProgress":100,%b%b\n\n' % (
        b"e" * 16,
        10**15,
        parts.head,
        parts.middle,
        tags,
        parts.tail,
    )
    assert len(frame) <= EVENT_LIMIT_BYTES
    event = decode_json(frame.partition(b"data: ")[2])
    assert Labels.match(labels, event)


def test_a_filter_matches_what_has_all_of_it() -> None:
    """An upload without a kind is an `upload`; context values are compared as a whole."""
    event = {"kind": "course-video", "context": {"courseId": "c1", "week": "2"}, "batchId": "b"}
    assert Labels().match(event)
    assert Labels(kind="course-video", context={"courseId": "c1"}, batch_id="b").match(event)
    assert not Labels(kind="upload").match(event)
    assert not Labels(context={"courseId": "c"}).match(event)
    assert not Labels(context={"constructor": "c1"}).match(event)
    assert not Labels(batch_id="c").match(event)
    assert Labels(kind="upload").match({})
    assert not Labels(batch_id="b").match({})
