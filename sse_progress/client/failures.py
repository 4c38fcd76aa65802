"""Every way in which a call of the client can fail: one tree, with what happened as attributes."""

from __future__ import annotations

from typing import Any

from sse_progress.model.events import Event

__all__ = [
    "BadAnswer",
    "Busy",
    "ClientError",
    "Conflict",
    "FileChanged",
    "JobFailed",
    "NotAllowed",
    "NotFound",
    "Refused",
    "Unreachable",
    "UploadCancelled",
    "UploadFailed",
]


class ClientError(Exception):
    """The root: everything that this client raises of its own."""


class Unreachable(ClientError):
    """No answer from the service: not running, wrong address, or lost for too long."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(url, reason)

    def __str__(self) -> str:
        return f"cannot reach {self.url}: {self.reason}"


class BadAnswer(ClientError):
    """Something answered that is not this service, or does not speak its contract."""

    def __init__(self, url: str, status: int, reason: str) -> None:
        self.url, self.status, self.reason = url, status, reason
        super().__init__(url, status, reason)

    def __str__(self) -> str:
        return f"{self.url} answered {self.status}: {self.reason}"


class FileChanged(ClientError):
    """The file became shorter while it was sent; sizes in bytes."""

    def __init__(self, name: str, expected: int, read: int) -> None:
        self.name, self.expected, self.read = name, expected, read
        super().__init__(name, expected, read)

    def __str__(self) -> str:
        return f"{self.name} ended after {self.read} bytes, expected {self.expected}"


class Refused(ClientError):
    """The service said no (RFC 9457): HTTP `status`, stable `code`, one sentence in `detail`.

    `code` is `http_<status>` where something between answered without one. `retry_after_s`, if it
    is there, says when to try again.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, retry_after_s: float | None = None
    ) -> None:
        self.status, self.code, self.detail = status, code, detail
        self.retry_after_s = retry_after_s
        super().__init__(status, code, detail)

    def __str__(self) -> str:
        return f"{self.detail.rstrip('.')} ({self.code})"


class NotAllowed(Refused):
    """401 or 403: no valid token, a scope too few, or another user's upload."""


class NotFound(Refused):
    """404: no such upload or file."""


class Conflict(Refused):
    """409: the id is in use, or the upload has already ended. `upload` is its state, if known."""

    upload: dict[str, Any] | None = None


class Busy(Refused):
    """429 or 503: not now."""


class UploadFailed(ClientError):
    """The upload ended with an error: its `code`, one sentence in `detail`.

    `event` is the journal's last event, if it was seen; `upload_id` names the upload, whose id
    cannot be used again. `retry_after_s` says when a new try makes sense, if the service said so.
    """

    def __init__(
        self,
        upload_id: str,
        code: str,
        detail: str,
        event: Event | None = None,
        *,
        retry_after_s: float | None = None,
    ) -> None:
        self.upload_id, self.code, self.detail, self.event = upload_id, code, detail, event
        self.retry_after_s = retry_after_s
        super().__init__(upload_id, code, detail, event)

    def __str__(self) -> str:
        return f"{self.detail.rstrip('.')} ({self.code})"


class UploadCancelled(UploadFailed):
    """The upload was cancelled by its owner."""


class JobFailed(Exception):
    """Raise it within `client.job(...)` to end the job with a code of your own (snake_case) and one
    sentence for a person."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code, self.detail = code, detail
        super().__init__(code, detail)

    def __str__(self) -> str:
        return f"{self.detail.rstrip('.')} ({self.code})"
