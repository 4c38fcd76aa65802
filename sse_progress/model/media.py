"""What a finished upload says about itself: the shapes inside `media` of the `complete` event.

Only types: nothing here opens a file. Stages fill these in, `facts()` turns one into the plain
object that travels; the served OpenAPI schema is made from them. Stages of a plug-in may add
members of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from sse_progress.model.media_analysis import Analysis, Shape

__all__ = [
    "Clip",
    "DerivedFile",
    "Media",
    "Moderation",
    "Reason",
    "Replacement",
    "Sampled",
    "Validation",
    "facts",
    "merged",
]


# ---- validating


class Clip(Shape, frozen=True, kw_only=True):
    """What was counted in a video or sound file: `duration_s` from its packets' time stamps.

    Without moving pictures `frames` is 0. `field_coded`: each packet is one field, half a frame.
    """

    duration_s: float
    frames: int = 0
    key_frames: int = 0
    field_coded: bool = False


class Validation(Shape, frozen=True, kw_only=True, omit_defaults=False):
    """What validating found: the result of the stage `validating`.

    `content_type` is what the bytes are; `claimed_type` what the client said; whether the name's
    extension fits is noted and never trusted. `checks` lists what was really looked at,
    `not_checked` what could not be, `reasons` what the malware rules want a person to see.
    """

    content_type: str
    claimed_type: str
    extension_matches: bool | None
    checks: list[str] = []
    not_checked: list[str] = []
    reasons: list[Reason] = []
    clip: Clip | msgspec.UnsetType = msgspec.UNSET


# ---- moderating


class Reason(Shape, frozen=True, kw_only=True):
    """Why a file is marked for review: the rule, where it matched, and one sentence."""

    rule: str
    where: str
    detail: str
    score: float | None = None


class Sampled(Shape, frozen=True, kw_only=True):
    """What the picture model looked at: `looked_at` of `of` pictures, frames or pages."""

    unit: Literal["picture", "frame", "page"]
    looked_at: int
    of: int


class Review(Shape, frozen=True, kw_only=True):
    """What a person decided: `approve` or `refuse`, when (RFC 3339), by whom and why. Without `by`
    it had waited for too long."""

    decision: str
    at: str
    by: str = ""
    reason: str = ""


class Moderation(Shape, frozen=True, kw_only=True, omit_defaults=False):
    """The verdict on an upload that was not refused: the result of the stage `moderating`.

    `scores` are 0-1 by model (`nsfw` is the worst of what was sampled); `not_checked` lists every
    check of the whole upload that was not available, validation's included.
    """

    verdict: Literal["approved", "review"]
    reasons: list[Reason] = []
    scores: dict[str, float] = {}
    sampled: Sampled | msgspec.UnsetType = msgspec.UNSET
    checks: list[str] = []
    not_checked: list[str] = []
    review: Review | None = None


# ---- processing, and the whole


class Replacement(Shape, frozen=True, kw_only=True):
    """A rewritten original in the scratch directory, to take the original's place."""

    name: str
    size: int
    sha256: str


class DerivedFile(Shape, frozen=True, kw_only=True):
    """A file made from the original; `size` bytes, `url` a path of this service."""

    name: str
    content_type: str
    size: int
    url: str


class Media(Shape, frozen=True, kw_only=True, omit_defaults=False):
    """A complete upload. `content_type` is what the bytes are; `created_at` RFC 3339, UTC."""

    id: str
    filename: str
    content_type: str
    size: int
    sha256: str
    fields: dict[str, str | list[str]] = {}
    url: str
    files: list[DerivedFile] = []
    analysis: Analysis | None = None
    moderation: Moderation | None = None
    created_at: str


# ---- to and fro


def facts(shape: msgspec.Struct) -> dict[str, Any]:
    """`shape` as the plain object that a stage returns and that travels in `media`."""
    plain: dict[str, Any] = msgspec.to_builtins(shape)
    return plain


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """One result of a stage that is made of two functions.

    Lists are joined without repetition, objects merged, `verdict: review` outlives `approved`; of
    any other two values the later one holds.
    """
    result = dict(first)
    for key, value in second.items():
        before = result.get(key)
        if isinstance(before, list) and isinstance(value, list):
            result[key] = before + [item for item in value if item not in before]
        elif isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = merged(before, value)
        elif not (key == "verdict" and before == "review"):
            result[key] = value
    return result
