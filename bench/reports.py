"""A report of a stage, from `report()` in the child to the frame on a follower's socket: what it
costs all processes together, and each of them.

Two runs of the whole service in turn, with a stage that waits as long in both: in one it reports,
in the other it says nothing. The difference is what reports cost. `stage` runs in the child.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.capacity import send_and_follow
from bench.places import tree
from bench.processes import role_of, service
from sse_progress.model.stage_api import Pipeline, Report, Upload

AT_ONCE = 8
EVERY_S = 0.11
"""The journal shows one event of a stage each 100 ms, for the first hundred: none is merged."""

SECONDS = 10.0


def stage(upload: Upload, report: Report) -> None:
    """The file's first byte says whether it reports."""
    talks = Path(upload.path).read_bytes()[:1] == b"t"
    count = int(SECONDS / EVERY_S)
    for number in range(count):
        time.sleep(EVERY_S)
        if talks:
            report(number / count, f"Row {number} of {count}")


pipeline: Pipeline = [("analyzing", stage)]


def cpu_by_role(supervisor: int) -> dict[str, float]:
    """Seconds so far; the kernel counts them in nanoseconds here, in ticks of 10 ms elsewhere."""
    spent: dict[str, float] = {}
    for pid in tree(supervisor)[1:]:
        role = role_of(pid)
        for task in Path(f"/proc/{pid}/task").iterdir():
            ran_ns = int((task / "schedstat").read_text().split()[0])
            name = "child" if role == "other" else role
            spent[name] = spent.get(name, 0) + ran_ns / 1e9
    return spent


def run(*, quick: bool) -> dict[str, Any]:
    rounds = 2 if quick else 5
    with (
        tempfile.TemporaryDirectory() as place,
        service(
            Path(place) / "data",
            log_level="error",
            archive_url="off",
            pipeline="bench.reports:pipeline",
            worker_concurrency=str(AT_ONCE),
            allowed_types="*/*",
        ) as (port, roles),
    ):
        (supervisor,) = roles["supervisor"]

        async def go(name: str, word: str) -> tuple[int, dict[str, float]]:
            head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="p.txt"\r\n\r\n'
            body = head + word.encode() + b"\r\n--b--\r\n"
            uploads = [send_and_follow(port, f"{name}-{n}", body) for n in range(AT_ONCE)]
            before = cpu_by_role(supervisor)
            events = sum(await asyncio.gather(*uploads))
            after = cpu_by_role(supervisor)
            return events, {role: after[role] - before.get(role, 0) for role in after}

        asyncio.run(go("warm", "quiet"))
        rows = []
        for number in range(rounds):
            silent, quiet = asyncio.run(go(f"quiet-{number}", "quiet"))
            told, talking = asyncio.run(go(f"talking-{number}", "talking"))
            frames = told - silent
            row = {role: (talking[role] - quiet.get(role, 0)) / frames * 1e6 for role in talking}
            rows.append({**row, "all": sum(row.values()), "frames": frames})
    found = {name: round(statistics.median(row[name] for row in rows)) for name in rows[0]}
    return {"a stage's report, CPU us": found, "rounds": rows}
