"""The archive's tables. How they come to be is in `migrations`; a test holds the two together.

Events are kept as the JSON that was sent, byte for byte, so that a history is the same from here as
from the journal. The journal of a batch is kept like an upload's, as `b:<batch id>`.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

__all__ = ["HEAD", "events", "metadata", "notes", "uploads"]

HEAD = "0001"
"""The revision that this code reads and writes."""

metadata = MetaData()

uploads = Table(
    "uploads",
    metadata,
    Column("upload_id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("batch_id", Text),
    Column("context", JSON().with_variant(JSONB, "postgresql"), nullable=False),
    Column("status", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("stage", Text, nullable=False),
    Column("producer", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("last", Text, nullable=False),
    Column("began_us", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("archived_ms", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Index("uploads_owner_began", "owner", "began_us"),
    Index("uploads_changed", "changed_ms"),
)

events = Table(
    "events",
    metadata,
    Column("upload_id", Text, primary_key=True),
    Column("epoch", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
)

notes = Table(
    "notes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
