"""Executes a Dockerfile without Docker: its RUN lines in a bare Debian root, then its CMD.

Owns the few instructions that this project's Dockerfile uses; any other is an error. It does not
make an image, and the base's Python is this machine's, copied in. See scripts/image-check.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

START_S = 120
STOP_S = 60
NETWORK = ("PIP_INDEX_URL", "PIP_CERT", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
READ_ONLY = (
    'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && mount -t proc proc "$0/proc"'
    ' && mount -t tmpfs tmpfs "$0/tmp" && mount -t tmpfs -o uid=10001,mode=0700 tmpfs "$0/data"'
    ' && exec "$@"'
)
"""In mounts of its own: the root read-only, /tmp and /data to write in."""


def instructions(text: str) -> list[tuple[str, str]]:
    """(word, rest) of each instruction, with continuation lines joined and comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    pairs = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    return [(word, rest.strip()) for word, rest in pairs]


class Stage:
    """One FROM: a root, and what the instructions so far have set."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root"}
        self.arguments: dict[str, str] = {}
        self.directory, self.user = "/", "0:0"
        self.commands: dict[str, list[str]] = {}

    def expanded(self, text: str) -> str:
        known = {**self.env, **self.arguments}
        return re.sub(r"\$\{?(\w+)\}?", lambda found: known.get(found[1], found[0]), text)

    def chroot(self, command: list[str], *, extra: dict[str, str] | None = None) -> list[str]:
        env = [f"{name}={value}" for name, value in {**self.env, **(extra or {})}.items()]
        inside = f"cd {shlex.quote(self.directory)} && exec {shlex.join(command)}"
        return [
            "chroot", f"--userspec={self.user}", str(self.root),
            "/usr/bin/env", "-i", *env, "/bin/sh", "-c", inside,
        ]  # fmt: skip

    def run(self, line: str) -> None:
        print(f"RUN {line[:90]}", flush=True)
        network = {name: os.environ[name] for name in NETWORK if name in os.environ}
        subprocess.run(self.chroot(["/bin/sh", "-c", line], extra=network), check=True)


class Build:
    """The stages of one Dockerfile, each in a copy of `base` under `work`."""

    def __init__(self, context: Path, base: Path, work: Path) -> None:
        self.context, self.base, self.work = context, base, work
        self.stages: dict[str, Stage] = {}
        self.last = Stage(base)

    def execute(self, text: str) -> Stage:
        for word, rest in instructions(text):
            getattr(self, f"_{word.lower()}")(rest)
        return self.last

    def _from(self, rest: str) -> None:
        name = rest.rpartition(" AS ")[2] if " AS " in rest else "last"
        print(f"FROM, stage {name}", flush=True)
        root = self.work / name
        subprocess.run(["cp", "-a", str(self.base), str(root)], check=True)
        self.last = self.stages[name] = Stage(root)

    def _arg(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        self.last.arguments[name] = os.environ.get(name, value)

    def _env(self, rest: str) -> None:
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            self.last.env[name] = self.last.expanded(value)

    def _run(self, rest: str) -> None:
        stage = self.last
        given = "".join(f"{k}={shlex.quote(v)}; " for k, v in stage.arguments.items())
        stage.run(given + rest)

    def _workdir(self, rest: str) -> None:
        self.last.directory = rest
        (self.last.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        *sources, target = shlex.split(self.last.expanded(rest))
        origin = self.context
        if sources[0].startswith("--from="):
            origin = self.stages[sources.pop(0).partition("=")[2]].root
        place = self.last.root / str(Path(self.last.directory, target)).lstrip("/")
        for source in sources:
            path = origin / source.lstrip("/")
            into = place / path.name if target.endswith("/") else place
            into.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, into, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy2(path, into)

    def _user(self, rest: str) -> None:
        self.last.user = rest

    def _healthcheck(self, rest: str) -> None:
        self.last.commands["healthcheck"] = json.loads(rest[rest.index("[") :])

    def _entrypoint(self, rest: str) -> None:
        self.last.commands["entrypoint"] = json.loads(rest)

    def _cmd(self, rest: str) -> None:
        self.last.commands["cmd"] = json.loads(rest)

    def _volume(self, rest: str) -> None: ...
    def _expose(self, rest: str) -> None: ...
    def _stopsignal(self, rest: str) -> None:
        if rest != "SIGTERM":
            raise ValueError(f"STOPSIGNAL {rest}")


def serves(stage: Stage) -> None:
    """On a read-only root its CMD refuses to start without a key, and with open mode it becomes
    healthy, as user 10001; SIGTERM ends it. Raises AssertionError if not.
    """
    command = [*stage.commands["entrypoint"], *stage.commands["cmd"]]
    refused = subprocess.run(
        _read_only(stage, command, {}), capture_output=True, text=True, timeout=START_S, check=False
    )
    assert refused.returncode == 2, refused
    print("CMD without a key: refused", flush=True)
    port = {"SSE_PROGRESS_PORT": os.environ.get("IMAGE_CHECK_PORT", "18080")}
    process = subprocess.Popen(
        _read_only(stage, command, {**port, "SSE_PROGRESS_OPEN_MODE_ANYWHERE": "1"})
    )
    try:
        until = time.monotonic() + START_S
        check = stage.chroot(stage.commands["healthcheck"], extra=port)
        while subprocess.run(check, capture_output=True, check=False).returncode != 0:
            time.sleep(0.2)
            assert process.poll() is None, "it ended"
            assert time.monotonic() < until, "it does not become healthy"
        print("HEALTHCHECK: healthy", flush=True)
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert re.search(r"^Uid:\t10001\t", status, re.MULTILINE), "it runs as somebody else"
    finally:
        process.terminate()
    assert process.wait(timeout=STOP_S) == 0, process.returncode
    print("SIGTERM: ended with 0", flush=True)


def _read_only(stage: Stage, command: list[str], extra: dict[str, str]) -> list[str]:
    inside = stage.chroot(command, extra=extra)
    return ["unshare", "--mount", "sh", "-c", READ_ONLY, str(stage.root), *inside]


def main() -> None:
    context, base, work = map(Path, sys.argv[1:])
    stage = Build(context, base, work).execute((context / "Dockerfile").read_text())
    for tool in ("gcc", "make", "pip", "git"):
        found = [
            place for place in ("usr/bin", "usr/local/bin") if (stage.root / place / tool).exists()
        ]
        assert not found, f"{tool} is in the last stage"
    assert not list((stage.root / "usr/local/lib").glob("python*/site-packages/pip"))
    serves(stage)


if __name__ == "__main__":
    main()
