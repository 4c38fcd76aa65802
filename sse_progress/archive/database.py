"""The archive's database, PostgreSQL or SQLite: engines with time limits, and the schema's state.

Everything here blocks. Imported only by what uses a database, since SQLAlchemy takes 36 MB.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError as DatabaseError

from sse_progress.archive.schema import HEAD
from sse_progress.archive.transaction import Transaction

__all__ = ["Database", "DatabaseError", "WrongSchema"]

STATEMENT_S = 5
"""Of one statement, and of waiting for a lock."""
MIGRATION_S = 600
CONNECT_S = 5
MIGRATION_LOCK = 0x7373655F70726F67
"""Key of PostgreSQL's advisory lock."""


class WrongSchema(Exception):
    """The tables are of another release than this one."""


class Database:
    """The database at a URL; nothing is connected yet. Only one that `writes` makes a SQLite
    file."""

    def __init__(self, url: str, *, writes: bool = False, statement_s: int = STATEMENT_S) -> None:
        parsed = make_url(url)
        self._url, self._is_current = url, False
        self._file: Path | None = None
        if parsed.get_backend_name() == "sqlite":
            self._file = Path(parsed.database or "").absolute()
            self._engine = _sqlite(self._file, writes=writes, statement_s=statement_s)
        else:
            self._engine = _postgresql(parsed, statement_s=statement_s)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All of it, or nothing of it where the block raises."""
        with self._engine.begin() as connection:
            yield Transaction(connection)

    def close(self) -> None:
        self._engine.dispose()

    # ---- the schema

    @property
    def revision(self) -> str | None:
        """The schema's revision; None: there are no tables yet."""
        if self._file is not None and not self._file.exists():
            return None
        with self._engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return found

    def is_current(self) -> bool:
        """Whether the tables are there. Raises WrongSchema where they are another release's."""
        if not self._is_current:
            found = self.revision
            if found not in (None, HEAD):
                raise WrongSchema(f"the archive has revision {found}, this release uses {HEAD}")
            self._is_current = found == HEAD
        return self._is_current

    def upgrade(self) -> bool:
        """Bring the schema to this release's revision, one process at a time; whether there was
        anything to do. Raises WrongSchema if it is a later release's."""
        found = self.revision
        if found == HEAD:
            return False
        if found is not None and found > HEAD:
            raise WrongSchema(f"the archive has revision {found}, this release uses {HEAD}")
        database = Database(self._url, writes=True, statement_s=MIGRATION_S)
        try:
            with database._engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    lock = text("SELECT pg_advisory_xact_lock(:key)")
                    connection.execute(lock, {"key": MIGRATION_LOCK})
                _migrate(connection)
        finally:
            database.close()
        return True


def _migrate(connection: Connection) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it logs while it is imported
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _postgresql(url: URL, *, statement_s: int) -> Engine:
    milliseconds = statement_s * 1000
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=2,
        max_overflow=2,
        pool_pre_ping=True,
        pool_timeout=CONNECT_S,
        connect_args={
            "connect_timeout": CONNECT_S,
            "application_name": "sse-progress",
            "keepalives_idle": 30,
            "tcp_user_timeout": 10_000,
            "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} "
            "-c idle_in_transaction_session_timeout=60000",
        },
    )


def _sqlite(path: Path, *, writes: bool, statement_s: int) -> Engine:
    if writes:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = "rwc" if writes else "rw"  # not `ro`: a reader may have to roll back a dead writer's
    engine = create_engine(
        URL.create("sqlite", database=path.as_uri(), query={"mode": mode, "uri": "true"}),
        connect_args={"timeout": statement_s, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: Any) -> None:
        # Not WAL: its shared memory does not work for processes of several hosts.
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
