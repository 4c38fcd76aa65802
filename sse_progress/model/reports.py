"""What another service says of its own work, and the event that it becomes.

Sans-I/O. Which writer may say it, and what is merged, is decided by the journal.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from sse_progress.model.errors import BadRequest, InvalidStage, TooLarge
from sse_progress.model.events import Draft, Error, encode_json
from sse_progress.model.messages import begin_text
from sse_progress.model.stage_table import Stage, StageTable

__all__ = ["RESULT_LIMIT_BYTES", "Report", "draft_of", "stage_of"]

RESULT_LIMIT_BYTES = 32 * 1024
DONE = "The work is done"
FAILED = "The work has failed."

_Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Text = Annotated[str, msgspec.Meta(max_length=4096)]


class Items(msgspec.Struct, frozen=True):
    done: _Count
    total: _Count


class Failure(msgspec.Struct, frozen=True):
    code: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,63}$")]
    detail: _Text = ""


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One report: how far a stage is (`stage_progress`), or the whole (`progress`), in percent; or
    an end, which is `complete` with a `result` or `error` with an `error`."""

    stage: str | None = None
    stage_progress: _Percent | None = None
    progress: _Percent | None = None
    message: _Text = ""
    received: _Count | None = msgspec.field(default=None, name="bytes")
    total: _Count | None = None
    items: Items | None = None
    eta_seconds: Annotated[float, msgspec.Meta(ge=0, le=2**53)] | None = None
    result: dict[str, Any] | None = None
    error: Failure | None = None

    @classmethod
    def decode(cls, data: bytes) -> Report:
        """Raises BadRequest, which says what is wrong."""
        try:
            return msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadRequest(f"The report is not valid: {error}.") from None


def stage_of(report: Report, table: StageTable) -> Stage:
    """The stage that a report is about; where it names none, the one that its percent falls in.

    Raises InvalidStage, or BadRequest.
    """
    working = [row for row in table.values() if not row.terminal]
    if report.stage is None:
        if report.progress is None:
            raise BadRequest("A report has a stage, or the progress of the whole.")
        below = [row for row in working if row.lo <= report.progress]
        return below[-1] if below else working[0]
    row = table.get(report.stage)
    if row is None or row.name == "cancelled":
        names = ", ".join((*(row.name for row in working), "complete", "error"))
        raise InvalidStage(f"There is no such stage; there are {names}.")
    return row


def draft_of(report: Report, row: Stage) -> Draft:
    """The event of a report of this stage. Raises BadRequest or TooLarge."""
    if row.name == "complete":
        _check_result(report.result)
        return Draft(
            stage=row.name, stage_progress=100, message=report.message or DONE, result=report.result
        )
    if row.name == "error":
        if report.error is None:
            raise BadRequest("A report of a failure has an error with a code.")
        detail = report.error.detail or report.message or FAILED
        return Draft(
            stage=row.name,
            stage_progress=0,
            message=report.message or detail,
            error=Error(report.error.code, detail),
        )
    if report.result is not None or report.error is not None:
        raise BadRequest("Only the stage complete has a result, and only error an error.")
    return Draft(
        stage=row.name,
        stage_progress=_stage_progress(report, row),
        message=report.message or begin_text(row),
        bytes=report.received,
        total=report.total,
        eta_seconds=None if report.eta_seconds is None else round(report.eta_seconds),
        items=None if report.items is None else msgspec.to_builtins(report.items),
    )


def _stage_progress(report: Report, row: Stage) -> int:
    if report.stage_progress is not None:
        return int(report.stage_progress)
    if report.progress is None:
        return 0
    # The least percent of the stage that makes this percent of the whole (`percent`).
    within = max(int(report.progress) - row.lo, 0)
    return min(-(-within * 100 // (row.hi - row.lo + 1)), 100)


def _check_result(result: dict[str, Any] | None) -> None:
    if result is None:
        return
    try:
        size = len(encode_json(result))
    except UnicodeEncodeError:
        raise BadRequest("The result has text that is not Unicode.") from None
    if size > RESULT_LIMIT_BYTES:
        raise TooLarge(f"The result is {size} bytes, limit {RESULT_LIMIT_BYTES}.")
