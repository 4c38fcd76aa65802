"""What the package offers by name, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import sse_progress

ROOT = Path(__file__).parents[2]


def loaded_by(statement: str) -> set[str]:
    """Modules that a fresh process has after `statement`."""
    code = f"{statement}; import sys; print(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_public_names_are_these() -> None:
    """Adding or removing a public name is a decision, taken here."""
    assert sse_progress.__all__ == [
        "Event",
        "Kind",
        "Pipeline",
        "Problem",
        "Rejected",
        "Report",
        "Upload",
        "__version__",
    ]


def test_every_public_name_is_the_thing_itself() -> None:
    """Names that are imported late are those of the modules in which they are declared."""
    from sse_progress.model import errors, events, kinds
    from sse_progress.model import stage_api as stage

    homes = {
        "Event": events.Event,
        "Kind": kinds.Kind,
        "Pipeline": stage.Pipeline,
        "Problem": errors.Problem,
        "Rejected": errors.Rejected,
        "Report": stage.Report,
        "Upload": stage.Upload,
        "__version__": "0.1.0",
    }
    assert {name: getattr(sse_progress, name) for name in sse_progress.__all__} == homes
    assert set(sse_progress.__all__) <= set(dir(sse_progress))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """A typing error is told as Python tells it, also by `from … import`."""
    with pytest.raises(AttributeError, match="'sse_progress' has no attribute 'Uplaod'"):
        sse_progress.Uplaod  # noqa: B018
    with pytest.raises(ImportError, match="Uplaod"):
        exec("from sse_progress import Uplaod")


def test_the_version_is_the_projects() -> None:
    """pyproject.toml and `__version__` say the same."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sse_progress.__version__ == project["version"]


def test_importing_the_package_imports_nothing_more() -> None:
    """A stage child and the supervisor pay for no library that they do not use."""
    assert {name for name in loaded_by("import sse_progress") if "sse_progress" in name} == {
        "sse_progress"
    }
    small = loaded_by("import sse_progress.sandbox.child")
    assert not small & {"msgspec", "asyncio", "sse_progress.model.events"}
    supervisor = loaded_by("import sse_progress.supervisor.supervisor")
    assert not supervisor & {"msgspec", "asyncio", "pydantic", "redis", "starlette"}


def test_a_star_import_brings_the_public_names() -> None:
    """`from sse_progress import *` resolves late names as well."""
    found: dict[str, object] = {}
    exec("from sse_progress import *", found)
    assert set(sse_progress.__all__) <= set(found)
