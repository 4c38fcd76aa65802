"""What `sse-progress archive` does, on the database itself: no service has to run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import typer

from sse_progress.archive.database import Database, DatabaseError, WrongSchema
from sse_progress.cli.ops_commands import render
from sse_progress.model.events import encode_json
from sse_progress.model.timestamps import rfc3339
from sse_progress.settings import Settings, SettingsError
from sse_progress.uploads.components import check_archive

__all__ = ["export", "run", "status", "upgrade"]

AT_ONCE = 200


def run(settings: Settings, command: Callable[[Database], None]) -> int:
    """Do it; the exit code: 0, or 1 if it could not be done."""
    try:
        check_archive(settings)
        if settings.archive is None:
            raise SettingsError("SSE_PROGRESS_ARCHIVE_URL: is off; there is no archive.")
        database = Database(settings.archive)
        try:
            command(database)
        finally:
            database.close()
    except (SettingsError, WrongSchema) as error:
        typer.echo(str(error), err=True)
        return 1
    except (DatabaseError, OSError) as error:
        why = getattr(error, "orig", None) or error
        typer.echo(f"The archive cannot be used: {why}".strip(), err=True)
        return 1
    return 0


def upgrade(database: Database) -> None:
    changed = database.upgrade()
    typer.echo(f"Revision {database.revision}" + ("" if changed else ", as before"))


def status(database: Database, *, as_json: bool) -> None:
    """Revision (None: no tables yet), counts, and the times of the oldest and the latest event."""
    answer: dict[str, object] = {"revision": database.revision, "uploads": 0, "events": 0}
    if database.is_current():
        with database.transaction() as archive:
            counts = archive.counts()
        answer |= {name: counts[name] for name in ("uploads", "events")}
        for name in ("oldest", "newest"):
            at_ms = counts[f"{name}_ms"]
            answer[name] = None if at_ms is None else rfc3339(at_ms / 1000)
    typer.echo(json.dumps(answer) if as_json else "\n".join(render(answer)))


def export(database: Database, *, owner: str | None) -> None:
    """In short transactions, so that nobody who writes waits for it."""
    after = (0, "")
    while database.is_current():
        with database.transaction() as archive:
            found = archive.began_after(after, owner=owner, limit=AT_ONCE)
        for upload in found:
            with database.transaction() as archive:
                frames = archive.all_events(upload.upload_id)
            for frame in frames:
                line = b'{"owner":%b,%b\n' % (encode_json(upload.owner), frame.message[1:])
                sys.stdout.buffer.write(line)
        if len(found) < AT_ONCE:
            break
        after = (found[-1].began_us, found[-1].upload_id)
    sys.stdout.flush()
