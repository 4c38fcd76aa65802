"""The documents say what the code does; what can be run in them is run."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest

from sse_progress.model.events import Event
from sse_progress.model.stage_table import DEFAULT_TABLE
from sse_progress.settings import Settings
from tests.helpers.service import ROOT

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
    assert set(documented) == {each.name for each in fields(Settings)}
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
