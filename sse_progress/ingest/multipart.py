"""multipart/form-data as an upload sends it (RFC 7578, RFC 2046 §5.1), chunk by chunk: sans-I/O.

Owns what a body may look like. Does not own where chunks come from, where the file goes, or time.
`part_parser` finds delimiters and headers; what it lets pass (a missing end, unlimited parts and
padding, raw names) is judged here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.ingest.part_headers import claimed_type_of, disposition_of
from sse_progress.ingest.part_parser import PartParser
from sse_progress.model.errors import MalformedMultipart, TooLarge, UnexpectedPart
from sse_progress.model.events import encode_json
from sse_progress.model.filenames import clean_filename
from sse_progress.model.text import clean_text

__all__ = ["MultipartForm"]

_PLAIN_ENCODINGS = (b"7bit", b"8bit", b"binary")
_SINGLE_HEADERS = (b"content-disposition", b"content-type", b"content-transfer-encoding")
_TEXT_TYPES = (b"application/json", b"application/x-www-form-urlencoded", b"application/xml")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_SLICE_BYTES = 256 * 1024


class MultipartForm:
    """One body: feed it chunks, take the file's bytes, and finish.

    `on_file` is called with the text fields so far when the file begins, and returns the largest
    file that is allowed then, bytes.

    After `finish()`: `filename` (cleaned), `claimed_type`, `fields` (a repeated name has a list)
    and `file_bytes`. A part with a `filename` or `filename*` is the file; if both are there the
    latter holds, which is harmless since a name decides nothing (RFC 7578 §4.2 discourages it,
    several HTTP libraries send it). An empty `filename=""` without a byte is a form's file input
    where no file was chosen (WHATWG HTML, "constructing the entry list"), so it is no file.
    Values of fields are valid UTF-8 and otherwise kept as they came, NUL included.
    """

    def __init__(
        self,
        boundary: bytes,
        limits: ReceiveLimits,
        *,
        on_file: Callable[[Mapping[str, str | list[str]]], int] | None = None,
    ) -> None:
        self.filename = ""
        self.claimed_type = ""
        self.fields: dict[str, str | list[str]] = {}
        self.body_bytes = 0
        self.file_bytes = 0
        self._limits = limits
        self._max_file_bytes, self._on_file = limits.max_upload_bytes, on_file
        self._delimiter = b"\r\n--" + boundary
        self._preamble: bytes | None = b""
        self._parts = 0
        self._has_file = False
        self._fields_bytes = 0
        self._fields_json_bytes = 0
        self._values_bytes = 0
        self._out: list[bytes] = []
        self._begin_part()
        self._parser = PartParser(boundary, limits, self)

    # ---- from outside

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next chunk of the body; returns what of the file it held, in order.

        Raises MalformedMultipart, UnexpectedPart or TooLarge, after which the form is of no use.
        """
        self._out = []
        for at in range(0, len(chunk), _SLICE_BYTES):
            piece = chunk if len(chunk) <= _SLICE_BYTES else chunk[at : at + _SLICE_BYTES]
            self.body_bytes += len(piece)
            if self._preamble is not None:
                piece = self._skip_preamble(piece)
            if piece:
                self._parser.feed(piece)
            self._check_overhead()
        return self._out

    def finish(self) -> None:
        """Say that the body is over; raises if it was cut off, or had no file."""
        if not self._parser.ended:
            raise MalformedMultipart("The body ended before its closing boundary.")
        if not self._parts:
            raise MalformedMultipart("The body has no parts.")
        if not self._has_file:
            raise UnexpectedPart(
                "The body has no file part (a part with a filename). Send exactly one."
            )
        self._parser.close()

    # ---- between the parser and the limits

    def _skip_preamble(self, piece: bytes) -> bytes:
        """Everything from the first delimiter on, or nothing while it has not come (RFC 2046)."""
        assert self._preamble is not None
        first = self._delimiter[2:]
        padding = piece[len(first) : len(first) + 1] in (b"", b" ", b"\t")
        if piece.startswith(first) and not (self._preamble or padding):
            self._preamble = None
            return piece  # as clients send it: nothing is copied
        limit = self._limits.max_preamble_bytes
        # A CRLF put before the body makes its first line like any other.
        seen = b"\r\n" + self._preamble + piece
        at = seen.find(self._delimiter, 0, limit + 2 + len(self._delimiter))
        after = at + len(self._delimiter)
        # The parser takes padding after every boundary but the first (RFC 2046 §5.1.1).
        if at >= 0 and (rest := seen[after:].lstrip(b" \t")):
            self._preamble = None
            return seen[at + 2 : after] + rest
        if len(seen) >= limit + 2 + len(self._delimiter):
            raise MalformedMultipart(f"No boundary in the first {limit} bytes of the body.")
        self._preamble += piece
        return b""

    def _check_overhead(self) -> None:
        # What the parser still holds back counts too. It is never more than the closing delimiter
        # that is to come, so no body is refused that would keep within the limit in the end.
        overhead = self.body_bytes - self.file_bytes - self._values_bytes
        if overhead > (limit := self._limits.max_overhead_bytes):
            raise MalformedMultipart(f"{overhead} bytes around the content, limit {limit}.")

    # ---- `Parts`

    def _begin_part(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._is_file = False
        self._nameless = False
        self._value = bytearray()
        self._first = b""

    def part_begins(self) -> None:
        self._begin_part()
        self._parts += 1
        if self._parts > self._limits.max_parts:
            raise UnexpectedPart(f"More than {self._limits.max_parts} parts.")

    def header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if _CONTROL.search(value):
            raise MalformedMultipart("A part's header has control characters.")
        if name in self._headers and name in _SINGLE_HEADERS:
            raise MalformedMultipart("A part has one of its headers twice.")
        self._headers[name] = value

    def headers_end(self) -> None:
        encoding = self._headers.get(b"content-transfer-encoding", b"binary").strip().lower()
        if encoding not in _PLAIN_ENCODINGS:
            # RFC 7578 §4.7 deprecates it; ignoring it would store the encoded text as the file.
            raise MalformedMultipart("Content-Transfer-Encoding is not supported.")
        try:
            name, filename = disposition_of(self._headers.get(b"content-disposition", b""))
        except ValueError:
            raise MalformedMultipart("A part's Content-Disposition cannot be understood.") from None
        if filename is None:
            self._check_text(name)
            self._name = name
            self._count_field(len(name.encode()))
            return
        self._is_file = True
        self._nameless = not filename
        if filename:
            self._claim_file(filename)

    def _check_text(self, name: str) -> None:
        """The refusal of a file without a filename names that, not the limit of texts."""
        given = self._headers.get(b"content-type", b"text/plain")
        kind = given.partition(b";")[0].strip().lower()
        if not (kind.startswith(b"text/") or kind in _TEXT_TYPES):
            raise UnexpectedPart(
                f"The part {clean_text(name)[:40]} has a type of files but no filename. "
                "A file part needs a filename."
            )

    def _claim_file(self, filename: str) -> None:
        if self._has_file:
            raise UnexpectedPart("More than one file part. Send exactly one.")
        self._has_file = True
        self._nameless = False
        if self._on_file is not None:
            self._max_file_bytes = self._on_file(self.fields)
        self.filename = clean_filename(filename)
        self.claimed_type = claimed_type_of(self._headers.get(b"content-type", b""))

    def _count_field(self, count: int) -> None:
        self._fields_bytes += count
        if self._fields_bytes > (limit := self._limits.max_fields_bytes):
            raise TooLarge(
                f"The text fields have {self._fields_bytes} bytes or more, limit {limit}. "
                "A file part needs a filename."
            )

    def _count_json(self, value: str) -> None:
        self._fields_json_bytes += len(encode_json({self._name: value}))
        if self._fields_json_bytes > (limit := self._limits.max_fields_json_bytes):
            raise TooLarge(
                f"The text fields have {self._fields_json_bytes} bytes or more as JSON, "
                f"limit {limit}."
            )

    def content(self, data: bytes, start: int, end: int) -> None:
        if (missing := len(self._delimiter) - 2 - len(self._first)) > 0:
            self._first += data[start : min(start + missing, end)]
            if self._first == self._delimiter[2:]:
                # For some readers this is the part's end: its line break is the headers' own.
                raise MalformedMultipart("The boundary stands at the beginning of a part.")
        if not self._is_file:
            self._count_field(end - start)
            self._values_bytes += end - start
            self._value += data[start:end]
            return
        if self._nameless:
            self._claim_file("")
        self.file_bytes += end - start
        if self.file_bytes > (limit := self._max_file_bytes):
            raise TooLarge(f"The file has {self.file_bytes} bytes or more, limit {limit}.")
        self._out.append(data[start:end])

    def part_ends(self) -> None:
        if self._is_file:
            return
        try:
            value = self._value.decode()
        except UnicodeDecodeError:
            raise MalformedMultipart("A text field is not UTF-8.") from None
        self._count_json(value)
        before = self.fields.get(self._name)
        if before is None:
            self.fields[self._name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            self.fields[self._name] = [before, value]
