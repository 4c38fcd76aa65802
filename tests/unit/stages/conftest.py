from __future__ import annotations

from pathlib import Path

import pytest

from sse_progress.model.stage_api import Options
from sse_progress.settings import DEFAULT_TYPES
from tests.unit.stages.helpers import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A place to lay uploads down, under the default allow-list."""
    root = tmp_path / "desk"
    root.mkdir()
    return Desk(root, Options(allowed_types=tuple(DEFAULT_TYPES.split(","))))
