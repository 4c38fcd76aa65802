"""Finds where the parts of a multipart body begin and end, and calls the form that takes them.

A body as clients send it takes one pattern for a part's head and one search for its end. The first
thing that is not so, and all that follows it, is python-multipart's: its walk through a small body
costs a tenth of the calls of the whole upload. Neither judges what a part may be.
"""

from __future__ import annotations

import re
from typing import Protocol

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, MultipartState

from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.model.errors import MalformedMultipart

__all__ = ["PartParser", "Parts"]

_HEADER = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++):\x20*+([\x21-\x7e\x80-\xff][\x20-\x7e\x80-\xff]*+)\r\n"
)
"""Not every header that is legal."""


class Parts(Protocol):
    """Called for each part, in this order. `data[start:end]` is the next piece of its content."""

    def part_begins(self) -> None: ...
    def header(self, name: bytes, value: bytes) -> None: ...
    def headers_end(self) -> None: ...
    def content(self, data: bytes, start: int, end: int) -> None: ...
    def part_ends(self) -> None: ...


class PartParser:
    """One body, from its first delimiter on. What `parts` raises ends it."""

    def __init__(self, boundary: bytes, limits: ReceiveLimits, parts: Parts) -> None:
        self.ended = False
        """The closing delimiter has come; what follows it is ignored."""
        self._boundary, self._delimiter = boundary, b"\r\n--" + boundary
        self._limits, self._parts = limits, parts
        self._begun = False
        self._delimiters = 0
        self._other: _Other | None = None

    def feed(self, piece: bytes) -> None:
        """Take what follows. Raises MalformedMultipart."""
        if self._other is not None:
            self._feed_other(self._other, piece)
        elif self._begun:
            self._content(piece, 0)
        elif (head := self._head(piece, len(self._delimiter) - 2)) is None:
            self._hand_over(piece)
        else:
            self._begun = True
            self._content(piece, self._tell(*head))

    def close(self) -> None:
        """Make no more calls, and keep no reference to the form."""
        del self._parts
        if self._other is not None:
            self._other.close()

    # ---- a body as clients send it

    def _head(self, piece: bytes, at: int) -> tuple[list[re.Match[bytes]], int] | None:
        """The headers of a part whose delimiter ends at `at`, and where its content begins. None:
        they are not all there, or not the usual ones."""
        if not piece.startswith(b"\r\n", at):
            return None
        start = at = at + 2
        headers = []
        while (header := _HEADER.match(piece, at)) is not None:
            headers.append(header)
            at = header.end()
        usual = (
            len(headers) <= self._limits.max_part_headers
            and at - start <= self._limits.max_part_headers_bytes
            and piece.startswith(b"\r\n", at)
        )
        return (headers, at + 2) if usual else None

    def _tell(self, headers: list[re.Match[bytes]], content_at: int) -> int:
        self._parts.part_begins()
        for header in headers:
            self._parts.header(header[1], header[2])
        self._parts.headers_end()
        return content_at

    def _content(self, piece: bytes, at: int) -> None:
        """Take a part's content from `at` on, and the parts that follow it."""
        counted = False
        while not self.ended:
            end = piece.find(self._delimiter, at)
            whole = end >= 0
            if not whole:
                end = self._part_of_delimiter(piece, at)
            elif not counted:  # before the form is called for any of these parts
                self._count(piece.count(self._delimiter, end))
                counted = True
            if end > at:
                self._parts.content(piece, at, end)
            if end == len(piece):
                return
            after = end + len(self._delimiter)
            if whole and piece.startswith(b"--", after):
                self._parts.part_ends()
                self.ended, at = True, end
            elif whole and (head := self._head(piece, after)) is not None:
                self._parts.part_ends()
                at = self._tell(*head)
            else:
                self._hand_over(piece[end:], counted=counted)
                return
        if not counted:
            self._count(piece.count(self._delimiter, at))

    def _part_of_delimiter(self, piece: bytes, start: int = 0) -> int:
        """Where a delimiter may have begun, from `start` on, that goes on in the next piece; else
        the end."""
        # It begins with its only CR, so the last CR of the piece is the only place to look at.
        at = piece.rfind(b"\r", max(len(piece) - len(self._delimiter), start))
        return at if at >= 0 and self._delimiter.startswith(piece[at:]) else len(piece)

    def _count(self, delimiters: int) -> None:
        """Each one costs python-multipart a walk in Python, also one that turns out to be content,
        which no legal sender makes (RFC 2046 §5.1.1): full of them, a GiB costs 130 s of CPU."""
        self._delimiters += delimiters
        if self._delimiters > self._limits.max_parts + 1:
            raise MalformedMultipart("The boundary occurs inside the content.")

    # ---- any other body

    def _hand_over(self, piece: bytes, *, counted: bool = False) -> None:
        self._other = _Other(self._boundary, self._limits, self._parts, within_part=self._begun)
        self._feed_other(self._other, piece, counted=counted)

    def _feed_other(self, other: _Other, piece: bytes, *, counted: bool = False) -> None:
        if count := piece.count(self._delimiter):
            if not counted:
                self._count(count)
        elif other.mid_content and self._part_of_delimiter(piece) == len(piece):
            # It would be searched once more and handed on whole, the parser's state unchanged.
            self._parts.content(piece, 0, len(piece))
            return
        other.feed(piece)
        self.ended = other.ended


class _Other:
    """python-multipart's parser, from the body's first delimiter on or from within a part's
    content."""

    def __init__(
        self, boundary: bytes, limits: ReceiveLimits, parts: Parts, *, within_part: bool
    ) -> None:
        self.mid_content = within_part
        """No part of a delimiter is held back."""
        self._limits, self._parts = limits, parts
        self._parser = MultipartParser(
            boundary,
            max_header_count=limits.max_part_headers,
            max_header_size=limits.max_part_headers_bytes,
        )
        if within_part:
            self._parser.write(b"--" + boundary + b"\r\n\r\n")  # without callbacks
        self._parser.callbacks = {
            "on_part_begin": self._part_begins,
            "on_header_begin": self._header_begins,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_ends,
            "on_headers_finished": parts.headers_end,
            "on_part_data": self._content,
            "on_part_end": parts.part_ends,
        }

    @property
    def ended(self) -> bool:
        return self._parser.state == MultipartState.END

    def feed(self, piece: bytes) -> None:
        self.mid_content = False
        try:
            self._parser.write(piece)
        except MultipartParseError:
            raise MalformedMultipart from None

    def close(self) -> None:
        self._parser.callbacks = {}

    def _part_begins(self) -> None:
        self._headers_bytes = 0
        self._parts.part_begins()

    def _header_begins(self) -> None:
        self._name = self._value = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _count(self, count: int) -> None:
        self._headers_bytes += count
        if self._headers_bytes > (limit := self._limits.max_part_headers_bytes):
            raise MalformedMultipart(f"A part's headers are over {limit} bytes.")

    def _header_ends(self) -> None:
        self._parts.header(self._name, self._value)

    def _content(self, data: bytes, start: int, end: int) -> None:
        self.mid_content = end == len(data)
        self._parts.content(data, start, end)
