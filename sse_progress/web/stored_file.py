"""A file as a response, with ranges (RFC 9110 §14), whose refusals are problems."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable

from sse_progress.model.errors import BadRequest

__all__ = ["StoredFile"]


class StoredFile(FileResponse):
    """Starlette's, which answers a bad Range in plain text."""

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            raise BadRequest("The Range header cannot be understood.") from None
        except RangeNotSatisfiable:
            headers = {"Content-Range": f"bytes */{file_size}"}
            raise HTTPException(416, headers=headers) from None
