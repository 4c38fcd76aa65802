"""A file that is larger than what the service may hold in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.helpers import raw_http
from tests.helpers.multipart import body, content_type, file_part
from tests.helpers.processes import resident_bytes
from tests.helpers.service import Service

MIB = 1024**2
PIECE = bytes(range(256)) * 4096
"""One MiB that is no file type at all: refused, but only once it is stored as a whole."""


class Peak:
    """The largest resident memory of a process while the block runs, bytes."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.bytes = self.looks = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.bytes = max(self.bytes, resident_bytes(self._pid))
            self.looks += 1

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def send(server: Service, upload_id: str, mebibytes: int) -> raw_http.Answer:
    """A body of so many MiB, made as it is sent."""
    begin, end = body([file_part(b"\0", "large.bin", "application/octet-stream")]).split(b"\0")
    size = len(begin) + mebibytes * MIB + len(end)

    def pieces() -> Iterator[bytes]:
        yield begin
        for _ in range(mebibytes):
            yield PIECE
        yield end

    return raw_http.request(
        "POST",
        f"{server.url}/upload",
        headers={
            "X-Upload-ID": upload_id,
            "Content-Type": content_type(),
            "Content-Length": str(size),
        },
        body=pieces(),
        timeout_s=300,
    )


@pytest.mark.parametrize(
    "mebibytes", [200, pytest.param(1024, marks=pytest.mark.long)], ids=["200MiB", "1GiB"]
)
def test_memory_stays_flat(server: Service, mebibytes: int) -> None:
    """The file goes to the disk as it arrives: however large it is, the process that receives it
    grows by a few MiB, as it does for a small one."""
    (web,) = server.pids()["web"]
    assert send(server, f"warm-{mebibytes}", 8).status == 422
    before = resident_bytes(web)
    with Peak(web) as peak:
        answer = send(server, f"large-{mebibytes}", mebibytes)
    assert (answer.status, answer.json["code"]) == (422, "rejected_type")
    assert peak.looks > 3
    assert peak.bytes < before + 24 * MIB
    assert not [name for name in server.files() if name.startswith(("incoming/", "open/"))]
