"""A pipeline for the client's tests: stages that an upload's text fields slow down or stop.

`hold` names a file to wait for in the middle of analyzing; `steps` is how many reports analyzing
makes, with a pause after each that lets them be told apart; `refuse` refuses the file.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from sse_progress.model.stage_api import Pipeline, Rejected, Report, Upload

WAIT_S = 60
STEP_S = 0.02


def validate(upload: Upload, report: Report) -> dict[str, Any]:
    kind = "image/jpeg" if upload.filename.endswith(".jpg") else "text/plain"
    return {"contentType": kind}


def analyze(upload: Upload, report: Report) -> dict[str, Any]:
    steps = int(str(upload.fields.get("steps", "0")))
    for step in range(steps):
        report(step / steps, f"Step {step} of {steps}")
        time.sleep(STEP_S)
    hold = upload.fields.get("hold")
    if isinstance(hold, str):
        report(0.5, "Waiting to be let go")
        deadline = time.monotonic() + WAIT_S
        while not Path(hold).exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{hold} did not come")
            time.sleep(0.01)
    if "refuse" in upload.fields:
        raise Rejected("too_loud", "The sound is too loud.")
    return {"analysis": {"kind": "other"}}


pipeline: Pipeline = [("validating", validate), ("analyzing", analyze)]
