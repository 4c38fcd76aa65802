"""The command `sse-progress`: reads the command line, then hands over.

Nothing is served, uploaded or drawn here, and what a command needs is imported when it runs, so
that `--help` and shell completion answer at once.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from typer.exceptions import TyperException
from typer.main import get_command

if TYPE_CHECKING:
    from sse_progress.cli.ops_commands import Operator
    from sse_progress.settings import Settings

__all__ = ["main"]

app = typer.Typer(
    name="sse-progress",
    help="The truth about an upload, live. Every setting is SSE_PROGRESS_… in the environment or "
    "a line of .env; keys and passwords are given there alone.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ops = typer.Typer(
    help="Look at and operate a running service, over its Redis and its data directory.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(ops, name="ops")

Host = Annotated[
    str | None,
    typer.Option(help="Address to listen on.", metavar="HOST", show_default="127.0.0.1"),
]
Port = Annotated[
    int | None,
    typer.Option(help="TCP port; 0: a free one.", metavar="PORT", show_default="8000", min=0),
]
DataDir = Annotated[
    Path | None, typer.Option(help="Where files are kept.", metavar="DIR", show_default="data")
]
Prefix = Annotated[
    str | None, typer.Option(help="Path before every route, such as /api/media.", metavar="PATH")
]
WebProcesses = Annotated[
    int | None,
    typer.Option(help="Processes that receive and stream.", metavar="N", show_default="1", min=1),
]
WorkerProcesses = Annotated[
    int | None,
    typer.Option(help="Processes that run stages.", metavar="N", show_default="1", min=0),
]
WorkerConcurrency = Annotated[
    int | None,
    typer.Option(help="Uploads worked on at once by each.", metavar="N", show_default="2", min=1),
]
Pipeline = Annotated[
    str | None,
    typer.Option(help="The stages to run.", metavar="PACKAGE.MODULE:NAME", show_default="built-in"),
]
LogFormat = Annotated[Literal["console", "json"] | None, typer.Option(help="How log lines look.")]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"] | None, typer.Option(help="What is logged.")
]
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

Machine = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option(help="Rows of a list, at most.", metavar="N", min=1)]
UploadId = Annotated[str, typer.Argument(metavar="ID", help="Name of the upload.")]

DEFAULT_URL = "http://127.0.0.1:8000"


# ---- the service


@app.command()
def serve(
    *,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    prefix: Prefix = None,
    web_processes: WebProcesses = None,
    worker_processes: WorkerProcesses = None,
    worker_concurrency: WorkerConcurrency = None,
    pipeline: Pipeline = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
) -> None:
    """Run everything: web, workers and, unless SSE_PROGRESS_REDIS_URL is set, a private Redis."""
    overrides = _given(locals())
    settings = _settings(overrides)

    from sse_progress.supervisor.launch_plan import Plan
    from sse_progress.supervisor.supervisor import become

    become(Plan.of(settings), {**os.environ, **_as_environment(overrides)})


@app.command()
def web(
    *,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    prefix: Prefix = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
    fd: Descriptor = None,
) -> None:
    """Run one process that receives bodies and serves streams (needs SSE_PROGRESS_REDIS_URL)."""
    overrides = _given(locals())
    settings = _settings(overrides)
    _need_redis(settings, "web")

    from sse_progress.access.tokens import from_settings
    from sse_progress.web.server import run

    _run(
        settings, partial(from_settings, settings)
    )  # keys are looked at before anything is started
    if fd is None:
        fd = _listen(settings)
    _run(settings, partial(run, settings, fd))


@app.command()
def worker(
    *,
    data_dir: DataDir = None,
    worker_concurrency: WorkerConcurrency = None,
    pipeline: Pipeline = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
) -> None:
    """Run one process that works on stored uploads (needs SSE_PROGRESS_REDIS_URL)."""
    overrides = _given(locals())
    settings = _settings(overrides)
    _need_redis(settings, "worker")

    from sse_progress.worker.process import run

    _run(settings, partial(run, settings))


# ---- the client


@app.command()
def upload(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files to upload.")],
    url: Url = DEFAULT_URL,
    token: Token = None,
    upload_id: Annotated[
        str | None, typer.Option("--id", help="Name of the upload (one file only).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Upload files and show every stage of each. Exit code: 0 all completed, 1 one did not."""
    from sse_progress.cli.client_commands import upload_command

    raise typer.Exit(
        upload_command(files, url=url, token=token, upload_id=upload_id, as_json=as_json)
    )


@app.command()
def watch(
    upload_id: Annotated[str, typer.Argument(metavar="ID", help="Name of the upload.")],
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Follow one upload from its first event to its last. Exit codes are those of `upload`."""
    from sse_progress.cli.client_commands import watch_command

    raise typer.Exit(watch_command(upload_id, url=url, token=token, as_json=as_json))


# ---- the operator


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
    settings = _settings({"data_dir": data_dir})

    from sse_progress.cli.ops_commands import run

    raise typer.Exit(run(settings, command, as_json=as_json))


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
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it and end.")
    ] = False,
) -> None:
    pass


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Options that were given, by their setting's name."""
    return {name: value for name, value in options.items() if value is not None and name != "fd"}


def _as_environment(overrides: dict[str, Any]) -> dict[str, str]:
    return {f"SSE_PROGRESS_{name.upper()}": str(value) for name, value in overrides.items()}


def _settings(overrides: dict[str, Any]) -> Settings:
    from sse_progress.settings import SettingsError, load_settings

    try:
        return load_settings(**overrides)
    except SettingsError as error:
        _refuse(str(error))


def _run(settings: Settings, part: Callable[[], object]) -> None:
    """Do it; a setting may turn out wrong only when it is used."""
    from sse_progress.settings import SettingsError

    try:
        part()
    except SettingsError as error:
        _refuse(str(error), settings)


def _need_redis(settings: Settings, part: str) -> None:
    if settings.redis_url is None:
        _refuse(
            f"{part} alone needs a Redis that all parts share: set SSE_PROGRESS_REDIS_URL, such as "
            "redis://127.0.0.1:6379/0. (`sse-progress serve` brings its own.)",
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
        _refuse(str(error), settings)
    _say(settings, f"Listening on {base_url(sock)}{settings.prefix}")
    return sock.detach()


def _say(settings: Settings, text: str, *, level: str = "info") -> None:
    """A line on standard error; a JSON object if that is the log's format."""
    if settings.log_format == "console":
        typer.echo(text, err=True)
        return
    import structlog

    from sse_progress.runtime.logging_setup import configure

    configure(settings.log_format)
    structlog.get_logger(__name__).log(getattr(logging, level.upper()), text)


def _refuse(text: str, settings: Settings | None = None) -> NoReturn:
    """Say what is wrong and how to fix it; no traceback, exit code 2."""
    if settings is not None:
        _say(settings, text, level="error")
    else:
        typer.echo(text, err=True)
    raise typer.Exit(2)


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
