"""What both clients share: the address, the token, the pace, and the machines they drive."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import httpx

from sse_progress.client.answers import base_url, batch_path, refusal, upload_path
from sse_progress.client.body import Body, Fields
from sse_progress.client.failures import BadAnswer, Conflict, Unreachable
from sse_progress.client.following import Following, Phase
from sse_progress.client.pace import Pace
from sse_progress.client.reading import E
from sse_progress.client.resuming import LARGE_BYTES, Parts
from sse_progress.client.sending import Accepted, Lost, News, Sending
from sse_progress.client.shapes import BatchEvent, QueuePlace, State
from sse_progress.client.talking import Renewal
from sse_progress.client.ways import FollowBy, check_follow_by
from sse_progress.model.events import Event

__all__ = [
    "LIMITS",
    "BaseClient",
    "Label",
    "Token",
    "bulk_choice",
    "in_use",
    "in_words",
    "labels",
]

Token: TypeAlias = str | Callable[[], str] | None
Label: TypeAlias = tuple[str, str]
"""A query parameter that labels an upload, or chooses uploads by their labels."""

_ANSWER_TIMEOUT_S = 120.0
"""For the answer to a whole body: the service syncs the file to its disk first."""

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)
"""Streams wait only for the service, never for each other."""


def in_words(error: Exception) -> str:
    """Why a connection failed, for a person, on one line."""
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return "no connection within the time limit"
        case TimeoutError():
            return "nothing came for too long"
        case httpx.TimeoutException():
            return "no answer within the time limit"
        case httpx.ConnectError():
            text = _from_the_system(error) or str(error)
        case httpx.NetworkError() | httpx.RemoteProtocolError():
            return "the connection was lost"
        case _:
            text = str(error)
    return " ".join(text.split()) or type(error).__name__


def _from_the_system(error: BaseException | None) -> str:
    """What the operating system said, below the wrappings of several libraries."""
    told = ""
    while error is not None:
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, ConnectionError) and error.errno:
            told = os.strerror(error.errno)  # asyncio says something longer
        elif isinstance(error, OSError) and error.strerror:
            told = error.strerror
        error = error.__cause__ or error.__context__
    return told[:1].lower() + told[1:]


class BaseClient:
    """`token` may be a function: it is called for every request, so it can renew the token."""

    def __init__(
        self,
        url: str,
        *,
        token: Token,
        timeout: float,
        pace: Pace | None,
        follow_by: FollowBy = "sse",
    ) -> None:
        check_follow_by(follow_by)
        self.url = base_url(url)
        self._token, self._follow_by = token, follow_by
        self._pace = pace or Pace()
        self._timeout_s = timeout
        self._timeout = httpx.Timeout(timeout)
        self._post_timeout = httpx.Timeout(timeout, read=max(timeout, _ANSWER_TIMEOUT_S))

    def _stream_timeout(self, silence_s: float | None = None) -> httpx.Timeout:
        return httpx.Timeout(self._timeout_s, read=silence_s)

    def _renewal(self, request: httpx.Request) -> Renewal:
        """Of the token that this one brought."""
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        return Renewal(self._token, sent, now=time.time)

    def _headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        token = self._token() if callable(self._token) else self._token
        headers: dict[str, str] = {"Accept": "application/json", **(more or {})}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _post_headers(self, upload_id: str, body: Mapping[str, str]) -> dict[str, str]:
        return self._headers({**body, "X-Upload-ID": upload_id, "Prefer": "respond-async"})

    def _following(
        self,
        upload_id: str,
        last_event_id: str | None = None,
        on_phase: Callable[[Phase], None] | None = None,
        on_place: Callable[[QueuePlace], None] | None = None,
    ) -> Following[Event]:
        path, subject = upload_path(upload_id, "/progress"), {"uploadId": upload_id}
        return self._machine(
            path, Event, on_phase, last_event_id, subject=subject, on_place=on_place
        )

    def _following_all(
        self,
        ids: Iterable[str],
        on_phase: Callable[[Phase], None] | None,
        on_place: Callable[[QueuePlace], None] | None,
    ) -> Following[Event]:
        params = [("id", upload_path(one).rpartition("/")[2]) for one in ids]
        return self._machine("/uploads/progress", Event, on_phase, params=params, on_place=on_place)

    def _following_batch(
        self, batch_id: str, last_event_id: str | None, on_phase: Callable[[Phase], None] | None
    ) -> Following[BatchEvent]:
        path, subject = batch_path(batch_id, "/progress"), {"batchId": batch_id}
        return self._machine(path, BatchEvent, on_phase, last_event_id, subject=subject)

    def _machine(
        self,
        path: str,
        kind: type[E],
        on_phase: Callable[[Phase], None] | None,
        last_event_id: str | None = None,
        *,
        subject: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] = (),
        on_place: Callable[[QueuePlace], None] | None = None,
    ) -> Following[E]:
        return Following(
            self.url,
            path,
            kind=kind,
            subject=subject,
            params=params,
            last_event_id=last_event_id,
            now=time.monotonic,
            chance=random.random,
            pace=self._pace,
            on_phase=on_phase,
            on_place=on_place,
            follow_by=self._follow_by,
        )

    def _sending(self, upload_id: str) -> Sending:
        return Sending(upload_id, url=self.url, pace=self._pace, now=time.monotonic)

    def _parts(
        self,
        upload_id: str,
        body: Body,
        fields: Fields | None,
        resume: bool | None,
        *,
        labelled: Sequence[Label] = (),
        known: bool,
    ) -> Parts | None:
        """What sends the file in parts; None: it goes in one request."""
        lists = [name for name, value in (fields or {}).items() if not isinstance(value, str)]
        fit = body.size is not None and not lists
        if resume and not fit:
            raise ValueError("resume needs a file that knows its size, and fields without lists")
        if not fit or resume is False or (resume is None and (body.size or 0) < LARGE_BYTES):
            return None
        about = {"filename": body.filename, "filetype": body.content_type}
        return Parts(
            upload_id,
            url=self.url,
            size=body.size or 0,
            params=labelled,
            metadata={**about, **{name: str(value) for name, value in (fields or {}).items()}},
            known=known and bool(resume),
            pace=self._pace,
            now=time.monotonic,
            chance=random.random,
        )

    def _told(self, status: int, headers: Mapping[str, str], body: bytes) -> News:
        """What the answer to a POST says."""
        if status in (200, 202):
            return Accepted()
        if status < 400:
            return BadAnswer(self.url, status, "not expected")
        error = refusal(status, headers, body)
        if status >= 500 and error.code == f"http_{status}":
            # Something between lost patience; the service itself would have said why.
            return Lost(Unreachable(self.url, f"something between answered {status}"), sent=True)
        return error

    def _broken(self, error: httpx.RequestError) -> Lost:
        sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        return Lost(Unreachable(self.url, in_words(error)), sent=sent)


def in_use(state: State) -> Conflict:
    """What the service would say of a second upload under this id, before any byte is sent."""
    error = Conflict(409, "upload_id_in_use", "This id already names an upload.")
    error.upload = {"status": state.status, "uploadId": state.upload_id}
    return error


def labels(
    kind: str | None, context: Mapping[str, str] | None, batch_id: str | None
) -> list[Label]:
    """Labels as query parameters."""
    given = {"kind": kind, "batch": batch_id}
    found = [(name, value) for name, value in given.items() if value is not None]
    return found + [(f"context.{key}", value) for key, value in (context or {}).items()]


def bulk_choice(
    ids: Iterable[str] | None,
    status: str | None,
    kind: str | None,
    context: Mapping[str, str] | None,
    batch_id: str | None,
) -> dict[str, object]:
    """Which uploads bulk work is about; raises ValueError unless that is either ids or a filter."""
    named = {"status": status, "kind": kind, "context": context, "batchId": batch_id}
    chosen: dict[str, object] = {name: value for name, value in named.items() if value}
    if (ids is None) == (not chosen):
        raise ValueError("name either ids, or a filter: status, kind, context, batch_id")
    return chosen if ids is None else {"ids": [upload_path(id).rpartition("/")[2] for id in ids]}
