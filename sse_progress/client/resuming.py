"""One file in several requests (tus 1.0): what to ask next, and what an answer means. No I/O.

After a cut the service is asked where the body ends, and the rest follows from there.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sse_progress.client.answers import refusal, upload_path
from sse_progress.client.failures import BadAnswer, Refused, Unreachable
from sse_progress.client.pace import Pace
from sse_progress.client.sending import Accepted, Lost

__all__ = ["LARGE_BYTES", "PartAsk", "Parts"]

LARGE_BYTES = 8 * 1024**2
"""From which size on a file is sent in parts, unless the caller says otherwise."""

PART_BYTES = 8 * 1024**2

_BEGUN_HERE = "receiving"


@dataclass(frozen=True, slots=True)
class PartAsk:
    """The next request; its body are the file's bytes from `start` to `end`, after a pause."""

    method: Literal["POST", "HEAD", "PATCH"]
    path: str
    headers: dict[str, str]
    start: int
    end: int
    pause_s: float
    params: Sequence[tuple[str, str]] = ()


class Parts:
    """`told` is set when nothing more is to be asked. `known`: the upload was begun before.

    `chance` gives numbers in [0, 1), `now` seconds.
    """

    def __init__(
        self,
        upload_id: str,
        *,
        url: str,
        size: int,
        metadata: Mapping[str, str],
        params: Sequence[tuple[str, str]] = (),
        known: bool,
        pace: Pace,
        now: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self.told: Accepted | Refused | BadAnswer | Lost | None = None
        self._upload_id, self._url, self._size = upload_id, url, size
        self._metadata, self._params, self._known = metadata, params, known
        self._pace, self._now, self._chance = pace, now, chance
        self._offset: int | None = None
        self._failures = 0
        self._pause_s = 0.0
        self._good_at = now()

    def next(self) -> PartAsk:
        path, pause_s, self._pause_s = upload_path(self._upload_id), self._pause_s, 0.0
        tus = {"Tus-Resumable": "1.0.0"}
        if not self._known:
            headers = {
                **tus,
                "X-Upload-ID": self._upload_id,
                "Upload-Length": str(self._size),
                "Upload-Metadata": _encoded(self._metadata),
            }
            return PartAsk("POST", "/upload", headers, 0, 0, pause_s, self._params)
        if self._offset is None:
            return PartAsk("HEAD", path, tus, 0, 0, pause_s)
        end = min(self._offset + PART_BYTES, self._size)
        headers = {
            **tus,
            "Upload-Offset": str(self._offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(end - self._offset),
        }
        return PartAsk("PATCH", path, headers, self._offset, end, pause_s)

    def answered(self, ask: PartAsk, status: int, headers: Mapping[str, str], body: bytes) -> None:
        if 200 <= status < 300:
            self._reached(status, headers)
            return
        if status < 400:
            self.told = BadAnswer(self._url, status, "not expected")
            return
        error = refusal(status, headers, body)
        upload = getattr(error, "upload", None)
        if status == 404 and ask.method == "HEAD":
            self._known = False
        elif ask.method == "POST" and upload is not None and upload.get("status") == _BEGUN_HERE:
            self._known, self._offset = True, None  # the answer to its beginning was lost
        elif error.code == "mismatching_offset":
            self._offset = None
        elif status in (408, 429) or status >= 500:
            self._again(str(error), error.retry_after_s, status)
        elif status == 409 and ask.method == "HEAD":
            self._again(str(error), None, status)
        else:
            self.told = error

    def broke(self, reason: str) -> None:
        """The connection failed, or nothing came for too long."""
        self._again(reason, None, 0)

    def _reached(self, status: int, headers: Mapping[str, str]) -> None:
        text = headers.get("upload-offset", "")
        if not (text.isascii() and text.isdigit()):
            self.told = BadAnswer(self._url, status, "no Upload-Offset")
            return
        offset = int(text)
        self._known = True
        self._failures, self._good_at = 0, self._now()
        self._offset = offset
        if offset > self._size or headers.get("upload-length", str(self._size)) != str(self._size):
            self.told = Refused(
                400, "inconsistent_length", f"The file is {self._size} bytes, the upload is not."
            )
        elif offset == self._size:
            self.told = Accepted()

    def _again(self, reason: str, wait_s: float | None, status: int) -> None:
        if self._now() - self._good_at > self._pace.give_up_s:
            text = reason if not status else f"it answered {status} for too long"
            self.told = Lost(Unreachable(self._url, text), sent=False)
            return
        self._failures += 1
        most = self._pace.retry_first_s * float(2 ** min(self._failures - 1, 10))
        jitter = 0.5 + self._chance() / 2
        self._pause_s = wait_s or min(most, self._pace.retry_limit_s) * jitter
        self._offset = None


def _encoded(metadata: Mapping[str, str]) -> str:
    return ",".join(
        f"{name} {base64.b64encode(value.encode('utf-8', 'replace')).decode()}"
        for name, value in metadata.items()
    )
