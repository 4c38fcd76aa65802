"""States of uploads whose journal Redis does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from sse_progress.model.errors import Unavailable
from sse_progress.storage.announced import Partial
from sse_progress.storage.disk_bodies import DiskBodies
from sse_progress.uploads.queries import Uploads
from tests.helpers.components import components, store


async def test_a_body_that_is_stored_while_it_is_looked_for_is_not_unknown(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the midst of the looks it moves from where bodies rest to where they are stored."""
    whole_look = DiskBodies.partial

    async with components(redis_url, tmp_path) as core:

        def looked(bodies: DiskBodies, upload_id: str) -> Partial | None:
            found = whole_look(bodies, upload_id)
            store(core, upload_id)
            return found

        monkeypatch.setattr(DiskBodies, "partial", looked)
        with pytest.raises(Unavailable, match="being restored"):
            await Uploads(core).page("up", owner="ann")
