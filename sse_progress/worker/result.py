"""What is kept of an upload that came through: `media`, made of manifest and stage results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sse_progress.model.stage_api import Upload
from sse_progress.model.urls import url_of

__all__ = ["media_of", "with_sizes"]


def with_sizes(files: Sequence[dict[str, Any]], scratch: Path) -> list[dict[str, Any]]:
    """Derived files as a stage names them, with their sizes in bytes. Raises OSError."""
    return [{**file, "size": (scratch / file["name"]).stat().st_size} for file in files]


def media_of(upload: Upload, *, prefix: str) -> dict[str, Any]:
    """The `media` member of the `complete` event."""
    results = upload.results
    processed = results.get("processing", {})
    kept = processed.get("original", {})  # rewritten without metadata: what is served, then
    return {
        "id": upload.id,
        "filename": upload.filename,
        "contentType": upload.content_type,
        "size": kept.get("size", upload.size),
        "sha256": kept.get("sha256", upload.sha256),
        "fields": upload.fields,
        "url": url_of(upload.id, prefix=prefix, name=upload.filename),
        "files": [
            {**file, "url": url_of(upload.id, prefix=prefix, name=file["name"])}
            for file in processed.get("files", [])
        ],
        "analysis": results.get("analyzing", {}),
        "moderation": results.get("moderating", {}),
        "createdAt": upload.created_at,
    }
