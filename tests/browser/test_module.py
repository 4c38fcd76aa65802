"""What needs no browser: the module's own tests in node, its package, and its types' place."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.service import ROOT

PAGE = ROOT / "sse_progress" / "browser"
TESTS = sorted((ROOT / "tests" / "js").glob("*.test.js"))
TIMEOUT_S = 120


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_the_modules_own_tests_pass(path: Path) -> None:
    """Every fact that the tests for node's runner state holds."""
    command = ["node", "--test", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert run.returncode == 0, run.stdout


def test_the_package_is_complete_as_it_lies_there(tmp_path: Path) -> None:
    """`npm pack` needs no build step; what it packs can be imported and has its types."""
    pack = ["npm", "pack", "--silent", "--pack-destination", str(tmp_path)]
    subprocess.run(pack, cwd=PAGE, check=True, capture_output=True, timeout=TIMEOUT_S)
    [archive] = tmp_path.glob("*.tgz")
    package = tmp_path / "node_modules" / "sse-progress-client"
    subprocess.run(["tar", "-xzf", archive, "-C", tmp_path], check=True)
    package.parent.mkdir()
    shutil.move(tmp_path / "package", package)
    script = "import('sse-progress-client').then((m) => console.log(Object.keys(m).join()))"
    shown = subprocess.run(
        ["node", "-e", script], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    assert {"Client", "upload", "follow", "observe"} <= set(shown.strip().split(","))
    manifest = json.loads((package / "package.json").read_text())
    for entry in (manifest["exports"]["."], manifest["exports"]["./panel"]):
        assert (package / entry["types"]).is_file()
        assert (package / entry["default"]).is_file()
    assert (package / "README.md").is_file()
