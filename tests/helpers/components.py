"""The service's inner parts on a real Redis and a real directory, without HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sse_progress.journal.append_batcher import Answer
from sse_progress.journal.frames import Page
from sse_progress.model.events import Draft, decode_json
from sse_progress.model.kinds import Kinds
from sse_progress.settings import load_settings
from sse_progress.storage.manifest import Manifest
from sse_progress.uploads.components import Components, opened

KINDS = Kinds(max_bytes=1024**3, allowed_types=("*/*",))
"""The one kind of a service without settings."""

CREATED = "2026-01-15T10:30:00.000Z"


@asynccontextmanager
async def components(url: str, directory: Path, **settings: Any) -> AsyncIterator[Components]:
    """All parts that web and worker share, running; `settings` by their names."""
    given = {"redis_url": url, "data_dir": directory / "data", **settings}
    async with opened(load_settings(**given)) as core:
        yield core


def draft(stage: str, stage_progress: int = 0, **more: Any) -> Draft:
    return Draft(stage=stage, stage_progress=stage_progress, message="testing", **more)


async def begin(
    core: Components, upload_id: str = "up", *, lease_s: float = 60, tags: bytes = b""
) -> Answer:
    """The first event of an upload of `ann`, as a web process makes it."""
    await core.index.opened(upload_id, owner="ann", now_s=1_800_000_000)
    answer = await core.journal.begin(
        upload_id, owner="ann", draft=draft("receiving"), lease_s=lease_s, tags=tags
    )
    assert answer.status == "ok"
    return answer


def store(
    core: Components, upload_id: str = "up", content: bytes = b"some bytes", **more: Any
) -> Manifest:
    """A stored file without a word in the journal."""
    incoming = core.storage.bodies.incoming(upload_id)
    incoming.write(content)
    given: dict[str, Any] = {
        "upload_id": upload_id,
        "owner": "ann",
        "filename": "some.txt",
        "claimed_type": "text/plain",
        "fields": {},
        "size": incoming.size,
        "sha256": incoming.sha256,
        "epoch": "",
        "created_at": CREATED,
        **more,
    }
    manifest = Manifest(**given)
    incoming.store(manifest)
    return manifest


async def stored(core: Components, upload_id: str = "up", content: bytes = b"some bytes") -> Answer:
    """An upload that waits for a worker: `file_received` told and the file stored."""
    answer = await begin(core, upload_id)
    store(core, upload_id, content, epoch=answer.epoch)
    numbers = iter([2, 3])
    for event in (draft("receiving", 100), draft("file_received", 100)):
        answer = await core.journal.operation(
            "next", upload_id, owner="ann", fence=answer.fence, numbers=numbers, draft=event
        )
        assert answer.status == "ok"
    return answer


async def page_of(core: Components, upload_id: str = "up") -> Page:
    page = await core.journal.read(upload_id, limit=10_000)
    assert isinstance(page, Page)
    return page


async def events_of(core: Components, upload_id: str = "up") -> list[dict[str, Any]]:
    return [decode_json(frame.data) for frame in (await page_of(core, upload_id)).frames]


async def story_of(core: Components, upload_id: str = "up") -> list[tuple[str, int]]:
    """(stage, stage progress) of every event."""
    return [(event["stage"], event["stageProgress"]) for event in await events_of(core, upload_id)]


def left_over(core: Components) -> list[str]:
    """Every file of uploads in the data directory."""
    root = core.settings.data_dir
    return sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file()
        and path.relative_to(root).parts[0] not in ("redis", "storage-id", "hosts")
    )
