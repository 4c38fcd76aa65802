"""Finds the kinds of upload that the operator declares, for web and worker alike."""

from __future__ import annotations

from sse_progress.model.kinds import Kind, Kinds
from sse_progress.sandbox.function_ref import resolve
from sse_progress.settings import Settings, SettingsError

__all__ = ["load_kinds"]

SETTING = "SSE_PROGRESS_KINDS"


def load_kinds(settings: Settings) -> Kinds:
    """The kinds that SSE_PROGRESS_KINDS=`package.module:name` names, a list of `Kind` or a function
    that returns one, and `upload`. Raises SettingsError, which says what is wrong."""
    source = f"{SETTING}={settings.kinds}"
    given: object = ()
    if settings.kinds:
        module, colon, path = settings.kinds.partition(":")
        if not (module and colon and path):
            raise SettingsError(f"{source}: must be of the form package.module:name")
        try:
            found = resolve(settings.kinds)
            given = found() if callable(found) else found
        except Exception as error:
            raise SettingsError(
                f"{source}: cannot be loaded, {type(error).__name__}: {error} "
                "(is its directory on PYTHONPATH?)"
            ) from error
    if not isinstance(given, list | tuple) or not all(isinstance(kind, Kind) for kind in given):
        raise SettingsError(f"{source}: must be a list of Kind, or a function that returns one")
    try:
        return Kinds(
            given, max_bytes=settings.max_upload_bytes, allowed_types=settings.allowed_types
        )
    except ValueError as error:
        raise SettingsError(f"{source}: {error}") from error
