"""The command line of `sse-progress`: reads it, then hands over; here, what runs the service.

Nothing is served, uploaded or drawn here, and what a command needs is imported when it runs, so
that `--help` and shell completion answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from sse_progress.cli.archive import archive
from sse_progress.cli.client_commands import client
from sse_progress.cli.ops import ops
from sse_progress.cli.options import with_settings
from sse_progress.cli.parts import refuse, run_serve, run_web, run_worker

__all__ = ["main"]

app = typer.Typer(
    name="sse-progress",
    help="The truth about an upload, live. Every setting is SSE_PROGRESS_… in the environment or "
    "a line of .env; keys and passwords are given only there.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(client)
app.add_typer(ops, name="ops")
app.add_typer(archive, name="archive")

Descriptor = Annotated[
    int | None, typer.Option("--fd", help="A listening socket to take over.", metavar="N")
]

SERVE_CODES = "Exit codes: 0 ended on request, 1 ended by force or broken, 2 wrong use or settings."


# ---- the service


@app.command(epilog=SERVE_CODES)
@with_settings(
    "host",
    "port",
    "data_dir",
    "prefix",
    "web_processes",
    "worker_processes",
    "worker_concurrency",
    "pipeline",
    "log_format",
    "log_level",
)
def serve(overrides: dict[str, Any]) -> None:
    """Run everything: web, workers and, unless SSE_PROGRESS_REDIS_URL is set, a private Redis."""
    run_serve(overrides)


@app.command(epilog=SERVE_CODES)
@with_settings("host", "port", "data_dir", "prefix", "log_format", "log_level")
def web(
    overrides: dict[str, Any],
    fd: Descriptor = None,
    streams_only: Annotated[
        bool, typer.Option("--streams-only", help="Serve streams alone: no storage is needed.")
    ] = False,
    uploads_only: Annotated[
        bool, typer.Option("--uploads-only", help="Serve everything but streams.")
    ] = False,
) -> None:
    """Run one process that receives bodies and serves streams (needs SSE_PROGRESS_REDIS_URL)."""
    if streams_only and uploads_only:
        refuse("--streams-only and --uploads-only exclude each other.")
    if streams_only or uploads_only:
        overrides = {**overrides, "web_role": "streams" if streams_only else "uploads"}
    run_web(overrides, fd)


@app.command(epilog=SERVE_CODES)
@with_settings(
    "data_dir", "worker_concurrency", "pipeline", "metrics_port", "log_format", "log_level"
)
def worker(overrides: dict[str, Any]) -> None:
    """Run one process that works on stored uploads (needs SSE_PROGRESS_REDIS_URL)."""
    run_worker(overrides)


# ---- what commands share


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("sse-progress")
        except PackageNotFoundError:
            number = "(not installed: run from its source tree)"
        typer.echo(f"sse-progress {number}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with 0 (well), 1 (failed), 2 (wrong use) or 130 (Ctrl-C)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = get_command(app).main(
            args=words or ["--help"], prog_name="sse-progress", standalone_mode=False
        )
    except TyperException as error:
        wrong = " ".join(error.format_message().split()).rstrip(".")
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "sse-progress"
        typer.echo(f"{wrong}. See `{command} --help`.", err=True)
        code = 2
    except typer.Abort:  # what Ctrl-C becomes
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
