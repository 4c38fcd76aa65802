"""Servers on Node; their packages are pinned in `package-lock.json`, installed beside it."""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def install() -> None:
    """What the lock names, if it is not there yet."""
    if not (HERE / "node_modules" / ".package-lock.json").exists():
        subprocess.run(
            ["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=HERE,
            check=True,
            stdin=subprocess.DEVNULL,
        )


def command(script: str) -> list[str]:
    install()
    return ["node", str(HERE / script)]
