"""The command `sse-progress`: reads the command line, then hands over.

Nothing is served, uploaded or drawn here, and what a command needs is imported when it runs, so
that `--help` and shell completion answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from sse_progress.cli.archive import archive
from sse_progress.cli.ops import ops
from sse_progress.cli.options import read_settings, refuse, say, with_settings

if TYPE_CHECKING:
    from sse_progress.settings import Settings

__all__ = ["main"]

app = typer.Typer(
    name="sse-progress",
    help="The truth about an upload, live. Every setting is SSE_PROGRESS_… in the environment or "
    "a line of .env; keys and passwords are given only there.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(ops, name="ops")
app.add_typer(archive, name="archive")

Descriptor = Annotated[
    int | None, typer.Option("--fd", help="A listening socket to take over.", metavar="N")
]
Url = Annotated[
    str, typer.Option(help="Where the service is.", envvar="SSE_PROGRESS_URL", metavar="URL")
]
Token = Annotated[
    str | None,
    typer.Option(help="Better given as a variable.", envvar="SSE_PROGRESS_TOKEN", metavar="JWT"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one event a line.")]

DEFAULT_URL = "http://127.0.0.1:8000"


# ---- the service


@app.command()
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
    settings = read_settings(overrides)

    from sse_progress.supervisor.launch_plan import Plan
    from sse_progress.supervisor.supervisor import become

    become(Plan.of(settings), {**os.environ, **_as_environment(overrides)})


@app.command()
@with_settings("host", "port", "data_dir", "prefix", "log_format", "log_level")
def web(overrides: dict[str, Any], fd: Descriptor = None) -> None:
    """Run one process that receives bodies and serves streams (needs SSE_PROGRESS_REDIS_URL)."""
    settings = read_settings(overrides)
    _need_redis(settings, "web")

    from sse_progress.access.tokens import from_settings
    from sse_progress.web.server import run

    # Keys are looked at before anything is started.
    _run(settings, partial(from_settings, settings))
    if fd is None:
        fd = _listen(settings)
    _run(settings, partial(run, settings, fd))


@app.command()
@with_settings(
    "data_dir", "worker_concurrency", "pipeline", "metrics_port", "log_format", "log_level"
)
def worker(overrides: dict[str, Any]) -> None:
    """Run one process that works on stored uploads (needs SSE_PROGRESS_REDIS_URL)."""
    settings = read_settings(overrides)
    _need_redis(settings, "worker")

    from sse_progress.worker.process import run

    _run(settings, partial(run, settings))


# ---- the client


@app.command()
def upload(  # noqa: PLR0917  # the command line's own
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Files to upload; - is standard input.")
    ],
    url: Url = DEFAULT_URL,
    token: Token = None,
    upload_id: Annotated[
        str | None, typer.Option("--id", help="Name of the upload (one file only).")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the upload that --id names; Ctrl-C pauses, and does not cancel.",
        ),
    ] = False,
    fields: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="NAME=VALUE", help="Text field of each; may be repeated."),
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Kind of upload.")] = None,
    as_json: AsJson = False,
) -> None:
    """Upload files and show every stage of each. Exit code: 0 all completed, 1 one did not."""
    from sse_progress.cli.upload_command import upload_command

    raise typer.Exit(
        upload_command(
            files,
            url=url,
            token=token,
            upload_id=upload_id,
            resume=resume,
            fields=[*([f"kind={kind}"] if kind else []), *(fields or ())],
            as_json=as_json,
        )
    )


@app.command()
def watch(
    upload_id: Annotated[str, typer.Argument(metavar="ID", help="Name of the upload.")],
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Follow one upload from its first event to its last. Exit codes are those of `upload`."""
    from sse_progress.cli.watch_command import watch_command

    raise typer.Exit(watch_command(upload_id, url=url, token=token, as_json=as_json))


@app.command()
def history(
    upload_id: Annotated[str, typer.Argument(metavar="ID", help="Name of the upload.")],
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Print every event of one upload. Exit code: 0, or 1 if it is not known."""
    from sse_progress.cli.history_command import history_command

    raise typer.Exit(history_command(upload_id, url=url, token=token, as_json=as_json))


# ---- what commands share


def _as_environment(overrides: dict[str, Any]) -> dict[str, str]:
    return {f"SSE_PROGRESS_{name.upper()}": str(value) for name, value in overrides.items()}


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


def _run(settings: Settings, part: Callable[[], object]) -> None:
    """Do it; a setting may turn out wrong only when it is used."""
    from sse_progress.settings import SettingsError

    try:
        part()
    except SettingsError as error:
        refuse(str(error), settings)


def _need_redis(settings: Settings, part: str) -> None:
    if settings.redis_url is None:
        refuse(
            f"{part} needs a Redis that all parts share when it is run separately: set "
            "SSE_PROGRESS_REDIS_URL, such as redis://127.0.0.1:6379/0. "
            "(`sse-progress serve` brings its own.)",
            settings,
        )


def _listen(settings: Settings) -> int:
    from sse_progress.supervisor.listen_socket import ListenError, base_url, listen

    try:
        sock = listen(
            settings.host,
            settings.port,
            loopback_only=settings.open_mode and not settings.open_mode_anywhere,
        )
    except ListenError as error:
        refuse(str(error), settings)
    say(settings, f"Listening on {base_url(sock)}{settings.prefix}")
    return sock.detach()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with 0 (well), 1 (failed) or 2 (wrong use)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = get_command(app).main(
            args=words or ["--help"], prog_name="sse-progress", standalone_mode=False
        )
    except TyperException as error:
        wrong = " ".join(error.format_message().split()).rstrip(".")
        typer.echo(f"{wrong}. See sse-progress --help.", err=True)
        code = 2
    except typer.Abort:
        code = 1
    sys.exit(code if isinstance(code, int) else 0)
