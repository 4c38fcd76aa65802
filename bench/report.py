"""The document of a run, as a table and as what the picture is drawn from."""

from __future__ import annotations

from typing import Any

__all__ = ["DIFFERENCES", "table"]

ROWS = [
    ("fanout_1k", "1,000 streams, a delivered event", "cpu_us_per_event", "µs"),
    ("fanout_10k", "10,000 streams, a delivered event", "cpu_us_per_event", "µs"),
    ("idle_stream_bytes", "memory of an idle stream", "bytes", "bytes"),
    ("open_stream", "opening a stream", "cpu_us", "µs"),
    ("many_topics_redis", "1,000 uploads through Redis, an event", "cpu_us_per_event", "µs"),
    ("ingest_1gib", "one large file, a GiB", "cpu_s", "s"),
    ("ingest_100x1mib", "files of 1 MiB, 100 at once, a GiB", "cpu_s_per_gib", "s"),
    ("small_upload", "a file of 100 KB", "cpu_ms", "ms"),
]

DIFFERENCES = """\
The work differs. Ours parses the form, checks names and limits, computes SHA-256, syncs each file,
writes a journal to Redis and queues the file; streams replay from the journal and have limits.
- nginx: stores the body as it came, no form, no hash. Nchan: keeps 8 messages in memory.
- busboy, form(): form and SHA-256; @tus/server: PATCHes of 8 MiB and SHA-256; no sync, no journal.
- Gradio: its own form parser and hash, no sync.
- C: recv, search for the boundary, SHA-256, write (or one send() per delivery); nothing else.
- sse-starlette: frames made once (`sse_starlette`) or per client (`sse_starlette_dict`); no replay.
- redis-py: a subscription per client; a bounded stream and a publication per event.
"""


def table(document: dict[str, Any]) -> str:
    """Markdown. A ratio is ours divided by theirs: least – median – greatest of the rounds."""
    lines = ["| work | ours | ours ÷ theirs (min – median – max) |", "|---|---|---|"]
    for key, title, figure, unit in ROWS:
        if key not in document:
            continue
        found = document[key]
        ratios = ", ".join(
            f"{name} {least:.2f} – **{median:.2f}** – {most:.2f}"
            for name, (least, median, most) in found["vs_min_median_max"].items()
        )
        lines.append(f"| {title} | {_figure(found[figure])} {unit} | {ratios} |")
    lines += _alone(document)
    lines += [f"| {name} | not measured: {why} | |" for name, why in _failed(document).items()]
    return "\n".join(lines)


def _figure(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def _failed(document: dict[str, Any]) -> dict[str, str]:
    failed = document.get("failed", {})
    assert isinstance(failed, dict)
    return failed


def _alone(document: dict[str, Any]) -> list[str]:
    lines = []
    if (found := document.get("event_to_client_ms")) is not None:
        text = f"{found['p50']:.3g} / {found['p99']:.3g} ms"
        at = found["at_events_per_s"]
        lines.append(f"| event to client at {at:,.0f} events/s, p50 / p99 | {text} | |")
    if "stream_p99_ms_under_upload" in document:
        quiet, busy = document["stream_p99_ms_quiet"], document["stream_p99_ms_under_upload"]
        text = f"{busy:.3g} ms (before it {quiet:.3g})"
        lines.append(f"| streams' p99 while one client uploads at full speed | {text} | |")
    if (found := document.get("hostile_content")) is not None:
        text = f"{found['ratio']:.3g} of random content"
        lines.append(f"| near-boundaries everywhere | {text} | |")
    return lines
