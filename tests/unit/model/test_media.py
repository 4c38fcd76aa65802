"""The shapes inside `media`: what travels, and what its published schema says."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from sse_progress.model import media, media_analysis

RESERVED = {"files", "original"}
"""Members of a stage's result that the pipeline acts upon."""

NOT_SHAPES = {"Analysis", "Shape", "facts", "merged"}
SHAPES = [
    getattr(module, name)
    for module in (media, media_analysis)
    for name in module.__all__
    if name not in NOT_SHAPES
]


def test_all_is_what_is_public() -> None:
    """The public names are pinned: shapes become part of the served schema."""
    for module in (media, media_analysis):
        assert sorted(module.__all__) == module.__all__
    assert len(SHAPES) == 19


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_shape_is_documented_and_in_camel_case(shape: type[msgspec.Struct]) -> None:
    """Each shape says what it is, and no member's name has an underscore on the wire."""
    assert shape.__doc__
    assert not any("_" in name for name in shape.__struct_encode_fields__)


@pytest.mark.parametrize(
    "shape", get_args(media_analysis.Analysis), ids=lambda shape: shape.__name__
)
def test_no_analysis_uses_a_reserved_member(shape: type[msgspec.Struct]) -> None:
    """What the pipeline acts upon in a result is no fact of any kind of file."""
    assert RESERVED.isdisjoint(shape.__struct_encode_fields__)


def test_the_schema_tells_kinds_apart() -> None:
    """A reader of the schema finds each kind of analysis by its `kind`."""
    _, components = msgspec.json.schema_components([media.Media], ref_template="#/{name}")
    whole = components["Media"]["properties"]["analysis"]
    mapping = whole["anyOf"][0]["discriminator"]["mapping"]
    assert set(mapping) == {"image", "video", "audio", "document", "text", "archive", "other"}
    assert all(components[name]["description"] for name in components)


def test_results_of_one_stage_are_merged() -> None:
    """Lists are joined, objects merged, and `review` outlives `approved` in either order."""
    one = {"verdict": "review", "reasons": [1], "scores": {"a": 1}, "notChecked": ["x"]}
    other = {"verdict": "approved", "reasons": [2], "scores": {"b": 2}, "notChecked": ["x", "y"]}
    expected = {"verdict": "review", "reasons": [1, 2], "scores": {"a": 1, "b": 2}}
    assert media.merged(one, other) == {**expected, "notChecked": ["x", "y"]}
    assert media.merged(other, one)["verdict"] == "review"
    assert media.merged({}, one) == one
