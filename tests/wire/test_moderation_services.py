"""Moderation by services of others, asked and answering over real sockets."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from standardwebhooks import Webhook

from sse_progress.model.webhooks import secrets_of, signed_headers
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until
from tests.helpers.webhook_receiver import Receipt, Receiver, receiver
from tests.wire.words import new_id, post

SECRET = "whsec_" + base64.b64encode(b"moderation-hook-secret-of-tests!").decode()
API_KEY = "sk-a-key-that-nothing-may-log"
TEXT = b"a quiet text about nothing\n" * 30


class Services:
    """Both services behind one port; a test says what they answer."""

    def __init__(self, told: Receiver) -> None:
        self.told = told
        self.reset()
        told.reply = self._reply

    def reset(self) -> None:
        self.told.receipts.clear()
        self.api_status, self.scores = 200, {"violence": 0.01}
        self.hook_status, self.verdict = 200, {"verdict": "approved"}
        self.api_failures = 0

    def _reply(self, path: str, receipt: Receipt) -> tuple[int, bytes]:
        if path.endswith("/moderations"):
            if self.api_failures:
                self.api_failures -= 1
                return 503, b""
            flagged = {name: score > 0.5 for name, score in self.scores.items()}
            result = {
                "flagged": any(flagged.values()),
                "categories": flagged,
                "category_scores": self.scores,
            }
            return self.api_status, json.dumps({"results": [result]}).encode()
        return self.hook_status, json.dumps(self.verdict).encode()

    @property
    def asked(self) -> list[Any]:
        """The inputs that the API was asked about."""
        return [one.message["input"] for one in self.told.receipts if "input" in one.message]

    @property
    def hooked(self) -> list[Receipt]:
        return [one for one in self.told.receipts if "type" in one.message]


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Service, Services]]:
    directory = Path(tempfile.mkdtemp(prefix="sp-services-"))
    with receiver() as told:
        base = told.url.partition("/hook")[0]
        env = {
            "SSE_PROGRESS_MODERATION_API_URL": f"{base}/v1",
            "SSE_PROGRESS_MODERATION_API_KEY": API_KEY,
            "SSE_PROGRESS_MODERATION_API_REFUSE": "0.9",
            "SSE_PROGRESS_MODERATION_HOOK_URL": told.url,
            "SSE_PROGRESS_MODERATION_HOOK_SECRET": SECRET,
            "SSE_PROGRESS_MODERATION_HOOK_WAIT_S": "600",
            "SSE_PROGRESS_MODERATION_TIMEOUT_S": "10",
            "SSE_PROGRESS_LEASE_S": "2",
        }
        with Service(directory, env) as service:
            yield service, Services(told)
            assert API_KEY not in service.log
            assert SECRET not in service.log
            assert "key=private" not in service.log
    shutil.rmtree(directory)


@pytest.fixture
def services(running: tuple[Service, Services]) -> Services:
    running[1].reset()
    return running[1]


@pytest.fixture
def client(running: tuple[Service, Services]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running[0].url, timeout=60) as client:
        yield client


def answer(client: httpx.Client, upload_id: str, verdict: dict[str, Any]) -> httpx.Response:
    """What a hook that promised a verdict sends in the end."""
    body = json.dumps(verdict).encode()
    headers = signed_headers("v-1", body, keys=secrets_of(SECRET), now_s=int(time.time()))
    return client.post(f"/upload/{upload_id}/moderation", content=body, headers=headers)


def waits(client: httpx.Client, upload_id: str) -> None:
    wait_until(
        lambda: client.get(f"/upload/{upload_id}").json().get("waiting") == "moderation",
        "it waits for the hook",
    )


def test_both_services_see_a_picture_and_its_name(client: httpx.Client, services: Services) -> None:
    """The API gets name, fields and a small JPEG, with its key; the hook a message that the
    reference library of Standard Webhooks verifies; what they say is in the result."""
    services.scores = {"violence": 0.7, "harassment": 0.2}
    services.verdict = {
        "verdict": "review",
        "reasons": [{"rule": "house-7", "detail": "Looks odd."}],
        "scores": {"odd": 0.4},
    }
    done = post(client, data={"caption": "my holiday"})
    assert done.status_code == 200, done.text
    moderation = done.json()["data"]["media"]["moderation"]
    assert moderation["verdict"] == "review"
    assert [reason["rule"] for reason in moderation["reasons"]] == [
        "violence",
        "violence",
        "house-7",
    ]
    assert moderation["scores"]["violence"] == 0.7
    assert moderation["scores"]["odd"] == 0.4
    assert "moderation by the hook" in moderation["checks"]
    assert "moderation by omni-moderation-latest" in moderation["checks"]

    said, shown = services.asked
    assert "my holiday" in said
    assert "photo" in said
    head, _, data = shown[0]["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert picture.format == "JPEG"
        assert max(picture.size) <= 512
    api = next(one for one in services.told.receipts if "input" in one.message)
    assert api.headers["authorization"] == f"Bearer {API_KEY}"

    (asked,) = services.hooked
    message = Webhook(SECRET).verify(asked.body, asked.headers)
    assert message["type"] == "moderation.requested"
    assert message["data"]["contentType"] == "image/jpeg"
    assert message["data"]["fields"] == {"caption": "my holiday"}
    assert len(message["data"]["pictures"]) == 1


def test_text_is_asked_about(client: httpx.Client, services: Services) -> None:
    done = post(client, content=TEXT, name="note.txt")
    assert done.status_code == 200, done.text
    assert done.json()["data"]["media"]["moderation"]["verdict"] == "approved"
    assert services.asked[1] == TEXT.decode()
    assert services.hooked[0].message["data"]["text"] == TEXT.decode()


@pytest.mark.parametrize("by", ["api", "hook"])
def test_a_refusal_ends_the_upload(client: httpx.Client, services: Services, by: str) -> None:
    if by == "api":
        services.scores = {"sexual/minors": 0.95}
    else:
        services.verdict = {"verdict": "refused", "reason": "Not in this house."}
    upload_id = new_id()
    refused = post(client, upload_id)
    assert (refused.status_code, refused.json()["code"]) == (422, "moderation_refused")
    assert ("sexual/minors" if by == "api" else "Not in this house.") in refused.json()["detail"]
    assert client.get(f"/upload/{upload_id}/files/photo.jpg").status_code == 404


def test_what_passes_is_tried_again(client: httpx.Client, services: Services) -> None:
    """Two refusals for the moment, then an answer: no trace in the result."""
    services.api_failures = 2
    done = post(client, content=TEXT, name="note.txt")
    assert done.status_code == 200
    assert done.json()["data"]["media"]["moderation"]["notChecked"] == [
        note
        for note in done.json()["data"]["media"]["moderation"]["notChecked"]
        if "does not answer" not in note
    ]
    assert len(services.asked) == 4  # twice in vain


def test_a_service_that_is_away_delays_and_loses_nothing(
    client: httpx.Client, services: Services
) -> None:
    """The upload is told to be tried again, and completes once the service is back."""
    services.api_status = 401
    upload_id = new_id()
    assert post(client, upload_id, headers={"Prefer": "respond-async"}).status_code == 202
    wait_until(
        lambda: "trying again" in client.get(f"/upload/{upload_id}").json()["message"],
        "it is said that the service is away",
    )
    services.api_status = 200
    wait_until(
        lambda: client.get(f"/upload/{upload_id}").json()["status"] == "complete", "it completes"
    )


def test_a_hook_answers_later(client: httpx.Client, services: Services) -> None:
    """While it waits no worker is held: another upload passes. The verdict is signed and counts
    once; a wrong signature, shape or upload is refused."""
    services.hook_status = 202
    upload_id, other = new_id(), new_id()
    for one in (upload_id, other):
        assert post(client, one, headers={"Prefer": "respond-async"}).status_code == 202
        waits(client, one)
    assert client.get(f"/upload/{upload_id}").json()["status"] == "processing"
    services.hook_status = 200
    assert post(client).status_code == 200

    path = f"/upload/{upload_id}/moderation"
    verdict = {"verdict": "approved", "scores": {"odd": 0.1}}
    assert client.post(path, json=verdict).status_code == 401
    old = signed_headers("v-1", b"{}", keys=secrets_of(SECRET), now_s=int(time.time()) - 3600)
    assert client.post(path, content=b"{}", headers=old).status_code == 401
    assert answer(client, upload_id, {"verdict": "perhaps"}).status_code == 400
    assert answer(client, new_id(), verdict).status_code == 404
    assert answer(client, upload_id, verdict).status_code == 204
    assert answer(client, upload_id, verdict).status_code == 409
    wait_until(
        lambda: client.get(f"/upload/{upload_id}").json()["status"] == "complete", "it completes"
    )
    moderation = client.get(f"/upload/{upload_id}").json()["media"]["moderation"]
    assert moderation["scores"]["odd"] == 0.1

    assert answer(client, other, {"verdict": "refused", "reason": "No."}).status_code == 204
    wait_until(lambda: client.get(f"/upload/{other}").json()["status"] == "error", "it is refused")
    assert client.get(f"/upload/{other}").json()["error"]["code"] == "moderation_refused"


def test_a_worker_dies_while_the_hook_thinks(
    running: tuple[Service, Services], client: httpx.Client, services: Services
) -> None:
    """The stage's result is kept: the hook is not asked a second time."""
    services.hook_status = 202
    upload_id = new_id()
    assert post(client, upload_id, headers={"Prefer": "respond-async"}).status_code == 202
    waits(client, upload_id)
    asked = len(services.hooked)
    for pid in running[0].pids()["worker"]:
        os.kill(pid, signal.SIGKILL)
    assert answer(client, upload_id, {"verdict": "approved"}).status_code == 204
    wait_until(
        lambda: client.get(f"/upload/{upload_id}").json()["status"] == "complete", "it completes"
    )
    assert len(services.hooked) == asked
