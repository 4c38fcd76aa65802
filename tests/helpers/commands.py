"""Programs that a test runs to their end."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

TIMEOUT_S = 300


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """What it prints, once it has ended well."""
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
