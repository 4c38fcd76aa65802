"""Which storage the settings name, and whether this release may use it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from sse_progress.model.errors import Problem, Unavailable
from sse_progress.settings import Settings, SettingsError
from sse_progress.storage.bucket.url import credentials_from, parse_bucket_url
from sse_progress.storage.disk import DiskStorage
from sse_progress.storage.elsewhere import Elsewhere
from sse_progress.storage.format import FORMAT, format_of
from sse_progress.storage.port import Storage

__all__ = ["open_storage"]

REFUSED = {
    "denied": "refuses this key; it needs to read, write, list and delete.",
    "no_bucket": "does not exist.",
    "clock_skew": "refuses this host's clock: it is more than minutes off.",
}
"""What is wrong with a bucket that will not get better by waiting."""


def open_storage(settings: Settings) -> Storage:
    """The storage that the settings name. Raises SettingsError if it cannot be used."""
    if settings.web_role == "streams":
        return Elsewhere()
    if settings.storage is not None:
        return _open_bucket(settings, settings.storage)
    place = f"SSE_PROGRESS_DATA_DIR: {settings.data_dir}"
    _ensure_known(place, lambda: format_of(settings.data_dir))
    try:
        return DiskStorage.open(
            settings.data_dir,
            reserve_bytes=settings.disk_reserve_bytes,
            reserve_inodes=settings.disk_reserve_inodes,
            quota_bytes=settings.max_bytes_per_user,
        )
    except Problem as problem:
        raise SettingsError(_cannot_be_used(settings, problem)) from problem


def _ensure_known(place: str, format_there: Callable[[], int]) -> None:
    """Raises SettingsError where a newer release keeps files, in a way that this one cannot read.
    `place` is the setting and what it names."""
    try:
        found = format_there()
    except ValueError as error:
        raise SettingsError(f"{place} has a `format` that is no number.") from error
    if found > FORMAT:
        raise SettingsError(
            f"{place}: a newer release has used it: format {found}, this one knows {FORMAT}."
        )


def _open_bucket(settings: Settings, url: str) -> Storage:
    """Raises SettingsError, but not for a server that does not answer yet: it is waited for."""
    try:
        from sse_progress.storage.bucket.storage import BucketStorage
    except ImportError as error:
        raise SettingsError(
            "SSE_PROGRESS_STORAGE: object storage needs the extra: pip install 'sse-progress[s3]'"
        ) from error
    try:
        bucket = parse_bucket_url(url, environment=os.environ)
        credentials = credentials_from(os.environ)
    except ValueError as error:
        raise SettingsError(f"SSE_PROGRESS_STORAGE: {error}") from error
    try:
        storage = BucketStorage(
            bucket,
            credentials,
            settings.data_dir / "work",
            work_bytes=settings.work_bytes,
            reserve_bytes=settings.disk_reserve_bytes,
            quota_bytes=settings.max_bytes_per_user,
        )
        state = storage.state()
    except Problem as problem:
        raise SettingsError(_cannot_be_used(settings, problem)) from problem
    if state in REFUSED:
        raise SettingsError(f"SSE_PROGRESS_STORAGE: {bucket} {REFUSED[state]}")
    if state == "ok":
        with contextlib.suppress(Unavailable):  # only just gone
            _ensure_known(f"SSE_PROGRESS_STORAGE: {bucket}", storage.format)
    return storage


def _cannot_be_used(settings: Settings, problem: Problem) -> str:
    cause = problem.__cause__
    why = cause.strerror if isinstance(cause, OSError) else problem.detail
    return f"SSE_PROGRESS_DATA_DIR: {settings.data_dir} cannot be used ({why})."
