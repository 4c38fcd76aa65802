"""Paths of uploads and their files on this service."""

from __future__ import annotations

from urllib.parse import quote

__all__ = ["url_of"]


def url_of(upload_id: str, *, prefix: str, name: str | None = None) -> str:
    """Path of an upload, or of one of its files, on this service."""
    path = f"{prefix}/upload/{upload_id}"
    return path if name is None else f"{path}/files/{quote(name, safe='')}"
