"""Frames between a worker and its children, and what of a result can be kept."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_progress.model.errors import Rejected
from sse_progress.sandbox.child import READY as READY_FRAME
from sse_progress.sandbox.messages import (
    FRAME_LIMIT_BYTES,
    READY,
    RESULT_LIMIT_BYTES,
    Frames,
    NotJson,
    encode_result,
    frame,
    refusal_in,
)


@given(bodies=st.lists(st.binary(max_size=40)), cuts=st.lists(st.integers(1, 30), min_size=1))
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    bodies: list[bytes], cuts: list[int]
) -> None:
    """Bodies, empty ones too, survive any cutting of the bytes between."""
    data, found, frames, at = b"".join(map(frame, bodies)), [], Frames(), 0
    while data:
        cut = cuts[at % len(cuts)]
        found += frames.feed(data[:cut])
        data, at = data[cut:], at + 1
    assert found == bodies


def test_a_frame_has_a_limit_on_both_ends() -> None:
    """A length past 16 MiB is refused before anything of that size is held."""
    with pytest.raises(ValueError, match=f"frame is {FRAME_LIMIT_BYTES + 1} bytes, limit"):
        frame(bytes(FRAME_LIMIT_BYTES + 1))
    with pytest.raises(ValueError, match=f"frame is {FRAME_LIMIT_BYTES + 1} bytes, limit"):
        list(Frames().feed((FRAME_LIMIT_BYTES + 1).to_bytes(4, "big")))


def test_the_childs_ready_frame_is_the_frame_of_ready() -> None:
    """The child spells it out, since importing the encoder would double its memory."""
    assert frame(READY) == READY_FRAME


def test_a_result_is_a_json_object_of_bounded_size() -> None:
    """None is empty; no object, too long, or nothing that JSON can carry: refused with a reason."""
    assert encode_result(None) == b"{}"
    assert msgspec.json.decode(encode_result({"a": (1, None, "é")})) == {"a": [1, None, "é"]}
    room = RESULT_LIMIT_BYTES - len('{"a":""}')
    assert len(encode_result({"a": "x" * room})) == RESULT_LIMIT_BYTES
    with pytest.raises(NotJson, match=f"is {RESULT_LIMIT_BYTES + 1} bytes, limit"):
        encode_result({"a": "x" * (room + 1)})
    endless: dict[str, object] = {}
    endless["again"] = endless
    for wrong in ([], "text", {"a": object()}, {"a": "\udcff"}, endless):
        with pytest.raises(NotJson):
            encode_result(wrong)


def test_a_refusal_is_found_alone_in_groups_and_not_among_others() -> None:
    """A group with another failure in it is that failure."""
    refusal = Rejected("too_loud", "The sound is too loud.")
    assert refusal_in(refusal) is refusal
    assert refusal_in(ExceptionGroup("", [ExceptionGroup("", [refusal])])) is refusal
    assert refusal_in(ExceptionGroup("", [refusal, ValueError()])) is None
    assert refusal_in(ValueError()) is None
