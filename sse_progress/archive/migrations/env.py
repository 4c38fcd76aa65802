"""Run by Alembic, on the connection and within the transaction of `database.upgrade`."""

from __future__ import annotations

from alembic import context

from sse_progress.archive.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
