"""The commands of `sse-progress archive`: their options; what they do is in `archive_commands`."""

from __future__ import annotations

from typing import Annotated

import typer

from sse_progress.cli.options import DataDir
from sse_progress.cli.parts import read_settings

__all__ = ["archive"]

archive = typer.Typer(
    help="The database of past uploads (SSE_PROGRESS_ARCHIVE_URL).",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@archive.command("upgrade")
def archive_upgrade(data_dir: DataDir = None) -> None:
    """Make the tables, or change them to what this release uses; workers do so by themselves."""
    settings = read_settings({"data_dir": data_dir})

    from sse_progress.cli.archive_commands import run, upgrade

    raise typer.Exit(run(settings, upgrade))


@archive.command("status")
def archive_status(
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the tables' revision and how much there is."""
    settings = read_settings({"data_dir": data_dir})

    from sse_progress.cli.archive_commands import run, status

    raise typer.Exit(run(settings, lambda database: status(database, as_json=as_json)))


@archive.command("export")
def archive_export(
    data_dir: DataDir = None,
    owner: Annotated[
        str | None, typer.Option(help="Only uploads of this user.", metavar="SUB")
    ] = None,
) -> None:
    """Print every event as a line of JSON, upload by upload, with its owner."""
    settings = read_settings({"data_dir": data_dir})

    from sse_progress.cli.archive_commands import export, run

    raise typer.Exit(run(settings, lambda database: export(database, owner=owner)))
