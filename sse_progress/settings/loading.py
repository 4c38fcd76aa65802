"""Reading the settings from the environment and `.env`, with errors in plain words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sse_progress.settings.settings import Settings

__all__ = ["SettingsError", "env_file", "load_settings"]


class SettingsError(Exception):
    """A setting is wrong; the text names it and says how to fix it."""


_WORDS = {
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_parsing": "is not a number",
    "bool_parsing": "is neither true nor false",
    "literal_error": "is not {expected}",
    "greater_than_equal": "is less than {ge}",
    "greater_than": "is not more than {gt}",
    "less_than_equal": "is more than {le}",
    "less_than": "is not less than {lt}",
}
"""What is wrong with a value, by pydantic's type of error. The value is not told: a secret?"""


ENV_FILE = "SSE_PROGRESS_ENV_FILE"
"""Variable that names the file with settings; it is no setting itself."""
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
    given = {key: value for key, value in overrides.items() if value is not None}
    if not token_keys:
        for name in TOKEN_KEYS:
            os.environ.pop(f"SSE_PROGRESS_{name.upper()}", None)
        given |= dict.fromkeys(TOKEN_KEYS)
    given["_env_file"] = env_file(given.get("data_dir"))
    try:
        return Settings(**given)
    except ValidationError as exc:
        lines = []
        for error in exc.errors():
            name = "_".join(str(part) for part in error["loc"][:1]).upper()
            words = _WORDS.get(error["type"])
            text = error["msg"].removeprefix("Value error, ")
            if words is not None:
                text = words.format(**error.get("ctx", {})).replace("'", "")
            lines.append(f"SSE_PROGRESS_{name}: {text}" if name else text)
        raise SettingsError("\n".join(lines)) from None
