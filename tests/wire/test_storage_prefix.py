"""`Kind(storage_prefix=...)`: where published files lie, seen from outside of the service."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sse_progress.storage.manifest import digest_of
from tests.helpers import s3_client
from tests.helpers.s3_server import S3Server
from tests.helpers.service import ROOT, Service
from tests.helpers.waiting import eventually
from tests.wire.test_kinds import TEXT as BRIEF
from tests.wire.test_kinds import by_form_and_query, by_tus
from tests.wire.words import journal_of, new_id

TEXT = b"wind water stone tree\n" * 1000
KINDS = """
from sse_progress import Kind

stages = "tests.faults.stages:pipeline"
def kind(name: str, prefix: str, days: float | None = 30) -> Kind:
    return Kind(name=name, pipeline=stages, storage_prefix=prefix, retention_days=days)

kinds = [%s]
"""
BEFORE = (
    KINDS % 'kind("course", "media/courses"), kind("brief", "briefs", None), kind("film", "films")'
)
AFTER = KINDS % 'kind("course", "moved")'


class Running:
    """A service and its kinds; `listed` is all that its storage has."""

    def __init__(self, service: Service, directory: Path, listed: Callable[[], list[str]]) -> None:
        self.service, self.directory, self.listed = service, directory, listed

    def declare(self, kinds: str) -> None:
        (self.directory / "own_kinds.py").write_text(kinds)

    def of(self, upload_id: str) -> list[str]:
        """All but the note of its removal, which is there if its second attempt published it."""
        digest = digest_of(upload_id)
        return [path for path in self.listed() if digest in path and path != f"removed/{digest}"]

    def originals(self, prefix: str, upload_id: str) -> list[str]:
        """Of this upload, below the prefix."""
        digest = digest_of(upload_id)
        start = f"objects/{prefix}/{digest[:2]}/{digest}"
        return [p for p in self.listed() if p.startswith(start) and p.endswith("/original")]


@pytest.fixture(params=["directory", "bucket"])
def running(request: pytest.FixtureRequest, redis_url: str) -> Iterator[Running]:
    directory = Path(tempfile.mkdtemp(prefix="sp-prefix-"))
    env = {
        "SSE_PROGRESS_KINDS": "own_kinds:kinds",
        "SSE_PROGRESS_LEASE_S": "2",
        "SSE_PROGRESS_REDIS_URL": redis_url,
        "SSE_PROGRESS_SANDBOX": "off",  # its stages keep a tally beside the service
        "SSE_PROGRESS_WEB_PROCESSES": "1",
        "PYTHONPATH": f"{directory}:{ROOT}",
    }
    if request.param == "bucket":
        server: S3Server = request.getfixturevalue("s3_server")
        below = f"w{secrets.token_hex(6)}"
        env |= {**server.env, "SSE_PROGRESS_STORAGE": server.setting("media", prefix=below)}

        def listed() -> list[str]:
            keys = s3_client.keys(server.endpoint, "media", prefix=f"{below}/")
            return [key.removeprefix(f"{below}/") for key in keys]
    else:

        def listed() -> list[str]:
            root = directory / "service" / "data"
            return [str(path.relative_to(root)) for path in root.rglob("*")]

    running = Running(Service(directory / "service", env), directory, listed)
    running.declare(BEFORE)
    try:
        running.service.start()
        yield running
    finally:
        running.service.close()
        shutil.rmtree(directory)


async def test_published_files_lie_below_the_prefix_of_their_kind(running: Running) -> None:
    """Not before they are published. They are served, deleted and expire from there, also when
    their kind has another prefix meanwhile, or is gone: then by the retention that it
    had, without one by that of the settings."""
    course, other, brief, later = (new_id() for _ in range(4))
    films = [new_id(), new_id()]
    with httpx.Client(base_url=running.service.url, timeout=60) as client:
        answer = _send(client, course, hold="processing", place=str(running.directory))
        assert answer.status_code == 202, answer.text
        tally = running.directory / f"{course}.tally"
        await eventually(
            lambda: tally.exists() and "processing begun" in tally.read_text(), "it is processed"
        )
        assert not any(path.startswith(("objects/", "format")) for path in running.listed())
        assert _send(client, other).status_code == 202
        assert by_tus(client, brief, "kind=brief").status_code == 204
        assert by_tus(client, films[0], "kind=film").status_code == 204
        assert by_form_and_query(client, films[1], "kind=film").status_code == 200
        await _completed(running, other)
        await _completed(running, films[0])
        media = await _completed(running, brief)
        assert len(running.originals("media/courses", other)) == 1
        assert len(running.originals("briefs", brief)) == 1
        assert client.get(media["url"]).content == BRIEF
        _check_range(client, other)
        assert client.delete(f"/upload/{other}/files").status_code == 204
        assert running.of(other) == []

    running.service.stop()
    running.service.env["SSE_PROGRESS_RETENTION_DAYS"] = "1e-6"  # not before: nothing may be due
    running.declare(AFTER)
    (running.directory / f"{course}.go").touch()
    running.service.start()
    with httpx.Client(base_url=running.service.url, timeout=60) as client:
        assert _send(client, later).status_code == 202
        await _completed(running, course)
        await _completed(running, later)
        assert len(running.originals("media/courses", course)) == 1
        assert len(running.originals("moved", later)) == 1
        _check_range(client, course)
        await eventually(lambda: running.of(brief) == [], "the brief has expired")
        for upload_id in films:
            assert len(running.originals("films", upload_id)) == 1
        for upload_id in (course, *films, later):
            assert client.delete(f"/upload/{upload_id}/files").status_code == 204
            assert running.of(upload_id) == []


def _send(client: httpx.Client, upload_id: str, **fields: str) -> httpx.Response:
    return client.post(
        "/upload?kind=course",
        data=fields,
        files={"file": ("words.txt", TEXT, "text/plain")},
        headers={"X-Upload-ID": upload_id, "Prefer": "respond-async"},
    )


async def _completed(running: Running, upload_id: str) -> dict[str, Any]:
    """The media of its end."""
    last = (await journal_of(running.service, upload_id))[-1].json
    assert last["stage"] == "complete", last
    media: dict[str, Any] = last["media"]
    return media


def _check_range(client: httpx.Client, upload_id: str) -> None:
    answer = client.get(f"/upload/{upload_id}/files/words.txt", headers={"Range": "bytes=5-9"})
    assert (answer.status_code, answer.content) == (206, TEXT[5:10])
