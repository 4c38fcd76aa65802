"""Calling a stage directly, with a report that remembers."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sse_progress.model.errors import Rejected
from sse_progress.model.stage_api import Options, StageFunction, Upload
from sse_progress.stages.analysis import analyze
from sse_progress.stages.moderation import moderate
from sse_progress.stages.processing import process
from sse_progress.stages.validation import validate

DATA = Path(__file__).parents[2] / "data"


@dataclass
class Reports:
    """Every call of `report`, in order."""

    fractions: list[float] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def __call__(self, fraction: float, message: str | None = None) -> None:
        self.fractions.append(fraction)
        if message is not None:
            self.messages.append(message)

    def assert_honest(self) -> None:
        """Within bounds, never going back, and ending at the end."""
        assert all(0 <= fraction <= 1 for fraction in self.fractions)
        assert self.fractions == sorted(self.fractions)
        assert self.fractions[-1] == pytest.approx(1)


@dataclass
class Desk:
    """A directory where uploads are laid down and stages called on them."""

    root: Path
    options: Options = field(default_factory=Options)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def upload(
        self,
        content: bytes | Path,
        filename: str,
        *,
        claimed: str = "application/octet-stream",
        fields: dict[str, str | list[str]] | None = None,
        results: dict[str, dict[str, Any]] | None = None,
        options: Options | None = None,
    ) -> Upload:
        number = next(self._numbers)
        place = self.root / str(number)
        scratch = place / "scratch"
        scratch.mkdir(parents=True)
        data = content.read_bytes() if isinstance(content, Path) else content
        (place / "original").write_bytes(data)
        return Upload(
            id=f"test-{number}",
            path=str(place / "original"),
            scratch=str(scratch),
            filename=filename,
            claimed_type=claimed,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            created_at="2026-01-15T10:30:00.000Z",
            fields=fields or {},
            results=results or {},
            options=options or self.options,
        )


STAGES: tuple[tuple[str, StageFunction], ...] = (
    ("validating", validate),
    ("analyzing", analyze),
    ("moderating", moderate),
    ("processing", process),
)


def through(upload: Upload, last: str = "processing") -> tuple[Upload, dict[str, Reports]]:
    """Run the stages up to and with `last`, as the pipeline does: results from one to the next."""
    import msgspec

    reports: dict[str, Reports] = {}
    for name, function in STAGES:
        reports[name] = Reports()
        result: Any = function(upload, reports[name])
        reports[name].assert_honest()
        upload = msgspec.structs.replace(upload, results={**upload.results, name: result})
        if name == last:
            break
    return upload, reports


def refusal(upload: Upload, last: str = "validating") -> Rejected:
    """The Rejected that the stages up to `last` raise."""
    with pytest.raises(Rejected) as caught:
        through(upload, last)
    return caught.value
