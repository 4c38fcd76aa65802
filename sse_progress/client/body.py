"""A multipart/form-data body (RFC 7578) that is read from its file while it is sent."""

from __future__ import annotations

import asyncio
import io
import mimetypes
import os
import re
import secrets
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias

from sse_progress.client.failures import FileChanged

__all__ = ["Body", "Fields", "Source", "SourceFile", "Stopped"]

Source: TypeAlias = str | os.PathLike[str] | BinaryIO
Fields: TypeAlias = Mapping[str, str | Sequence[str]]

CHUNK_BYTES = 256 * 1024

_UNSAFE = re.compile(r'[\r\n"\0]')


class Stopped(Exception):
    """The body is no longer wanted."""


class SourceFile:
    """The file of an upload. A path is opened here and closed by `close()`, a file object is not.

    `size` is None where the file cannot tell it (a pipe). Of one that grows meanwhile so many bytes
    are read; one that shrinks raises FileChanged.
    """

    def __init__(self, source: Source, *, filename: str | None, content_type: str | None) -> None:
        self._file, self._ours = _open(source)
        self.size = _remaining(self._file)
        told = getattr(self._file, "name", None)
        name = filename or (Path(told).name if isinstance(told, str) else "") or "file"
        self.filename = name.encode("utf-8", "replace").decode()
        kind = content_type or mimetypes.guess_type(self.filename)[0] or "application/octet-stream"
        if not kind.isprintable():
            raise ValueError(f"{kind!r} is no media type")
        self.content_type = kind
        self._start = None if self.size is None else self._file.tell()
        self._stopped = threading.Event()
        self._reading = threading.Lock()

    def iter_bytes(self, start: int, end: int) -> Iterator[bytes]:
        """The file's bytes from `start` to `end`; only of one that knows its size."""
        while start < end:
            chunk = self._read(start, min(CHUNK_BYTES, end - start), seek=True)
            start += len(chunk)
            yield chunk

    async def aiter_bytes(self, start: int, end: int) -> AsyncIterator[bytes]:
        while start < end:
            size = min(CHUNK_BYTES, end - start)
            chunk = await asyncio.to_thread(self._read, start, size, seek=True)
            start += len(chunk)
            yield chunk

    def pause(self, seconds: float) -> None:
        """Wait, in a thread. Raises Stopped once it is closed."""
        if self._stopped.wait(seconds):
            raise Stopped

    def close(self) -> None:
        """Stop, and close the file: now, or by the thread that reads it when its read returns."""
        # Closing under a reader would wait for it, and a pipe may never give another byte.
        self._stopped.set()
        if self._reading.acquire(blocking=False):
            self._close()

    def _close(self) -> None:
        try:
            if self._ours:
                self._file.close()
        finally:
            self._reading.release()

    def _read(self, sent: int, most: int, *, seek: bool = False) -> bytes:
        try:
            with self._reading:
                return self._read_on(sent, most, seek=seek)
        finally:
            if self._stopped.is_set():
                self.close()

    def _read_on(self, sent: int, most: int, *, seek: bool) -> bytes:
        if self._stopped.is_set():
            raise Stopped
        if self.size is None or self._start is None:
            return self._file.read(most)
        if seek:
            self._file.seek(self._start + sent)
        chunk = self._file.read(min(most, self.size - sent))
        if not chunk and sent < self.size:
            raise FileChanged(self.filename, self.size, sent)
        return chunk


class Body(SourceFile):
    """Text fields, then one file, as one form. Memory holds one chunk, whatever the file's size.

    `length_bytes` is None where the file cannot tell its size: then the body goes out chunked.
    """

    def __init__(
        self,
        source: Source,
        *,
        fields: Fields | None = None,
        filename: str | None = None,
        content_type: str | None = None,
    ) -> None:
        super().__init__(source, filename=filename, content_type=content_type)
        boundary = f"----{secrets.token_hex(16)}"
        self._head = _head(boundary, fields or {}, self.filename, self.content_type)
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.length_bytes = (
            None if self.size is None else len(self._head) + self.size + len(self._tail)
        )
        self.headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        if self.length_bytes is not None:
            self.headers["Content-Length"] = str(self.length_bytes)

    def iter_chunks(self) -> Iterator[bytes]:
        yield self._head
        sent = 0
        while chunk := self._read(sent, CHUNK_BYTES):
            sent += len(chunk)
            yield chunk
        yield self._tail

    async def aiter_chunks(self) -> AsyncIterator[bytes]:
        yield self._head
        sent = 0
        while chunk := await asyncio.to_thread(self._read, sent, CHUNK_BYTES):
            sent += len(chunk)
            yield chunk
        yield self._tail


def _open(source: Source) -> tuple[BinaryIO, bool]:
    if isinstance(source, str | os.PathLike):
        return Path(source).open("rb"), True
    if isinstance(source, io.TextIOBase):
        raise TypeError("open the file in binary mode")
    return source, False


def _remaining(file: BinaryIO) -> int | None:
    """Bytes from the file's position to its end; None if it cannot tell."""
    # Not by fstat: the descriptor of a gzip file tells the size of something else.
    try:
        here = file.tell()
        size = file.seek(0, os.SEEK_END) - here
        file.seek(here)
    except (OSError, ValueError, AttributeError):
        return None
    return max(size, 0)


def _head(boundary: str, fields: Fields, filename: str, content_type: str) -> bytes:
    disposition = f"--{boundary}\r\nContent-Disposition: form-data; name="
    parts = [
        f'{disposition}"{_quoted(name)}"\r\n\r\n{one}\r\n'
        for name, value in fields.items()
        for one in ([value] if isinstance(value, str) else value)
    ]
    parts.append(
        f'{disposition}"file"; filename="{_quoted(filename)}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    return "".join(parts).encode("utf-8", "replace")


def _quoted(text: str) -> str:
    """As browsers do (WHATWG HTML, multipart/form-data encoding): only these are escaped."""
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", text)
