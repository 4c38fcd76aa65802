"""A service to run the examples of the documentation against, and a reader's directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import INTEGRATE, blocks
from tests.helpers.media import jpeg
from tests.helpers.service import ROOT, Service


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With the kinds that docs/integrate/jobs.md declares."""
    place = tmp_path_factory.mktemp("docs")
    (place / "platform_kinds.py").write_text(blocks(INTEGRATE / "jobs.md", "python")[0].text)
    kinds = {"PYTHONPATH": f"{ROOT}:{place}", "SSE_PROGRESS_KINDS": "platform_kinds:kinds"}
    with Service(place, kinds) as one:
        yield one


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the reader is: the files that the snippets name are there."""
    (tmp_path / "photo.jpg").write_bytes(jpeg())
    clip = ROOT / "tests" / "data" / "clips" / "paff-fields.mp4"
    for name in ("big.mp4", "lesson.mp4", "lesson-1.mp4", "lectures/one.mp4", "lectures/two.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(clip.read_bytes())
    return tmp_path
