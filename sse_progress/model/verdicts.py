"""What a moderation service of the operator says about a file: the shape of its answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

__all__ = ["Verdict"]

_Short = Annotated[str, Meta(max_length=100)]


class VerdictReason(msgspec.Struct, omit_defaults=True):
    rule: _Short
    detail: Annotated[str, Meta(max_length=200)]
    where: _Short = ""
    score: float | None = None


class Verdict(msgspec.Struct):
    """`reason`: why it is refused, for the person who uploaded it; `reasons`: for reviewers."""

    verdict: Literal["approved", "review", "refused"]
    reason: Annotated[str, Meta(max_length=200)] = ""
    reasons: Annotated[list[VerdictReason], Meta(max_length=20)] = []
    scores: Annotated[dict[_Short, float], Meta(max_length=50)] = {}

    def result(self) -> dict[str, Any]:
        """The members of a stage's result."""
        return {
            "verdict": self.verdict,
            "reasons": [msgspec.to_builtins(reason) for reason in self.reasons],
            "scores": dict(self.scores),
        }
