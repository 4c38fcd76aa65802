"""Reading the settings from the environment and `.env`, with errors in plain words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from sse_progress.settings.checked import CHECKS, check_together
from sse_progress.settings.settings import Settings
from sse_progress.settings.values import read

__all__ = ["SettingsError", "env_file", "load_settings"]


class SettingsError(Exception):
    """A setting is wrong; the text names it and says how to fix it."""


ENV_FILE = "SSE_PROGRESS_ENV_FILE"
"""Variable that names the file with settings; it is no setting itself."""
PREFIX = "SSE_PROGRESS_"
TOKEN_KEYS = ("jwt_secret", "jwt_public_key", "jwks_url")


def env_file(data_dir: Path | str | None = None) -> Path | None:
    """The file whose lines are settings, if there is one: what SSE_PROGRESS_ENV_FILE names, or
    `.env` in the working directory.

    Not where that is in the data directory: what writes there shall configure nothing.
    Raises SettingsError if the file that is named is not there.
    """
    if named := os.environ.get(ENV_FILE):
        path = Path(named).expanduser().absolute()
        if not path.is_file():
            raise SettingsError(f"{ENV_FILE}: {path} is no file")
        return path
    here = Path.cwd()
    data_dir = data_dir or os.environ.get("SSE_PROGRESS_DATA_DIR") or "data"
    path = here / ".env"
    kept = Path(data_dir).expanduser().absolute().resolve()
    return path if path.is_file() and not path.resolve().is_relative_to(kept) else None


def load_settings(*, token_keys: bool = True, **overrides: Any) -> Settings:
    """Read and check all settings; raises SettingsError with one line per wrong one.

    `token_keys` False: without the keys that tokens are checked with, for a process that checks
    none.
    """
    unknown = overrides.keys() - {each.name for each in fields(Settings)}
    if unknown:
        raise TypeError(f"no settings: {', '.join(sorted(unknown))}")
    chosen = {key: value for key, value in overrides.items() if value is not None}
    path = env_file(chosen.get("data_dir"))
    given = {**_of_file(path), **_by_name(os.environ), **chosen}
    if not token_keys:
        for name in TOKEN_KEYS:
            os.environ.pop(f"{PREFIX}{name.upper()}", None)
            given.pop(name, None)
    return _checked(given)


def _of_file(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    from dotenv import dotenv_values

    return _by_name(dotenv_values(path, encoding="utf-8"))


def _by_name(variables: Mapping[str, str | None]) -> dict[str, str]:
    """Those that may be settings, by the setting's name; an empty one is not set."""
    prefix = PREFIX.lower()
    return {
        name.lower().removeprefix(prefix): value
        for name, value in variables.items()
        if value and name.lower().startswith(prefix)
    }


def _checked(given: Mapping[str, Any]) -> Settings:
    """The settings; those that are not in `given` have their defaults. Raises SettingsError."""
    kinds = get_type_hints(Settings)
    values: dict[str, Any] = {}
    wrong = []
    for each in fields(Settings):
        name, value = each.name, each.default
        try:
            if name in given:
                value = read(kinds[name], each.metadata, given[name])
            if value is not None and name in CHECKS:
                value = CHECKS[name](value)
        except ValueError as error:
            wrong.append(f"{PREFIX}{name.upper()}: {error}")
        values[name] = value
    if wrong:
        raise SettingsError("\n".join(wrong))
    settings = Settings(**values)
    try:
        check_together(settings)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return settings
