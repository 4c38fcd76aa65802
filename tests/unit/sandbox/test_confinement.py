"""Which paths a stage's process may read: the policy, without the kernel."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from sse_progress.model.stage_api import Options, Upload
from sse_progress.sandbox import landlock
from sse_progress.sandbox.confinement import Confinement, Degree, libraries

Rules = Callable[..., dict[str, int]]


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rules:
    """Rules for a stage whose modules lie in `tmp_path/app`, by path."""
    monkeypatch.setattr(landlock, "abi", lambda: 6)
    app = tmp_path / "app"
    for name in ("package/module.py", "data/objects/a", ".env", ".env.example", "other/b"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).touch()
    monkeypatch.setattr(sys, "path", [str(app), *sys.path])

    def of(**changes: object) -> dict[str, int]:
        upload = Upload(
            id="one",
            path="/somewhere/original",
            scratch="/somewhere/scratch",
            filename="one.bin",
            claimed_type="application/octet-stream",
            size=5,
            sha256="00",
            created_at="2026-01-15T10:30:00.000Z",
            options=Options(word_list=str(tmp_path / "words.txt")),
        )
        given = Confinement(mode="best-effort", closed=(str(app / "data"), str(app / ".env")))
        return dict(libraries(msgspec.structs.replace(given, **changes), upload))

    return of


def readable(rules: dict[str, int], path: Path) -> bool:
    """Whether the contents of `path` may be read by them."""
    above = (str(path), *map(str, path.parents))
    return any(rules.get(each, 0) & ~landlock.LIST for each in above)


def test_what_is_closed_cannot_be_read_whatever_lies_around_it(
    rules: Rules, tmp_path: Path
) -> None:
    """Everybody's files and the file with keys, although modules are imported from beside them."""
    app, found = tmp_path / "app", rules()
    for name in ("data", "data/objects/a", ".env"):
        assert not readable(found, app / name), name
    for name in ("package/module.py", ".env.example", "other/b"):
        assert readable(found, app / name), name
    assert found[str(app)] == landlock.LIST
    assert readable(found, tmp_path / "words.txt")
    assert not readable(found, Path("/etc/passwd"))


def test_what_the_operator_names_is_readable_but_not_what_is_closed(
    rules: Rules, tmp_path: Path
) -> None:
    """A setting that names too much opens nobody's files."""
    found = rules(readable=(str(tmp_path),))
    assert readable(found, tmp_path / "words.txt")
    assert not readable(found, tmp_path / "app/data/objects/a")


def test_nothing_is_walked_where_nothing_is_confined(
    rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`off`, and kernels without Landlock."""
    assert rules(mode="off") == {}
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    assert rules() == {}


@pytest.mark.parametrize(
    ("degree", "full", "enough", "words"),
    [
        (Degree(6, seccomp=True), True, True, "Landlock ABI 6, seccomp"),
        (Degree(2, seccomp=True), False, True, "Landlock ABI 2, seccomp"),
        (Degree(0, seccomp=True), False, False, "no Landlock, seccomp"),
        (Degree(6, seccomp=False), False, False, "Landlock ABI 6, no seccomp"),
    ],
)
def test_degrees(degree: Degree, full: bool, enough: bool, words: str) -> None:
    """What a kernel has, in words and in what it is enough for."""
    assert (degree.full, degree.enough, str(degree)) == (full, enough, words)


def test_the_real_kernel_is_asked() -> None:
    """Where these tests run there is Landlock."""
    if os.uname().release.split(".")[0] >= "6":
        assert landlock.abi() >= 1
