"""All measures beside all peers, as one document: raw samples, medians, ratios ours to theirs.

A ratio is that of one round, ours divided by theirs; told are the least, the median and the
greatest of all rounds.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import bodies, peers, resumable, streams
from bench.places import LOAD_CORE, SERVER_CORE, ours

MIB = 1024**2
Rows = dict[str, list[dict[str, float]]]

STREAM_PEERS = ["nchan", "sse_starlette", "sse_starlette_dict", "c_floor"]
BODY_PEERS = ["form", "busboy", "nginx", "c_floor", "tus", "gradio"]
SMALL_PEERS = ["form", "busboy"]


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(row[key] for row in rows), 4) for key in rows[0]}


def versus(found: Rows, key: str) -> dict[str, float]:
    return {name: spread[1] for name, spread in spreads(found, key).items()}


def spreads(found: Rows, key: str) -> dict[str, list[float]]:
    """Least, median and greatest of the rounds' ratios, for each peer."""
    told = {}
    for name, rows in found.items():
        if name == "ours":
            continue
        pairs = zip(found["ours"], rows, strict=True)
        ratios = [mine[key] / theirs[key] for mine, theirs in pairs if theirs[key]]
        if ratios:
            told[name] = [
                round(x, 3) for x in (min(ratios), statistics.median(ratios), max(ratios))
            ]
    return told


def entry(found: Rows, key: str, *, told_as: str | None = None) -> dict[str, Any]:
    mine = medians(found["ours"])
    return {
        told_as or key: mine[key],
        "vs": versus(found, key),
        "vs_min_median_max": spreads(found, key),
        "medians": {name: medians(rows) for name, rows in found.items()},
        "raw": found,
    }


# ---- the measures


def fan(suffix: str, *, readers: int, names: list[str], events: int, rounds: int) -> dict[str, Any]:
    found = streams.fanout(["ours", *names], readers=readers, events=events, rounds=rounds)
    told = {f"fanout_{suffix}": entry(found, "cpu_us_per_event")}
    mine = medians(found["ours"])
    if suffix == "1k":
        told["open_stream"] = entry(found, "open_cpu_us", told_as="cpu_us")
        del found["c_floor"]  # it keeps nothing of a stream
        told["idle_stream_bytes"] = {
            "bytes": mine["bytes_per_stream"],
            "vs": versus(found, "bytes_per_stream"),
            "vs_min_median_max": spreads(found, "bytes_per_stream"),
        }
    told[f"reconnect_storm_{suffix}"] = entry(found, "open_all_s", told_as="seconds")
    return told


def topics(*, quick: bool) -> dict[str, Any]:
    found = streams.many_topics(topics=1000, seconds=1 if quick else 4, rounds=2 if quick else 3)
    mine = medians(found["ours"])
    return {
        "many_topics_redis": entry(found, "cpu_us_per_event"),
        "event_to_client_ms": {
            "p50": mine["p50_ms"],
            "p99": mine["p99_ms"],
            "at_events_per_s": mine["events_per_s"],
        },
    }


def large(*, quick: bool) -> dict[str, Any]:
    size, rounds = (256 * MIB, 2) if quick else (1024 * MIB, 3)
    found = bodies.ingest(["ours", *BODY_PEERS], rounds=rounds, size=size)
    return {"ingest_1gib": {**entry(found, "cpu_s_per_gib", told_as="cpu_s"), "bytes": size}}


def many(*, quick: bool) -> dict[str, Any]:
    names = ["ours", "form", "busboy", "nginx", "gradio"]
    count, rounds = (200, 2) if quick else (1000, 3)
    found = bodies.ingest(names, rounds=rounds, size=MIB, count=count, at_once=100)
    told = {**entry(found, "cpu_s_per_gib", told_as="cpu_s_per_gib"), "uploads": count}
    return {"ingest_100x1mib": told}


def small(*, quick: bool) -> dict[str, Any]:
    count, rounds = (200, 2) if quick else (1000, 5)
    found = bodies.ingest(
        ["ours", *SMALL_PEERS], rounds=rounds, size=100 * 1024, count=count, at_once=1
    )
    return {"small_upload": entry(found, "cpu_ms_per_upload", told_as="cpu_ms")}


def mixed(*, quick: bool) -> dict[str, Any]:
    rows = [
        streams.under_upload(readers=100, seconds=3, size=1024 * MIB)
        for _ in range(1 if quick else 3)
    ]
    found = medians(rows)
    return {
        "stream_p99_ms_under_upload": found["under_upload"],
        "stream_p99_ms_quiet": found["quiet"],
    }


def hostile(*, quick: bool) -> dict[str, Any]:
    rows = bodies.hostile(size=256 * MIB, rounds=2 if quick else 5)
    return {"hostile_content": {"ratio": medians(rows)["ratio"], "raw": rows}}


def parts(*, quick: bool) -> dict[str, Any]:
    return {"resumable": resumable.run(quick=quick)}


def fanout_1k(*, quick: bool) -> dict[str, Any]:
    events, rounds = (10, 2) if quick else (50, 3)
    return fan("1k", readers=1000, names=STREAM_PEERS, events=events, rounds=rounds)


def fanout_10k(*, quick: bool) -> dict[str, Any]:
    events, rounds = (3, 1) if quick else (10, 3)
    names = ["nchan", "sse_starlette", "c_floor"]
    return fan("10k", readers=10_000, names=names, events=events, rounds=rounds)


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    "fanout_1k": fanout_1k,
    "fanout_10k": fanout_10k,
    "many_topics": topics,
    "ingest_1gib": large,
    "ingest_100x1mib": many,
    "small_upload": small,
    "mixed": mixed,
    "hostile": hostile,
    "resumable": parts,
}


# ---- where it was measured


def guards() -> dict[str, Any]:
    """Our settings as the running service has them: what it tells, and its own environment."""
    with ours() as service:
        url = f"http://127.0.0.1:{service.port}/config"
        with urllib.request.urlopen(url, timeout=10) as answer:
            told = json.load(answer)
        words = Path(f"/proc/{service.pid}/environ").read_bytes().decode().split("\0")
        environment = dict(word.split("=", 1) for word in words if "=" in word)
    ours_alone = {
        name: value
        for name, value in sorted(environment.items())
        if name.startswith(("SSE_PROGRESS_", "MALLOC_"))
        and name not in {"SSE_PROGRESS_REDIS_URL", "SSE_PROGRESS_DATA_DIR", "SSE_PROGRESS_PORT"}
    }
    return {"limits": told["limits"], "environment": ours_alone}


def machine() -> dict[str, Any]:
    return {
        "cpus": os.cpu_count(),
        "server_core": SERVER_CORE,
        "load_core": LOAD_CORE,
        "kernel": platform.release(),
        "load_average": os.getloadavg(),
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def run(names: list[str], *, quick: bool, target: Path) -> dict[str, Any]:
    """The document, written to `target` as it grows; what failed stands in it with its reason."""
    document: dict[str, Any] = {
        "versions": peers.versions(),
        "guards": guards(),
        "machine": machine(),
        "quick": quick,
    }
    for name in names:
        began = time.monotonic()
        try:
            document |= MEASURES[name](quick=quick)
        except Exception as error:
            document.setdefault("failed", {})[name] = f"{type(error).__name__}: {error}"[:500]
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        document["machine"]["load_average_after"] = os.getloadavg()
        target.write_text(json.dumps(document, indent=1) + "\n")
    return document
