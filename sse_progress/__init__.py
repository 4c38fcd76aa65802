"""sse_progress: the truth about an upload, live, from its first byte to its last stage.

What people who write stages need is here; an application of one's own begins with
`sse_progress.web.app.create_app`, a client with `sse_progress.client`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sse_progress.model.errors import Problem, Rejected
    from sse_progress.model.events import Event
    from sse_progress.model.kinds import Kind
    from sse_progress.model.stage_api import Pipeline, Report, Upload

__all__ = ["Event", "Kind", "Pipeline", "Problem", "Rejected", "Report", "Upload", "__version__"]

__version__ = "0.1.0"

_HOMES = {
    "Event": "model.events",
    "Kind": "model.kinds",
    "Pipeline": "model.stage_api",
    "Problem": "model.errors",
    "Rejected": "model.errors",
    "Report": "model.stage_api",
    "Upload": "model.stage_api",
}
"""Imported when first asked for (PEP 562): supervisor and idle stage children stay small."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
