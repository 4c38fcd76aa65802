"""A stage of this package among the built-in ones, by a pipeline rather than an entry point."""

from __future__ import annotations

from paper_rules.reading import reading_time
from sse_progress.stages import pipeline as built_in

order = ["validating", "analyzing", "moderating", "processing"]
pipeline = sorted([*built_in, ("analyzing", reading_time)], key=lambda entry: order.index(entry[0]))
