"""The first part of a media type, as a bounded label: in metrics and in the keys of durations."""

from __future__ import annotations

__all__ = ["family_of"]

FAMILIES = frozenset({"application", "audio", "image", "text", "video"})


def family_of(media_type: str) -> str:
    """`image` of `image/png`; `other` for an unusual one, as clients may claim anything."""
    family = media_type.partition("/")[0]
    return family if family in FAMILIES else "other"
