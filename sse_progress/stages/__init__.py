"""The built-in stages: what happens to an upload between the last byte and `complete`.

Each is a plain function of `(upload, report)`; `pipeline` lists them in order. Heavy libraries
are imported inside the functions that need them, and one that is missing is named in the result.
"""

from __future__ import annotations

from sse_progress.model.stage_api import Pipeline
from sse_progress.stages.analysis import analyze
from sse_progress.stages.moderation import moderate
from sse_progress.stages.processing import process
from sse_progress.stages.scans.clamd import scan_with_clamd
from sse_progress.stages.validation import validate

__all__ = ["pipeline"]

pipeline: Pipeline = (
    ("validating", validate),
    ("analyzing", analyze),
    ("moderating", scan_with_clamd),
    ("moderating", moderate),
    ("processing", process),
)
