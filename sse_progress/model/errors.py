"""Every way a request or an upload can fail: code, HTTP status and sentence, declared together.

Codes are part of the wire and never change their meaning. How a problem becomes an HTTP answer
(RFC 9457) is decided in web/; this module knows no HTTP types.
"""

from __future__ import annotations

import re

from sse_progress.model.ids import UPLOAD_ID_PATTERN

__all__ = ["PROBLEMS", "Problem", "Rejected", "problem_for"]

DETAIL_LIMIT = 200

_declared: list[type[Problem]] = []


class Problem(Exception):
    """The root: an error that is reported to the client.

    `detail` is one plain sentence of at most 200 characters and never names internals.
    `retry_after_s` becomes a `Retry-After` header (RFC 9110 §10.2.3).
    """

    code: str = "internal"
    status: int = 500
    sentence: str = "The server had an internal error."
    about_file: bool = False
    """Whether the file itself was judged: then sending the same file again ends in the same way."""
    whole: bool = False
    """Whether it refuses an append to a body that is complete."""

    def __init_subclass__(cls, code: str | None = None, status: int = 500) -> None:
        """A subclass that is given its `code` belongs to the wire and is listed in PROBLEMS."""
        if code is not None:
            cls.code, cls.status = code, status
            _declared.append(cls)

    def __init__(self, detail: str | None = None, *, retry_after_s: int | None = None) -> None:
        self.detail = (detail or self.sentence)[:DETAIL_LIMIT]
        self.retry_after_s = retry_after_s
        super().__init__(self.detail)

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class Internal(Problem, code="internal", status=500):
    pass


class HttpProblem(Problem):
    """An HTTP status that no other problem here stands for; its code is made of the phrase."""

    def __init__(self, status: int, phrase: str) -> None:
        self.status = status
        self.code = re.sub("[^a-z]+", "_", phrase.lower())
        super().__init__(f"{phrase}.")


# ---- 400: the request itself is broken


class InvalidUploadId(Problem, code="invalid_upload_id", status=400):
    sentence = f"X-Upload-ID must match {UPLOAD_ID_PATTERN}."


class MalformedMultipart(Problem, code="malformed_multipart", status=400):
    sentence = "The body is not complete, well-formed multipart/form-data."


class UnexpectedPart(Problem, code="unexpected_part", status=400):
    sentence = "Send exactly one file part."


class BadRequest(Problem, code="bad_request", status=400):
    sentence = "The request could not be understood."


class UnknownKind(Problem, code="unknown_kind", status=400):
    sentence = "There is no such kind of upload."


class MissingContext(Problem, code="missing_context", status=400):
    sentence = "This kind of upload needs a context."


class InvalidContext(Problem, code="invalid_context", status=400):
    sentence = "The context is not valid."


class UriTooLong(Problem, code="uri_too_long", status=414):
    sentence = "The request target is too long."


class HeadTooLarge(Problem, code="head_too_large", status=431):
    sentence = "The request head is too large."


class InconsistentLength(Problem, code="inconsistent_length", status=400):
    sentence = "The lengths that were given for this upload differ, or its body is longer."


class DigestMismatch(Problem, code="digest_mismatch", status=400):
    sentence = "The bytes that arrived do not have the digest that was announced."


class ChecksumMismatch(Problem, code="checksum_mismatch", status=460):
    """Of tus: the status is its checksum extension's own."""

    sentence = "The bytes that arrived do not have the checksum that was announced."


class UnsupportedTusVersion(Problem, code="unsupported_version", status=412):
    sentence = "The version of tus that is spoken here is 1.0.0."


# ---- permissions


class Unauthenticated(Problem, code="unauthenticated", status=401):
    sentence = "A valid token is needed."


class Forbidden(Problem, code="forbidden", status=403):
    sentence = "You do not have access to this."


# ---- state


class UnknownUpload(Problem, code="unknown_upload", status=404):
    sentence = "No upload has this id."


class NotFound(Problem, code="not_found", status=404):
    sentence = "Not found."


class MethodNotAllowed(Problem, code="method_not_allowed", status=405):
    sentence = "This method is not allowed here."


class UploadIdInUse(Problem, code="upload_id_in_use", status=409):
    sentence = "This id already has an upload. Retry with a new id."


class AlreadyFinished(Problem, code="already_finished", status=409):
    sentence = "The upload has already ended."


class Cancelled(Problem, code="cancelled", status=409):
    sentence = "The upload was cancelled by its owner."


class MismatchingOffset(Problem, code="mismatching_offset", status=409):
    """Bytes were sent for `provided`, where the body ends at `expected`."""

    sentence = "The body does not end at this offset."

    def __init__(
        self, detail: str | None = None, *, expected: int = 0, provided: int | None = None
    ) -> None:
        super().__init__(detail)
        self.expected, self.provided = expected, provided


class BatchClosed(Problem, code="batch_closed", status=409):
    sentence = "No more items can join this batch."


class Replaced(Problem, code="replaced", status=409):
    sentence = "A newer request of this upload took over."


class UploadGone(Problem, code="upload_gone", status=410):
    sentence = "This upload has ended without its file, so nothing can be added to it."


class UploadExpired(Problem, code="upload_expired", status=410):
    """Journal only: a paused upload was not resumed in time."""

    sentence = "The upload was paused and not resumed in time."


# ---- the body


class ReceiveTimeout(Problem, code="receive_timeout", status=408):
    sentence = "The body stopped arriving or came too slowly."


class TooLarge(Problem, code="too_large", status=413):
    sentence = "The file is larger than allowed."
    about_file = True


class UnsupportedMediaType(Problem, code="unsupported_media_type", status=415):
    sentence = "Send multipart/form-data with a boundary."


class ClientDisconnected(Problem, code="client_disconnected", status=400):
    """Journal only: there is no client to respond to."""

    sentence = "The client disconnected before the whole file had arrived."


class ServerLost(Problem, code="server_lost", status=503):
    """Journal only: the process that received the body died."""

    sentence = "The server failed before the whole file had arrived. Please send it again."


class ProducerLost(Problem, code="producer_lost", status=503):
    """Journal only: the service that does the work has not reported for as long as it said."""

    sentence = "The service that did this work does not report any more."


# ---- reports of other services


class InvalidStage(Problem, code="invalid_stage", status=422):
    sentence = "This kind of work has no such stage."


# ---- limits and the service itself


class TooManyUploads(Problem, code="too_many_uploads", status=429):
    sentence = "Too many uploads at once."


class TooManyStreams(Problem, code="too_many_streams", status=429):
    sentence = "Too many progress streams at once."


class TooManySubscriptions(Problem, code="too_many_subscriptions", status=429):
    """WebSocket only."""

    sentence = "Too many subscriptions on one connection."


class RateLimited(Problem, code="rate_limited", status=429):
    sentence = "Too many requests."


class Unavailable(Problem, code="unavailable", status=503):
    sentence = "The service is temporarily unavailable. Please try again."


class InsufficientStorage(Problem, code="insufficient_storage", status=507):
    sentence = "There is not enough space to store the file."


class QuotaExceeded(Problem, code="quota_exceeded", status=507):
    sentence = "Your uploads use all the space that you have. Please delete some of them."


# ---- stages


class StageTimeout(Problem, code="stage_timeout", status=422):
    sentence = "Processing this file takes too long."
    about_file = True


class Rejected(Problem):
    """A stage refuses the file: `raise Rejected("rejected_type", "A .exe is not accepted.")`.

    `code` is snake_case, stable, and chosen by the stage; the response is 422.
    """

    status = 422
    sentence = "The file was refused."
    about_file = True

    def __init__(self, code: str, detail: str | None = None) -> None:
        self.code = code
        super().__init__(detail)

    def __reduce__(self) -> tuple[type[Rejected], tuple[str, str]]:
        return (Rejected, (self.code, self.detail))


PROBLEMS: tuple[type[Problem], ...] = tuple(_declared)
"""Every problem that has a code of its own; stages add codes by `Rejected`."""

_BY_CODE = {problem.code: problem for problem in PROBLEMS}


def problem_for(code: str, detail: str | None = None) -> Problem:
    """The problem that a journal's terminal `error` stands for; an unlisted code is a refusal."""
    known = _BY_CODE.get(code)
    return known(detail) if known else Rejected(code, detail)
