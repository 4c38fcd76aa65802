"""Fenced blocks of the documentation, and ways to run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.service import ROOT, Service

DOCS = ROOT / "docs"
INTEGRATE = DOCS / "integrate"
MODULES = ROOT / "tests" / "js" / "node_modules"
TIMEOUT_S = 60


@dataclass(frozen=True)
class Block:
    """A fenced block; `skipped`: why it is not run, from a comment before it."""

    language: str
    text: str
    skipped: str


def blocks(page: Path, language: str) -> list[Block]:
    fence = re.compile(
        r"(?:^<!-- not run: (?P<why>[^>]*) -->\n+)?^```(?P<language>\w+)\n(?P<text>.*?)^```",
        re.MULTILINE | re.DOTALL,
    )
    found = [
        Block(m["language"], m["text"], m["why"] or "") for m in fence.finditer(page.read_text())
    ]
    return [one for one in found if one.language == language]


def here(text: str, service: Service) -> str:
    return text.replace("http://127.0.0.1:8000", service.url)


def environment(service: Service) -> dict[str, str]:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"SSE_PROGRESS_URL": service.url, "TOKEN": "none-is-asked-for", "PATH": programs}
    return {**os.environ, **own, "PYTHONPATH": str(ROOT)}


def commands(block: Block) -> list[str]:
    """What is typed: lines after `$ `, with those that continue them."""
    whole = block.text.replace("\\\n", "\\\0")
    lines = [line[2:] for line in whole.splitlines() if line.startswith("$ ")]
    return [line.replace("\0", "\n") for line in lines]


def node(place: Path, code: str) -> str:
    """Run a program that may import what tests/js has; its output."""
    if not (place / "node_modules").exists():
        (place / "node_modules").symlink_to(MODULES)
    (place / "program.js").write_text(code)
    esbuild = MODULES / ".bin" / "esbuild"
    bundle = ["--bundle", "--platform=node", "--format=esm", "--outfile=bundle.mjs"]
    bundle.append("--external:tus-js-client")  # its modules for Node are found by Node alone
    metro = "--alias:react-native-sse=react-native-sse/src/EventSource.js"  # as React Native has it
    subprocess.run(
        [esbuild, "program.js", *bundle, metro, "--log-level=error"], cwd=place, check=True,
        env={**os.environ, "NODE_PATH": str(MODULES)}, timeout=TIMEOUT_S,
    )  # fmt: skip
    done = subprocess.run(
        ["node", "bundle.mjs"], cwd=place, capture_output=True, text=True, timeout=TIMEOUT_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
