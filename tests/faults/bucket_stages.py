"""Quick stages: one waits for ever where the file asks it to, one makes a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from sse_progress.model.stage_api import Pipeline, Report, Upload


def validate(upload: Upload, report: Report) -> dict[str, Any]:
    return {"contentType": "text/plain"}


def analyze(upload: Upload, report: Report) -> dict[str, Any]:
    content = Path(upload.path).read_bytes()
    while content == b"wait for me":
        time.sleep(0.1)
    return {"size": len(content)}


def process(upload: Upload, report: Report) -> dict[str, Any]:
    (Path(upload.scratch) / "head.txt").write_bytes(Path(upload.path).read_bytes()[:10])
    return {"files": [{"name": "head.txt", "contentType": "text/plain"}]}


pipeline: Pipeline = [
    ("validating", validate),
    ("analyzing", analyze),
    ("processing", process),
]
