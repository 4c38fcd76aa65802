"""`SSE_PROGRESS_PIPELINE=paper_rules.pipeline:pipeline` runs these and nothing else."""

from __future__ import annotations

from paper_rules.reading import reading_time
from paper_rules.service import ask_service
from sse_progress import Pipeline

pipeline: Pipeline = [
    ("analyzing", reading_time),
    ("moderating", ask_service),
]
