"""`sse-progress ops`: what an operator asks of, and does to, a service over its Redis and storage.

Everything here works without a web process; answers are JSON with `--json`, else aligned text.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer
from redis.exceptions import RedisError

from sse_progress.journal.journal import Journal
from sse_progress.journal.upload_index import Index
from sse_progress.model.errors import Problem
from sse_progress.model.timestamps import rfc3339
from sse_progress.queue.opening import open_queue
from sse_progress.queue.queue import Queue
from sse_progress.runtime.redis.client import connect
from sse_progress.settings import Settings, SettingsError
from sse_progress.storage.opening import open_storage
from sse_progress.storage.port import Storage

__all__ = ["Failed", "Operator", "run"]

POLL_S = 0.5


class Failed(Exception):
    """The command could not do it; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """The commands, over the parts that they need. Each answers plain data for `render`."""

    queue: Queue
    index: Index
    journal: Journal
    storage: Storage

    async def list_queue(self, *, limit: int) -> dict[str, Any]:
        """Jobs of each kind, the next one first, and whether the queue is drained."""
        overview = await self.queue.overview(limit=limit)
        lists = {
            kind: [{"id": job.upload_id, "seconds": round(job.seconds, 1)} for job in jobs]
            for kind, jobs in overview.jobs.items()
        }
        return {"drained": overview.paused, "counts": overview.counts, **lists}

    async def list_uploads(self, *, limit: int) -> list[dict[str, Any]]:
        """Open uploads, oldest first."""
        rows = await self.index.open_uploads(limit=limit)
        return [
            {"began": rfc3339(began_ms / 1000), **await self._summary(upload_id)}
            for upload_id, began_ms in rows
        ]

    async def show(self, upload_id: str) -> dict[str, Any]:
        """What storage, queue and journal know of one upload. Raises Failed if that is nothing."""
        summary = await self._summary(upload_id)
        found = self.storage.objects.find(upload_id)
        if found is not None:
            summary |= {
                "filename": found.manifest.filename,
                "size": found.manifest.size,
                "created": found.manifest.created_at,
                "published": found.done,
            }
        if (holder := (await self.queue.holders()).get(upload_id)) is not None:
            summary["worker"] = holder
        if not summary["stored"] and not summary["stage"] and not summary["job"]:
            raise Failed(f"{upload_id}: unknown upload")
        return summary

    async def requeue(self, upload_id: str) -> dict[str, Any]:
        """Have an unfinished upload worked on now. Raises Failed if it has no stored file."""
        found = self.storage.objects.find(upload_id)
        if found is None:
            raise Failed(f"{upload_id}: no stored file")
        if found.done:
            raise Failed(f"{upload_id}: already published")
        return {"id": upload_id, "was": await self.queue.requeue(upload_id)}

    async def list_workers(self) -> list[dict[str, Any]]:
        """Workers that reported within a day and have not ended."""
        holders = await self.queue.holders()
        alive_s = 2 * self.queue.lease_s
        return [
            {
                "worker": worker.name,
                "alive": worker.age_s < alive_s,
                "seconds_since_report": round(worker.age_s, 1),
                "jobs": sorted(key for key, holder in holders.items() if holder == worker.name),
            }
            for worker in await self.queue.workers()
        ]

    async def drain(self, *, resume: bool, wait: bool) -> dict[str, Any]:
        """Give out no more jobs, and wait on wish until none runs; or go on."""
        if resume:
            await self.queue.resume()
        else:
            await self.queue.pause()
        overview = await self.queue.overview(limit=1)
        while wait and not resume and overview.counts["running"]:
            await asyncio.sleep(POLL_S)
            overview = await self.queue.overview(limit=1)
        return {"drained": overview.paused, "running": overview.counts["running"]}

    async def _summary(self, upload_id: str) -> dict[str, Any]:
        page = await self.journal.head(upload_id)
        place, attempts = await self.queue.place(upload_id)
        summary: dict[str, Any] = {
            "id": upload_id,
            "owner": page.owner if page else "",
            "stage": page.stage if page else "",
            "job": place,
            "attempts": attempts,
            "stored": self.storage.objects.find(upload_id) is not None,
        }
        if page is not None and page.last is not None:
            event = json.loads(page.last.data)
            summary |= {key: event[key] for key in ("progress", "message", "timestamp")}
        return summary


def run(settings: Settings, command: Callable[[Operator], Awaitable[Any]], *, as_json: bool) -> int:
    """Do `command` and print what it answers; the exit code: 0, or 1 if it could not be done."""

    async def main() -> Any:
        storage = open_storage(settings)
        async with AsyncExitStack() as stack:
            redis = await stack.enter_async_context(connect(_redis_url(settings)))
            queue = open_queue(settings, redis, name=storage.id)
            stack.push_async_callback(queue.aclose)
            operator = Operator(
                queue=queue,
                index=Index(redis, storage_id=storage.id),
                journal=Journal(redis),
                storage=storage,
            )
            return await command(operator)

    try:
        answer = asyncio.run(main())
    except (Failed, Problem, SettingsError) as error:
        typer.echo(str(error), err=True)
        return 1
    except (RedisError, OSError) as error:
        typer.echo(f"Redis or NATS cannot be asked: {error}", err=True)
        return 1
    typer.echo(json.dumps(answer) if as_json else "\n".join(render(answer)))
    return 0


def _redis_url(settings: Settings) -> str:
    """The given Redis, or the private one of `serve` on this data directory."""
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    socket = settings.data_dir / "redis" / "redis.sock"
    if not socket.exists():
        raise Failed(
            f"No service runs on {settings.data_dir}. Set SSE_PROGRESS_DATA_DIR or "
            "SSE_PROGRESS_REDIS_URL."
        )
    return f"unix://:{_password(socket)}@{quote(str(socket))}"


def _password(socket: Path) -> str:
    from sse_progress.supervisor.private_redis import PASSWORD_FILE

    return (socket.parent / PASSWORD_FILE).read_text(encoding="ascii")


def render(answer: Any) -> list[str]:
    """Plain data for a person: rows as a table, a mapping as `name  value` lines."""
    if isinstance(answer, list):
        return _table(answer)
    lines = []
    for name, value in answer.items():
        if isinstance(value, list) and (not value or isinstance(value[0], dict)):
            lines += [f"{name}:", *(f"  {line}" for line in _table(value))]
        else:
            lines.append(f"{name}: {_text(value)}")
    return lines


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    if not rows:
        return ["(none)"]
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_text(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(names))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _text(value: Any) -> str:
    """A value on one line; nothing in it can write to the terminal on its own."""
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{name} {_text(of)}" for name, of in value.items())
        case list():
            return " ".join(_text(of) for of in value)
    text = str(value)
    return text if text.isprintable() else ascii(text)[1:-1]
