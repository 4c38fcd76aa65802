"""Measure this service and its peers side by side: `scripts/bench [--quick] [--json FILE] [NAME…]`.

Figures of one run compare with each other, not with those of another machine or hour: peers are
measured in turn, and medians are told. Everything talks to loopback and ends what it started.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

from bench import bench_stages, fanout, ingest, rest


def stages(*, quick: bool) -> dict[str, Any]:
    return asyncio.run(bench_stages.main(quick=quick))


BENCHES = {"rest": rest.run, "fanout": fanout.run, "ingest": ingest.run, "stages": stages}


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller numbers")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    arguments = parser.parse_args()
    if wrong := set(arguments.names) - set(BENCHES):
        parser.error(f"there is no bench {', '.join(sorted(wrong))}")
    found = {}
    for name in arguments.names or BENCHES:
        print(f"\n{name}", flush=True)
        found[name] = BENCHES[name](quick=arguments.quick)
        for who, figures in found[name].items():
            print(f"  {who}: {figures}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


main()
