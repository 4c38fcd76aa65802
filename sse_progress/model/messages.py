"""What the service says about each stage, in one plain sentence."""

from __future__ import annotations

from sse_progress.model.errors import Problem
from sse_progress.model.events import Draft, Error
from sse_progress.model.message_keys import SENTENCES
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

BEGIN = {key[6:]: text for key, text in SENTENCES.items() if key.startswith("begin.")}
END = {key[4:]: text for key, text in SENTENCES.items() if key.startswith("end.")}


def begin_text(stage: Stage) -> str:
    """What is said as a stage begins; one of an operator's own is named by its title."""
    return BEGIN.get(stage.name, stage.title)


def end_text(stage: Stage) -> str:
    return END.get(stage.name, f"{stage.title} is done")


PAUSED = SENTENCES["receiving.paused"]
RESUMED = SENTENCES["receiving.resumed"]
WAITING = {who: SENTENCES[f"waiting.{who}"] for who in ("review", "moderation")}
DECIDED = {who: SENTENCES[f"decided.{who}"] for who in ("review", "moderation")}
CHECKING = SENTENCES["receiving.checksum"]
PARKED = SENTENCES["work.parked"]


def retry_text(delay_s: float) -> str:
    """What a stream says of an attempt that failed without the file's fault."""
    return SENTENCES["work.retry"].format(seconds=max(round(delay_s), 1))


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
    return SENTENCES["storing"].format(done=size_text(count), total=size_text(total))


def stored_text(size: int, *, served: bool) -> str:
    """What is said of a file that waits for its work; `served`: there is a worker for it."""
    key = "receiving.stored" if served else "receiving.unserved"
    return SENTENCES[key].format(size=size_text(size))
