"""Requests and answers as plain values: paths, headers, and what an answer means. No I/O."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from sse_progress.client.failures import (
    BadAnswer,
    Busy,
    Conflict,
    NotAllowed,
    NotFound,
    Refused,
)
from sse_progress.model.ids import UPLOAD_ID_PATTERN, valid_upload_id

__all__ = [
    "BODY_LIMIT_BYTES",
    "base_url",
    "batch_path",
    "check",
    "file_path",
    "read_shape",
    "refusal",
    "retry_after_s",
    "upload_path",
]

T = TypeVar("T")

BODY_LIMIT_BYTES = 16 * 1024 * 1024
"""Longest JSON answer that is read: a page of states whose results are 64 KiB each."""

_BY_STATUS: dict[int, type[Refused]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    429: Busy,
    503: Busy,
}


def base_url(url: str) -> str:
    """The service's address without a trailing slash; raises ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not a URL such as http://127.0.0.1:8000")
    if parts.query or parts.fragment:
        raise ValueError(f"{url!r} must not have a query or fragment")
    return url.rstrip("/")


def upload_path(upload_id: str, rest: str = "") -> str:
    """Path of one upload; raises ValueError for an id that the service would refuse."""
    if not valid_upload_id(upload_id):
        raise ValueError(f"{upload_id!r} is no upload id: {UPLOAD_ID_PATTERN}")
    return f"/upload/{upload_id}{rest}"


def batch_path(batch_id: str, rest: str = "") -> str:
    """Path of one batch; raises ValueError for an id that the service would refuse."""
    if not valid_upload_id(batch_id):
        raise ValueError(f"{batch_id!r} is no batch id: {UPLOAD_ID_PATTERN}")
    return f"/batches/{batch_id}{rest}"


def file_path(upload_id: str, name: str) -> str:
    if name in ("", ".", ".."):
        raise ValueError(f"{name!r} is no file name")
    return upload_path(upload_id, f"/files/{quote(name, safe='')}")


def retry_after_s(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """`Retry-After` in seconds, at most an hour (RFC 9110 §10.2.3: a count, or a date)."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        wait = float(text[:9])
    else:
        try:
            at = email.utils.parsedate_to_datetime(text).timestamp()
        except ValueError:
            return None
        wait = at - (time.time() if now is None else now)
    return min(max(wait, 0.0), 3600.0)


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refused:
    """The exception that stands for an answer of 400 or more."""
    problem: Any = None
    if "json" in headers.get("content-type", ""):
        try:
            problem = json.loads(body)
        except ValueError:
            pass
    told: dict[str, Any] = problem if isinstance(problem, dict) else {}
    code = str(told.get("code") or f"http_{status}")
    detail = str(told.get("detail") or f"The answer was {status}.")
    kind = _BY_STATUS.get(status, Refused)
    error = kind(status, code, detail, retry_after_s=retry_after_s(headers))
    if isinstance(error, Conflict) and isinstance(told.get("upload"), dict):
        error.upload = told["upload"]
    return error


def read_shape(kind: type[T], url: str, status: int, body: bytes) -> T:
    """A successful answer's JSON as `kind`; raises BadAnswer if it is something else."""
    try:
        return msgspec.json.decode(body, type=kind)
    except ValueError as error:
        raise BadAnswer(url, status, f"not the expected JSON ({error})") from error


def check(url: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raise what an answer that is no success says."""
    if status >= 400:
        raise refusal(status, headers, body)
    if status >= 300:
        raise BadAnswer(url, status, f"moved to {headers.get('location', 'an unnamed place')}")
