"""The site of the documentation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.service import ROOT


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    """Every link leads somewhere; search, decisions and the reference from docstrings are there."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", tmp_path / "site"],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    client = (tmp_path / "site" / "reference" / "client" / "index.html").read_text()
    for name in ("AsyncClient.upload", "AsyncBatch.wait", "failures.UploadFailed"):
        assert f"{name}" in client, name
    assert "Raises UploadFailed" in client
    http = (tmp_path / "site" / "reference" / "http" / "index.html").read_text()
    assert "PATCH /upload/{upload_id}" in http
    assert 'href="#problem"' in http
    assert "Pixels, as displayed" in http
    listed = (tmp_path / "site" / "decisions" / "index.html").read_text()
    assert all(path.stem in listed for path in (ROOT / "docs" / "decisions").glob("[a-z]*.md"))
    assert "follow_batch" in (tmp_path / "site" / "search" / "search_index.json").read_text()
