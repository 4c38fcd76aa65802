"""Options that several commands share.

An option of `SETTINGS` overrides the setting of its name, which documents it and has its default.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

__all__ = ["DataDir", "with_settings"]

DataDir = Annotated[
    Path | None, typer.Option(help="Where files are kept.", metavar="DIR", show_default="data")
]

SETTINGS: dict[str, Any] = {
    "host": Annotated[
        str | None,
        typer.Option(help="Address to listen on.", metavar="HOST", show_default="127.0.0.1"),
    ],
    "port": Annotated[
        int | None,
        typer.Option(help="TCP port; 0: a free one.", metavar="PORT", show_default="8000", min=0),
    ],
    "data_dir": DataDir,
    "prefix": Annotated[
        str | None,
        typer.Option(help="Path before every route, such as /api/media.", metavar="PATH"),
    ],
    "web_processes": Annotated[
        int | None,
        typer.Option(
            help="Processes that receive and stream.", metavar="N", show_default="1", min=1
        ),
    ],
    "worker_processes": Annotated[
        int | None,
        typer.Option(help="Processes that run stages.", metavar="N", show_default="1", min=0),
    ],
    "worker_concurrency": Annotated[
        int | None,
        typer.Option(
            help="Uploads worked on at once by each.", metavar="N", show_default="2", min=1
        ),
    ],
    "pipeline": Annotated[
        str | None,
        typer.Option(
            help="The stages to run.", metavar="PACKAGE.MODULE:NAME", show_default="built-in"
        ),
    ],
    "metrics_port": Annotated[
        int | None,
        typer.Option(help="Answer /metrics at this port.", metavar="PORT", min=1),
    ],
    "log_format": Annotated[
        Literal["console", "json"] | None, typer.Option(help="How log lines look.")
    ],
    "log_level": Annotated[
        Literal["debug", "info", "warning", "error"] | None, typer.Option(help="What is logged.")
    ],
}


Command = Callable[..., None]


def with_settings(*names: str) -> Callable[[Command], Command]:
    """Give a command the options `names` of `SETTINGS`, besides those of its own signature.

    It is called with those that were given as its first argument, a dict by the setting's name.
    """

    def decorate(command: Command) -> Command:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()

        def called(**options: Any) -> None:
            given = {name: options.pop(name) for name in names}
            overrides = {name: value for name, value in given.items() if value is not None}
            command(overrides, **options)

        parameters = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=SETTINGS[name]
            )
            for name in names
        ]
        parameters += [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in own]
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {each.name: each.annotation for each in parameters}
        called.__name__, called.__doc__ = command.__name__, command.__doc__
        return called

    return decorate
