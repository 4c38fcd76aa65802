"""Kinds and their stage tables: what an operator may declare, and what an upload must say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_progress.model.errors import Forbidden, MissingContext, Problem, UnknownKind
from sse_progress.model.kinds import Kind, Kinds
from sse_progress.model.labels import Labels
from sse_progress.model.stage_table import DEFAULT_TABLE, StageTable, percent


def kinds(*given: Kind) -> Kinds:
    return Kinds(given, max_bytes=1000, allowed_types=("image/*",))


def test_a_kind_may_have_stages_of_its_own() -> None:
    """The rows of every file are added; the ends are those of every table."""
    kind = Kind(
        name="course-video",
        stages=[("transcoding", 20, 60), ("subtitling", 61, 94, "Text")],
        pipeline="some.module:stages",
    )
    rows = [(row.name, row.lo, row.hi, row.title) for row in kind.table.values()]
    assert rows == [
        ("receiving", 0, 9, "Upload"),
        ("file_received", 10, 10, "Stored"),
        ("transcoding", 20, 60, "Transcoding"),
        ("subtitling", 61, 94, "Text"),
        ("finalizing", 95, 99, "Record"),
        ("complete", 100, 100, "Done"),
        ("error", 0, 0, "Failed"),
        ("cancelled", 0, 0, "Cancelled"),
    ]
    assert kind.table.work == ("transcoding", "subtitling")
    assert percent("transcoding", 50, kind.table) == 40
    assert kind.title == "Course video"


def test_titles_may_be_given_by_language() -> None:
    """Of a kind and its stages; without an English one it is made from the name."""
    stages = [("cutting", 11, 50, {"de": "Schnitt"}), ("mixing", 51, 90, {"en": "Sound"})]
    kind = Kind(name="film", title={"en": "A film", "de": "Ein Film"}, stages=stages)
    kinds = Kinds([kind], max_bytes=1, allowed_types=["*/*"])  # copies each kind
    assert kinds["film"].named == ("A film", {"en": "A film", "de": "Ein Film"})
    cutting, mixing = (kinds["film"].table[name] for name in ("cutting", "mixing"))
    assert (cutting.title, cutting.titles) == ("Cutting", {"de": "Schnitt"})
    assert (mixing.title, mixing.titles) == ("Sound", {"en": "Sound"})
    with pytest.raises(ValueError, match="'German' is no language"):
        Kind(name="film", title={"German": "Ein Film"})


@pytest.mark.parametrize(
    "stages",
    [
        [],
        [("Transcoding", 20, 60)],
        [("trans coding", 20, 60)],
        [("complete", 20, 60)],
        [("a", 20, 60), ("a", 61, 70)],
        [("a", 20, 60), ("b", 59, 70)],
        [("b", 61, 70), ("a", 20, 60)],
        [("a", 60, 20)],
        [("a", 20, 100)],
        [("a", -1, 20)],
        ["a"],
        [("a",)],
    ],
)
def test_stages_that_make_no_sense_are_refused(stages: Any) -> None:
    """Names, ranges outside 0-99 or not rising, over those of the rows that every file has."""
    if not stages:
        with pytest.raises(ValueError, match="stages"):
            StageTable(())
        return
    with pytest.raises(ValueError, match="kind k: "):
        Kind(name="k", stages=stages)


def test_another_services_stages_have_no_files() -> None:
    """All of 0-99 is theirs."""
    kind = Kind(name="render", stages=[("queueing", 0, 9), ("rendering", 9, 99)])
    assert list(kind.table)[:2] == ["queueing", "rendering"]
    assert kind.external


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=9))
def test_percents_of_any_table_only_rise(ranges: list[tuple[int, int]]) -> None:
    """Within a stage, and from one to the next."""
    stages = [(f"s{at}", min(pair), max(pair)) for at, pair in enumerate(sorted(ranges))]
    try:
        table = Kind(name="k", stages=stages, pipeline="some.module:stages").table
    except ValueError:
        return
    shown = [
        percent(row.name, done, table)
        for row in table.values()
        if not row.terminal
        for done in (0, 50, 100)
    ]
    assert shown == sorted(shown)
    assert shown[0] >= 0
    assert shown[-1] <= 99


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "no name"},
        {"name": ""},
        {"max_bytes": 0},
        {"retention_days": 0},
        {"cpu_s": 0},
        {"timeout_s": 0},
        {"priority": "urgent"},
        {"required": ["1st"]},
        {"required": [f"k{n}" for n in range(9)]},
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    """At start, with the kind's name or what is wrong with it."""
    with pytest.raises(ValueError, match=r"kind|name"):
        Kind(**{"name": "k", **wrong})


def test_text_where_a_list_belongs_is_refused() -> None:
    """`required="courseId"` would need eight contexts of a letter."""
    with pytest.raises(TypeError, match="required must be a list"):
        Kind(name="k", required="courseId")


def test_upload_is_a_kind_of_every_service() -> None:
    """Clients that know no kinds go on as before; options left open are the settings'."""
    some = kinds(Kind(name="photo", max_bytes=50), Kind(name="text", allowed_types=["text/*"]))
    assert list(some) == ["photo", "text", "upload"]
    assert (some["photo"].max_bytes, some["photo"].allowed_types) == (50, ("image/*",))
    assert (some["text"].max_bytes, some["text"].allowed_types) == (1000, ("text/*",))
    assert some.of(Labels()).name == "upload"
    assert some["upload"].table is DEFAULT_TABLE
    assert list(kinds(Kind(name="upload", max_bytes=7))) == ["upload"]
    with pytest.raises(ValueError, match="same name"):
        kinds(Kind(name="a"), Kind(name="a"))


@pytest.mark.parametrize(
    ("labels", "allowed", "problem"),
    [
        (Labels(kind="film"), None, UnknownKind),
        (Labels(kind="render"), None, UnknownKind),
        (Labels(kind="course-video"), None, MissingContext),
        (Labels(kind="course-video", context={"courseid": "x"}), None, MissingContext),
        (Labels(kind="course-video", context={"courseId": "x"}), frozenset({"upload"}), Forbidden),
        (Labels(), frozenset({"course-video"}), Forbidden),
    ],
)
def test_an_upload_is_checked_against_its_kind(
    labels: Labels, allowed: frozenset[str] | None, problem: type[Problem]
) -> None:
    """It exists, takes files, the token allows it, and its context is there."""
    some = kinds(
        Kind(name="course-video", required=["courseId"]),
        Kind(name="render", stages=[("a", 20, 30)]),
    )
    with pytest.raises(problem):
        some.check(labels, allowed=allowed)
    good = Labels(kind="course-video", context={"courseId": "x", "more": "y"})
    assert some.check(good, allowed=frozenset({"course-video"})).name == "course-video"
    assert some.check(Labels(kind="render"), allowed=None, file=False).name == "render"


@pytest.mark.parametrize("prefix", ["", "courses", "media/courses.v2/_new-1", "a" * 100])
def test_files_of_a_kind_may_have_a_prefix(prefix: str) -> None:
    """One that every file system and bucket takes."""
    assert Kind(name="film", storage_prefix=prefix).storage_prefix == prefix


@pytest.mark.parametrize(
    "prefix",
    [
        *("/films", "films/", "a//b", ".", "..", "a/../b", "a/.b", "a b", "a\\b", "é", "a\n"),
        *("ab", "AB/films", "00", "a" * 101),
        *(None, 7, ["films"]),
    ],
)
def test_a_prefix_that_could_lead_elsewhere_is_refused(prefix: Any) -> None:
    """With the name of its kind: outside of the published files, or among those of others."""
    with pytest.raises(ValueError, match="kind film: "):
        Kind(name="film", storage_prefix=prefix)
