"""The documents say what the code does; what can be run in them is run."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from sse_progress.model.events import Event
from sse_progress.model.stage_table import DEFAULT_TABLE
from sse_progress.settings import Settings
from tests.helpers.media import jpeg
from tests.helpers.service import ROOT, Service

DOCS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def blocks(path: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """Every link to a file of the project names one that is there."""
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def settings() -> Iterator[tuple[str, str]]:
    """(name, documentation) of every setting, as the source has them."""
    tree = ast.parse((ROOT / "sse_progress/settings/declared.py").read_text())
    body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Declared").body
    for node, after in pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr):
            text = after.value
            assert isinstance(text, ast.Constant)
            yield ast.unparse(node.target), " ".join(str(text.value).split())


def test_every_setting_is_documented() -> None:
    """Each has its row in docs/operate.md, with the words of the source."""
    told = (ROOT / "docs/operate.md").read_text()
    documented = dict(settings())
    assert set(documented) == set(Settings.model_fields)
    for name, text in documented.items():
        row = next(
            (line for line in told.splitlines() if line.startswith(f"| `_{name.upper()}`")), ""
        )
        assert text in row, f"docs/operate.md lacks: | `_{name.upper()}` | … | {text} |"


def test_the_stages_are_the_codes() -> None:
    """The table of stages and the list of fields agree with the code."""
    text = (ROOT / "docs/events.md").read_text()
    for stage in DEFAULT_TABLE.values():
        assert f"| `{stage.name}` | {stage.lo}–{stage.hi} |" in text
    for field in Event.__struct_encode_fields__:
        assert f"`{field}`" in text


async def test_the_quick_start_works(service: Callable[..., Service], tmp_path: Path) -> None:
    """Its commands, typed one after the other, do what it says."""
    one = service()
    (tmp_path / "photo.jpg").write_bytes(jpeg())
    commands = [
        line.removeprefix("$ ")
        for block in blocks(ROOT / "docs/quick-start.md", "console")
        for line in block.splitlines()
        if line.startswith("$ ") and "scripts/serve" not in line and "sse-progress " not in line
    ]
    assert len(commands) >= 6
    watching, *rest = [line.replace("http://127.0.0.1:8000", one.url) for line in commands]
    with subprocess.Popen(watching, shell=True, stdout=subprocess.PIPE, text=True) as watched:
        answers = [
            subprocess.run(
                line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True
            ).stdout
            for line in rest
        ]
        assert watched.stdout is not None
        seen = watched.stdout.read()
    assert '"success":true' in answers[0]
    assert '"status":"processing"' in answers[1]
    assert '"status":"complete"' in answers[2]
    assert '"uploads":[' in answers[3]
    assert answers[4] == ""
    assert [f'"stage":"{name}"' in seen for name in list(DEFAULT_TABLE)[:8]] == [True] * 8


async def test_the_python_example_works(service: Callable[..., Service], tmp_path: Path) -> None:
    """docs/integrate/python.md runs as it stands."""
    one = service()
    (tmp_path / "photo.jpg").write_bytes(jpeg())
    [code] = blocks(ROOT / "docs/integrate/python.md", "python")
    told = subprocess.run(
        [sys.executable, "-c", code.replace("http://127.0.0.1:8000", one.url)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert "100 " in told.stdout


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/integrate").glob("*.md")), ids=lambda path: path.name
)
def test_javascript_is_javascript(path: Path, tmp_path: Path) -> None:
    """Every `js` block parses as a module."""
    for number, code in enumerate(blocks(path, "js")):
        file = tmp_path / f"{number}.mjs"
        file.write_text(code)
        told = subprocess.run(
            ["node", "--check", file], capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stderr
