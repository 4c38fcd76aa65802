"""What another service may say of its work, and the event that it becomes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sse_progress.model.errors import BadRequest, InvalidStage, Problem, TooLarge
from sse_progress.model.events import encode_json
from sse_progress.model.reports import Report, draft_of, stage_of
from sse_progress.model.stage_table import DEFAULT_TABLE, StageTable, percent

TABLE = StageTable([("fetching", 0, 29, ""), ("rendering", 30, 89, ""), ("saving", 95, 99, "")])


@pytest.mark.parametrize("whole", range(100))
def test_a_percent_of_the_whole_falls_in_its_stage(whole: int) -> None:
    """Told back, it is the same percent; in a gap, it is the end of the stage before."""
    report = Report(progress=whole)
    row = stage_of(report, TABLE)
    told = percent(row.name, draft_of(report, row).stage_progress, TABLE)
    assert told == (whole if row.hi >= whole else row.hi)


def test_all_of_it_is_no_end() -> None:
    """100 % is the last stage's; the end is said in so many words."""
    report = Report(progress=100)
    row = stage_of(report, TABLE)
    assert (row.name, draft_of(report, row).stage_progress) == ("saving", 100)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"stage": 3}',
        b'{"stage": "rendering", "stageProgress": 101}',
        b'{"stage": "rendering", "stageProgress": -1}',
        b'{"stage": "rendering", "stageProgress": NaN}',
        b'{"stage": "rendering", "bytes": -1}',
        b'{"stage": "rendering", "bytes": 1.5}',
        b'{"stage": "rendering", "items": {"done": 1}}',
        b'{"stage": "error", "error": {"code": "No Code"}}',
        b"[" * 5000,
    ],
)
def test_what_is_no_report_is_refused(text: bytes) -> None:
    """With a sentence of at most 200 characters."""
    with pytest.raises(BadRequest) as refused:
        Report.decode(text)
    assert len(refused.value.detail) <= 200


@pytest.mark.parametrize("stage", ["", "nowhere", "cancelled", "__proto__", "validating"])
def test_a_stage_of_another_table_is_refused(stage: str) -> None:
    """The refusal names those that there are; nobody but its owner cancels."""
    with pytest.raises(InvalidStage, match="fetching, rendering, saving, complete, error"):
        stage_of(Report(stage=stage), TABLE)


def test_an_end_has_what_belongs_to_it() -> None:
    """A failure a code, a success at most 32 KiB of result, work neither."""
    failed = Report.decode(b'{"stage": "error", "error": {"code": "no_disk", "detail": "Full."}}')
    draft = draft_of(failed, DEFAULT_TABLE["error"])
    assert draft.error is not None
    assert (draft.error.code, draft.error.stage, draft.message) == ("no_disk", "", "Full.")
    with pytest.raises(BadRequest):
        draft_of(Report(stage="error"), DEFAULT_TABLE["error"])
    with pytest.raises(TooLarge, match="limit 32768"):
        draft_of(Report(result={"a": "x" * 32768}), DEFAULT_TABLE["complete"])
    with pytest.raises(BadRequest):
        draft_of(Report(result={}), DEFAULT_TABLE["analyzing"])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["stage", "stageProgress", "progress", "message", "bytes", "total", "etaSeconds"]
        ),
        st.one_of(
            st.none(),
            st.integers(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(max_size=300),
            st.sampled_from(["fetching", "rendering", "complete"]),
        ),
    )
)
def test_any_report_becomes_an_event_or_is_refused(members: dict[str, object]) -> None:
    """An event whose percents are in their ranges, within its size, or a problem; nothing else."""
    try:
        report = Report.decode(encode_json(members))
        draft = draft_of(report, stage_of(report, TABLE))
    except Problem:
        return
    assert 0 <= draft.stage_progress <= 100
    assert sum(map(len, draft.fragments("upload_1"))) <= 1536
