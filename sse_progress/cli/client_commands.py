"""The commands of a client of the service: what they are given on the command line, and no more.

What a command needs is imported when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["client"]

client = typer.Typer()

Url = Annotated[
    str, typer.Option(help="Where the service is.", envvar="SSE_PROGRESS_URL", metavar="URL")
]
Token = Annotated[
    str | None,
    typer.Option(help="Better given as a variable.", envvar="SSE_PROGRESS_TOKEN", metavar="JWT"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one event a line.")]

Batch = Annotated[str | None, typer.Option("--batch", metavar="ID", help="Those of this batch.")]
Kind = Annotated[str | None, typer.Option(help="Kind of upload.", metavar="NAME")]

DEFAULT_URL = "http://127.0.0.1:8000"

UPLOAD_CODES = (
    "Exit codes: 0 all completed, 1 one was refused, failed or was cancelled, 2 wrong use (nothing "
    "was sent), 130 stopped with Ctrl-C."
)
WATCH_CODES = (
    "Exit codes: 0 completed, 1 refused, failed, cancelled or not to be reached, 2 wrong use, 130 "
    "stopped with Ctrl-C; the upload goes on."
)
ASK_CODES = "Exit codes: 0 done, 1 not, or not for all, 2 wrong use, 130 stopped with Ctrl-C."


@client.command(epilog=UPLOAD_CODES)
def upload(  # noqa: PLR0917  # the command line's own
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Files to upload; - is standard input.")
    ],
    url: Url = DEFAULT_URL,
    token: Token = None,
    upload_id: Annotated[
        str | None,
        typer.Option("--id", help="Name of the upload (one file only), or of the --batch."),
    ] = None,
    batch: Annotated[
        bool, typer.Option("--batch", help="Send the files as one batch, with one bar for all.")
    ] = False,
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
    kind: Kind = None,
    context: Annotated[
        list[str] | None,
        typer.Option("--context", metavar="KEY=VALUE", help="Context of each; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Upload files and show every stage of each; Ctrl-C cancels them."""
    from sse_progress.cli.upload_command import Wishes, upload_command

    wishes = Wishes(fields=fields or (), kind=kind, context=context or (), resume=resume)
    raise typer.Exit(
        upload_command(
            files,
            url=url,
            token=token,
            upload_id=upload_id,
            as_batch=batch,
            wishes=wishes,
            as_json=as_json,
        )
    )


@client.command(epilog=WATCH_CODES)
def watch(
    upload_id: Annotated[str, typer.Argument(metavar="ID", help="Name of the upload.")],
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Follow one upload from its first event to its last."""
    from sse_progress.cli.watch_command import watch_command

    raise typer.Exit(watch_command(upload_id, url=url, token=token, as_json=as_json))


@client.command(epilog=ASK_CODES)
def history(
    upload_id: Annotated[str, typer.Argument(metavar="ID", help="Name of the upload.")],
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Print every event of one upload."""
    from sse_progress.cli.history_command import history_command

    raise typer.Exit(history_command(upload_id, url=url, token=token, as_json=as_json))


@client.command("list", epilog=ASK_CODES)
def list_uploads(  # noqa: PLR0917  # the command line's own
    status: Annotated[
        str | None,
        typer.Option(help="pending, receiving, processing, complete, error or cancelled."),
    ] = None,
    batch: Batch = None,
    kind: Kind = None,
    limit: Annotated[int, typer.Option(help="At most so many.", metavar="N", min=1)] = 50,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one state a line.")] = False,
) -> None:
    """List your uploads, newest first."""
    from sse_progress.cli.list_command import list_command

    chosen = {"status": status, "batch_id": batch, "kind": kind}
    raise typer.Exit(list_command(chosen, limit=limit, url=url, token=token, as_json=as_json))


Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Names of uploads.")]


@client.command(epilog=ASK_CODES)
def cancel(
    ids: Ids = None, batch: Batch = None, url: Url = DEFAULT_URL, token: Token = None
) -> None:
    """Cancel uploads, or what is open of a batch."""
    from sse_progress.cli.ending_commands import cancel_command

    raise typer.Exit(cancel_command(ids or (), batch_id=batch, url=url, token=token))


@client.command(epilog=ASK_CODES)
def delete(
    ids: Ids = None, batch: Batch = None, url: Url = DEFAULT_URL, token: Token = None
) -> None:
    """Delete the files of finished uploads; their states stay."""
    from sse_progress.cli.ending_commands import delete_command

    raise typer.Exit(delete_command(ids or (), batch_id=batch, url=url, token=token))
