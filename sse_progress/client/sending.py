"""One upload seen from both sides: the answer to its POST, and its journal. No I/O.

Either half can come first, late or not at all. What holds is the journal; what the POST tells is
whether the journal is this upload's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from sse_progress.client.failures import (
    BadAnswer,
    ClientError,
    Refused,
    Unreachable,
    UploadCancelled,
    UploadFailed,
)
from sse_progress.client.pace import Pace
from sse_progress.client.shapes import Media, media_of
from sse_progress.model.events import Event

__all__ = ["Accepted", "Followed", "Lost", "News", "Sending"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The POST was answered: the file is stored."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The POST's connection failed before its answer; `sent` if the body may have arrived."""

    error: Unreachable
    sent: bool


@dataclass(frozen=True, slots=True)
class Followed:
    """The journal was followed to its end, or `error` says why not."""

    error: ClientError | None


News: TypeAlias = Event | Accepted | Refused | BadAnswer | Lost | Followed

_OTHERS = frozenset(
    (
        "upload_id_in_use",
        "invalid_upload_id",
        "bad_request",
        "batch_closed",
        "unknown_kind",
        "missing_context",
        "invalid_context",
    )
)


class Sending:
    """Takes the news of both sides; `over` when nothing more is to be waited for."""

    def __init__(self, upload_id: str, *, url: str, pace: Pace, now: Callable[[], float]) -> None:
        self.over = False
        self._upload_id, self._url, self._pace, self._now = upload_id, url, pace, now
        self._answer: Accepted | Refused | Lost | None = None
        self._began = False
        self._end: Event | None = None
        self._deadline: float | None = None
        self._error: ClientError | None = None

    def wait_s(self) -> float | None:
        """How long to wait for the next news; None is without limit."""
        return None if self._deadline is None else max(self._deadline - self._now(), 0.0)

    def take(self, news: News) -> None:
        match news:
            case Event():
                self._began = True
                if news.terminal:
                    self._end = news
                elif isinstance(self._answer, Lost):
                    self._deadline = None
            case Followed(error):
                if self._end is None and error is None:
                    error = BadAnswer(self._url, 204, "the stream ended without an end")
                self._error = self._error or error
            case BadAnswer():
                self._error = news
            case Accepted() | Refused() | Lost():
                self._answer = news
        self._settle()

    def expired(self) -> None:
        """`wait_s` has passed without news."""
        if isinstance(self._answer, Lost):
            self._error = self._answer.error
        self.over = True

    def media(self) -> Media:
        """The result of an upload that is over, or its failure raised."""
        answer, end = self._answer, self._end
        if isinstance(answer, Refused) and _not_begun(answer):
            raise answer
        if end is not None and end.stage == "complete":
            try:
                return media_of(end)
            except ValueError as error:
                raise BadAnswer(self._url, 200, f"not a result ({error})") from error
        if end is not None:
            raise self._failed(end)
        if isinstance(answer, Refused):
            kind = UploadCancelled if answer.code == "cancelled" else UploadFailed
            raise kind(
                self._upload_id, answer.code, answer.detail, retry_after_s=answer.retry_after_s
            )
        raise self._error or Unreachable(self._url, "the upload was lost")

    def _settle(self) -> None:
        answer, end = self._answer, self._end
        if isinstance(answer, Lost) and not answer.sent:
            self._error = answer.error
        if self._decided():
            self.over = True
        elif isinstance(answer, Refused):
            self._wait(self._pace.answer_s)
        elif isinstance(answer, Lost) and not self._began:
            self._wait(self._pace.lost_s)
        elif end is not None and end.stage != "complete":
            # The body may be on its way for hours yet: it is of no use any more. But another
            # upload's journal may have ended so, and then the answer says that the id is taken.
            self._wait(self._pace.answer_s)

    def _decided(self) -> bool:
        if self._error is not None:
            return True
        if isinstance(self._answer, Refused):
            return _not_begun(self._answer) or self._end is not None
        return self._answer is not None and self._end is not None

    def _wait(self, seconds: float) -> None:
        if self._deadline is None:
            self._deadline = self._now() + seconds

    def _failed(self, end: Event) -> UploadFailed:
        if end.stage == "cancelled":
            return UploadCancelled(self._upload_id, "cancelled", end.message, end)
        code = end.error.code if end.error else "internal"
        detail = (end.error.detail if end.error else "") or end.message
        wait = self._answer.retry_after_s if isinstance(self._answer, Refused) else None
        return UploadFailed(self._upload_id, code, detail, end, retry_after_s=wait)


def _not_begun(answer: Refused) -> bool:
    """A refusal before the upload had an id and an owner: its journal will not tell of it."""
    return answer.status in (401, 403, 404, 405, 429) or answer.code in _OTHERS
