"""The commands of `sse-progress ops`: their options; what they do is in `ops_commands`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from sse_progress.cli.options import DataDir
from sse_progress.cli.parts import read_settings
from sse_progress.runtime.lean_imports import lean_imports

if TYPE_CHECKING:
    from sse_progress.cli.ops_commands import Operator

__all__ = ["ops"]

ops = typer.Typer(
    help="Look at and operate a running service, over its Redis and its data directory.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Machine = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option(help="Rows of a list, at most.", metavar="N", min=1)]
UploadId = Annotated[str, typer.Argument(metavar="ID", help="Name of the upload.")]


@ops.command("queue")
def ops_queue(data_dir: DataDir = None, limit: Limit = 100, as_json: Machine = False) -> None:
    """Show which jobs wait, run, are delayed and are parked."""
    _operate(data_dir, lambda operator: operator.list_queue(limit=limit), as_json=as_json)


@ops.command("uploads")
def ops_uploads(data_dir: DataDir = None, limit: Limit = 100, as_json: Machine = False) -> None:
    """Show the uploads that have not ended, oldest first."""
    _operate(data_dir, lambda operator: operator.list_uploads(limit=limit), as_json=as_json)


@ops.command("show")
def ops_show(upload_id: UploadId, data_dir: DataDir = None, as_json: Machine = False) -> None:
    """Show what storage, queue and journal know of one upload."""
    _operate(data_dir, lambda operator: operator.show(upload_id), as_json=as_json)


@ops.command("requeue")
def ops_requeue(upload_id: UploadId, data_dir: DataDir = None, as_json: Machine = False) -> None:
    """Work on a parked or delayed upload now."""
    _operate(data_dir, lambda operator: operator.requeue(upload_id), as_json=as_json)


@ops.command("workers")
def ops_workers(data_dir: DataDir = None, as_json: Machine = False) -> None:
    """Show the workers, when they last reported, and their jobs."""
    _operate(data_dir, lambda operator: operator.list_workers(), as_json=as_json)


@ops.command("drain")
def ops_drain(
    resume: Annotated[bool, typer.Option("--resume", help="Give out jobs again.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when no job runs.")] = False,
    data_dir: DataDir = None,
    as_json: Machine = False,
) -> None:
    """Give out no more jobs on any worker; uploads are still taken, and wait."""
    _operate(data_dir, lambda operator: operator.drain(resume=resume, wait=wait), as_json=as_json)


def _operate(
    data_dir: Path | None, command: Callable[[Operator], Awaitable[Any]], *, as_json: bool
) -> NoReturn:
    settings = read_settings({"data_dir": data_dir})

    with lean_imports():
        from sse_progress.cli.ops_commands import run

    raise typer.Exit(run(settings, command, as_json=as_json))
