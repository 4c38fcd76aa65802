"""The peers that we are measured beside, each as its documentation says, with pinned versions."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

from bench.processes import ROOT

PYTHON = sys.executable
HERE = Path(__file__).parent
GRADIO = ROOT / ".cache" / "bench" / "gradio"
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False"}


def gradio_python() -> str:
    """Of an environment of its own: what Gradio needs is not what we need."""
    python = GRADIO / "bin" / "python"
    lock = HERE / "requirements.txt"
    done = GRADIO / "lock"
    if not done.exists() or done.read_text() != lock.read_text():
        subprocess.run([sys.executable, "-m", "venv", str(GRADIO)], check=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
        locked = ["--only-binary", ":all:", "--require-hashes", "-r", str(lock)]
        subprocess.run([*command, *locked], check=True, stdin=subprocess.DEVNULL)
        done.write_text(lock.read_text())
    return str(python)


def versions() -> dict[str, str]:
    """Of everything that takes part."""
    found = {
        name: importlib.metadata.version(name)
        for name in ("starlette", "uvicorn", "uvloop", "sse-starlette", "redis", "hiredis")
    }
    found["python"] = sys.version.split()[0]
    for name, command in {
        "node": ["node", "--version"],
        "nginx": ["nginx", "-v"],
        "redis-server": ["redis-server", "--version"],
        "nchan": ["dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan"],
    }.items():
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found[name] = (done.stdout or done.stderr).strip()
    for line in (HERE / "requirements.txt").read_text().splitlines():
        if line.startswith("gradio=="):
            found["gradio"] = line.split("==")[1].split()[0]
    return found
