# Made from sse_progress/client/_async/requests.py by scripts/generate: change that.
"""One request and its answer, for everything that the client offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Self, TypeVar

import httpx

from sse_progress.client.answers import BODY_LIMIT_BYTES, check, read_shape
from sse_progress.client.base import LIMITS, BaseClient, Token, in_words
from sse_progress.client.failures import BadAnswer, Unreachable
from sse_progress.client.pace import Pace
from sse_progress.client.ways import FollowBy

__all__ = ["Requests"]

T = TypeVar("T")


class Requests(BaseClient):
    """The connections to one service; every failure of a request is a ClientError."""

    def __init__(
        self,
        url: str,
        *,
        token: Token,
        timeout: float,
        pace: Pace | None,
        transport: httpx.BaseTransport | None,
        follow_by: FollowBy,
    ) -> None:
        super().__init__(url, token=token, timeout=timeout, pace=pace, follow_by=follow_by)
        self._http = httpx.Client(transport=transport, timeout=self._timeout, limits=LIMITS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def _get(self, kind: type[T], path: str, params: Iterable[tuple[str, str]] = ()) -> T:
        status, body = self._call("GET", path, params)
        return read_shape(kind, self.url, status, body)

    def _post_json(
        self, kind: type[T], path: str, content: bytes, headers: Mapping[str, str] | None = None
    ) -> T:
        sent = {"Content-Type": "application/json", **(headers or {})}
        status, body = self._call("POST", path, headers=sent, content=content)
        return read_shape(kind, self.url, status, body)

    def _call(
        self,
        method: str,
        path: str,
        params: Iterable[tuple[str, str]] = (),
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> tuple[int, bytes]:
        try:
            response = self._open(method, path, params, headers, content=content)
            with closing(response):
                body = self._read(response)
        except httpx.RequestError as error:
            raise Unreachable(self.url, in_words(error)) from error
        check(self.url, response.status_code, response.headers, body)
        return response.status_code, body

    def _open(
        self,
        method: str,
        path: str,
        params: Iterable[tuple[str, str]],
        headers: Mapping[str, str] | None = None,
        *,
        timeout: httpx.Timeout | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        request = self._http.build_request(
            method,
            self.url + path,
            params=list(params),
            headers=self._headers(headers),
            content=content,
            timeout=timeout or self._timeout,
        )
        return self._http.send(request, stream=True)

    def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > BODY_LIMIT_BYTES:
                raise BadAnswer(self.url, response.status_code, f"over {BODY_LIMIT_BYTES} bytes")
        return bytes(body)
