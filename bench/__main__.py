"""Measure this service and its peers side by side: `scripts/bench [--quick] [--json FILE] [NAME…]`.

Figures of one run compare with each other, not with those of another machine or hour: peers are
measured in turn, the server on one core and the load on another. Everything talks to loopback and
ends what it started. `--picture FILE` draws the ratios; `--table FILE` writes the table.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

from bench import bench_stages, load, peers, report, reports, rest, suite
from bench.peers import node
from bench.places import pin_load


def stages(*, quick: bool) -> dict[str, Any]:
    return asyncio.run(bench_stages.main(quick=quick))


ALONE = {"rest": rest.run, "reports": reports.run, "stages": stages}
"""Without peers: only by name."""


def install() -> None:
    node.install()
    peers.gradio_python()
    for source in load.SOURCES.glob("*.c"):
        load.built(source.stem)


def draw(document: Path, target: Path) -> None:
    script = str(Path(__file__).with_name("picture.py"))
    subprocess.run([peers.gradio_python(), script, str(document), str(target)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    known = [*suite.MEASURES, *ALONE]
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--quick", action="store_true", help="about 10 minutes; smaller numbers")
    parser.add_argument("--json", type=Path, default=Path(".cache/bench/latest.json"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    if wrong := set(arguments.names) - set(known):
        parser.error(f"there is no bench {', '.join(sorted(wrong))}")
    for name in [name for name in arguments.names if name in ALONE]:
        print(name, json.dumps(ALONE[name](quick=arguments.quick), indent=1), flush=True)
    names = [name for name in suite.MEASURES if name in arguments.names or not arguments.names]
    if not names:
        return
    install()
    pin_load()
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    document = suite.run(names, quick=arguments.quick, target=arguments.json)
    shown = report.table(document)
    print(f"\n{shown}\n\n{report.DIFFERENCES}\nwritten: {arguments.json}")
    if arguments.table:
        arguments.table.write_text(shown + "\n")
    if arguments.picture:
        draw(arguments.json, arguments.picture)


if __name__ == "__main__":
    main()
