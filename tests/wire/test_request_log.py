"""The log answers what became of an upload, from its request to its end."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any

import httpx

from tests.helpers.media import jpeg
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until


def test_the_log_tells_what_became_of_an_upload(service: Callable[..., Service]) -> None:
    """Every line is JSON; those with the id are its request, its job's start and its job's end, and
    what a stage prints in its child. Users are pseudonyms where there is a key for them."""
    key = "a key of sixteen characters"
    one = service(
        {
            "SSE_PROGRESS_LOG_FORMAT": "json",
            "SSE_PROGRESS_LOG_USER_KEY": key,
            "SSE_PROGRESS_PIPELINE": "tests.stages_for_tests.pipelines:chatty",
        }
    )
    picture = jpeg()
    answer = httpx.post(
        f"{one.url}/upload",
        files={"file": ("a.jpg", picture)},
        headers={"X-Upload-ID": "traced", "X-Request-ID": "from-the-proxy"},
        timeout=60,
    )
    assert answer.status_code == 200
    unnamed = httpx.post(f"{one.url}/upload", files={"file": ("a.jpg", picture)}, timeout=60)
    missing = httpx.get(
        f"{one.url}/upload/unknown?token=abc", timeout=60, headers={"X-Request-ID": "no id"}
    )
    assert missing.status_code == 404

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in one.log.splitlines()]

    def about(upload_id: str) -> dict[str, dict[str, Any]]:
        return {line["event"]: line for line in lines() if line.get("upload_id") == upload_id}

    wait_until(
        lambda: {"job started", "job finished", "request"} <= about("traced").keys(), "all is told"
    )
    wait_until(lambda: "request" in about("unknown"), "the other request is told")
    assert about("traced")["stage output"]["text"] == "said by a child"
    request = about("traced")["request"]
    assert (request["method"], request["path"], request["status"]) == ("POST", "/upload", 200)
    digest = hmac.new(key.encode(), b"anonymous", "sha256").hexdigest()
    assert request["user"] == f"u-{digest[:16]}"
    assert request["request"] == "from-the-proxy"
    assert len(about("unknown")["request"]["request"]) == 16
    assert '"anonymous"' not in one.log
    assert request["bytes"] > len(picture)
    made = unnamed.headers["x-upload-id"]
    named = wait_until(lambda: about(made).get("request"), "the id that the service made is told")
    assert (named["method"], named["status"]) == ("POST", 200)
    finished = about("traced")["job finished"]
    assert finished["outcome"] == "complete"
    assert 0 < finished["duration_s"] < request["duration_s"] + 60
    assert about("unknown")["request"]["path"] == "/upload/unknown"
    assert "healthz" not in one.log
    assert "abc" not in one.log
