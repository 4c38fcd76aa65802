"""Running a service or a part of it, and how a command ends that cannot begin.

`overrides` are settings given as options. What reads a command line is not imported here.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from sse_progress.runtime.lean_imports import lean_imports

if TYPE_CHECKING:
    from sse_progress.settings import Settings

__all__ = ["read_settings", "refuse", "run_serve", "run_web", "run_worker"]


def run_serve(overrides: dict[str, Any]) -> None:
    """Become the supervisor of all parts."""
    settings = read_settings(overrides)
    _need_every_role(settings, "serve")

    from sse_progress.cli.work_summary import work_summary
    from sse_progress.supervisor.launch_plan import Plan, become

    given = {f"SSE_PROGRESS_{name.upper()}": str(value) for name, value in overrides.items()}
    become(Plan.of(settings, work=work_summary(settings)), {**os.environ, **given})


def run_web(overrides: dict[str, Any], fd: int | None = None) -> None:
    """One process that receives bodies and serves streams, on the listening socket `fd` or on one
    of its own."""
    settings = read_settings(overrides)
    _need_redis(settings, "web")

    with lean_imports():
        from sse_progress.access.authentication import from_settings
        from sse_progress.web.server import run

    # Keys are looked at before anything is started.
    _run(settings, partial(from_settings, settings))
    if fd is None:
        fd = _listen(settings)
    _run(settings, partial(run, settings, fd))


def run_worker(overrides: dict[str, Any]) -> None:
    """One process that works on stored uploads."""
    settings = read_settings(overrides, token_keys=False)
    _need_redis(settings, "worker")
    _need_every_role(settings, "worker")

    with lean_imports():
        from sse_progress.worker.process import run

    _run(settings, partial(run, settings))


def read_settings(overrides: dict[str, Any], *, token_keys: bool = True) -> Settings:
    """All settings, checked; the process ends with exit code 2 if one is wrong. `token_keys` as in
    load_settings."""
    from sse_progress.settings import SettingsError, load_settings

    try:
        return load_settings(token_keys=token_keys, **overrides)
    except SettingsError as error:
        refuse(str(error))


def refuse(text: str, settings: Settings | None = None) -> NoReturn:
    """Say what is wrong and how to fix it; no traceback, exit code 2."""
    if settings is not None:
        _say(settings, text, level="error")
    else:
        print(text, file=sys.stderr)
    sys.exit(2)


def _need_every_role(settings: Settings, part: str) -> None:
    if settings.web_role != "all":
        refuse(
            f"SSE_PROGRESS_WEB_ROLE is for `sse-progress web` alone: unset it for {part}.", settings
        )


def _say(settings: Settings, text: str, *, level: str = "info") -> None:
    """A line on standard error; a JSON object if that is the log's format."""
    if settings.log_format == "console":
        print(text, file=sys.stderr)
        return
    import structlog

    from sse_progress.runtime.logging_setup import configure

    configure(settings.log_format)
    structlog.get_logger(__name__).log(getattr(logging, level.upper()), text)


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
    _say(settings, f"Listening on {base_url(sock)}{settings.prefix}")
    return sock.detach()
