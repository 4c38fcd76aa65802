"""The upload of one attempt: what it is, and what its stages have found so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sse_progress.model.events import decode_json
from sse_progress.model.kinds import DEFAULT_KIND
from sse_progress.model.stage_api import Upload
from sse_progress.storage.port import StoredObject
from sse_progress.uploads.reviews import DECISION, HELD
from sse_progress.worker.context import KindOfWork

__all__ = ["VERDICT", "Subject"]

VERDICT = "verdict"
"""Result field of a refusal that was decided, from before its bytes go until its event is there."""

NO_STAGE = frozenset({VERDICT, HELD, DECISION})
"""Result fields that are no stage's."""


class Subject:
    """`results`: encoded, by result field. `original`: the path of its file, once there is one."""

    def __init__(self, found: StoredObject, work: KindOfWork) -> None:
        self.found, self.work = found, work
        self.manifest = found.manifest
        self.id = found.manifest.upload_id
        self.kind = found.manifest.labels.kind or DEFAULT_KIND
        self.original = ""
        self.results: dict[str, bytes] = {}

    def of_stages(self) -> dict[str, dict[str, Any]]:
        """The results of the stages that have finished, by their names."""
        return {k: decode_json(v) for k, v in self.results.items() if k not in NO_STAGE}

    def upload(self, scratch: Path) -> Upload:
        """As a function sees it that works in `scratch`."""
        manifest = self.manifest
        return Upload(
            id=self.id,
            path=self.original,
            scratch=str(scratch),
            filename=manifest.filename,
            claimed_type=manifest.claimed_type,
            size=manifest.size,
            sha256=manifest.sha256,
            created_at=manifest.created_at,
            kind=self.kind,
            context=manifest.labels.context,
            fields=manifest.fields,
            results=self.of_stages(),
            options=self.work.options,
        )
