"""What the service says about each stage."""

from __future__ import annotations

import pytest

from sse_progress.model.errors import TooLarge
from sse_progress.model.messages import BEGIN, END, failure, size_text
from sse_progress.model.stage_table import DEFAULT_TABLE
from sse_progress.model.text import clean_text


def test_every_stage_has_its_sentences() -> None:
    """What begins and ends is told for every row of the table, in its order."""
    told_once = {"file_received", "complete", "error", "cancelled"}
    assert list(BEGIN) == [name for name in DEFAULT_TABLE if name not in told_once]
    assert list(END) == [name for name in DEFAULT_TABLE if name != "error"]


@pytest.mark.parametrize("text", [*BEGIN.values(), *END.values()])
def test_a_sentence_fits_into_an_event_as_it_is(text: str) -> None:
    """Nothing of it is cut or cleaned away on its way out."""
    assert 0 < len(text) <= 200
    assert clean_text(text) == text


def test_a_failure_is_the_end_with_its_reason_and_place() -> None:
    """The event tells the problem's code and detail, and the stage in which it happened."""
    draft = failure(TooLarge("The file is 11 bytes, limit 10."), "receiving")
    assert draft.terminal
    assert (draft.stage, draft.stage_progress) == ("error", 0)
    assert draft.error is not None
    assert draft.error.code == "too_large"
    assert draft.error.stage == "receiving"
    assert draft.message == draft.error.detail == "The file is 11 bytes, limit 10."


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (3_400_000, "3.4 MB"),
        (1024**3, "1.1 GB"),
        (2 * 10**12, "2.0 TB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes_are_told_in_decimal_units(count: int, text: str) -> None:
    """As disks and browsers tell them."""
    assert size_text(count) == text
