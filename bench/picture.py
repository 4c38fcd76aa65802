"""Draws the ratios: picture.py JSON PNG. Needs matplotlib and nothing of ours."""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot

WORKS = {
    "fanout_1k": "event, 1,000 streams",
    "fanout_10k": "event, 10,000 streams",
    "idle_stream_bytes": "memory of a stream",
    "open_stream": "opening a stream",
    "many_topics_redis": "event through Redis",
    "ingest_1gib": "large file",
    "ingest_100x1mib": "1 MiB, 100 at once",
    "small_upload": "100 KB",
}


def main(source: str, target: str) -> None:
    document = json.loads(Path(source).read_text())
    rows = [
        (f"{title}: {peer}", *spread)
        for key, title in WORKS.items()
        for peer, spread in document.get(key, {}).get("vs_min_median_max", {}).items()
    ][::-1]
    figure, axes = pyplot.subplots(figsize=(9, 0.27 * len(rows) + 1.4))
    for at, (_, least, median, most) in enumerate(rows):
        color = "#1a7f37" if median <= 1 else "#b35900"
        axes.plot([least, most], [at, at], color=color, linewidth=1)
        axes.plot([median], [at], "o", color=color, markersize=5)
    axes.axvline(1, color="#555", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=8)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlabel("ours ÷ theirs, median and range of rounds: left of the line ours costs less")
    axes.grid(axis="x", color="#ddd", linewidth=0.5)
    figure.tight_layout()
    figure.savefig(target, dpi=110)


main(*sys.argv[1:3])
