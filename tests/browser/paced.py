"""A pipeline whose stages go on when a test says so: their work is waiting for files to appear.

The uploaded file's text names a directory. A stage is half done when `<stage>-half` is there, and
done when `<stage>` is; a file that is no such text passes through at once.
"""

from __future__ import annotations

import time
from pathlib import Path

from sse_progress.model.stage_api import Pipeline, Rejected, Report, Upload

PREFIX = "gates:"
WAIT_S = 60
STAGES = ("validating", "analyzing", "moderating", "processing")


def _wait(path: Path) -> None:
    deadline = time.monotonic() + WAIT_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path.name} did not come")
        time.sleep(0.01)


def pass_gates(upload: Upload, report: Report, stage: str) -> None:
    head = Path(upload.path).read_bytes()[:512].decode("utf-8", "replace")
    if not head.startswith(PREFIX):
        return
    gates = Path(head.removeprefix(PREFIX).splitlines()[0])
    report(0.1, f"{stage} has begun")
    _wait(gates / f"{stage}-half")
    report(0.5, f"{stage} is half done")
    _wait(gates / stage)
    if (gates / f"{stage}-refuse").exists():
        raise Rejected("rejected_type", "This kind of file is not accepted.")
    if (gates / f"{stage}-break").exists():
        raise RuntimeError("broken on purpose")


def validating(upload: Upload, report: Report) -> None:
    pass_gates(upload, report, "validating")


def analyzing(upload: Upload, report: Report) -> None:
    pass_gates(upload, report, "analyzing")


def moderating(upload: Upload, report: Report) -> None:
    pass_gates(upload, report, "moderating")


def processing(upload: Upload, report: Report) -> None:
    pass_gates(upload, report, "processing")


pipeline: Pipeline = [
    ("validating", validating),
    ("analyzing", analyzing),
    ("moderating", moderating),
    ("processing", processing),
]
