"""How long kinds have promised to keep finished uploads, noted where these are stored.

A manifest has the promise of its own upload. That alone would not tell whether anything is due
before every manifest was read, so each promise of each kind has a name besides, `<kind>=<days>`.
There are as many as a kinds table ever had values. None is removed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from sse_progress.storage.manifest import Manifest

__all__ = ["PROMISES", "KeptS", "Promise", "kept_no_longer", "parsed", "promise_of"]

PROMISES = "retentions"

KeptS: TypeAlias = Callable[[Manifest], float | None]
"""Seconds that a published upload is kept; None: forever."""


class Promise(NamedTuple):
    """A kind and its `retention_days`."""

    kind: str
    days: float

    @property
    def name(self) -> str:
        return f"{self.kind}={self.days!r}"


def promise_of(manifest: Manifest) -> Promise | None:
    if manifest.retention_days is None:
        return None
    return Promise(manifest.kind, float(manifest.retention_days))


def parsed(names: Iterable[str]) -> list[Promise]:
    """Without those that are no promises."""
    found = []
    for name in names:
        kind, _, days = name.partition("=")
        try:
            found.append(Promise(kind, float(days)))
        except ValueError:
            continue
    return found


def kept_no_longer(_: Manifest) -> float:
    """Of no upload is more to be asked than its age."""
    return -math.inf
