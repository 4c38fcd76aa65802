"""Which functions of an upload share a process, and in which directories they write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sse_progress.model.stage_api import Report, StageFunction, Upload
from sse_progress.sandbox.outcomes import ChildLost
from sse_progress.worker.room import Room
from sse_progress.worker.stage_calls import StageCalls


def validate(upload: Upload, report: Report) -> None: ...
def analyze(upload: Upload, report: Report) -> None: ...
def moderate(upload: Upload, report: Report) -> None: ...
def judge(upload: Upload, report: Report) -> None: ...
def process(upload: Upload, report: Report) -> None: ...
async def ask(upload: Upload, report: Report) -> None: ...


class Service:
    sampler = "tests.unit.worker.test_stage_calls:analyze"

    __name__ = "service"

    async def __call__(self, upload: Upload, report: Report) -> None: ...


SERVICE = Service()
ROWS: list[tuple[str, StageFunction]] = [
    ("validating", validate),
    ("analyzing", analyze),
    ("moderating", ask),
    ("moderating", moderate),
    ("moderating", SERVICE),
    ("moderating", judge),
    ("processing", process),
]


class Recorded:
    """Stands in for a session: which call was in which process, and what that may write."""

    def __init__(
        self,
        results: dict[str, dict[str, Any]] | None = None,
        *,
        losses_in: dict[str, int] | None = None,
    ) -> None:
        self.has_process = False
        self.calls: list[tuple[str, int | None]] = []
        self.writable: dict[int, list[str]] = {}
        self.scratch: list[Path] = []
        self._results, self._losses, self._processes = results or {}, losses_in or {}, 0

    async def renew(self) -> None:
        self.has_process = False

    async def call(
        self,
        function: Any,
        upload: Path,
        report: Report,
        *,
        timeout_s: float,
        writable: Sequence[str] = (),
        followed_by: Sequence[StageFunction] = (),
    ) -> dict[str, Any]:
        name = getattr(function, "__name__", str(function).rpartition(":")[2])
        if self._losses.get(name):
            self._losses[name] -= 1
            self.has_process = False
            raise ChildLost
        here = function in (ask, SERVICE)
        if not here and not self.has_process:
            self.has_process = True
            self._processes += 1
            self.writable[self._processes] = list(writable)
        if not here and (may := self.writable[self._processes]):
            assert str(upload) in may
        self.scratch.append(upload)
        self.calls.append((name, None if here else self._processes))
        return self._results.get(name, {})


class Subject:
    id = "up"

    def upload(self, scratch: Path) -> Path:
        return scratch


async def called(
    session: Recorded, rows: Sequence[tuple[str, StageFunction]], scratch: Path
) -> None:
    calls = StageCalls(
        session,  # type: ignore[arg-type]
        Subject(),  # type: ignore[arg-type]
        rows,
        scratch=scratch,
        timeout_s=1,
        attempts=3,
        room=Room(),
    )
    for stage, function in rows:
        await calls.call(stage, function, lambda *_: None)


async def test_moderation_is_in_a_process_where_no_decoder_ran(tmp_path: Path) -> None:
    """The others share one; what a service is shown is taken in one of its own as well."""
    session = Recorded()
    await called(session, ROWS, tmp_path)
    assert session.calls == [
        ("validate", 1),
        ("analyze", 1),
        ("ask", None),
        ("moderate", 2),
        ("analyze", 3),
        ("service", None),
        ("judge", 4),
        ("process", 4),
    ]


async def test_a_process_writes_in_the_directories_of_its_own_calls(tmp_path: Path) -> None:
    """Each call has its own; none lies in another or serves two processes."""
    session = Recorded()
    await called(session, ROWS, tmp_path)
    owned = [path for paths in session.writable.values() for path in paths]
    assert len(set(owned)) == len(owned)
    assert all(path.parent == tmp_path for path in session.scratch)


@pytest.mark.parametrize("result", [{"files": []}, {"original": {"name": "a"}}])
async def test_files_are_taken_over_from_no_living_process(
    tmp_path: Path, result: dict[str, Any]
) -> None:
    """Else it could exchange them between the look at them and the move."""
    session = Recorded({"validate": result})
    await called(session, ROWS[:2], tmp_path)
    assert session.calls == [("validate", 1), ("analyze", 2)]


async def test_a_lost_child_costs_its_call_alone(tmp_path: Path) -> None:
    """The one before is not made again, and the call has a new directory."""
    session = Recorded(losses_in={"analyze": 2})
    await called(session, ROWS[:2], tmp_path)
    assert session.calls == [("validate", 1), ("analyze", 2)]
    assert len(set(session.scratch)) == 2
