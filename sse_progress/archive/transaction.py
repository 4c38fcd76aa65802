"""One transaction on the archive: what is read and written, in SQL; everything blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from sse_progress.archive.records import ArchivedUpload, Copy, Wanted, frame_of
from sse_progress.archive.schema import events, notes, uploads
from sse_progress.journal.frames import Frame
from sse_progress.model.events import decode_json
from sse_progress.model.ids import Position
from sse_progress.model.kinds import DEFAULT_KIND
from sse_progress.model.stage_table import TERMINAL, status_of_stage

__all__ = ["Transaction"]

BATCHES = "b:%"
"""Names of batches' journals, which are in no list of uploads."""


class Transaction:
    """What is done on `connection`, which has begun a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # ---- writing

    def write(self, copies: Iterable[Copy]) -> list[str]:
        """Write copies whose basis is still what is there; the ids of those.

        Of two writers that began from one basis the second one's rows are left out, so each event
        is written once.
        """
        written: list[str] = []
        rows: list[dict[str, Any]] = []
        for copy in sorted(copies, key=lambda copy: copy.upload.upload_id):  # so none deadlock
            if not self._write_upload(copy):
                continue
            upload_id, epoch = copy.upload.upload_id, copy.upload.position.epoch
            if copy.whole:
                of_epoch = and_(events.c.upload_id == upload_id, events.c.epoch == epoch)
                self._connection.execute(delete(events).where(of_epoch))
            rows += [_event_row(upload_id, frame) for frame in copy.events]
            written.append(upload_id)
        if rows:
            self._connection.execute(insert(events), rows)
        return written

    def _write_upload(self, copy: Copy) -> bool:
        values = _upload_row(copy.upload) | {"revision": copy.basis + 1}
        if not copy.basis:
            return self._insert_once(uploads, values)
        same = and_(uploads.c.upload_id == copy.upload.upload_id, uploads.c.revision == copy.basis)
        return self._connection.execute(update(uploads).where(same).values(values)).rowcount == 1

    def _insert_once(self, table: Any, values: dict[str, Any]) -> bool:
        dialect: Any = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(table).values(values).on_conflict_do_nothing()
        statement = statement.returning(*table.primary_key.columns)
        return self._connection.execute(statement).first() is not None

    def note(self, name: str, value: str) -> None:
        """Remember a value under a name."""
        if not self._insert_once(notes, {"name": name, "value": value}):
            self._connection.execute(update(notes).where(notes.c.name == name).values(value=value))

    def forget(self, *, before_ms: int, limit: int) -> int:
        """Remove uploads that last changed before a moment, with their events; how many."""
        names = self._connection.scalars(
            select(uploads.c.upload_id).where(uploads.c.changed_ms < before_ms).limit(limit)
        ).all()
        if names:
            self._connection.execute(delete(events).where(events.c.upload_id.in_(names)))
            self._connection.execute(delete(uploads).where(uploads.c.upload_id.in_(names)))
        return len(names)

    # ---- reading

    def found(self, upload_ids: Sequence[str]) -> dict[str, ArchivedUpload]:
        """Those of `upload_ids` that are there."""
        rows = self._connection.execute(select(uploads).where(uploads.c.upload_id.in_(upload_ids)))
        return {row.upload_id: _upload(row) for row in rows}

    def noted(self, name: str) -> str | None:
        return self._connection.scalar(select(notes.c.value).where(notes.c.name == name))

    def events(self, upload_id: str, *, after: Position, limit: int) -> tuple[Frame, ...]:
        """Events of an epoch after a position, in order."""
        table = events.c
        rows = self._connection.execute(
            select(table.seq, table.event)
            .where(table.upload_id == upload_id, table.epoch == after.epoch, table.seq > after.seq)
            .order_by(table.seq)
            .limit(limit)
        )
        return tuple(_frame(Position(after.epoch, row.seq), row.event) for row in rows)

    def listed(self, wanted: Wanted, *, limit: int) -> list[ArchivedUpload]:
        """Uploads of an owner, newest first."""
        table = uploads.c
        conditions = [table.owner == wanted.owner, table.upload_id.not_like(BATCHES)]
        if wanted.status is not None:
            conditions.append(table.status == wanted.status)
        if wanted.labels.kind is not None:
            conditions.append(table.kind == wanted.labels.kind)
        if wanted.labels.batch_id is not None:
            conditions.append(table.batch_id == wanted.labels.batch_id)
        conditions += [
            table.context[key].as_string() == value for key, value in wanted.labels.context.items()
        ]
        if wanted.after_us is not None:
            conditions.append(table.began_us > wanted.after_us)
        if wanted.before_us is not None:
            conditions.append(table.began_us < wanted.before_us)
        statement = select(uploads).where(and_(*conditions)).order_by(table.began_us.desc())
        return [_upload(row) for row in self._connection.execute(statement.limit(limit))]

    def counts(self) -> dict[str, int | None]:
        """How much there is, and when the first and the latest change was, ms since 1970."""
        changed = uploads.c.changed_ms
        found = select(func.count(), func.min(changed), func.max(changed)).select_from(uploads)
        how_many, oldest, newest = self._connection.execute(found).one()
        rows = self._connection.scalar(select(func.count()).select_from(events))
        return {"uploads": how_many, "events": rows, "oldest_ms": oldest, "newest_ms": newest}

    def began_after(
        self, after: tuple[int, str], *, owner: str | None, limit: int
    ) -> list[ArchivedUpload]:
        """Uploads and batches in the order of their beginning (us since 1970) and ids."""
        table = uploads.c
        statement = select(uploads).where(tuple_(table.began_us, table.upload_id) > after)
        if owner is not None:
            statement = statement.where(table.owner == owner)
        statement = statement.order_by(table.began_us, table.upload_id).limit(limit)
        return [_upload(row) for row in self._connection.execute(statement)]

    def all_events(self, upload_id: str) -> list[Frame]:
        """Those of all its epochs."""
        table = events.c
        rows = self._connection.execute(
            select(table.epoch, table.seq, table.event)
            .where(table.upload_id == upload_id)
            .order_by(table.at_ms, table.seq)
        )
        return [_frame(Position(row.epoch, row.seq), row.event) for row in rows]


# ---- rows


def _upload_row(upload: ArchivedUpload) -> dict[str, Any]:
    tags = decode_json(b"{%b}" % upload.tags)
    return {
        "upload_id": upload.upload_id,
        "owner": upload.owner,
        "kind": tags.get("kind", DEFAULT_KIND),
        "batch_id": tags.get("batchId"),
        "context": tags.get("context", {}),
        "status": status_of_stage(upload.stage),
        "epoch": upload.position.epoch,
        "seq": upload.position.seq,
        "stage": upload.stage,
        "producer": upload.producer,
        "tags": upload.tags.decode(),
        "about": upload.about.decode(),
        "last": upload.last.decode(),
        "began_us": upload.began_us,
        "created_ms": upload.created_ms,
        "changed_ms": upload.changed_ms,
        "archived_ms": upload.archived_ms,
    }


def _upload(row: Any) -> ArchivedUpload:
    return ArchivedUpload(
        upload_id=row.upload_id,
        owner=row.owner,
        position=Position(row.epoch, row.seq),
        stage=row.stage,
        producer=row.producer,
        tags=row.tags.encode(),
        about=row.about.encode(),
        last=row.last.encode(),
        began_us=row.began_us,
        created_ms=row.created_ms,
        changed_ms=row.changed_ms,
        archived_ms=row.archived_ms,
        revision=row.revision,
    )


def _event_row(upload_id: str, frame: Frame) -> dict[str, Any]:
    return {
        "upload_id": upload_id,
        "epoch": frame.position.epoch,
        "seq": frame.position.seq,
        "at_ms": round((frame.at or 0) * 1000),
        "event": frame.data.decode(),
    }


def _frame(position: Position, event: str) -> Frame:
    data = event.encode()
    return frame_of(position, data, terminal=decode_json(data).get("stage") in TERMINAL)
