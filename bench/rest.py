"""The whole service at rest: memory by process, and how long from start to ready."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from bench.processes import children, cpu_s, resident_kb, service


def run(*, quick: bool) -> dict[str, Any]:
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as place,
        service(Path(place) / "data", log_level="error") as (_, roles),
    ):
        ready_s = time.monotonic() - began - 1
        pids = {role: pids[0] for role, pids in roles.items()}
        below = children(pids["worker"])
        if below:
            pids["stage child"] = below[0]
        watched_s = 5 if quick else 30
        before = sum(cpu_s(pid) for pid in pids.values())
        time.sleep(watched_s)
        busy = (sum(cpu_s(pid) for pid in pids.values()) - before) / watched_s
        memory = {f"{role} MB": round(resident_kb(pid) / 1024, 1) for role, pid in pids.items()}
        return {
            "at rest": {
                **memory,
                "all MB": round(sum(memory.values()), 1),
                "CPU %": round(busy * 100, 2),
                "start to ready s": round(ready_s, 1),
            }
        }
