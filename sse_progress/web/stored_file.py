"""A file as a response, with ranges (RFC 9110 §14), whose refusals are problems.

Owns how a file that is elsewhere is passed on. Who may read which file is the route's.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Literal, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    MalformedRangeHeader,
    RangeNotSatisfiable,
    Response,
)
from starlette.types import Receive, Scope, Send

from sse_progress.runtime.concurrency import blocking
from sse_progress.storage.port import RemoteFile
from sse_progress.web.request_headers import etag_matches

__all__ = ["StoredFile", "file_response"]

NOT_MODIFIED = ("etag", "last-modified", "cache-control", "x-upload-id")
"""Headers of a 304: those that a 200 would have had and a cache may need (RFC 9110 §15.4.5)."""
FIRST_BYTES = 256 * 1024
MOST_BYTES = 8 * 1024**2
"""Asked for at once, from elsewhere: little at first, since a range may be all that is wanted."""


def file_response(
    file: Path | RemoteFile,
    *,
    filename: str,
    media_type: str,
    headers: Mapping[str, str],
    disposition: Literal["inline", "attachment"] = "attachment",
    redirect: bool = False,
) -> Response:
    """The file; with `redirect`, where a file that is elsewhere can be fetched for a minute."""
    if isinstance(file, Path):
        return StoredFile(
            file,
            media_type=media_type,
            filename=filename,
            content_disposition_type=disposition,
            headers=headers,
        )
    passed_on = PassedOnFile(
        file, filename=filename, media_type=media_type, headers=headers, disposition=disposition
    )
    if not redirect:
        return passed_on
    location = file.url(disposition=passed_on.headers["content-disposition"], media_type=media_type)
    more = {"Location": location, "Cache-Control": "private, no-store"}
    return Response(status_code=307, headers={**headers, **more})


class StoredFile(FileResponse):
    """Starlette's, with preconditions (RFC 9110 §13); it answers a bad Range in plain text."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.stat_result is None:
            self.stat_result = await blocking(os.stat, self.path)
            self.set_stat_headers(self.stat_result)
        request = Request(scope)
        if (expected := request.headers.get("if-match")) is not None:
            etags = [etag.strip() for etag in expected.split(",")]
            if self.headers["etag"] not in etags and "*" not in etags:
                raise HTTPException(412)
        if self._is_known(request):
            kept = {name: self.headers[name] for name in NOT_MODIFIED if name in self.headers}
            await Response(status_code=304, headers=kept)(scope, receive, send)
            return
        await super().__call__(scope, receive, send)

    def _is_known(self, request: Request) -> bool:
        if "if-none-match" in request.headers:
            return etag_matches(request, self.headers["etag"])
        return request.headers.get("if-modified-since") == self.headers["last-modified"]

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        """One that cannot be understood is ignored: none is the whole file (RFC 9110 §14.2)."""
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []
        except RangeNotSatisfiable:
            headers = {"Content-Range": f"bytes */{file_size}"}
            raise HTTPException(416, headers=headers) from None

    @classmethod
    def _parse_ranges(cls, range_: str, file_size: int) -> list[tuple[int, int]]:
        """Those beyond the end matter only where all are (RFC 9110 §14.1.1)."""
        found = super()._parse_ranges(range_, file_size)
        return [one for one in found if one[0] < file_size] or found


class PassedOnFile(StoredFile):
    """A file that is fetched piece by piece as it is sent."""

    def __init__(
        self,
        file: RemoteFile,
        *,
        filename: str,
        media_type: str,
        headers: Mapping[str, str],
        disposition: str,
    ) -> None:
        seconds = int(file.modified.timestamp())
        super().__init__(
            filename,
            media_type=media_type,
            filename=filename,
            stat_result=os.stat_result((0o100600, 0, 0, 1, 0, 0, file.size, 0, seconds, 0)),
            content_disposition_type=disposition,
            headers={
                **headers,
                "ETag": file.etag,
                "Last-Modified": format_datetime(file.modified, usegmt=True),
            },
        )
        self._file = file

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[Any]:
        reader = _Reader(self._file)
        try:
            yield reader
        finally:
            await reader.aclose()

    async def _handle_simple(self, send: Send, send_header_only: bool, send_pathsend: bool) -> None:  # noqa: ARG002
        await super()._handle_simple(send, send_header_only, False)


class _Reader:
    """A remote file with a position, as Starlette reads it: a read is whole, but for the last."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._asked_to = 0
        self._bytes = FIRST_BYTES
        self._rest = b""
        self._pieces: AsyncGenerator[bytes] | None = None

    async def seek(self, offset: int) -> None:
        await self.aclose()
        self._asked_to = offset
        self._rest = b""

    async def read(self, count: int) -> bytes:
        found = [self._rest]
        missing = count - len(self._rest)
        while missing > 0 and (piece := await self._next()):
            found.append(piece)
            missing -= len(piece)
        whole = b"".join(found)
        self._rest = whole[count:]
        return whole[:count]

    async def _next(self) -> bytes:
        """The next bytes; none at the end."""
        while True:
            if self._pieces is None:
                if self._asked_to >= self._file.size:
                    return b""
                start, self._asked_to = (
                    self._asked_to,
                    min(self._asked_to + self._bytes, self._file.size),
                )
                self._bytes = min(self._bytes * 2, MOST_BYTES)
                stream = self._file.stream(start, self._asked_to)
                self._pieces = cast("AsyncGenerator[bytes]", stream)
            try:
                return await anext(self._pieces)
            except StopAsyncIteration:
                self._pieces = None

    async def aclose(self) -> None:
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            await pieces.aclose()
