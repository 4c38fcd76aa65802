"""Follows one upload with httpx-sse, which leaves coming back to its user: URL, then lines."""

from __future__ import annotations

import json
import sys
import time

import httpx
from httpx_sse import connect_sse

url, last = sys.argv[1], ""
ended = False
while not ended:
    headers = {"Last-Event-ID": last} if last else {}
    try:
        with (
            httpx.Client(timeout=60) as client,
            connect_sse(client, "GET", url, headers=headers) as source,
        ):
            for sse in source.iter_sse():
                event = json.loads(sse.data)
                last = sse.id or last
                if event["type"] == "connected":
                    continue
                told = {"id": sse.id, "type": event["type"], "stage": event["stage"]}
                print(json.dumps(told), flush=True)
                ended = event["stage"] in ("complete", "error", "cancelled")
    except httpx.TransportError:
        time.sleep(0.1)
