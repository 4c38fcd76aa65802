"""The archive's tables, its commands, and calls that hang."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from sse_progress.archive import schema
from sse_progress.archive.archive import Archive
from sse_progress.archive.database import Database, WrongSchema
from sse_progress.archive.records import ArchivedUpload, Copy, Wanted, frame_of
from sse_progress.archive.threads import Threads
from sse_progress.cli.archive_commands import export, run, status, upgrade
from sse_progress.model.errors import Unavailable
from sse_progress.model.events import encode_json
from sse_progress.model.ids import Position
from sse_progress.model.labels import Labels
from sse_progress.settings import load_settings
from tests.helpers.service import ROOT


def put(url: str, name: str, *, began_us: int = 1, owner: str = "ann", **more: Any) -> None:
    """An upload of one event. `more`: members of it."""
    event = {"stage": "complete", "timestamp": "2026-01-15T10:30:00.000Z", **more}
    labels = {name: more[name] for name in ("kind", "context", "batchId") if name in more}
    last = encode_json(event)
    position = Position("e", 1)
    upload = ArchivedUpload(
        upload_id=name,
        owner=owner,
        position=position,
        stage=event["stage"],
        producer="",
        tags=encode_json(labels)[1:-1],
        about=b"",
        last=last,
        began_us=began_us,
        created_ms=1,
        changed_ms=1,
        archived_ms=1,
    )
    frames = [frame_of(position, last, terminal=True)]
    database = Database(url, writes=True)
    database.upgrade()
    with database.transaction() as archive:
        assert archive.write([Copy(upload=upload, events=frames, basis=0, whole=False)]) == [name]
    database.close()


def test_the_migrations_make_what_the_code_uses(archive_url: str) -> None:
    """Alembic finds no difference between the tables and `schema`, whose head is the latest."""
    database = Database(archive_url, writes=True)
    assert database.revision is None
    assert database.upgrade()
    assert not database.upgrade()
    assert database.revision == schema.HEAD
    with database._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    revisions = (ROOT / "sse_progress/archive/migrations/versions").glob("r*.py")
    assert max(path.name for path in revisions).startswith(f"r{schema.HEAD}")
    database.close()


def test_several_that_begin_at_once_make_them_once(archive_url: str) -> None:
    """Each finds them there, and one has made them."""

    def begin(_: int) -> bool:
        database = Database(archive_url, writes=True)
        try:
            return database.upgrade()
        finally:
            database.close()

    with ThreadPoolExecutor(4) as pool:
        changed = list(pool.map(begin, range(4)))
    assert any(changed)
    database = Database(archive_url)
    assert database.is_current()
    database.close()


def test_tables_of_a_later_release_are_left_alone(archive_url: str) -> None:
    """Neither read nor changed."""
    database = Database(archive_url, writes=True)
    database.upgrade()
    with database._engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for use in (database.upgrade, database.is_current):
        with pytest.raises(WrongSchema, match="9999"):
            use()
    database.close()


def test_a_list_is_narrowed(archive_url: str) -> None:
    """By owner, status, kind, batch, context and time; newest first; batches are in none."""
    put(archive_url, "a", began_us=10, context={"courseId": "c1"})
    put(archive_url, "b", began_us=20, context={"courseId": "c2", "x": "it's \"%_\\"}, kind="video")
    put(archive_url, "c", began_us=30, stage="error", batchId="b1")
    put(archive_url, "d", began_us=40, owner="bob")
    put(archive_url, "b:b1", began_us=50)
    database = Database(archive_url)

    def names(**more: Any) -> str:
        with database.transaction() as archive:
            found = archive.listed(Wanted(owner="ann", **more), limit=10)
        return "".join(upload.upload_id for upload in found)

    assert names() == "cba"
    assert names(status="error") == "c"
    assert names(labels=Labels(kind="upload")) == "ca"
    assert names(labels=Labels(kind="video", context={"x": "it's \"%_\\"})) == "b"
    assert names(labels=Labels(context={"courseId": "c1"})) == "a"
    assert names(labels=Labels(context={"other": "c1"})) == ""
    assert names(labels=Labels(batch_id="b1")) == "c"
    assert names(after_us=10) == "cb"
    assert names(before_us=30, after_us=10) == "b"
    database.close()


def test_the_commands(archive_url: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """`upgrade`, `status` and `export`, whatever is there; text of events comes as it was sent."""
    settings = load_settings(archive_url=archive_url)

    def said(command: Any) -> str:
        assert run(settings, command) == 0
        return capsysbinary.readouterr().out.decode()

    assert json.loads(said(lambda d: status(d, as_json=True)))["revision"] is None
    assert said(lambda d: export(d, owner=None)) == ""
    assert said(upgrade) == "Revision 0001\n"
    assert said(upgrade) == "Revision 0001, as before\n"
    for n in range(3):
        put(
            archive_url,
            f"up{n}",
            began_us=n,
            owner="ann" if n else "bob",
            message="Grüße\u2028\x00",
        )
    found = json.loads(said(lambda d: status(d, as_json=True)))
    assert (found["uploads"], found["events"]) == (3, 3)
    lines = said(lambda d: export(d, owner="ann")).splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["Grüße\u2028\x00"] * 2
    assert list(json.loads(lines[0]))[:2] == ["owner", "id"]
    assert len(said(lambda d: export(d, owner=None)).splitlines()) == 3


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("off", "there is no archive"),
        ("sqlite:////proc/nothing/here.sqlite3", "cannot be used"),
        ("postgresql://ann:secret@127.0.0.1:1/db", "cannot be used"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(
    value: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """With exit code 1, and without a password."""
    assert run(load_settings(archive_url=value), upgrade) == 1
    told = capfd.readouterr().err
    assert says in told
    assert "secret" not in told


async def test_a_call_that_hangs_holds_nobody() -> None:
    """Its caller goes on in time; others are let in as long as there is room."""
    hangs, threads = threading.Event(), Threads(2)
    with pytest.raises(TimeoutError):
        await threads.run(hangs.wait, wait_s=0.05)
    assert await threads.run(lambda: 7, wait_s=20) == 7
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0, wait_s=20)
    with pytest.raises(TimeoutError):
        await threads.run(hangs.wait, wait_s=0.05)
    with pytest.raises(TimeoutError):
        await threads.run(lambda: 7, wait_s=0.05)
    hangs.set()
    assert await threads.run(lambda: 7, wait_s=20) == 7


def test_a_call_that_hangs_does_not_keep_the_process() -> None:
    """It ends although a thread never returns."""
    code = (
        "import asyncio, threading\n"
        "from sse_progress.archive.threads import Threads\n"
        "async def main():\n"
        "    await Threads(1).run(threading.Event().wait, wait_s=0.05)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert "TimeoutError" in done.stderr


async def test_after_a_failure_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment nothing is asked; then it is tried again."""
    path = tmp_path / "archive.sqlite3"
    path.write_text("this is no database, and never was one")
    archive = Archive(f"sqlite:///{path}")
    with pytest.raises(Unavailable):
        await archive.find("up")
    monkeypatch.setattr(archive._asked._threads, "run", None)
    with pytest.raises(Unavailable):
        await archive.find("up")
    monkeypatch.undo()
    archive._asked._away_until = asyncio.get_running_loop().time()
    path.unlink()
    assert await archive.find("up") is None
    await archive.aclose()


def test_sqlalchemy_is_imported_by_whom_it_serves() -> None:
    """Neither a web process nor a worker has it in memory before its first use of a database."""
    code = (
        "import sys, sse_progress.web.server, sse_progress.worker.process\n"
        "assert not {'sqlalchemy', 'alembic', 'psycopg'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_making_the_tables_is_not_logged_by_alembic() -> None:
    """In a process that imports it for that: its parts had a line each in the service's log."""
    program = (
        "import logging; logging.basicConfig(level=logging.INFO)\n"
        "from sqlalchemy import create_engine\n"
        "from sse_progress.archive.database import _migrate\n"
        "with create_engine('sqlite://').begin() as connection:\n"
        "    _migrate(connection)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
