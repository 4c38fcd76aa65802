"""Stages that a test holds and lets go, and that keep a tally of how often each was done.

An upload's text fields say where (`place`, a directory) and at which stage to wait (`hold`).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from sse_progress.model.stage_api import Pipeline, Report, Upload

WAIT_S = 60


def _stage(name: str, upload: Upload, report: Report) -> dict[str, Any]:
    """Begin, read the whole file, wait if told to, end; each is a line of the tally."""
    place, hold = upload.fields.get("place"), upload.fields.get("hold")
    size = len(Path(upload.path).read_bytes())
    if not isinstance(place, str):
        return {}
    tally = Path(place) / f"{upload.id}.tally"
    with tally.open("a") as lines:
        lines.write(f"{name} begun\n")
    if hold == name:
        report(0.5, "Half of it is done")
        _wait_for(Path(place) / f"{upload.id}.go", report)
    with tally.open("a") as lines:
        lines.write(f"{name} done\n")
    return {name: size}


def _wait_for(path: Path, report: Report) -> None:
    """Until the file is there; where the test made a `.talk` beside it, with much to tell."""
    deadline = time.monotonic() + WAIT_S
    talks = path.with_suffix(".talk").exists()
    looks = 0
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path.name} did not come")
        looks += 1
        if talks and looks % 20 == 0:
            report(0.5, f"Looked {looks} times")
        time.sleep(0.01)


def validate(upload: Upload, report: Report) -> dict[str, Any]:
    return {**_stage("validating", upload, report), "contentType": "text/plain"}


def analyze(upload: Upload, report: Report) -> dict[str, Any]:
    return {"analysis": _stage("analyzing", upload, report)}


def process(upload: Upload, report: Report) -> None:
    _stage("processing", upload, report)


async def ask(upload: Upload, report: Report) -> None:
    """Asks a service that is away while the file `away` is there."""
    place = upload.fields["place"]
    assert isinstance(place, str)
    report(0.5, "Asking the service")
    with (Path(place) / f"{upload.id}.tally").open("a") as lines:
        lines.write("moderating asked\n")
    if (Path(place) / "away").exists():
        raise ConnectionRefusedError("the service is away")


with_service: Pipeline = [("validating", validate), ("analyzing", analyze), ("moderating", ask)]
pipeline: Pipeline = [("validating", validate), ("analyzing", analyze), ("processing", process)]
