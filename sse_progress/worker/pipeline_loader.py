"""Finds the pipeline: the built-in stages and installed plug-ins, or what the operator names.

Everything is found, and errors are reported, at start. A `def` stage is named rather than
imported where that is possible, so that a worker does not carry what its children use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from itertools import pairwise
from typing import Any

from sse_progress.model.kinds import Kind
from sse_progress.model.stage_api import StageFunction
from sse_progress.model.stage_table import DEFAULT_TABLE, StageTable
from sse_progress.sandbox.function_ref import (
    NotAStage,
    Reference,
    check_signature,
    is_asynchronous,
    resolve,
)
from sse_progress.settings import Settings, SettingsError
from sse_progress.stages.scans.clamd import scan_with_clamd

__all__ = ["BUILT_IN", "GROUP", "load_pipeline", "pipeline_of"]

SETTING = "SSE_PROGRESS_PIPELINE"
BUILT_IN = "sse_progress.stages:pipeline"
GROUP = "sse_progress.stages"
"""Entry points of this group, named `<stage>` or `<stage>.<anything>`, name a stage function."""
Row = tuple[str, StageFunction]


def load_pipeline(
    settings: Settings,
    *,
    installed: Callable[[], Iterable[EntryPoint]] = lambda: entry_points(group=GROUP),
) -> list[Row]:
    """(stage name, function) in the order of the stage table.

    With SSE_PROGRESS_PIPELINE=`package.module:name`, that list or tuple of pairs, or what that
    function returns, and nothing else. Without it the built-in pipeline; the moderation services of
    the settings and functions of installed entry points follow those of their stage, in the order
    of their names. A function may also be
    given as text, `package.module:name`: then a `def` is imported in children only.

    Raises SettingsError, which names what is wrong and how to fix it.
    """
    if settings.pipeline:
        return _load(settings.pipeline, source=f"{SETTING}={settings.pipeline}")
    rows = _load(BUILT_IN, source=BUILT_IN)
    if settings.clamd is None:  # its share of the stage's percent would pass in no time
        rows = [row for row in rows if row[1] is not scan_with_clamd]
    added = [("moderating", service) for service in _services(settings)]
    added += [_plug_in(point) for point in sorted(installed(), key=lambda point: point.name)]
    for row in added:
        ranks = [DEFAULT_TABLE[name].rank for name, _ in rows]
        after = sum(rank <= DEFAULT_TABLE[row[0]].rank for rank in ranks)
        rows.insert(after, row)
    return rows


def _services(settings: Settings) -> list[StageFunction]:
    """The moderation services that the settings name. Raises SettingsError."""
    if settings.moderation_api_url is None and settings.moderation_hook_url is None:
        return []
    from sse_progress.worker.services import services_of  # httpx takes 0.1 s to import

    return services_of(settings)


def pipeline_of(kind: Kind, default: list[Row]) -> list[Row]:
    """The functions of a kind's stages, `default` where it has no stages or pipeline of its own.

    Raises SettingsError.
    """
    source = f"kind {kind.name}: pipeline"
    if kind.pipeline is None:
        return [] if kind.external else default
    if isinstance(kind.pipeline, str):
        return _load(kind.pipeline, source=source, table=kind.table)
    return _rows(kind.pipeline, source=source, table=kind.table)


def _load(name: str, *, source: str, table: StageTable = DEFAULT_TABLE) -> list[Row]:
    module, colon, path = name.partition(":")
    if not (module and colon and path):
        raise SettingsError(f"{source}: must be of the form package.module:name")
    try:
        found = resolve(name)
        given = found() if callable(found) else found
    except Exception as error:
        raise SettingsError(
            f"{source}: cannot be loaded, {type(error).__name__}: {error} "
            "(is its directory on PYTHONPATH?)"
        ) from error
    return _rows(given, source=source, table=table)


def _rows(given: Any, *, source: str, table: StageTable) -> list[Row]:
    if not isinstance(given, list | tuple):
        raise SettingsError(
            f"{source}: must be a list of (stage name, function), or a function that returns one, "
            f"not {type(given).__name__}"
        )
    if not given:
        raise SettingsError(f"{source}: is empty; it needs at least one (stage name, function)")
    rows = [
        _row(entry, source=f"{source}: entry {at}", table=table)
        for at, entry in enumerate(given, 1)
    ]
    _check_order([name for name, _ in rows], source=source, table=table)
    return rows


def _plug_in(point: EntryPoint) -> Row:
    package = point.dist.name if point.dist else "an installed package"
    source = f"plug-in {point.name!r} of {package}"
    try:
        return _row((point.name.partition(".")[0], point.value), source=source)
    except SettingsError as error:
        raise SettingsError(
            f"{error}. Uninstall it, or name a pipeline without it in {SETTING}"
        ) from error


def _row(entry: Any, *, source: str, table: StageTable = DEFAULT_TABLE) -> Row:
    if not (isinstance(entry, list | tuple) and len(entry) == 2):
        raise SettingsError(f"{source}: {entry!r} is not (stage name, function)")
    name, function = entry
    if name not in table.work:
        raise SettingsError(f"{source}: {name!r} is not one of {', '.join(table.work)}")
    try:
        return name, _function(function)
    except NotAStage as error:
        raise SettingsError(f"{source}: {error}") from error


def _function(given: Any) -> StageFunction:
    if isinstance(given, str):
        return Reference.find(given.partition("[")[0].strip())
    if isinstance(given, Reference):
        return given
    if not callable(given):
        raise NotAStage(f"{given!r} is not a function")
    check_signature(getattr(given, "__qualname__", repr(given)), given)
    if not is_asynchronous(given):
        Reference.to(given)
    return given  # type: ignore[no-any-return]


def _check_order(names: list[str], *, source: str, table: StageTable) -> None:
    for earlier, later in pairwise(names):
        if table[later].rank < table[earlier].rank:
            raise SettingsError(
                f"{source}: {later!r} stands after {earlier!r}; the order is "
                f"{', '.join(table.work)}"
            )
