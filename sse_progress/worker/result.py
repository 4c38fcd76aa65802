"""What is kept of an upload that came through: `media`, made of manifest and stage results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sse_progress.model.filenames import distinct_filename
from sse_progress.model.stage_api import Upload
from sse_progress.model.urls import url_of

__all__ = ["media_of", "named_apart"]


def named_apart(
    files: Sequence[dict[str, Any]], filename: str, results: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Derived files as a function names them, renamed where the original or `results` have a name.

    The same files get the same names in another attempt. ValueError if one is named twice.
    """
    names = [file["name"] for file in files]
    if len(set(names)) < len(names):
        raise ValueError(f"a derived file is named twice: {names}")
    taken = {filename, *(file["name"] for result in results for file in result.get("files", ()))}
    named = []
    for file in files:
        name = distinct_filename(file["name"], taken)
        taken.add(name)
        named.append({**file, "name": name})
    return named


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
