"""Quick stages: one waits where the file asks it to, for ever or for another file; one makes a
file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from sse_progress.model.stage_api import Pipeline, Report, Upload

GATE = b"wait for "
"""And then a path."""


def validate(upload: Upload, report: Report) -> dict[str, Any]:
    return {"contentType": "text/plain"}


def analyze(upload: Upload, report: Report) -> dict[str, Any]:
    content = Path(upload.path).read_bytes()
    while content == b"wait for me":
        time.sleep(0.1)
    if content.startswith(GATE):
        report(0.5, "Waiting")
        while not Path(content.removeprefix(GATE).decode()).exists():
            time.sleep(0.05)
    return {"size": len(content)}


def process(upload: Upload, report: Report) -> dict[str, Any]:
    (Path(upload.scratch) / "head.txt").write_bytes(Path(upload.path).read_bytes()[:10])
    return {"files": [{"name": "head.txt", "contentType": "text/plain"}]}


pipeline: Pipeline = [
    ("validating", validate),
    ("analyzing", analyze),
    ("processing", process),
]
