"""What the service says about each stage, in one plain sentence."""

from __future__ import annotations

from sse_progress.model.errors import Problem
from sse_progress.model.events import Draft, Error
from sse_progress.model.stage_table import Stage

__all__ = [
    "BEGIN",
    "CHECKING",
    "DECIDED",
    "END",
    "PARKED",
    "PAUSED",
    "RESUMED",
    "WAITING",
    "begin_text",
    "end_text",
    "failure",
    "retry_text",
    "size_text",
    "stored_text",
    "storing_text",
]

BEGIN = {
    "receiving": "Receiving the file",
    "validating": "Checking format, size and safety",
    "analyzing": "Analyzing the content",
    "moderating": "Checking the content against the rules",
    "processing": "Making derived files",
    "finalizing": "Writing the record",
}

END = {
    "receiving": "All bytes have arrived",
    "file_received": "The file is stored and its work is queued",
    "validating": "The file is valid",
    "analyzing": "Content analysis is done",
    "moderating": "Content moderation is done",
    "processing": "Derived files are made",
    "finalizing": "The record is written",
    "complete": "Upload complete",
    "cancelled": "The upload was cancelled",
}


def begin_text(stage: Stage) -> str:
    """What is said as a stage begins; one of an operator's own is named by its title."""
    return BEGIN.get(stage.name, stage.title)


def end_text(stage: Stage) -> str:
    return END.get(stage.name, f"{stage.title} is done")


PAUSED = "Connection lost, waiting for the rest"
RESUMED = "Upload resumed"
WAITING = {
    "review": "Waiting for a person to look at it",
    "moderation": "Waiting for the moderation service",
}
DECIDED = {
    "review": "A person has looked at it",
    "moderation": "The moderation service has answered",
}
CHECKING = "Computing the checksum of what arrived"

PARKED = "The work is paused until an operator resumes it; the file is kept"


def retry_text(delay_s: float) -> str:
    """What a stream says of an attempt that failed without the file's fault."""
    return f"The service could not do this now; trying again in {max(round(delay_s), 1)} s"


def failure(problem: Problem, stage: str) -> Draft:
    """The terminal event of an upload that `problem` ended in `stage`."""
    return Draft(
        stage="error",
        stage_progress=0,
        message=problem.detail,
        error=Error(problem.code, problem.detail, stage),
    )


def size_text(count: int) -> str:
    """Bytes for a person: `512 bytes`, `3.4 MB` (decimal units)."""
    size, unit = float(count), "bytes"
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


def storing_text(count: int, total: int) -> str:
    """What is said while files are put where they are served from."""
    return f"Storing {size_text(count)} of {size_text(total)}"


def stored_text(size: int, *, served: bool) -> str:
    """What is said of a file that waits for its work; `served`: there is a worker for it."""
    waits = "its work is queued" if served else "no worker is running that could take it"
    return f"{size_text(size)} stored; {waits}"
